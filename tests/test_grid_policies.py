"""Doses on a grid: the nearest level, the environment's own numbering, and what the rounding costs."""

import numpy as np
import pytest

from medsim.datasets import collect
from medsim.datasets.episodes import patients_of
from medsim.evaluation.rollout import evaluate
from medsim.policies import reference_policies
from medsim.policies.chance import Softened
from medsim.policies.grid import GRIDS, OnGrid
from medsim.policies.policy import FunctionPolicy
from medsim.registry import make_task

SEPSIS, GLUCOSE = "medsim/Sepsis-v0", "medsim/Glucose-v0"


def constant(doses, **options):
    return FunctionPolicy("constant", lambda seen: np.tile(doses, (len(seen), 1)), {"action": "continuous", **options})


@pytest.mark.parametrize(("env_id", "options"), [
    (SEPSIS, {}), (SEPSIS, {"antibiotics": "agent"}), (GLUCOSE, {}), (GLUCOSE, {"bolus": True}),
])  # fmt: skip
def test_a_grid_has_as_many_actions_as_the_environment(env_id, options):
    task = make_task(env_id, **options)
    assert GRIDS[env_id](task.config).actions == task.action_space.n


@pytest.mark.parametrize(("doses", "options"), [
    ((250.0, 0.4), {}), ((0.0, 1.0), {}), ((125.0, 0.05, 1.0), {"antibiotics": "agent"}), ((750.0, 0.15, 0.0), {"antibiotics": "agent"}),
])  # fmt: skip
def test_doses_that_are_levels_are_given_as_they_are(doses, options):
    free, rounded = (evaluate(SEPSIS, policy, options=options, patients=8) for policy in (
        constant(doses, **options), OnGrid(constant(doses, **options))))  # fmt: skip
    np.testing.assert_allclose(rounded.returns, free.returns, rtol=1e-6)


def test_boluses_and_rates_are_rounded_in_the_patients_own_basal_rate():
    policy = OnGrid(reference_policies(GLUCOSE)["basal-bolus"]())
    data = collect(GLUCOSE, policy, 20)
    basal, hours = data.actions[data.there()] // 5, data.actions[data.there()] % 5
    assert set(np.unique(basal)) == {2}  # one times their own
    assert (hours > 0).sum() / data.n == pytest.approx(3.0, abs=2.0)  # meals of a day


def test_what_lies_between_two_levels_goes_to_the_nearer_one():
    grid = GRIDS[SEPSIS](make_task(SEPSIS).config)
    doses = np.array([[24.0, 0.0], [26.0, 0.09], [499.0, 0.11], [501.0, 2.0]])
    assert grid.nearest(doses, np.ones(4)).tolist() == [0, 6, 17, 24]


def test_basal_bolus_loses_little_on_the_grid_and_the_sepsis_protocol_much():
    for env_id, name, lost in ((GLUCOSE, "basal-bolus", (-0.01, 0.02)), (SEPSIS, "surviving-sepsis", (0.2, 0.35))):
        free, rounded = (evaluate(env_id, one).normalised.mean() for one in (
            reference_policies(env_id)[name](), OnGrid(reference_policies(env_id)[name]())))  # fmt: skip
        assert lost[0] < free - rounded < lost[1]


def test_softened_it_logs_discrete_decisions_with_their_probabilities():
    data = collect(SEPSIS, Softened(OnGrid(reference_policies(SEPSIS)["surviving-sepsis"]()), 0.1), 20)
    assert data.action_space.n == 25
    assert set(np.unique(data.probabilities[data.there()]).round(6)) == {0.004, 0.904}


def test_what_has_no_grid_is_refused_by_name():
    with pytest.raises(ValueError, match=r"there is no grid for medsim/SepsisSCM-v0; there are grids for medsim/Sepsis-v0"):
        OnGrid(constant((0.0, 0.0))).begin(patients_of("medsim/SepsisSCM-v0", {}, 2))
    with pytest.raises(ValueError, match="on the grid needs action='discrete'"):
        evaluate(SEPSIS, OnGrid(constant((0.0, 0.0))), options={"action": "continuous"}, patients=2)
