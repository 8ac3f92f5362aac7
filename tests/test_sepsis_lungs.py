"""Septic patients whose lungs differ: what the option changes, what it leaves alone, and that lung water is then worth knowing."""

from collections.abc import Callable

import numpy as np
import pytest

from medsim.core.vector import PatientVectorEnv
from medsim.policies.sepsis import Adaptive, Resuscitation, titrated
from medsim.registry import make_task
from medsim.treatments.sepsis.titration import TITRATED_TO_MMHG

ENV = "medsim/Sepsis-v0"
N = 1000
Array = np.ndarray
Limit = Callable[[PatientVectorEnv], Array]  # of whom no fluid is given


def measure(env: PatientVectorEnv, name: str) -> Array:
    return env.batch.measures[env.batch.measure_names.index(name)].copy()


def treated(
    lungs: str, limit: Limit | None = None, *, policy: type = Adaptive, cohort: str = "test", n: int = N
) -> tuple[Array, Array, Array]:
    """Return returns (n,), and PaO2/FiO2 and lung water at 24 h, under a rule whose fluid a limit may stop."""
    task = make_task(ENV, lungs=lungs, action="continuous", deaths="expected", cohort=cohort)
    env = PatientVectorEnv(task, n, autoreset_mode="disabled", threads=1)
    rule = policy()
    observation, _ = env.reset(seed=11)
    rule.begin(env)
    total, day = np.zeros(n), []
    for hour in range(72):
        doses = rule.act(observation).copy()
        if limit is not None:
            doses[limit(env), 0] = 0.0
        observation, reward, *_ = env.step(doses)
        total += reward
        if hour == 23:
            day = [measure(env, "pf_ratio_mmhg"), measure(env, "lung_water_ml_per_kg")]
    return total, day[0], day[1]


def wet(most_ml_per_kg: float) -> Limit:
    return lambda env: measure(env, "lung_water_ml_per_kg") > most_ml_per_kg


def hypoxic(least_mmhg: float) -> Limit:
    return lambda env: measure(env, "pf_ratio_mmhg") < least_mmhg


def test_oxygenation_tells_as_little_of_lung_water_as_in_patients() -> None:
    """Martin 2005: r2 0.27 in 29 patients, of which Fisher's 95 % interval is 0.04 to 0.54. Alike lungs give it away."""
    varied, typical = (np.corrcoef(*treated(lungs, policy=Resuscitation)[1:])[0, 1] ** 2 for lungs in ("varied", "typical"))
    assert 0.04 < varied < 0.54
    assert typical > 0.8


def test_patients_are_the_same_but_for_their_lungs() -> None:
    params = {}
    for lungs in ("typical", "varied"):
        env = PatientVectorEnv(make_task(ENV, lungs=lungs), 200, autoreset_mode="disabled", threads=1)
        env.reset(seed=4)
        params[lungs] = env.batch.record("params")
    leak, oxygenation = params["varied"][-2:]
    np.testing.assert_array_equal(params["typical"][:-2], params["varied"][:-2])
    assert (params["typical"][-2:] == 1.0).all()
    assert len(set(leak)) == 200
    assert (leak.min() < 0.4, leak.max() > 2.5, oxygenation.min() >= 0.3, oxygenation.max() <= 1.0) == (True,) * 4
    assert abs(np.corrcoef(leak, oxygenation)[0, 1]) < 0.2


def test_lungs_differ_by_default_where_there_is_an_xray_to_tell() -> None:
    settings = {name: make_task(ENV, observation=name).settings.lungs_varied for name in ("vector", "full", "ehr", "multimodal")}
    assert settings == {"vector": 0.0, "full": 0.0, "ehr": 0.0, "multimodal": 1.0}
    assert make_task(ENV, observation="multimodal", lungs="typical").settings.lungs_varied == 0.0


def test_stopping_fluid_by_lung_water_saves_more_than_any_rule_of_oxygenation() -> None:
    """The best limit of each kind on training patients, compared on test patients, one by one."""
    limits = {"water": [wet(most) for most in (9.0, 10.0, 12.0)], "oxygen": [hypoxic(least) for least in (100.0, 150.0, 200.0, 250.0)]}
    best = {name: max(some, key=lambda limit: treated("varied", limit, cohort="train", n=600)[0].mean()) for name, some in limits.items()}
    without = treated("varied")[0]
    by_water, by_oxygen = (treated("varied", best[name])[0] for name in ("water", "oxygen"))
    for better, worse in ((by_water, by_oxygen), (by_oxygen, without)):
        difference = better - worse
        assert difference.mean() > 4.0 * difference.std() / np.sqrt(N)
    assert (by_water - by_oxygen).mean() > 0.02  # a point of mortality


def test_nurses_titrate_norepinephrine_as_the_protocol_does_and_the_agent_gives_fluid_alone() -> None:
    """The same fluid, the same hourly titration: by the environment, and by the protocol's policy in the environment of doses."""
    shared = {"deaths": "expected", "lungs": "typical"}
    ours = PatientVectorEnv(make_task(ENV, norepinephrine="nurses", **shared), 50, autoreset_mode="disabled", threads=1)
    theirs = PatientVectorEnv(make_task(ENV, action="continuous", **shared), 50, autoreset_mode="disabled", threads=1)
    assert ours.single_action_space.n == 5
    ours.reset(seed=2)
    theirs.reset(seed=2)
    dose = np.zeros(50)
    for hour in range(72):
        fluid = 250.0 if hour < 6 else 50.0
        dose = np.minimum(titrated(dose, TITRATED_TO_MMHG - theirs.batch.fields("state", "map_mmhg", np.arange(50))), 2.0)
        got = ours.step(np.full(50, 3 if hour < 6 else 1))[1]
        np.testing.assert_array_equal(got, theirs.step(np.column_stack([np.full(50, fluid), dose]))[1])
    assert dose.max() > 0.3


def test_every_number_of_an_action_means_what_is_said_of_it() -> None:
    """With everything in the agent's hands: fluid, then antibiotics, then the X-ray, each in its own place."""
    task = make_task(ENV, observation="multimodal", xray="agent", antibiotics="agent", norepinephrine="nurses", deaths="expected")
    env = PatientVectorEnv(task, 4, autoreset_mode="disabled", threads=1)
    env.reset(seed=2)
    env.step(np.array([4, 4 + 5, 4 + 10, 4 + 15]))
    seen, _, _, _, _ = env.step(np.array([0, 0, 0, 0]))
    np.testing.assert_array_equal(measure(env, "antibiotics") > 0, [False, True, False, True])
    np.testing.assert_array_equal(seen["image_age_h"][:, 0], [100.0, 100.0, 1.0, 1.0])
    assert (seen["treatment"][:, -2, 0] == 750.0).all()
    doses = make_task(ENV, observation="multimodal", xray="agent", norepinephrine="nurses", action="continuous", deaths="expected")
    assert doses.action_space.shape == (3,)
    env = PatientVectorEnv(doses, 2, autoreset_mode="disabled", threads=1)
    env.reset(seed=2)
    seen = env.step(np.array([[100.0, 0.0, 1.0], [100.0, 1.0, 0.0]]))[0]
    np.testing.assert_array_equal(seen["image_age_h"][:, 0], [0.0, 100.0])


@pytest.mark.parametrize(("options", "message"), [
    ({"xray": "agent"}, "option xray must be 'schedule' unless observation is 'multimodal'"),
    ({"observation": "multimodal", "xray_hours": 5}, "option xray_hours must be one of"),
    ({"observation": "multimodal", "scanner": "c"}, "option scanner must be one of 'a', 'b', not 'c'"),
    ({"lungs": "wet"}, "option lungs must be one of"),
])  # fmt: skip
def test_wrong_options_of_images_are_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(ENV, **options)
