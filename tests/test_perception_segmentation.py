"""The U-Net, its losses, what tidies masks, and pictures of them."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.segmentation import chest  # noqa: E402
from medsim_perception.segmentation.losses import dice_cross_entropy, soft_dice  # noqa: E402
from medsim_perception.segmentation.overlay import COLOURS, overlay, side_by_side  # noqa: E402
from medsim_perception.segmentation.postprocessing import (  # noqa: E402
    fill_holes,
    largest_component,
    largest_on_each_side,
    tidy_chest,
    without_specks,
)
from medsim_perception.segmentation.unet import UNet  # noqa: E402
from medsim_perception.vision import count_weights  # noqa: E402
from medsim_perception.vision.augment import ANY_SCANNER  # noqa: E402
from medsim_perception.weights import WEIGHTS, load_model  # noqa: E402


def seeded(seed: int = 0) -> "torch.Generator":
    return torch.Generator().manual_seed(seed)


def random_masks(*shape: int, seed: int = 0) -> "torch.Tensor":
    return torch.randint(0, 2, shape, generator=seeded(seed)).float()


# U-Net


@pytest.mark.parametrize(
    ("folded", "depth", "height", "width"), [(False, 3, 24, 40), (False, 1, 6, 2), (True, 2, 64, 64), (True, 3, 32, 48)]
)
def test_a_u_net_answers_in_the_size_of_its_image(folded: bool, depth: int, height: int, width: int) -> None:
    net = UNet(2, 3, width=8, depth=depth, folded=folded)
    assert net(torch.rand(2, 2, height, width)).shape == (2, 3, height, width)
    with pytest.raises(ValueError, match=f"multiples of {net.divisor}"):
        net(torch.rand(2, 2, height + 1, width))


def test_an_untrained_residual_u_net_returns_its_input() -> None:
    images = torch.rand(2, 2, 16, 16)
    assert torch.equal(UNet(2, 1, 8, 2, residual=True)(images), images[:, :1])


def test_an_image_is_answered_alike_alone_and_in_a_batch() -> None:
    torch.manual_seed(0)
    net, images = UNet(1, 2, 8, 2, folded=True), torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]), atol=1e-5, rtol=1e-4)


def test_every_weight_of_a_u_net_has_a_gradient() -> None:
    net = UNet(1, 2, 8, 3)
    net(torch.rand(2, 1, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.parameters())


@pytest.mark.parametrize("arguments", [(0, 1, 8, 2), (1, 1, 8, 0), (1, 1, 6, 2), (1, 2, 8, 2)])
def test_a_u_net_refuses_what_it_cannot_be(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="not"):
        UNet(*arguments, residual=True)


def test_the_shipped_net_is_small() -> None:
    assert 50_000 < count_weights(chest.build()) < 150_000


# losses


def test_soft_dice_of_half_an_overlap_is_what_it_says() -> None:
    target = torch.zeros(1, 1, 2, 4)
    target[..., :2] = 1  # 4 pixels
    logits = torch.full((1, 1, 2, 4), -100.0)
    logits[..., 1:3] = 100.0  # 4 pixels, of which 2 are right: Dice 2 * 2 / 8
    assert float(soft_dice(logits, target)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("whole_batch", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_dice_is_that_of_monai(activation: str, whole_batch: bool) -> None:
    losses = pytest.importorskip("monai.losses", reason="monai is not installed")
    logits = 3 * torch.randn(3, 4, 8, 6, generator=seeded())
    target = random_masks(3, 4, 8, 6)
    theirs = losses.DiceLoss(sigmoid=activation == "sigmoid", softmax=activation == "softmax", batch=whole_batch)(logits, target)
    assert float(soft_dice(logits, target, activation=activation, whole_batch=whole_batch)) == pytest.approx(float(theirs), abs=1e-5)


def test_dice_and_cross_entropy_of_classes_is_that_of_monai() -> None:
    losses = pytest.importorskip("monai.losses", reason="monai is not installed")
    logits = 3 * torch.randn(3, 4, 8, 6, generator=seeded())
    classes = torch.randint(0, 4, (3, 1, 8, 6), generator=seeded(1))
    target = torch.nn.functional.one_hot(classes[:, 0], 4).permute(0, 3, 1, 2).float()
    theirs = losses.DiceCELoss(softmax=True, to_onehot_y=True, lambda_dice=0.7)(logits, classes)
    ours = dice_cross_entropy(logits, target, activation="softmax", dice_weight=0.7)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_dice_and_cross_entropy_of_overlapping_labels_is_that_of_monai() -> None:
    losses = pytest.importorskip("monai.losses", reason="monai is not installed")
    logits, target = 3 * torch.randn(3, 1, 8, 6, generator=seeded()), random_masks(3, 1, 8, 6)
    theirs = losses.DiceCELoss(sigmoid=True)(logits, target)  # of one channel: Dice and binary cross-entropy
    assert float(dice_cross_entropy(logits, target)) == pytest.approx(float(theirs), abs=1e-5)


def test_losses_refuse_other_shapes_and_activations() -> None:
    with pytest.raises(ValueError, match="one shape"):
        soft_dice(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match="sigmoid, softmax, not 'relu'"):
        dice_cross_entropy(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4), activation="relu")


# masks


def two_lungs() -> np.ndarray:
    mask = np.zeros((16, 16), bool)
    mask[3:13, 2:6] = mask[3:12, 10:14] = True
    return mask


def test_two_lungs_stay_two_and_specks_go() -> None:
    noisy = two_lungs()
    noisy[0, 0] = noisy[15, 15] = noisy[1, 8] = True
    assert np.array_equal(largest_on_each_side(noisy), two_lungs())
    one = np.zeros((16, 16), bool)
    one[3:13, 2:6] = True
    assert np.array_equal(largest_component(noisy), one)


def test_a_lung_that_crosses_the_middle_is_kept_whole() -> None:
    mask = two_lungs()
    mask[5, 6:9] = True  # reaches over column 8, and does not touch the other
    assert np.array_equal(largest_on_each_side(mask), mask)


def test_holes_are_filled_and_bays_are_not() -> None:
    mask = two_lungs()
    mask[6:8, 3:5] = False  # enclosed
    mask[5, 10:12] = False  # open to the side
    filled = fill_holes(mask)
    assert filled[6:8, 3:5].all()
    assert not filled[5, 10:12].any()


def test_specks_are_told_by_the_share_of_the_picture() -> None:
    mask = np.zeros((32, 32), bool)
    mask[2:4, 2:4] = mask[20, 20] = True
    assert without_specks(mask, 4 / 1024).sum() == 4
    assert without_specks(mask, 5 / 1024).sum() == 0


def test_findings_outside_the_lungs_are_taken_away() -> None:
    masks = np.zeros((1, 4, 16, 16), bool)
    masks[0, 0], masks[0, 1, 8:12, 6:10] = two_lungs(), True
    masks[0, 1, 0, 0] = True  # a speck beside the heart
    masks[0, 2, 4:8, 3:9] = True  # half of it beyond the lung
    tidied = tidy_chest(masks)
    assert tidied.shape == masks.shape
    assert not (tidied[0, 2] & ~two_lungs()).any()
    assert tidied[0, 2].sum() == 12
    assert tidied[0, 1].sum() == 16


def test_empty_masks_stay_empty() -> None:
    assert not tidy_chest(np.zeros((2, 4, 16, 16), bool)).any()


def test_masks_that_are_not_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        fill_holes(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="lungs, heart, consolidation, effusion"):
        tidy_chest(np.zeros((3, 8, 8), bool))


# pictures


def test_an_overlay_colours_the_mask_and_leaves_the_rest() -> None:
    image, mask = np.full((8, 8), 100, np.uint8), np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    picture = overlay(image, {"heart": mask}, opacity=0.5)
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.uint8
    assert (picture[~mask] == 100).all()
    assert tuple(picture[2, 2]) == COLOURS["heart"]  # the outline
    assert np.abs(picture[3, 3] - (100 + np.array(COLOURS["heart"])) / 2).max() <= 0.5
    assert side_by_side([picture, picture]).shape == (8, 18, 3)


def test_an_overlay_refuses_a_mask_without_a_colour_or_of_another_size() -> None:
    with pytest.raises(ValueError, match="no colour for 'liver'"):
        overlay(np.zeros((8, 8), np.uint8), {"liver": np.zeros((8, 8), bool)})
    with pytest.raises(ValueError, match=r"\(8, 8\)"):
        overlay(np.zeros((8, 8), np.uint8), {"heart": np.zeros((4, 4), bool)})
    with pytest.raises(ValueError, match=r"0\.\.1"):
        overlay(np.full((8, 8), 200.0), {})


# chests


def test_train_validation_and_test_patients_are_disjoint() -> None:
    ranges = sorted((first, first + n) for first, n in chest.PATIENTS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
    held_out = set(chest.masked_chests("test", n=50).patients) | set(chest.masked_chests("validation", n=50).patients)
    assert len(held_out) == 100
    images, masks = chest.RandomMaskedChests()(np.random.default_rng(0), 6)
    assert images.shape == (6, 1, 64, 64)
    assert masks.shape == (6, 4, 64, 64)


def test_training_pictures_are_changed_in_grey_only() -> None:
    with pytest.raises(ValueError, match="grey only"):
        chest.RandomMaskedChests(ANY_SCANNER)
    plain, masks = chest.RandomMaskedChests(None)(np.random.default_rng(3), 4)
    changed, same = chest.RandomMaskedChests()(np.random.default_rng(3), 4)
    assert torch.equal(masks, same)
    assert not torch.equal(plain.float() / 255, changed)


def test_perfect_masks_score_one_and_empty_ones_nothing() -> None:
    data = chest.masked_chests("validation", views=("pa",), n=50)
    perfect = chest.overlap(data.masks, data.masks)
    assert all(value == (1.0 if name.startswith("dice") else 0.0) for name, value in perfect.items())
    nothing = chest.overlap(data.masks, np.zeros_like(data.masks))
    assert all(value == 0.0 for value in nothing.values())
    everything = chest.overlap(data.masks, np.ones_like(data.masks))
    assert everything["false_area_error_consolidation"] > 1.0


def test_a_short_training_learns_where_the_lungs_are() -> None:
    torch.set_num_threads(1)
    learner = chest.begin_with(None, 0, torch.device("cpu"), steps=50)
    losses = [learner.step() for _ in range(50)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    data = chest.masked_chests("validation", views=("pa",), n=100)
    masks = chest.predicted(learner.model, data.images)
    assert chest.overlap(data.masks, masks)["dice_lungs"] > 0.7


@pytest.mark.skipif(not (WEIGHTS / "chest-segmentation.json").is_file(), reason="chest-segmentation is not shipped")
def test_shipped_weights_find_lungs_and_consolidation_of_unseen_patients() -> None:
    model = load_model("chest-segmentation")
    data = chest.masked_chests("validation", n=200)
    figures = chest.overlap(data.masks, chest.predicted(model, data.images))
    assert figures["dice_lungs"] >= 0.95
    assert figures["dice_consolidation"] >= 0.7
    assert figures["false_area_error_consolidation"] < 0.02
