"""Policies that read charts and pictures under the stress of a safety evaluation: the same faults, in the columns of the chart."""

from dataclasses import replace

import numpy as np
import pytest

from medsim.core.charts import NEVER_H
from medsim.datasets.episodes import patients_of
from medsim.policies.policy import FunctionPolicy
from medsim.safety.context import Context
from medsim.safety.evaluation import SECTIONS
from medsim.safety.profile import load_profile, profile_path
from medsim.safety.stress import SENSOR_FAULTS, SensorFault
from tests.safety_policies import SMALL, context, sensor

SEPSIS = "medsim/Sepsis-v0"
TINY = replace(SMALL, patients=100, stressed=6, kept=4, searched=4)
VIEWS = ("ehr", "multimodal")
PARTS = ("ehr", "ehr_mask", "ehr_hours_since")


class ByTheChart:
    """Norepinephrine by the last mean pressure that the chart shows, fluid in the first hours."""

    def __init__(self, view):
        self.name, self.options, self.shown = f"by the {view}", {"observation": view}, []

    def begin(self, env):
        self.names, self.shown = env.task.chart.names, []

    def last(self, seen, name):
        """Return the last charted value of a column, 70 where there is none, (n,)."""
        k = self.names.index(name)
        there = seen["ehr_mask"][..., k] == 1
        at = there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
        return np.where(there.any(axis=1), seen["ehr"][np.arange(len(at)), at, k], 70.0)

    def act(self, seen):
        self.shown.append({name: seen[name].copy() for name in PARTS})
        need = np.clip((75.0 - self.last(seen, "map")) / 5.0, 0.0, 4.0).astype(np.int64)
        return need + 5 * (seen["time_h"].reshape(len(need)) < 6.0)


@pytest.mark.parametrize("view", VIEWS)
def test_a_policy_on_a_chart_goes_through_the_whole_stress_section(view):
    c = context(SEPSIS, ByTheChart(view), TINY, sensors=sensor(SEPSIS, "arterial pressure"), physiology=(), searched=())
    found = next(one for one in SECTIONS if one.name == "stress").run(c)
    tried = {row[0] for row in found.tables[0].rows}
    assert {f"arterial pressure, {kind}" for kind in SENSOR_FAULTS} | {"charts, mixed up", "doses, doubled"} <= tried
    assert not any(name.startswith("adversary") for name in tried)
    assert np.isfinite(found.figures["worst_excess"].value)


def shown_to(kind, name, view="ehr", n=40):
    """Return what a chart showed step by step, as it is and with a sensor that fails, the sensor's columns, and who was alive, (40, n)."""
    found, alive = [], []
    for policy in (ByTheChart(view), SensorFault(ByTheChart(view), sensor(SEPSIS, name)[0], kind)):
        env = patients_of(SEPSIS, {"observation": view}, n)
        seen, _ = env.reset(seed=5)
        policy.begin(env)
        alive.clear()
        for _ in range(40):
            alive.append(env.running)
            policy.act(seen)
            env.step_running(np.zeros(n, dtype=np.int64))  # the same course, whatever is shown
            seen = env.observations()
        found.append(getattr(policy, "policy", policy).shown)
    columns = [env.task.chart.names.index(one) for one in sensor(SEPSIS, name)[0].chart_columns]
    return *found, columns, alive


@pytest.mark.parametrize("kind", SENSOR_FAULTS)
def test_a_fault_is_in_its_columns_alone_and_an_hour_stays_as_it_was_shown(kind):
    true, wrong, columns, alive = shown_to(kind, "arterial pressure")
    others = [k for k in range(true[0]["ehr"].shape[-1]) if k not in columns]
    changed = 0
    for step, (one, other) in enumerate(zip(true, wrong, strict=True)):
        for part in PARTS:
            np.testing.assert_array_equal(one[part][..., others], other[part][..., others])
            if step:
                before, now = wrong[step - 1][part][alive[step]], other[part][alive[step]]
                np.testing.assert_array_equal(now[:, :-1], before[:, 1:])
        changed += (one["ehr"] != other["ehr"]).sum()
        assert (other["ehr"][other["ehr_mask"] == 0] == 0.0).all()
    assert changed > 100


@pytest.mark.parametrize("kind", ["gaps", "stuck"])
def test_the_age_of_a_reading_does_not_tell_of_one_that_was_lost(kind):
    true, wrong, columns, _ = shown_to(kind, "arterial pressure")
    last = np.full((len(true[0]["ehr"]), len(columns)), -np.inf)
    for hour, seen in enumerate(wrong):
        last = np.where(seen["ehr_mask"][:, -1, columns] == 1, hour, last)
        np.testing.assert_array_equal(seen["ehr_hours_since"][:, -1, columns], np.minimum(hour - last, NEVER_H))
    assert (wrong[-1]["ehr_hours_since"] > true[-1]["ehr_hours_since"]).any()


def test_a_fault_has_the_size_of_the_charts_unit():
    true, wrong, (column,), _ = shown_to("too low", "oxygen saturation")
    there = true[-1]["ehr_mask"][..., column] == 1
    lower = (true[-1]["ehr"] - wrong[-1]["ehr"])[..., column][there]
    assert np.median(lower) == pytest.approx(5.0, abs=1e-3)  # of 100, where the monitor's column is a share


def test_what_is_given_for_a_policy_holds_for_what_is_put_around_it_too():
    def doses(seen):
        return np.tile([100.0, 0.2], (len(seen), 1))

    figures = []
    for own, given in (({"action": "continuous"}, {}), ({}, {"action": "continuous"})):
        policy = FunctionPolicy("the same", doses, own)
        parts = {"sensors": (), "physiology": (), "searched": (), "options": ()}
        c = Context(SEPSIS, policy, replace(load_profile(profile_path(SEPSIS)), **parts), TINY, options=given)
        figures.append([one.run(c).record() for one in SECTIONS if one.name in ("stress", "novelty")])
        assert policy.options == own
    assert figures[0] == figures[1]
