"""A course of septic shock: who comes, what kills, what is paid, and what treatment does."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import medsim  # noqa: F401
from medsim.core.model import field_names
from medsim.policies.sepsis import Adaptive, MostTreatment, NoTreatment, Resuscitation
from medsim.treatments.sepsis import SepsisVectorEnv
from medsim.treatments.sepsis.constants import Constants, constant_sets
from medsim.treatments.sepsis.model import Params, Settings

N = 400


def follow(policy: Any = None, n: int = N, seed: int = 4, **options: Any) -> tuple[SepsisVectorEnv, dict[str, np.ndarray]]:
    """Treat n patients to the end; returns the environment there, and returns, terms, outcomes, times and measures of the last step."""
    env = SepsisVectorEnv(n, autoreset_mode="disabled", **{"action": "continuous", **options})
    env.reset(seed=seed)
    policy = Resuscitation() if policy is None else policy
    policy.begin(env)
    batch = env.batch
    found = {name: np.zeros(n) for name in ("return", "shaping", "steps", "outcome", "time_h")}
    alive = np.ones(n, dtype=bool)
    for _ in range(env.task.horizon_steps):
        ended = env.step_running(policy.act(batch.obs))
        found["return"] += np.where(alive, batch.terms.sum(axis=0), 0.0)
        found["shaping"] += np.where(alive, batch.terms[1], 0.0)
        found["steps"] += alive
        found["outcome"][ended], found["time_h"][ended] = batch.out[2][ended], batch.out[3][ended]
        alive &= ~ended
    found |= dict(zip(batch.measure_names, batch.measures.copy(), strict=True))
    return env, found


def patients_of(cohort: str, n: int = 2000) -> dict[str, np.ndarray]:
    env = SepsisVectorEnv(n, cohort=cohort)
    env.reset(seed=1)
    return dict(zip(field_names(Params), env.batch.record("params"), strict=True))


# Who comes


def test_patients_are_as_in_the_published_tables() -> None:
    who = patients_of("test", 4000)
    assert who["age_years"].mean() == pytest.approx(66.6, abs=1.5)  # SEPSIS-ACT, table 1
    assert who["weight_kg"].mean() == pytest.approx(80.2, abs=2.5)
    assert who["charlson"].mean() == pytest.approx(2.5, abs=0.3)
    assert who["pneumonia"].mean() == pytest.approx(0.40, abs=0.04)
    assert np.quantile(who["antibiotic_delay_h"], [0.25, 0.5, 0.75]) == pytest.approx([0.35, 0.95, 1.95], rel=0.25)  # Seymour 2017


def test_everybody_who_comes_is_in_shock() -> None:
    env = SepsisVectorEnv(2000)
    env.reset(seed=2)
    measures = dict(zip(env.batch.measure_names, env.batch.measures, strict=True))
    assert (measures["map_mmhg"] < 70.0).mean() > 0.995
    assert (measures["damage"] > 0.0).all()


def test_train_test_and_shifted_cohorts_share_nobody() -> None:
    train, test, shifted = (set(patients_of(cohort)["inoculum"]) for cohort in ("train", "test", "shifted"))
    assert not train & test
    assert not test & shifted
    assert not train & shifted


def test_the_shifted_cohort_is_older_and_treated_later() -> None:
    shifted, train = patients_of("shifted"), patients_of("train")
    assert shifted["age_years"].mean() > train["age_years"].mean() + 5.0
    assert np.median(shifted["antibiotic_delay_h"]) > 1.5 * np.median(train["antibiotic_delay_h"])


def test_another_world_has_other_constants() -> None:
    env = SepsisVectorEnv(1, cohort="world-2")
    first = Settings._fields.index("constants")
    found = Constants(*env.batch.settings[first : first + len(Constants._fields)])
    assert found == constant_sets()["world-2"] != constant_sets()["v0"]


# What kills


def test_deaths_are_drawn_as_often_as_expected() -> None:
    _, expected = follow(n=3000, deaths="expected")
    _, drawn = follow(n=3000)
    error = np.sqrt((expected["death_probability"] * (1.0 - expected["death_probability"])).mean() / 3000)
    assert abs((drawn["outcome"] != 3.0).mean() - expected["death_probability"].mean()) < 4.0 * error


def test_the_expected_return_is_one_less_twice_the_probability_of_death() -> None:
    _, found = follow(deaths="expected")
    np.testing.assert_allclose(found["return"], 1.0 - 2.0 * found["death_probability"], atol=1e-12)
    assert (found["steps"] == 72).all()


def test_who_dies_does_so_within_the_last_step_or_after_72_hours() -> None:
    _, found = follow()
    early, late, alive = (found["outcome"] == code for code in (1.0, 2.0, 3.0))
    assert early.sum() > 20
    assert late.sum() > 40
    assert ((found["time_h"] > found["steps"] - 1.0) & (found["time_h"] <= found["steps"]))[early].all()
    assert ((found["time_h"] >= 72.0) & (found["time_h"] <= 672.0))[late].all()
    assert (found["time_h"][alive] == 672.0).all()
    assert set(found["return"][early | late]) == {-1.0}
    assert set(found["return"][alive]) <= {1.0}


def test_a_better_treatment_kills_nobody_whom_a_worse_one_saves() -> None:
    _, none = follow(NoTreatment())
    _, treated = follow(Resuscitation())
    saved_by_nothing = (none["outcome"] == 3.0) & (treated["outcome"] != 3.0)
    _, nothing = follow(NoTreatment(), deaths="expected")
    _, something = follow(Resuscitation(), deaths="expected")
    assert (something["death_probability"] > nothing["death_probability"])[saved_by_nothing].all()


def test_no_policy_gains_by_the_shaped_reward() -> None:
    sums = [follow(policy, deaths="expected", reward="shaped")[1]["shaping"] for policy in (NoTreatment(), Resuscitation(), Adaptive())]
    np.testing.assert_allclose(sums[0], sums[1], atol=1e-12)
    np.testing.assert_allclose(sums[0], sums[2], atol=1e-12)


# What treatment does


def test_the_protocol_is_better_than_random_that_than_nothing_and_the_extremes_are_bad() -> None:
    deaths = {}
    for policy in (Resuscitation(), Adaptive(), NoTreatment(), MostTreatment()):
        deaths[policy.name] = follow(policy, deaths="expected")[1]["death_probability"].mean()
    grid = np.random.default_rng(0)

    class AtRandom:
        def begin(self, env: SepsisVectorEnv) -> None:
            self.n = env.num_envs

        def act(self, observations: np.ndarray) -> np.ndarray:
            return grid.integers(0, 25, self.n)

    deaths["random"] = follow(AtRandom(), deaths="expected", action="discrete")[1]["death_probability"].mean()
    assert deaths["adaptive"] < deaths["surviving-sepsis"] < deaths["random"] - 0.1
    assert deaths["random"] < deaths["no-treatment"]
    assert deaths["always-maximum"] > 0.8


def test_an_hour_earlier_is_better() -> None:
    deaths = [follow(deaths="expected", antibiotic_delay_h=float(delay))[1]["death_probability"].mean() for delay in (0, 1, 3, 6)]
    assert deaths == sorted(deaths)
    assert deaths[3] > deaths[0] + 0.05


def test_an_agent_that_gives_antibiotics_starts_them_once() -> None:
    env = gym.make("medsim/Sepsis-v0", antibiotics="agent", expose_state=True)
    env.reset(seed=1)
    running = env.unwrapped.task.view.names.index("antibiotics_running_h")
    seen = [env.step(action)[0][running] for action in (6, 6, 31, 6, 6)]
    assert seen == pytest.approx([0.0, 0.0, 1.0, 2.0, 3.0])


def test_nobody_gives_antibiotics_that_an_agent_withholds() -> None:
    _, withheld = follow(deaths="expected", antibiotics="agent", policy=Withholding())
    _, given = follow(deaths="expected", antibiotics="agent")
    assert withheld["death_probability"].mean() > given["death_probability"].mean() + 0.2
    assert not withheld["antibiotics"].any()


class Withholding(Resuscitation):
    """The protocol without antibiotics."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        doses = super().act(observations)
        doses[:, 2] = 0.0
        return doses


def test_stopping_norepinephrine_in_the_last_hour_buys_no_score() -> None:
    class Stops(Resuscitation):
        def act(self, observations: np.ndarray) -> np.ndarray:
            doses = super().act(observations)
            doses[self.read(observations, "time_h") > 70.5, 1] = 0.0
            return doses

    _, stopped = follow(Stops(), deaths="expected")
    _, went_on = follow(deaths="expected")
    assert stopped["sofa"].mean() >= went_on["sofa"].mean()
    gained = went_on["death_probability"] - stopped["death_probability"]
    assert gained.mean() < -0.03
    assert (gained > 0.0).mean() < 0.1  # the overloaded, whose plasma refills as the pressure falls


@pytest.mark.parametrize("hours", [2, 4])
def test_the_body_does_not_know_how_often_we_decide(hours: int) -> None:
    courses = []
    for step_hours in (1, hours):
        env = SepsisVectorEnv(32, action="continuous", deaths="expected", step_hours=step_hours, autoreset_mode="disabled")
        env.reset(seed=3)
        for _ in range(72 // step_hours):
            env.step_running(np.tile(np.float32([100.0, 0.2]), (32, 1)))
        courses.append(env.batch.record("state"))
    np.testing.assert_allclose(courses[0], courses[1], rtol=1e-9, atol=1e-12)


def test_overload_is_counted_from_a_tenth_of_body_weight_on() -> None:
    env = gym.make("medsim/Sepsis-v0", action="continuous", deaths="expected", expose_state=True)
    env.reset(seed=2, options={"patient": {"like": "median", "weight_kg": 80.0}})
    seen = []
    for _ in range(24):
        _, _, _, _, info = env.step(np.float32([1000.0, 0.0]))
        seen.append((info["state"]["fluid_excess_ml"] > 8000.0, info["costs"]["fluid_overload"] == 1.0))
    assert all(over == charged for over, charged in seen)
    assert {charged for _, charged in seen} == {True, False}


def test_a_delay_and_an_agent_that_decides_it_are_refused_together() -> None:
    with pytest.raises(ValueError, match="antibiotic_delay_h must be None where antibiotics is 'agent', not 3"):
        gym.make("medsim/Sepsis-v0", antibiotics="agent", antibiotic_delay_h=3.0)
