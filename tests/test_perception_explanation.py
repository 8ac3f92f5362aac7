"""Explanations: what can be derived of them, and how they are scored against the truth."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.ehr.nets import make_net  # noqa: E402
from medsim_perception.explanation import cells, charts, chest  # noqa: E402
from medsim_perception.explanation.attention import attention_of, cells_of_hours, contributions_of  # noqa: E402
from medsim_perception.explanation.grad_cam import grad_cam  # noqa: E402
from medsim_perception.explanation.gradients import gradient_of, integrated_gradients  # noqa: E402
from medsim_perception.explanation.occlusion import occlusion  # noqa: E402
from medsim_perception.explanation.scoring import (  # noqa: E402
    overlap_at_area,
    overlap_by_chance,
    pointing,
    pointing_by_chance,
    smoothed,
)
from medsim_perception.vision import StateRegressor, chest_state  # noqa: E402


def seeded(seed: int = 0) -> "torch.Generator":
    return torch.Generator().manual_seed(seed)


def small_net() -> "torch.nn.Module":
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 1), torch.nn.Flatten(0)]
    return torch.nn.Sequential(*layers)


def linear(weights: "torch.Tensor") -> object:
    return lambda images: (images * weights).sum((1, 2, 3)) + 2.0


# methods


def test_attributions_of_a_linear_answer_are_exact() -> None:
    weights, images = torch.randn(1, 8, 8, generator=seeded()), torch.rand(3, 1, 8, 8, generator=seeded(1))
    exact = weights * (images - 0.25)
    torch.testing.assert_close(integrated_gradients(linear(weights), images, 0.25, steps=1), exact)
    torch.testing.assert_close(occlusion(linear(weights), images, 0.25, window=1, stride=1), exact[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient_of(linear(weights), images), weights.expand(3, 1, 8, 8))


def test_integrated_gradients_sum_to_the_difference_of_the_answers() -> None:
    net, images = small_net().double(), torch.rand(4, 1, 8, 8, generator=seeded()).double()
    baseline = torch.rand(1, 1, 8, 8, generator=seeded(2)).double()
    total = integrated_gradients(net, images, baseline, steps=16).sum((1, 2, 3))
    torch.testing.assert_close(total, (net(images) - net(baseline)).detach(), atol=1e-6, rtol=0)


def test_integrated_gradients_are_those_of_captum() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    net, images = small_net(), torch.rand(3, 1, 8, 8, generator=seeded())
    theirs = attr.IntegratedGradients(net).attribute(images, 0.0, n_steps=12, method="gausslegendre")
    torch.testing.assert_close(integrated_gradients(net, images, 0.0, steps=12), theirs.float(), atol=1e-5, rtol=1e-4)


def test_occlusion_is_that_of_captum() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    net, images = small_net(), torch.rand(2, 1, 8, 8, generator=seeded())
    theirs = attr.Occlusion(net).attribute(images, sliding_window_shapes=(1, 4, 4), strides=(1, 2, 2), baselines=0.5)
    torch.testing.assert_close(occlusion(net, images, 0.5, window=4, stride=2), theirs[:, 0].float(), atol=1e-5, rtol=1e-4)


def test_grad_cam_is_that_of_captum() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    net, images = small_net(), torch.rand(2, 1, 8, 8, generator=seeded())
    theirs = attr.LayerGradCam(net, net[1]).attribute(images, relu_attributions=True)
    torch.testing.assert_close(grad_cam(net, images, net[1]), theirs[:, 0].detach())


def test_grad_cam_sees_only_what_speaks_for_the_answer() -> None:
    layer = torch.nn.Identity()
    images = torch.zeros(1, 2, 8, 8)
    images[0, 0, 2, 3] = images[0, 1, 6, 6] = 1.0
    answer = lambda x: (layer(x) * torch.tensor([1.0, -1.0])[None, :, None, None]).sum((1, 2, 3))  # noqa: E731
    for weighing in ("channel", "place"):
        seen = grad_cam(answer, images, layer, weighing=weighing)
        assert int(seen.argmax()) == 2 * 8 + 3
        assert float(seen[0, 6, 6]) == 0.0


def test_maps_come_from_images_of_any_size_and_batch() -> None:
    encoder = chest_state.build().eval()
    images = torch.rand(3, 1, 64, 64, generator=seeded())
    answer = chest.answer_of(encoder, "effusion")
    assert grad_cam(answer, images, encoder.encoder.stages[-1]).shape == (3, 64, 64)
    one, all_three = (integrated_gradients(answer, part, steps=2) for part in (images[1:2], images))
    torch.testing.assert_close(all_three[1:2], one, atol=1e-5, rtol=1e-3)


def test_answers_that_are_not_one_number_an_image_are_refused() -> None:
    images = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match="one number for each"):
        integrated_gradients(lambda x: x.sum((1, 2)), images)
    with pytest.raises(ValueError, match="differentiate"):
        gradient_of(lambda x: torch.zeros(len(x)), images)
    with pytest.raises(ValueError, match="broadcast"):
        integrated_gradients(lambda x: x.sum((1, 2, 3)), images, torch.zeros(3, 1, 8, 8))
    with pytest.raises(ValueError, match="window 9"):
        occlusion(lambda x: x.sum((1, 2, 3)), images, 0.0, window=9)
    with pytest.raises(ValueError, match="call the layer once"):
        grad_cam(lambda x: x.sum((1, 2, 3)), images, torch.nn.Identity())


# scores


def test_the_true_mask_scores_one_and_a_constant_map_scores_chance() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 1:3, 2:6] = masks[1, 7, 7] = True
    assert (pointing(masks, masks) == 1).all()
    assert (overlap_at_area(masks, masks) == 1).all()
    flat = np.full(masks.shape, 0.3)
    np.testing.assert_allclose(pointing(flat, masks), [8 / 64, 1 / 64])
    np.testing.assert_allclose(pointing_by_chance(masks), [8 / 64, 1 / 64])
    np.testing.assert_allclose(overlap_at_area(flat, masks), overlap_by_chance(masks))
    assert (pointing(~masks, masks) == 0).all()


def test_random_maps_score_what_chance_is_said_to() -> None:
    masks = np.zeros((4000, 8, 8), bool)
    masks[:, 2:5, 3:7] = True
    maps = np.random.default_rng(0).random(masks.shape)
    assert pointing(maps, masks).mean() == pytest.approx(pointing_by_chance(masks).mean(), abs=0.02)
    assert overlap_at_area(maps, masks).mean() == pytest.approx(overlap_by_chance(masks).mean(), abs=0.01)


def test_overlap_takes_as_many_places_as_the_mask_has() -> None:
    masks = np.array([[[True, True, False, False]]])
    assert overlap_at_area(np.array([[[5.0, 1.0, 4.0, 3.0]]]), masks)[0] == pytest.approx(1 / 3)  # places 0 and 2, against 0 and 1
    within = np.array([[[True, False, True, False]]])
    assert pointing_by_chance(masks, within)[0] == 0.5


def test_scores_refuse_empty_masks_and_other_shapes() -> None:
    with pytest.raises(ValueError, match="1 of 2 have none"):
        pointing(np.zeros((2, 2, 2)), np.array([np.ones((2, 2), bool), np.zeros((2, 2), bool)]))
    with pytest.raises(ValueError, match="one shape"):
        overlap_at_area(np.zeros((1, 2, 3)), np.ones((1, 3, 2), bool))
    with pytest.raises(ValueError, match="finite"):
        pointing(np.full((1, 2, 2), np.nan), np.ones((1, 2, 2), bool))


def test_smoothing_keeps_the_sum_of_what_lies_within() -> None:
    maps = np.zeros((1, 33, 33))
    maps[0, 16, 16] = 1.0
    assert smoothed(maps, 2.0).sum() == pytest.approx(1.0, abs=1e-6)
    assert smoothed(maps, 2.0).max() < 0.1


# chests


class Bright(StateRegressor):
    """Answers with what a picture has more than its twin: it truly knows where the finding is."""

    def __init__(self, twins: "torch.Tensor") -> None:
        super().__init__(chest_state.build().encoder, chest_state.TARGETS, chest_state.CENTRE, chest_state.SCALE)
        self.twins = twins

    def standard(self, images: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
        total = (images - self.twins).square().sum((1, 2, 3))
        return torch.stack([total] * 4, 1), torch.zeros(len(images), 4)


@pytest.mark.parametrize("finding", chest.FINDINGS)
def test_a_model_that_looks_at_the_finding_is_found_to(finding: str) -> None:
    data = chest.cases(finding, "validation", n=20)
    assert (data.masks.mean((1, 2)) >= chest.SMALLEST).all()
    maps = chest.explain(Bright(data.twins), finding, data, "integrated gradients, from the twin")
    assert pointing(maps, data.masks).mean() > 0.9


def test_a_twin_differs_where_the_finding_is_and_hardly_elsewhere() -> None:
    data = chest.cases("consolidation", "validation", n=20)
    change = (data.images - data.twins).abs()[:, 0].numpy()
    assert change[data.masks].mean() > 10 * change[~data.lungs].mean()


def test_sides_are_told_apart() -> None:
    maps = np.zeros((3, 4, 4))
    maps[0, :, :2], maps[1, :, 2:] = 1.0, 2.0
    assert chest.right_share(maps).tolist() == [1.0, 0.0, 0.5]


def test_explanations_refuse_unknown_findings_and_methods() -> None:
    with pytest.raises(ValueError, match="'fracture'"):
        chest.cases("fracture")
    with pytest.raises(ValueError, match="'guess'"):
        chest.explain(chest_state.build(), "effusion", chest.cases("effusion", "validation", n=1), "guess")


# charts


def a_net(core: str = "retain") -> tuple["torch.nn.Module", "cells.ChartBatch"]:
    torch.manual_seed(0)
    data = charts.charts(40, 0)
    chart = cells.ChartBatch(*(torch.from_numpy(np.asarray(part, np.float32)) for part in data[:4]))
    net = make_net(core, charts.COLUMNS, charts.STATICS, {"outcome": 1}, width=16)
    net.fit_scales(*chart)
    return net.eval(), chart


def test_the_cause_of_a_chart_is_what_raises_its_risk() -> None:
    data = charts.charts(4000, 1)
    assert (data.cause.any(1) == (data.risk > 0)).all()
    assert data.mask[data.cause].all()
    assert not data.cause[..., len(charts.HARM) :].any()
    rate = [data.outcome[data.risk.sum(1) == risk].mean() for risk in (0.0, *sorted(charts.HARM.values()))]
    expected = 1 / (1 + np.exp(2.0 - np.array([0.0, *sorted(charts.HARM.values())])))
    np.testing.assert_allclose(rate, expected, atol=0.08)
    assert np.array_equal(data.values, charts.charts(4000, 1).values)


def test_hours_since_count_from_the_last_measurement() -> None:
    mask = np.array([[[False], [True], [False], [False], [True]]])
    assert charts.hours_since(mask).ravel().tolist() == [100, 0, 1, 2, 0]


@pytest.mark.parametrize("method", cells.METHODS)
def test_cells_that_were_not_measured_get_nothing(method: str) -> None:
    net, chart = a_net()
    found = cells.explain_cells(net, "outcome", chart, method)
    assert found.shape == chart.values.shape
    assert float(found[chart.mask == 0].abs().max()) == 0.0
    assert float(found.abs().max()) > 0.0


def test_integrated_gradients_of_a_chart_sum_to_the_difference_from_a_mean_chart() -> None:
    net, chart = a_net("lstm")
    total = cells.explain_cells(net, "outcome", chart, "integrated gradients").sum((1, 2))
    with torch.no_grad():
        answer = cells.logit_of(net, "outcome", chart)
        difference = answer(chart.values) - answer(cells.mean_of(net).expand_as(chart.values))
    torch.testing.assert_close(total, difference, atol=2e-3, rtol=0)


def test_contributions_sum_to_a_linear_answer() -> None:
    net, chart = a_net()
    direction = torch.randn(net.width, generator=seeded())
    parts = contributions_of(net, lambda state: state @ direction, *chart)
    with torch.no_grad():
        state = net.core(net.of_values(chart.values) * chart.mask, chart.mask, chart.hours_since, net._statics(chart.statics))
        total = (state - net._statics(chart.statics)) @ direction
    torch.testing.assert_close(parts.sum((1, 2)), total, atol=1e-5, rtol=1e-4)


def test_attention_is_shared_among_what_was_measured() -> None:
    net, chart = a_net()
    weights = attention_of(net, *chart)
    shared = cells_of_hours(weights, chart.mask)
    some = chart.mask.sum(-1) > 0
    torch.testing.assert_close(shared.sum(-1)[some], weights[some])
    with pytest.raises(ValueError, match="sum to 1"):
        cells_of_hours(2 * weights, chart.mask)
    with pytest.raises(TypeError, match="Recurrent has none"):
        attention_of(a_net("lstm")[0], *chart)
