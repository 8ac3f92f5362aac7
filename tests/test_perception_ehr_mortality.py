"""Risk of death: gaps like real ones, pre-training on simulated patients, fine-tuning on stays, and the models that stand beside."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim.treatments.sepsis.chart import SEPSIS_CHART  # noqa: E402
from medsim_perception.ehr import mortality  # noqa: E402
from medsim_perception.ehr.features import feature_names, summary_features  # noqa: E402
from medsim_perception.ehr.tables import COLUMN_NAMES, STATIC_NAMES, Charts, hours_since_measured  # noqa: E402
from medsim_perception.metrics import auroc  # noqa: E402


def made_up_stays(n: int, seed: int) -> tuple[Charts, np.ndarray]:
    """Stays of which those die whose lactate is high."""
    rng = np.random.default_rng(seed)
    shape = (n, mortality.ROWS, len(COLUMN_NAMES))
    mask = (rng.random(shape) < 0.3).astype(np.float32)
    died = (rng.random(n) < 0.4).astype(np.int64)
    values = rng.normal(10.0, 1.0, shape).astype(np.float32)
    values[..., COLUMN_NAMES.index("lact")] = (2.0 + 6.0 * died)[:, None] * rng.lognormal(0.0, 0.1, shape[:2])
    statics = np.full((n, len(STATIC_NAMES)), np.nan, np.float32)
    ids = np.arange(n)
    charts = Charts(
        values=values * mask,
        mask=mask,
        hours_since=hours_since_measured(mask),
        statics=statics,
        stay_ids=ids,
        first_h=np.zeros(n, np.int64),
    )
    return charts, died


def test_thinned_charts_have_the_shares_of_real_ones_and_nothing_that_was_not_there():
    rng = np.random.default_rng(0)
    every = {name: 1.0 if share > 0.5 else 0.25 for name, share in mortality.SHARES.items()}
    mask = rng.random((4000, mortality.ROWS, len(SEPSIS_CHART.produced))) < np.array([every[n] for n in SEPSIS_CHART.produced])
    seen = mortality.thinned(mask, rng)
    assert not (seen & ~mask).any()
    shares = dict(zip(SEPSIS_CHART.produced, seen.mean((0, 1)), strict=True))
    for name in ("map", "lact", "crea", "wbc"):
        assert shares[name] == pytest.approx(mortality.SHARES[name], rel=0.15), name
    lactate = SEPSIS_CHART.produced.index("lact")
    assert (seen[..., lactate].sum(1) == 0).mean() > 0.6


def test_simulated_windows_show_the_columns_and_statics_of_the_model_alone():
    cohort = mortality.pretraining_cohort.__wrapped__(24, 3)
    rng = np.random.default_rng(0)
    who, hours = mortality.drawn(cohort, rng, 64)
    assert hours.min() >= 24
    assert (hours <= cohort.courses.last_h[who]).all()
    values, mask, since, statics = mortality.windows(cohort, who, hours, rng)
    others = [i for i, name in enumerate(COLUMN_NAMES) if name not in SEPSIS_CHART.produced]
    assert mask[..., others].sum() == 0
    assert (values[mask == 0] == 0).all()
    assert np.array_equal(since == 0, mask == 1)
    assert np.isnan(statics[:, STATIC_NAMES.index("height")]).all()


def test_fine_tuning_finds_what_kills_and_keeps_the_scales_of_simulated_columns():
    torch.manual_seed(0)
    net = mortality.build()
    net.of_values.centre.fill_(1.25)
    charts, died = made_up_stays(160, 0)
    mortality.fine_tune(net, charts, died, seed=0, epochs=30, learning_rate=5e-3)
    unseen, outcome = made_up_stays(100, 1)
    with torch.no_grad():
        risk = net(*mortality.inputs_of(unseen))["mortality"][:, 0].numpy()
    assert auroc(outcome, risk) > 0.9
    centre = dict(zip(COLUMN_NAMES, net.of_values.centre.tolist(), strict=True))
    assert centre["lact"] == 1.25
    assert centre["alb"] == pytest.approx(10.0, abs=0.5)


def test_scales_come_from_training_stays_alone_where_nothing_was_learnt_before():
    charts, died = made_up_stays(80, 0)
    net = mortality.fine_tune(mortality.build(), charts, died, seed=0, epochs=1, pretrained=False)
    lactate = COLUMN_NAMES.index("lact")
    seen = charts.mask[..., lactate] == 1
    assert float(net.of_values.centre[lactate]) == pytest.approx(np.log(charts.values[..., lactate][seen] + 0.01).mean(), abs=1e-3)


@pytest.mark.parametrize("labels", [np.zeros(80), np.full(80, 2), np.ones(3)])
def test_labels_that_cannot_be_learnt_from_are_refused(labels):
    with pytest.raises(ValueError, match="labels must be 0 and 1, one for each of 80 stays"):
        mortality.fine_tune(mortality.build(), made_up_stays(80, 0)[0], labels, seed=0)


def test_a_short_pretraining_lowers_its_loss():
    learner = mortality.begin(0, torch.device("cpu"), patients=60, steps=60)
    learner.batch_size = 32
    losses = [learner.step() for _ in range(60)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.2


def test_summaries_of_a_chart_are_what_they_say():
    values = np.array([[[1.0, 0.0], [3.0, 0.0], [2.0, 0.0], [0.0, 0.0]]])
    mask = np.array([[[1, 0], [1, 0], [1, 0], [0, 0]]])
    row = dict(zip(feature_names(("a", "b"), ("age",)), summary_features(values, mask, np.array([[50.0]]))[0], strict=True))
    assert row["a_min"] == 1.0
    assert row["a_max"] == 3.0
    assert row["a_mean"] == 2.0
    assert row["a_last"] == 2.0
    assert row["a_missing"] == 0.25
    assert np.isnan(row["b_last"])
    assert row["b_missing"] == 1.0
    assert row["age"] == 50.0


def test_what_simulated_patients_lack_begins_at_nothing():
    torch.manual_seed(0)
    net = mortality.build().eval()
    charts, _ = made_up_stays(6, 2)
    others = np.array([name not in SEPSIS_CHART.produced for name in COLUMN_NAMES])
    simulated = charts.mask * ~others
    values, statics = torch.from_numpy(charts.values * simulated), torch.from_numpy(charts.statics)
    as_simulated = (values, torch.from_numpy(simulated.astype(np.float32)), torch.from_numpy(hours_since_measured(simulated)), statics)
    with torch.no_grad():
        before = net(*as_simulated)["mortality"]
        mortality.open_to(net, charts)
        assert torch.allclose(net(*as_simulated)["mortality"], before, atol=1e-5)
        assert torch.allclose(net(*mortality.inputs_of(charts))["mortality"], before, atol=1e-5)


def test_what_is_kept_lies_between_the_beginning_and_the_end_of_training():
    charts, died = made_up_stays(80, 0)
    torch.manual_seed(0)
    first = mortality.build()
    states = {}
    for kept in (1.0, 0.5, 0.0):
        net = mortality.build()
        net.load_state_dict(first.state_dict())
        states[kept] = mortality.fine_tune(net, charts, died, seed=0, epochs=2, kept=kept).state_dict()["rnn.weight_hh_l0"]
    assert torch.equal(states[1.0], first.state_dict()["rnn.weight_hh_l0"])
    assert torch.allclose(states[0.5], (states[0.0] + states[1.0]) / 2, atol=1e-6)
    assert not torch.equal(states[0.0], states[1.0])
