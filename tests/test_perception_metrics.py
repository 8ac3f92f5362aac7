"""Perception metrics: what can be derived, and the packages whose definitions they share."""

import numpy as np
import pytest

from medsim_perception import metrics
from medsim_perception.intervals import bootstrap_interval, mean_interval

SEEDS = range(5)


def two_classes(seed: int, n: int = 300, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores that know something of them; with ties, of few different values."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    scores = 1 / (1 + np.exp(-(rng.normal(size=n) + labels)))
    return labels.astype(int), np.round(scores, 1) if ties else scores


# derived


def test_a_perfect_ranking_has_an_area_of_one_its_reverse_of_zero_and_a_constant_of_a_half() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    assert metrics.auroc(labels, labels) == 1.0
    assert metrics.auroc(labels, -labels) == 0.0
    assert metrics.auroc(labels, np.zeros(5)) == 0.5
    assert metrics.auprc(labels, labels) == 1.0
    assert metrics.auprc(labels, np.zeros(5)) == pytest.approx(0.6)


def test_probabilities_that_are_right_are_calibrated_and_shifted_ones_are_off_by_the_shift() -> None:
    p = np.repeat([0.25, 0.75], 400)
    labels = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0]).astype(int)
    assert metrics.calibration_error(labels, p) == pytest.approx(0.0, abs=1e-12)
    assert metrics.calibration_error(labels, p + 0.1) == pytest.approx(0.1)
    assert metrics.calibration_error(np.ones(10), np.ones(10)) == 0.0


def test_masks_overlap_by_hand() -> None:
    a, b = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    a[0, :2], b[0, 1:3] = True, True
    assert metrics.dice(a, b).tolist() == [0.5, 1.0]
    assert metrics.iou(a, b).tolist() == [pytest.approx(1 / 3), 1.0]


def test_equal_images_are_alike_and_infinitely_far_above_noise() -> None:
    image = np.random.default_rng(0).random((16, 16))
    assert metrics.ssim(image, image) == pytest.approx(1.0)
    assert metrics.psnr(image, image) == np.inf
    assert metrics.psnr(np.zeros((8, 8)), np.full((8, 8), 0.1)) == pytest.approx(20.0)


def test_the_mean_explains_none_of_the_variance() -> None:
    assert metrics.r_squared([1, 2, 3], [2, 2, 2]) == pytest.approx(0.0)
    assert metrics.r_squared([1, 2, 3], [1, 2, 3]) == 1.0


def test_a_t_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(size=5)) for _ in range(2000)]
    covered = np.mean([one.low <= 0.0 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors of 2000 draws


def test_one_value_has_a_mean_and_no_interval() -> None:
    one = mean_interval([0.7])
    assert one.mean == 0.7
    assert np.isnan(one.low)
    assert np.isnan(one.high)


def test_a_bootstrap_over_patients_is_wider_than_one_over_their_copied_images() -> None:
    values = np.random.default_rng(0).normal(size=40)
    copies, patients = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    items = bootstrap_interval(np.mean, copies)
    whole = bootstrap_interval(np.mean, copies, groups=patients)
    known = mean_interval(values)
    assert whole.high - whole.low > 2.5 * (items.high - items.low)
    assert whole.high - whole.low == pytest.approx(known.high - known.low, rel=0.15)


def test_a_bootstrap_leaves_out_draws_of_one_class_and_refuses_if_most_are() -> None:
    labels, scores = two_classes(0, 40)
    found = bootstrap_interval(metrics.auroc, labels, scores)
    assert found.low < found.mean < found.high


def test_a_bootstrap_refuses_a_statistic_that_most_draws_do_not_have() -> None:
    def of_different_values(values: np.ndarray) -> float:
        if len(np.unique(values)) < len(values):
            raise ValueError("some are equal")
        return float(values.mean())

    with pytest.raises(ValueError, match=r"cannot be worked out in \d+ of 1000 draws"):
        bootstrap_interval(of_different_values, np.arange(8))


# the packages whose definitions these are


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ties", [True, False])
def test_ranking_and_classification_equal_scikit_learns(seed: int, ties: bool) -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    labels, scores = two_classes(seed, ties=ties)
    predicted = (scores > 0.5).astype(int)
    pairs = [
        (metrics.auroc(labels, scores), theirs.roc_auc_score(labels, scores)),
        (metrics.auprc(labels, scores), theirs.average_precision_score(labels, scores)),
        (metrics.brier(labels, scores), theirs.brier_score_loss(labels, scores)),
        (metrics.accuracy(labels, predicted), theirs.accuracy_score(labels, predicted)),
        (metrics.balanced_accuracy(labels, predicted), theirs.balanced_accuracy_score(labels, predicted)),
        (metrics.precision(labels, predicted), theirs.precision_score(labels, predicted)),
        (metrics.recall(labels, predicted), theirs.recall_score(labels, predicted)),
        (metrics.f1(labels, predicted), theirs.f1_score(labels, predicted)),
        (metrics.r_squared(scores, labels), theirs.r2_score(scores, labels)),
    ]
    for ours, reference in pairs:
        assert ours == pytest.approx(reference, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracies_of_three_classes_equal_scikit_learns(seed: int) -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(3, size=(2, 100))
    assert metrics.accuracy(labels, predicted) == pytest.approx(theirs.accuracy_score(labels, predicted), abs=1e-12)
    assert metrics.balanced_accuracy(labels, predicted) == pytest.approx(theirs.balanced_accuracy_score(labels, predicted), abs=1e-12)


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_likeness_of_images_equals_scikit_images(gaussian: bool, data_range: float) -> None:
    theirs = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(7)
    truth = data_range * rng.random((3, 40, 32)).cumsum(1) / 40
    image = truth + 0.1 * data_range * rng.normal(size=truth.shape)
    ours = metrics.ssim(truth, image, data_range, gaussian=gaussian), metrics.psnr(truth, image, data_range)
    for one, two, likeness, ratio in zip(truth, image, *ours, strict=True):
        assert likeness == pytest.approx(theirs.structural_similarity(one, two, data_range=data_range, gaussian_weights=gaussian), abs=1e-9)
        assert ratio == pytest.approx(theirs.peak_signal_noise_ratio(one, two, data_range=data_range), abs=1e-9)


def test_dice_equals_monais() -> None:
    pytest.importorskip("monai")
    import torch
    from monai.metrics import compute_dice, compute_iou

    rng = np.random.default_rng(3)
    truth, predicted = rng.random((2, 6, 24, 24)) < 0.3
    truth[0] = predicted[0] = False
    truth[1] = False
    a, b = (torch.as_tensor(one)[:, None].float() for one in (predicted, truth))
    np.testing.assert_allclose(metrics.dice(truth, predicted), compute_dice(a, b, ignore_empty=False)[:, 0].numpy(), atol=1e-6)
    np.testing.assert_allclose(metrics.iou(truth, predicted), compute_iou(a, b, ignore_empty=False)[:, 0].numpy(), atol=1e-6)


# wrong use


@pytest.mark.parametrize("metric", [metrics.auroc, metrics.auprc])
@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_class_are_refused_by_saying_so(metric: object, label: int) -> None:
    with pytest.raises(ValueError, match=f"needs labels of both classes, and all 4 are {label}"):
        metric(np.full(4, label), np.arange(4))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.auroc([0, 1], [0.1, np.nan]), "predictions must be finite, and 1 of 2 are not"),
        (lambda: metrics.auroc([0, 2], [0.1, 0.2]), "labels must be 0 and 1"),
        (lambda: metrics.auroc([0, 1, 1], [0.1, 0.2]), "not 2 for 3"),
        (lambda: metrics.auroc([], []), "n of at least 1"),
        (lambda: metrics.f1([0, 1], [0.2, 0.8]), "compare scores with a threshold first"),
        (lambda: metrics.precision([0, 1], [0, 0]), "needs a prediction of 1"),
        (lambda: metrics.recall([0, 0], [0, 1]), "needs a label of 1"),
        (lambda: metrics.f1([0, 0], [0, 0]), "needs a 1 among"),
        (lambda: metrics.balanced_accuracy([1, 1], [0, 1]), "needs labels of two classes or more"),
        (lambda: metrics.brier([0, 1], [0.2, 1.2]), "must lie in 0..1"),
        (lambda: metrics.calibration_error([0, 1], [0.2, 0.2], bins=0), "bins must be 1 or more"),
        (lambda: metrics.r_squared([2, 2], [1, 2]), "two different true values"),
        (lambda: metrics.dice(np.zeros((4, 4)), np.zeros((4, 5))), "must have one shape"),
        (lambda: metrics.dice(np.full((4, 4), 0.5), np.zeros((4, 4))), "must be bool, or 0 and 1"),
        (lambda: metrics.ssim(np.zeros((6, 9)), np.zeros((6, 9))), "at least 7 x 7 pixels, not 6 x 9"),
        (lambda: metrics.ssim(np.zeros((9, 9)), np.zeros((9, 9)), gaussian=True), "at least 11 x 11"),
        (lambda: metrics.psnr(np.zeros((9, 9)), np.zeros((9, 9)), data_range=0), "data_range must be above 0"),
        (lambda: metrics.psnr(np.zeros((9, 9)), np.full((9, 9), np.inf)), "must be finite"),
        (lambda: mean_interval([1.0, np.inf]), "values must be finite"),
        (lambda: mean_interval([1.0, 2.0], level=95), "level must lie between 0 and 1"),
        (lambda: bootstrap_interval(np.mean, [1, 2], [1]), "must share their first axis"),
        (lambda: bootstrap_interval(np.mean, [1, 2], groups=[1]), r"groups must have the shape \(2,\)"),
    ],
)
def test_wrong_use_is_refused_with_the_value_and_what_is_allowed(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
