"""Encoders, heads, augmentation, calibration and transfer for chest X-rays."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim.imaging import ChestFindings, image_keys, render_chest  # noqa: E402
from medsim_perception.metrics import calibration_error  # noqa: E402
from medsim_perception.real_data import LabelledImages  # noqa: E402
from medsim_perception.vision import (  # noqa: E402
    ANY_SCANNER,
    Augmentation,
    Classifier,
    Ensemble,
    Estimate,
    SeveralViews,
    StateRegressor,
    calibrate_regressor,
    chest_state,
    copy_encoder,
    count_weights,
    coverage,
    estimates_of,
    even_threshold,
    focal_loss,
    freeze,
    gaussian_loss,
    logits_of,
    plain_encoder,
    pneumonia,
    pretraining,
    residual_encoder,
    spread,
    temperature,
    thaw,
)
from medsim_perception.vision.augment import blur, warp  # noqa: E402
from medsim_perception.vision.learning import CalibratedLearner  # noqa: E402
from medsim_perception.vision.nets import to_floats  # noqa: E402
from medsim_perception.weights import load_model  # noqa: E402

NETS = {"residual": residual_encoder, "plain": plain_encoder}


def noise_images(n: int, side: int = 28, seed: int = 0) -> "torch.Tensor":
    return torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> "torch.Generator":
    return torch.Generator().manual_seed(seed)


# nets


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("side", "stride"), [(28, 1), (64, 2), (128, 4)])
def test_encoders_take_images_of_28_to_128_pixels(name: str, side: int, stride: int) -> None:
    encoder = NETS[name]((8, 16, 24), stem_stride=stride)
    images = noise_images(3, side)
    assert encoder(images).shape == (3, 24)
    maps = encoder.maps(images)
    assert maps.shape[:2] == (3, 24)
    torch.testing.assert_close(maps.mean((2, 3)), encoder(images))


@pytest.mark.parametrize("name", NETS)
def test_features_do_not_depend_on_what_else_is_in_the_batch(name: str) -> None:
    encoder = NETS[name]((8, 16)).train()
    images = noise_images(6)
    torch.testing.assert_close(encoder(images)[2:3], encoder(images[2:3]), rtol=1e-4, atol=1e-5)


def test_uint8_and_floats_are_the_same_image() -> None:
    encoder, images = residual_encoder((8, 16)), noise_images(2)
    torch.testing.assert_close(encoder(images), encoder(images.float() / 255))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 3, 28, 28), "n, 1, h, w"),
        (torch.zeros(1, 28, 28), "n, 1, h, w"),
        (torch.zeros(2, 1, 20, 28), "20, 28"),
        (torch.zeros(2, 1, 200, 200), "200"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.int64), "int64"),
    ],
)
def test_an_encoder_refuses_what_is_no_grey_image(images: "torch.Tensor", says: str) -> None:
    with pytest.raises(ValueError, match=says):
        residual_encoder((8,))(images)


@pytest.mark.parametrize("arguments", [{"widths": ()}, {"widths": (2,)}, {"stem_stride": 3}, {"blocks": 0}])
def test_a_net_that_cannot_be_built_is_refused(arguments: dict) -> None:
    for build in NETS.values():
        with pytest.raises(ValueError, match="must be"):
            build(**arguments)


# augmentation


def test_an_augmentation_without_strength_changes_nothing() -> None:
    images = noise_images(4).float() / 255
    assert torch.equal(Augmentation()(images, seeded()), images)


def test_the_same_generator_gives_the_same_images_and_another_other_ones() -> None:
    images = noise_images(4)
    once, again, other = (ANY_SCANNER(images, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == images.shape
    assert 0 <= once.min() <= once.max() <= 1


@pytest.mark.parametrize(
    "strength",
    [
        {"rotation_degrees": 20}, {"scale": 0.3}, {"shift": 0.2}, {"mirror": 1.0}, {"gamma": 0.5}, {"contrast": 0.5}, {"brightness": 0.2},
        {"noise": 0.2}, {"blur_pixels": 1.0}, {"collimation": 0.3}, {"cutout": 0.9},
    ],
)  # fmt: skip
def test_each_strength_changes_images(strength: dict) -> None:
    images = noise_images(8).float() / 255
    assert (Augmentation(**strength)(images, seeded()) - images).abs().max() > 0.02


def test_a_sure_mirror_flips_left_and_right() -> None:
    images = noise_images(3).float() / 255
    torch.testing.assert_close(Augmentation(mirror=1.0)(images, seeded()), images.flip(3), atol=1e-5, rtol=1e-5)


def test_a_warp_shifts_by_the_share_of_the_side_that_it_says() -> None:
    images = torch.zeros(1, 1, 32, 32)
    images[0, 0, 16, 16] = 1.0
    quarter = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])  # coordinates reach from -1 to 1: 0.5 is a quarter of the side
    assert warp(images, quarter)[0, 0].nonzero().tolist() == [[16, 8]]


def test_shifts_scales_and_turns_stay_within_their_strengths_and_use_them() -> None:
    maps = Augmentation(rotation_degrees=30, scale=0.2, shift=0.1).matrices(4000, seeded())
    shift, turned = maps[:, :, 2].abs() / 2, maps[:, :, :2]
    scale = torch.linalg.det(turned).log().abs() / 2
    angle = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0])).abs()
    for found, strength in ((shift, 0.1), (scale, 0.2), (angle, 30.0)):
        assert 0.98 * strength < found.max() <= strength * 1.001


def test_a_blur_keeps_the_sum_and_lowers_the_peak() -> None:
    images = torch.zeros(4, 1, 28, 28)
    images[:, :, 14, 14] = 1.0
    blurred = blur(images, seeded(), 1.0)
    torch.testing.assert_close(blurred.sum((1, 2, 3)), torch.ones(4))
    assert (blurred.amax((1, 2, 3)) < 1).any()


@pytest.mark.parametrize(
    "strength", [{"noise": -0.1}, {"mirror": 1.5}, {"blur_pixels": 3.0}, {"collimation": 0.6}, {"gamma": float("nan")}]
)
def test_a_strength_without_meaning_is_refused(strength: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(strength))):
        Augmentation(**strength)


# losses and calibration


def test_the_gaussian_loss_without_beta_is_torchs_likelihood() -> None:
    mean, log_variance, truth = torch.randn(3, 5, 2, generator=seeded())
    expected = torch.nn.functional.gaussian_nll_loss(mean, truth, log_variance.exp())
    torch.testing.assert_close(gaussian_loss(mean, log_variance, truth, beta=0.0), expected)


def test_with_beta_one_the_mean_learns_as_under_squared_error_and_the_variance_towards_the_squared_error() -> None:
    mean, log_variance, truth = torch.randn(3, 6, 2, generator=seeded())
    mean.requires_grad_(True)
    log_variance.requires_grad_(True)
    gaussian_loss(mean, log_variance, truth, beta=1.0).backward()
    error = mean.detach() - truth
    torch.testing.assert_close(mean.grad, error / truth.numel())
    torch.testing.assert_close(log_variance.grad, 0.5 * (log_variance.detach().exp() - error**2) / truth.numel())


def test_the_focal_loss_without_focus_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 3, generator=seeded()), torch.arange(7) % 3
    torch.testing.assert_close(focal_loss(logits, labels, gamma=0.0), torch.nn.functional.cross_entropy(logits, labels))
    assert focal_loss(logits, labels, gamma=2.0) < focal_loss(logits, labels, gamma=0.0)


def test_the_focal_loss_is_monais() -> None:
    losses = pytest.importorskip("monai.losses", reason="monai is not installed")
    logits, labels = torch.randn(7, 3, generator=seeded()), torch.arange(7) % 3
    theirs = losses.FocalLoss(gamma=2.0, use_softmax=True, to_onehot_y=True, include_background=True)(logits, labels[:, None])
    torch.testing.assert_close(focal_loss(logits, labels, gamma=2.0), theirs * 3)  # theirs divides by the classes too


def overconfident(n: int = 4000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    return np.stack([np.zeros(n), factor * margin], 1), labels


def test_the_temperature_undoes_logits_that_are_three_times_too_large() -> None:
    logits, labels = overconfident()
    found = temperature(logits, labels)
    assert found == pytest.approx(3.0, rel=0.1)
    before, after = (calibration_error(labels, 1 / (1 + np.exp(-logits[:, 1] / t))) for t in (1.0, found))
    assert after < 0.03 < before


def test_the_even_threshold_does_not_move_with_how_frequent_the_classes_are() -> None:
    rng = np.random.default_rng(1)
    found = []
    for ones in (500, 4500):
        margin = np.concatenate([rng.normal(0.0, 1.0, 5000 - ones), rng.normal(2.0, 1.0, ones)])
        labels = np.repeat([0, 1], [5000 - ones, ones])
        found.append(even_threshold(np.stack([np.zeros(5000), margin], 1), labels))
    assert found == pytest.approx([1.0, 1.0], abs=0.1)  # half way between the classes' centres


def test_the_spread_makes_intervals_cover_nine_in_ten() -> None:
    rng = np.random.default_rng(2)
    truth = rng.standard_t(4, (6000, 2)) * [1.0, 5.0]
    mean, sd = np.zeros_like(truth), np.full_like(truth, 0.3)
    factor = spread(truth[:3000], mean[:3000], sd[:3000])
    assert coverage(truth[3000:], mean[3000:], sd[3000:] * factor) == pytest.approx([0.9, 0.9], abs=0.02)
    assert coverage(truth, mean, sd).max() < 0.6


@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array([0, 1, 2]), np.array([0, 1, -1])])
def test_labels_that_do_not_fit_their_logits_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels"):
        temperature(np.zeros((3, 2)), labels)


# ensembles, views, transfer


def a_classifier(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(residual_encoder((8, 16)))


def a_regressor(seed: int = 0) -> StateRegressor:
    torch.manual_seed(seed)
    return StateRegressor(residual_encoder((8, 16)), ("water", "heart"), (20.0, 0.5), (10.0, 0.05))


def test_an_ensemble_of_classifiers_averages_probabilities() -> None:
    members, images = [a_classifier(s) for s in (0, 1, 2)], noise_images(5)
    mean = torch.stack([m(images).softmax(1) for m in members]).mean(0)
    torch.testing.assert_close(Ensemble(members)(images).softmax(1), mean)


def test_an_ensembles_variance_holds_its_members_disagreement() -> None:
    first, second, images = a_regressor(0), a_regressor(1), noise_images(4)
    one, two, both = first(images), second(images), Ensemble([first, second])(images)
    expected = (one.sd**2 + two.sd**2) / 2 + ((one.mean - two.mean) / 2) ** 2
    torch.testing.assert_close(both.sd**2, expected)
    torch.testing.assert_close(both.mean, (one.mean + two.mean) / 2)


def test_several_views_of_an_image_do_not_depend_on_the_batch() -> None:
    model, images = SeveralViews(a_classifier(), views=4), noise_images(5)
    torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(images), a_classifier()(images), atol=1e-5)


def test_answers_in_batches_are_the_answers_at_once() -> None:
    classifier, regressor, images = a_classifier(), a_regressor(), noise_images(7)
    torch.testing.assert_close(logits_of(classifier, images, batch=3), classifier(images).detach(), rtol=1e-4, atol=1e-5)
    estimate = estimates_of(regressor, images, batch=3)
    assert isinstance(estimate, Estimate)
    torch.testing.assert_close(estimate.mean, regressor(images).mean.detach(), rtol=1e-4, atol=1e-4)


def test_a_copied_encoder_gives_the_same_features_and_a_frozen_one_keeps_them() -> None:
    source, target, images = a_regressor(3), a_classifier(4), noise_images(4)
    copy_encoder(source, target)
    torch.testing.assert_close(target.encode(images), source.encode(images))
    freeze(target)
    before = target.encode(images).detach()
    optimizer, head = torch.optim.SGD(target.parameters(), lr=1.0), target.head.weight.detach().clone()
    target(images)[:, 1].sum().backward()
    optimizer.step()
    assert target.encoder.stem[0].weight.grad is None
    assert not torch.equal(target.head.weight, head)
    torch.testing.assert_close(target.encode(images), before)
    thaw(target)
    assert all(p.requires_grad for p in target.parameters())


def test_freezing_some_stages_leaves_the_later_ones_learning() -> None:
    model = a_classifier()
    freeze(model, stages=1)
    assert not any(p.requires_grad for p in model.encoder.stages[0].parameters())
    assert all(p.requires_grad for p in model.encoder.stages[1].parameters())
    with pytest.raises(ValueError, match="stages must be 0 to 2"):
        freeze(model, stages=3)


def test_freezing_all_of_an_encoder_that_knows_places_holds_its_features_still_and_thawing_undoes_it() -> None:
    model = chest_state.build()
    assert model.encoder.grid == 4
    for stages in (None, len(model.encoder.stages)):
        freeze(model, stages)
        learning = {name for name, p in model.named_parameters() if p.requires_grad}
        assert {name.split(".")[0] for name in learning if not name.startswith("encoder.place.")} == {"head"}
        assert any(name.startswith("encoder.place.") for name in learning) == (stages is not None)
        thaw(model)
        assert all(p.requires_grad for p in model.parameters())


def test_encoders_of_other_widths_are_not_copied() -> None:
    with pytest.raises(ValueError, match="not built alike"):
        copy_encoder(Classifier(residual_encoder((8, 24))), a_classifier())
    with pytest.raises(TypeError, match="encoder"):
        freeze(torch.nn.Linear(2, 2))


# rendered chests


def test_no_patient_is_in_two_parts_and_none_is_one_that_an_environment_numbers() -> None:
    parts = {name: set(range(first, first + n)) for name, (first, n) in chest_state.PATIENTS.items()}
    assert len(set.union(*parts.values())) == sum(map(len, parts.values()))
    assert min(map(min, parts.values())) >= 10**9
    few = chest_state.chests_of(chest_state.PATIENTS["test"][0], 3, "a", "pa", 64)
    assert set(few.patients) <= parts["test"]


def few_chests(part: str, n: int, scanner: str = "a") -> "chest_state.ChestSet":
    return chest_state.chests_of(chest_state.PATIENTS[part][0], n, scanner, "pa", 64)


def test_batches_of_chests_are_the_renderers_numbers_in_standard_units() -> None:
    data = few_chests("train", 8)
    images, truth = chest_state.RandomChests(data, Augmentation())(np.random.default_rng(0), 50)
    assert images.shape == (50, 1, 64, 64)
    for image, row in zip(images, truth, strict=True):
        place = next(k for k in range(8) if torch.equal(data.images[k].float() / 255, image))
        expected = (data.truth[place] - np.array(chest_state.CENTRE)) / np.array(chest_state.SCALE)
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_lung_water_is_learnt_from_a_few_hundred_chests_and_intervals_are_set_by_validation() -> None:
    data, unseen = few_chests("train", 400), few_chests("test", 200)
    torch.manual_seed(0)
    learner = CalibratedLearner(
        chest_state.build(), chest_state.RandomChests(data, Augmentation()), chest_state.loss, seed=0, device=torch.device("cpu"), steps=60,
        batch_size=32, learning_rate=4e-3, calibrate=lambda model: calibrate_regressor(model, unseen.images, unseen.truth),
    )  # fmt: skip
    while learner.step_number < learner.planned_steps:
        assert learner.model.spread.tolist() == [1.0] * 4  # not calibrated before the end
        learner.step()
    found = chest_state.judge_on(learner.model, unseen, "unseen")
    assert found["r2_lung_water_ml_per_kg_unseen"] > 0.3
    assert [found[f"coverage_{name}_unseen"] for name in chest_state.TARGETS] == pytest.approx([0.9] * 4, abs=0.011)


@pytest.mark.parametrize(("scanner", "goal"), [("a", 0.9), ("b", 0.75)])
def test_the_shipped_encoder_reads_lung_water_of_unseen_patients_with_honest_intervals(scanner: str, goal: float) -> None:
    model = load_model("chest-lung-water")
    found = chest_state.judge_on(model, few_chests("test", 300, scanner), "x")
    assert found["r2_lung_water_ml_per_kg_x"] >= goal
    assert 0.84 <= found["coverage_lung_water_ml_per_kg_x"] <= 0.96  # 300 patients: +- 0.035 around 0.9
    assert count_weights(model) <= 80_000


def test_the_shipped_encoder_answers_in_the_order_and_units_of_its_targets() -> None:
    keys = image_keys(3, 40)
    wet, dry = (
        render_chest(keys, ChestFindings(lung_water_ml_per_kg=water, heart_size=0.45), scanner="a", view="pa", size=64).image
        for water in (25.0, 8.0)
    )
    model = load_model("chest-lung-water")
    high, low = (estimates_of(model, torch.from_numpy(images)).mean.mean(0) for images in (wet, dry))
    assert model.targets == chest_state.TARGETS
    assert (high[0] - low[0]).item() == pytest.approx(17.0, abs=4.0)
    assert low[3].item() == pytest.approx(0.45, abs=0.04)


# real chests


def test_both_classes_are_drawn_equally_often() -> None:
    part = LabelledImages(np.zeros((100, 1, 28, 28), np.uint8), np.repeat([0, 1], [10, 90]))
    _, labels = pneumonia.SampleBatches(part)(np.random.default_rng(0), 2000)
    assert labels.float().mean().item() == pytest.approx(0.5, abs=0.04)


@pytest.mark.skipif("MEDSIM_DATA" not in os.environ, reason="MEDSIM_DATA is not set: PneumoniaMNIST is not there")
def test_the_shipped_classifier_tells_pneumonia_in_real_test_images() -> None:
    found = pneumonia.judge(load_model("chest-pneumonia"), torch.device("cpu"))
    assert found["auroc"] >= 0.96
    assert found["balanced_accuracy"] >= 0.86


def test_the_encoder_of_rendered_chests_fits_the_classifier_of_real_ones() -> None:
    source, target = pretraining.build(), pneumonia.build()
    copy_encoder(source, target)
    images = noise_images(2)
    torch.testing.assert_close(target.encode(images), source.encode(images))


@pytest.mark.parametrize(
    ("images", "error", "said"),
    [
        (torch.full((1, 1, 64, 64), torch.nan), ValueError, "must lie in 0..1 and be finite, not from nan"),
        (torch.full((1, 1, 64, 64), 200.0), ValueError, "must lie in 0..1 and be finite, not from 200"),
        (torch.zeros(0, 1, 64, 64), ValueError, "n at least 1"),
        (np.zeros((1, 1, 64, 64), np.uint8), TypeError, "must be a tensor, not ndarray"),
    ],
)
def test_images_that_mean_nothing_are_refused(images, error, said) -> None:
    with pytest.raises(error, match=said):
        to_floats(images)
