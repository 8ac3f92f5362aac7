"""Generative nets, what judges them, and the gate that decides whether their images are used."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.catalogue import recipe  # noqa: E402
from medsim_perception.gan.conditional import ConditionalLearner, GanSettings  # noqa: E402
from medsim_perception.gan.cycle import CycleLearner, CycleSettings, cycle_psnr, translate  # noqa: E402
from medsim_perception.gan.cycle_nets import ScannerTranslation  # noqa: E402
from medsim_perception.gan.differentiable import augment  # noqa: E402
from medsim_perception.gan.distances import distances, frechet_distance, frechet_of_moments, kernel_distance  # noqa: E402
from medsim_perception.gan.diversity import diversity, manifold, memorisation, mode_coverage, nearest, neighbour_diversity  # noqa: E402
from medsim_perception.gan.gate import quality_gate  # noqa: E402
from medsim_perception.gan.histograms import matched_each, matched_together  # noqa: E402
from medsim_perception.gan.nets import ConditionalGenerator, ProjectionDiscriminator, batch_deviation  # noqa: E402
from medsim_perception.gan.pictures import beside_real, tiled  # noqa: E402
from medsim_perception.gan.protocol import ARMS, Arm, RareClass, drawn_places, efficiency, score, told_apart, train_classifier  # noqa: E402
from medsim_perception.gan.scanner_translation import FIRST_A, FIRST_B, FIRST_TEST, TRAIN_EACH, likeness, same_patients, unpaired  # noqa: E402
from medsim_perception.gan.stability import check_finite, stability  # noqa: E402
from medsim_perception.real_data import data_folder  # noqa: E402
from medsim_perception.weights import packed  # noqa: E402

CPU = torch.device("cpu")
TINY = GanSettings(steps=4, batch=8, latent=8, width=8, log_every=1, penalty_every=2)


def random_images(n: int, side: int = 28, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, side, side), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def bars(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that anybody can tell apart: an upper or a lower half that is bright."""
    labels = torch.arange(n) % 2
    images = random_images(n, seed=seed) // 8
    images[labels == 0, :, :14] += 180
    images[labels == 1, :, 14:] += 180
    return images, labels


def tiny_learner(seed: int = 0) -> ConditionalLearner:
    images, labels = bars(40)
    return ConditionalLearner(images, labels, seed, CPU, TINY)


# distances: known answers and the formula of others


def test_frechet_distance_of_two_normal_distributions_is_the_closed_form() -> None:
    """For diagonal covariances it is |m1 - m2|^2 + sum (s1 - s2)^2."""
    spread_a, spread_b = np.array([1.0, 2.0, 0.5]), np.array([2.0, 2.0, 0.0])
    found = frechet_of_moments([0, 0, 0], np.diag(spread_a**2), [3, 0, 4], np.diag(spread_b**2))
    assert found == pytest.approx(25 + ((spread_a - spread_b) ** 2).sum(), abs=1e-9)


def test_frechet_distance_of_samples_comes_near_that_of_their_distributions() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20_000, 2)), rng.normal([1, 0], [1, 3], (20_000, 2))
    assert frechet_distance(a, b) == pytest.approx(1 + 4, rel=0.05)


@pytest.mark.parametrize("rows", [200, 5])
def test_frechet_distance_equals_the_direct_formula(rows: int) -> None:
    """Also where covariances are singular: fewer images than features."""
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(1)
    mix = rng.normal(size=(8, 8))
    a, b = rng.normal(size=(rows, 8)) @ mix, rng.normal(1, 2, size=(rows, 8))
    c_a, c_b = np.cov(a.T), np.cov(b.T)
    direct = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c_a + c_b - 2 * np.real(sqrtm(c_a @ c_b)))
    assert frechet_distance(a, b) == pytest.approx(direct, rel=1e-6)


def test_frechet_distance_equals_monai() -> None:
    fid = pytest.importorskip("monai.metrics.fid")
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(60, 6)), rng.normal(0.5, 1.5, (60, 6))
    try:
        theirs = float(fid.get_fid_score(torch.as_tensor(a), torch.as_tensor(b)))
    except TypeError as error:
        pytest.skip(f"this MONAI asks scipy for what this scipy no longer has: {error}")
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-5)


def test_kernel_distance_equals_monai_with_the_linear_kernel() -> None:
    mmd = pytest.importorskip("monai.metrics.mmd")
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(40, 6)), rng.normal(0.5, 1, (40, 6))
    theirs = float(mmd.compute_mmd(torch.as_tensor(a), torch.as_tensor(b), None))
    assert 6 * kernel_distance(a, b, degree=1) == pytest.approx(theirs, rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    """Over many pairs of samples of one distribution its mean is zero; a biased estimate's would be far above."""
    rng = np.random.default_rng(4)
    found = np.array([kernel_distance(rng.normal(size=(12, 3)), rng.normal(size=(18, 3))) for _ in range(600)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert kernel_distance(rng.normal(size=(50, 3)), rng.normal(2, 1, (50, 3))) > 20 * found.std()


def test_distances_compare_sets_of_one_size() -> None:
    """The Frechet distance is biased by size: the floor must be measured at the size of the rest."""
    rng = np.random.default_rng(5)
    real, made, other = rng.normal(size=(100, 4)), rng.normal(size=(30, 4)), rng.normal(size=(60, 4))
    assert distances(real, made, other).frechet_of_real == pytest.approx(frechet_distance(real[:30], other[:30]))
    with pytest.raises(ValueError, match="one d for all"):
        frechet_distance(real, real[:, :3])
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(real, np.where(real > 2, np.nan, real))


# diversity, coverage, copies


def test_a_collapsed_generator_shows_in_every_measure_of_diversity() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 20, (10, 4))
    real, held = (centres[rng.integers(10, size=300)] + rng.normal(size=(300, 4)) for _ in range(2))
    collapsed = centres[:1] + 0.01 * rng.normal(size=(300, 4))
    fine, bad = diversity(real, held, held[::-1].copy(), modes=10), diversity(real, held, collapsed, modes=10)
    assert fine["neighbour_diversity"] == pytest.approx(1)
    assert bad["neighbour_diversity"] < 0.05
    assert fine["modes_covered"] == 1
    assert bad["modes_covered"] == 0.1
    assert bad["modes_distinct"] == pytest.approx(1)
    assert fine["modes_distinct"] > 8
    assert bad["recall"] < 0.05 < 0.9 < fine["recall"]
    assert bad["coverage"] < 0.2
    assert bad["precision"] > 0.9  # what it makes looks real: precision alone sees nothing


def test_coverage_and_density_of_one_distribution_are_those_worked_out_by_naeem() -> None:
    """Coverage 1 - 2^-k, in expectation 1 - prod (n - i) / (2 n - i), and density 1."""
    rng = np.random.default_rng(1)
    found = [manifold(rng.normal(size=(200, 3)), rng.normal(size=(200, 3)), neighbours=3) for _ in range(12)]
    expected = 1 - np.prod([(200 - i) / (400 - i) for i in (1, 2, 3)])
    assert np.mean([one.coverage for one in found]) == pytest.approx(expected, abs=0.03)
    assert np.mean([one.density for one in found]) == pytest.approx(1, abs=0.05)


def test_images_of_nowhere_have_neither_precision_nor_recall() -> None:
    rng = np.random.default_rng(2)
    found = manifold(rng.normal(size=(80, 3)), 100 + rng.normal(size=(80, 3)))
    assert found == (0.0, 0.0, 0.0, 0.0)


def test_modes_of_the_same_images_do_not_diverge() -> None:
    rng = np.random.default_rng(3)
    real = rng.normal(size=(200, 3))
    assert mode_coverage(real, real, real, 8).divergence == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match=r"2\.\.200"):
        mode_coverage(real, real, real, 201)


def test_copies_of_training_images_are_found_and_fresh_ones_are_not() -> None:
    rng = np.random.default_rng(4)
    train, held, fresh = (rng.normal(size=(400, 5)) for _ in range(3))
    copied, honest = memorisation(train, held, train[:300] + 1e-3), memorisation(train, held, fresh)
    assert copied.copies == 1
    assert copied.nearer > 0.99
    assert honest.copies == pytest.approx(0.05, abs=0.03)
    assert honest.nearer == pytest.approx(0.5, abs=0.05)


def test_a_row_is_not_its_own_neighbour() -> None:
    rows = np.array([[0.0], [1.0], [5.0]])
    found, places = nearest(rows, rows, same=True)
    assert found[:, 0].tolist() == [1, 1, 4]
    assert places[:, 0].tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="all alike"):
        neighbour_diversity(rows, np.zeros((3, 1)))


# the nets and their training


@pytest.mark.parametrize("side", [28, 32, 64])
def test_a_generator_makes_images_of_the_side_it_was_asked_for(side: int) -> None:
    model = ConditionalGenerator(3, side, latent=8, width=8)
    labels = torch.tensor([0, 1, 2, 2])
    images = model(torch.randn(4, 8), labels).detach()
    assert images.shape == (4, 1, side, side)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert ProjectionDiscriminator(3, side, 8)(images, labels).shape == (4,)
    assert model.sample(labels, torch.Generator().manual_seed(0)).dtype == torch.uint8


def test_wrong_labels_sides_and_latents_are_refused_by_value() -> None:
    model = ConditionalGenerator(2, 28, latent=8, width=8)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        model(torch.randn(1, 8), torch.tensor([2]))
    with pytest.raises(ValueError, match="latent"):
        model(torch.randn(1, 9), torch.tensor([0]))
    with pytest.raises(ValueError, match="side must be one of"):
        ConditionalGenerator(2, 30)
    with pytest.raises(ValueError, match=r"\[1\] have none"):
        ConditionalLearner(random_images(4), torch.tensor([0, 0, 2, 2]), 0, CPU, TINY)


def test_every_layer_of_the_discriminator_has_a_spectral_norm_of_one() -> None:
    torch.manual_seed(0)
    net = ProjectionDiscriminator(2, 28, 8).train()
    for _ in range(60):  # power iterations
        net(torch.rand(2, 1, 28, 28), torch.tensor([0, 1]))
    layers = [one for one in net.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear | torch.nn.Embedding)]
    norms = [float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2)) for layer in layers]
    assert norms == pytest.approx([1.0] * len(norms), abs=0.05)


def test_the_class_and_the_latent_numbers_both_change_the_image() -> None:
    model = tiny_learner().generator
    z = torch.randn(2, 8)
    by_class = model(z[[0, 0]], torch.tensor([0, 1]))
    by_latent = model(z, torch.tensor([0, 0]))
    assert not torch.allclose(by_class[0], by_class[1])
    assert not torch.allclose(by_latent[0], by_latent[1])


def test_a_batch_of_one_image_has_no_deviation() -> None:
    one = torch.rand(1, 4, 7, 7)
    assert float(batch_deviation(one.repeat(8, 1, 1, 1)).max()) < 1e-3
    assert float(batch_deviation(torch.rand(8, 4, 7, 7)).min()) > 0.1


def test_augmentation_passes_gradients_and_changes_each_image_its_own_way() -> None:
    images = torch.full((6, 1, 28, 28), 0.5, requires_grad=True)
    changed = augment(images, torch.Generator().manual_seed(0))
    changed.sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0
    assert len({round(float(one.sum()), 3) for one in changed}) == 6
    again = augment(images, torch.Generator().manual_seed(0))
    assert torch.equal(changed, again)


@pytest.mark.parametrize("kind", ["conditional", "cycle"])
def test_a_training_that_stops_and_goes_on_equals_one_that_does_not(kind: str) -> None:
    def begin() -> ConditionalLearner | CycleLearner:
        if kind == "conditional":
            return tiny_learner()
        return CycleLearner(random_images(9, 16), random_images(9, 16, 1), 0, CPU, CycleSettings(steps=4, batch=2, width=4, judge_width=4))

    whole, first, second = begin(), begin(), begin()
    for _ in range(4):
        whole.step()
    first.step()
    first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.step()
    second.step()
    assert second.step_number == 4
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.history == second.history


def test_seeds_differ_and_one_seed_repeats() -> None:
    losses = []
    for seed in (0, 0, 1):
        learner = tiny_learner(seed)
        losses.append([learner.step() for _ in range(2)])
    assert losses[0] == losses[1] != losses[2]


def test_a_generator_learns_in_seconds_which_half_is_bright() -> None:
    images, labels = bars(64)
    settings = GanSettings(steps=60, batch=16, latent=8, width=8, generator_rate=2e-3, discriminator_rate=4e-3, average=0.8)
    learner = ConditionalLearner(images, labels, 0, CPU, settings)
    for _ in range(settings.steps):
        learner.step()
    made = learner.model.sample(torch.tensor([0, 1]).repeat(16), torch.Generator().manual_seed(1)).float()
    upper_less_lower = (made[:, :, :14].mean((1, 2, 3)) - made[:, :, 14:].mean((1, 2, 3))).view(16, 2)
    assert float((upper_less_lower[:, 0] > upper_less_lower[:, 1]).float().mean()) > 0.8


def test_what_went_wrong_in_a_training_is_named() -> None:
    with pytest.raises(FloatingPointError, match="generator_loss is nan at step 7"):
        check_finite(7, generator_loss=torch.tensor(float("nan")))
    calm = [{"step": float(k), "generator_gradient": 1.0, "discriminator_gradient": 1.0, "accuracy_real": 0.7, "accuracy_made": 0.7}
            for k in range(200)]  # fmt: skip
    wild = [
        row | {"generator_gradient": 100.0, "accuracy_real": 1.0, "accuracy_made": 1.0} if k % 20 == 0 else row
        for k, row in enumerate(calm)
    ]
    assert stability(calm)["exploded"] == 0
    assert stability(wild)["exploded"] == 1
    assert stability(wild)["discriminator_wins"] == pytest.approx(0.05)
    with pytest.raises(ValueError, match="at least one step"):
        stability([])


# scanners


def test_an_untrained_translator_leaves_images_as_they_are() -> None:
    """It learns the difference of two scanners, so it begins with none."""
    images = random_images(3, 32).numpy()
    assert np.abs(translate(ScannerTranslation(), images, "a").astype(int) - images).max() <= 1
    assert cycle_psnr(ScannerTranslation(), images, "b") > 60
    with pytest.raises(ValueError, match="one of"):
        ScannerTranslation()(torch.rand(1, 1, 32, 32), "c")
    with pytest.raises(ValueError, match="multiples of 4"):
        ScannerTranslation()(torch.rand(1, 1, 30, 30))


def test_a_translator_learns_a_change_of_brightness_without_pairs() -> None:
    dark = torch.randint(40, 90, (64, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    bright = 60 + torch.randint(40, 90, (64, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    learner = CycleLearner(
        dark,
        bright,
        0,
        CPU,
        CycleSettings(steps=80, batch=4, width=4, blocks=1, judge_width=8, rate=5e-3, cycle=1, identity=0.5, average=0.9),
    )
    for _ in range(80):
        learner.step()
    moved = translate(learner.model, bright.numpy(), "a").astype(float)
    assert abs(moved.mean() - float(dark.float().mean())) < 15 < abs(float(bright.float().mean()) - float(dark.float().mean())) / 3


def test_matched_histograms_are_those_wanted_and_keep_the_order_of_greys() -> None:
    """A gamma is undone exactly where no two greys fell together, by either way when all images share a histogram."""
    known = random_images(20, 16).numpy() // 4 * 3
    changed = (40 + known // 3 * 2).astype(np.uint8)
    assert np.array_equal(matched_together(changed, changed, known), known)
    dark, bright = known[:4] // 2, known[4:8]
    each = matched_each(np.concatenate([dark, bright]), known)
    assert abs(each[:4].mean() - each[4:].mean()) < 3 < abs(dark.mean() - bright.mean())  # what told them apart is gone
    together = matched_together(np.concatenate([dark, bright]), np.concatenate([dark, bright]), known)
    assert together[4:].mean() - together[:4].mean() > 30
    with pytest.raises(ValueError, match="uint8"):
        matched_each(known, known.astype(float))


def test_no_patient_is_on_both_scanners_nor_in_training_and_judging() -> None:
    parts = [set(range(first, first + n)) for first, n in ((FIRST_A, TRAIN_EACH), (FIRST_B, TRAIN_EACH), (FIRST_TEST, 10_000))]
    assert len(parts[0] | parts[1] | parts[2]) == sum(len(part) for part in parts)
    a, b = unpaired(8, 32)
    pair = same_patients(8, FIRST_TEST, 32)
    assert a.shape == b.shape == (8, 1, 32, 32)
    likeness = np.array([[np.corrcoef(x.ravel(), y.ravel())[0, 1] for y in pair.b] for x in pair.a])
    assert np.diag(likeness).mean() > likeness[~np.eye(8, dtype=bool)].mean() + 0.1  # the same chest, by another machine
    assert not np.array_equal(pair.a, pair.b)


@pytest.mark.parametrize("name", ["chest-gan", "chest-cyclegan"])
def test_what_a_recipe_ships_is_small_and_what_its_training_averages(name: str) -> None:
    made = recipe(name)
    model = made.build()
    assert len(packed(model, half=True)) <= 400_000
    if name == "chest-gan" and data_folder() is None:
        pytest.skip("MEDSIM_DATA is not set: no real images to begin with")
    learner = made.begin(0, CPU)
    assert {k: v.shape for k, v in learner.model.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_translators_are_judged_by_the_true_picture_of_the_other_scanner() -> None:
    found = likeness(recipe("chest-cyclegan").build(), same_patients(12, FIRST_TEST))
    assert found["psnr_b_to_a"] == pytest.approx(found["psnr_untranslated"], abs=0.01)
    assert found["psnr_untranslated"] < 20 < 60 < min(found["psnr_a_b_a"], found["psnr_b_a_b"])


# the protocol and its gate


def test_arms_differ_only_in_what_they_say_and_repeat_by_seed() -> None:
    images, labels = bars(60)
    task = RareClass(images=images, labels=labels, extra_real=images[labels == 1][:5])
    first = train_classifier(task, ARMS["nothing"], 0, steps=3, batch=8)
    with torch.no_grad():  # as judges are called
        again = train_classifier(task, ARMS["nothing"], 0, steps=3, batch=8)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="added images needs some"):
        train_classifier(task, ARMS["made"], 0, steps=1)
    with pytest.raises(ValueError, match="twice"):
        Arm(balanced=True, weighted=True)


@pytest.mark.parametrize(("balanced", "share"), [(True, 0.5), (False, 0.1)])
def test_a_batch_holds_the_rare_class_as_often_as_the_arm_says(balanced: bool, share: float) -> None:
    places = [torch.arange(90), torch.arange(90, 100)]
    drawn = drawn_places(places, 4000, balanced, torch.Generator().manual_seed(0))
    assert float((drawn >= 90).float().mean()) == pytest.approx(share, abs=0.03)
    assert len(drawn.unique()) == 100


def test_balanced_sampling_and_a_weighted_loss_find_a_rare_class_that_nothing_misses() -> None:
    images, labels = bars(400)
    images = (
        (images.float() * 0.15 + 90 + 25 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0)))
        .clamp(0, 255)
        .to(torch.uint8)
    )
    rare = torch.cat([torch.nonzero(labels == 0)[:, 0], torch.nonzero(labels == 1)[:8, 0]])
    task = RareClass(images=images[rare], labels=labels[rare], extra_real=images[labels == 1][8:60])
    found = {
        name: score(train_classifier(task, ARMS[name], 0, steps=40, batch=32, stem_stride=2), images[100:], labels[100:].numpy())[1][
            "rare recall"
        ]
        for name in ("nothing", "balanced sampling", "weighted loss", "extra real")
    }
    assert found["nothing"] < min(found["balanced sampling"], found["weighted loss"], found["extra real"])


def test_a_net_tells_crude_images_from_real_ones_and_real_ones_not_from_each_other() -> None:
    images, labels = bars(480)
    real, crude = images[labels == 0], images[labels == 1]
    assert told_apart(real[:80], real[80:160], crude[:80], steps=60, stem_stride=2) > 0.95
    assert abs(told_apart(real[:80], real[80:160], real[160:], steps=60, stem_stride=2) - 0.5) < 0.25
    with pytest.raises(ValueError, match="2 images of each kind"):
        told_apart(real[:1], real, crude)


def test_the_gate_opens_for_images_that_help_and_for_nothing_else() -> None:
    rng = np.random.default_rng(0)
    labels = (np.arange(500) < 130).astype(int)
    said = np.where(rng.random(500) < 0.8, labels, 1 - labels)
    better = np.where((said != labels) & (rng.random(500) < 0.5), labels, said)
    worse = np.where(rng.random(500) < 0.1, 1 - said, said)
    assert quality_gate(labels, said, better).accepted
    assert not quality_gate(labels, said, worse).accepted
    assert not quality_gate(labels, said, said).accepted  # no gain is no reason
    assert quality_gate(labels, said, better).gain == pytest.approx(
        np.mean([(better == labels)[labels == k].mean() - (said == labels)[labels == k].mean() for k in (0, 1)])
    )


def test_the_gate_stays_shut_for_noise_as_often_as_it_says() -> None:
    """Two classifiers that are equally good: it opens in about a tenth of the cases at a confidence of 0.9."""
    rng = np.random.default_rng(1)
    labels = (np.arange(400) < 120).astype(int)
    opened = [
        quality_gate(labels, *(np.where(rng.random(400) < 0.85, labels, 1 - labels) for _ in range(2)), draws=300).accepted
        for _ in range(200)
    ]
    assert 0.03 < np.mean(opened) < 0.18


def test_the_gate_refuses_what_it_cannot_judge() -> None:
    with pytest.raises(ValueError, match="two classes"):
        quality_gate(np.ones(5), np.ones(5), np.ones(5))
    with pytest.raises(ValueError, match="predictions must be"):
        quality_gate([0, 1], [0, 1], [0, 1, 1])


def test_efficiency_is_one_for_images_as_good_as_real_ones() -> None:
    assert efficiency(0.8, 0.9, 0.9) == pytest.approx(1)
    assert efficiency(0.8, 0.75, 0.9) == pytest.approx(-0.5)
    assert np.isnan(efficiency(0.9, 0.95, 0.9))


# pictures


def test_the_board_shows_the_nearest_real_image_below_each_made_one() -> None:
    images, labels = bars(40)
    board = beside_real(tiny_learner().model, images.numpy(), labels.numpy(), ("upper", "lower"), columns=4)
    assert board.picture.shape == (6 * 29, 4 * 29)
    assert len(board.rows) == 6
    with pytest.raises(ValueError, match="one shape"):
        tiled([])
