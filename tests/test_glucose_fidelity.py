"""``medsim/Glucose-v0`` against simglucose, the published sensor, the published risk index and what its equations imply."""

import csv
import itertools
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from medsim.core.streams import Key
from medsim.registry import make_task
from medsim.treatments.glucose import own_basal_u_per_min, simulate
from medsim.treatments.glucose.definition import patients
from medsim.treatments.glucose.metrics import risk_index
from medsim.treatments.glucose.model import PMOL_PER_U, Params, Settings, State, derivative, drive
from medsim.treatments.glucose.objective import risk
from medsim.treatments.glucose.population import cohort_row, jittered, start_state, steady_state

ENV_ID = "medsim/Glucose-v0"
REFERENCE = Path(__file__).parent / "reference"
NAMES, TABLE = patients()
MEALS = [(420, 45.0), (720, 70.0), (1080, 80.0)]
COHORTS = ("train", "test", "shifted")


def reference(file: str) -> dict[str, np.ndarray]:
    """Return a table's columns by name; the lines that begin with # say where it comes from."""
    with (REFERENCE / file).open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return {name: np.array(values) if name == "name" else np.array(values, dtype=float) for name, values in columns}


def quantised(amount: np.ndarray) -> np.ndarray:
    return np.asarray(np.floor(amount / 0.05 + 0.5) * 0.05)


def params(name: str) -> Params:
    return Params(*TABLE[NAMES.index(name)].tolist())


# Courses


@pytest.mark.parametrize(("fidelity", "tolerance_mg_per_dl"), [("exact", 0.001), ("fast", 0.005)])
@pytest.mark.parametrize("bolus", [False, True], ids=["basal", "bolus"])
def test_adult_1_takes_the_course_that_simglucose_computes(bolus: bool, fidelity: str, tolerance_mg_per_dl: float) -> None:
    expected = reference(f"simglucose_adult001_{'bolus' if bolus else 'basal'}.csv")
    insulin = np.full(1440, own_basal_u_per_min("adult#001"))
    for minute, grams in MEALS:
        insulin[minute] += grams / params("adult#001").carb_ratio_g_per_u if bolus else 0.0
    course = simulate("adult#001", insulin, MEALS, fidelity)
    for site in ("plasma", "subcutaneous"):
        ours = course[f"{site}_glucose_mg_per_dl"].to_numpy()[expected["minute"].astype(int)]
        np.testing.assert_allclose(ours, expected[f"{site}_mg_per_dl"], rtol=0.0, atol=tolerance_mg_per_dl)


@pytest.fixture(scope="module")
def thirty() -> dict[str, np.ndarray]:
    return reference("simglucose_30_patients_bolus.csv")


def what_a_pump_gave() -> np.ndarray:
    """Return the insulin of the reference courses in U/min, (1440, 30): rates and boluses as a pump can give them."""
    insulin = np.tile(quantised(np.array([own_basal_u_per_min(name) for name in NAMES]) * 60.0) / 60.0, (1440, 1))
    for minute, grams in MEALS:
        insulin[minute] += quantised(grams / TABLE[:, Params._fields.index("carb_ratio_g_per_u")])
    return insulin


@pytest.mark.parametrize(("fidelity", "absolute", "relative"), [("exact", 0.005, 0.0), ("fast", 0.0, 0.005)])
def test_all_30_patients_take_the_courses_that_simglucose_computes(
    thirty: dict[str, np.ndarray], fidelity: str, absolute: float, relative: float
) -> None:
    course = simulate(NAMES, what_a_pump_gave(), MEALS, fidelity)
    minutes = thirty["minute"].astype(int)
    for k, name in enumerate(NAMES):
        for site in ("plasma", "subcutaneous"):
            ours = course[f"{site}_glucose_mg_per_dl"].to_numpy()[k * 1441 + minutes]
            theirs = thirty[f"{name}_{site}"]
            within = (theirs >= 40.0) & (theirs <= 600.0)
            assert within.mean() > 0.8
            np.testing.assert_allclose(ours[within], theirs[within], rtol=relative, atol=absolute, err_msg=f"{name} {site}")


@pytest.mark.parametrize("n", [30, 7], ids=["tiles", "lanes"])
def test_the_environment_takes_the_same_courses_through_its_pump_and_meals(thirty: dict[str, np.ndarray], n: int) -> None:
    names, insulin = NAMES[:n], what_a_pump_gave()[:, :n]
    options = {"action": "continuous", "bolus": True, "step_minutes": 1, "random_start": False, "expose_state": True}
    env = gym.make_vec(ENV_ID, num_envs=n, **options)
    _, info = env.reset(seed=1, options={"patient": list(names), "meals": MEALS})
    vg, alive = TABLE[:n, Params._fields.index("vg_dl_per_kg")], np.ones(n, dtype=bool)
    for minute in range(1440):
        if minute % 15 == 0:
            plasma, under_skin = info["state"]["glucose_mg_per_dl"], info["state"]["gs_mg_per_kg"] / vg
            for k in np.flatnonzero(alive):
                expected = [thirty[f"{names[k]}_{site}"][minute // 15] for site in ("plasma", "subcutaneous")]
                assert [plasma[k], under_skin[k]] == pytest.approx(expected, abs=0.005), f"{names[k]} at minute {minute}"
        _, _, terminated, _, info = env.step(np.column_stack([insulin[0] * 60.0, insulin[minute] - insulin[0]]))
        for k in np.flatnonzero(terminated & alive):
            around = thirty[f"{names[k]}_plasma"][minute // 15 : minute // 15 + 2]
            assert around.max() > 600.0 or around.min() < 40.0
        alive &= ~terminated
    assert alive.mean() > 0.8


# Steady states


def test_all_30_start_from_the_states_that_simglucose_distributes() -> None:
    expected = reference("simglucose_initial_states.csv")
    assert tuple(expected["name"]) == NAMES
    theirs = np.column_stack([expected[f"x0_{k}"] for k in range(1, 14)])
    ours = np.array([steady_state(params(name)) for name in NAMES])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def residual(p: Params) -> float:
    """Return the largest rate of change of a patient at rest, as a share of the state, per minute."""
    x = steady_state(p)
    rates = derivative(x, drive(0.0, p.basal_pmol_per_kg_per_min * p.weight_kg / PMOL_PER_U, 0.0, p), p)
    return max(abs(rate) / max(abs(value), 1.0) for rate, value in zip(rates, x, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_published_patient_at_basal_insulin_stays_as_they_are(name: str) -> None:
    p = params(name)
    assert residual(p) < 1e-9
    assert steady_state(p).gp_mg_per_kg / p.vg_dl_per_kg == pytest.approx(p.gb_mg_per_dl, rel=1e-9)


def test_after_a_day_at_basal_insulin_glucose_is_where_it_was() -> None:
    course = simulate(NAMES, np.tile([own_basal_u_per_min(name) for name in NAMES], (1440, 1)))
    ends = course[course.minute == 1440].plasma_glucose_mg_per_dl
    np.testing.assert_allclose(ends, TABLE[:, Params._fields.index("gb_mg_per_dl")], rtol=1e-6)


def settings_of(**options: object) -> Settings:
    settings: Settings = make_task(ENV_ID, **options).settings
    return settings


def key_of(slot: int) -> Key:
    return Key(7, 0, slot, 0, 0)


@pytest.mark.parametrize("cohort", COHORTS)
def test_everyone_in_a_cohort_is_possible_and_has_an_exact_steady_state(cohort: str) -> None:
    settings = settings_of(cohort=cohort)
    for slot in range(300):
        base = Params(*TABLE[cohort_row(settings, key_of(slot))].tolist())
        p = jittered(base, settings, key_of(slot))
        assert min(p) > 0.0
        assert max(p.b, p.d, p.kmin / p.kmax) < 1.0
        assert residual(p) < 1e-9
        assert min(value for value in steady_state(p)) >= 0.0
        assert p.m30 / (p.m1 + p.m30) == pytest.approx(0.6)  # the liver's basal extraction, HEb


def test_the_environments_patients_are_these() -> None:
    env = gym.make_vec(ENV_ID, num_envs=9, cohort="shifted")
    env.reset(seed=7)
    settings = settings_of(cohort="shifted")
    expected = [jittered(Params(*TABLE[cohort_row(settings, key_of(k))].tolist()), settings, key_of(k)) for k in range(9)]
    np.testing.assert_array_equal(env.unwrapped.batch.record("params").T, expected)


@pytest.mark.parametrize(("cohort", "cv"), [("train", 0.1), ("test", 0.1), ("shifted", 0.2)])
def test_parameters_spread_round_the_base_patient_as_stated(cohort: str, cv: float) -> None:
    base, settings = params("adult#004"), settings_of(cohort=cohort)
    people = np.array([jittered(base, settings, key_of(slot)) for slot in range(1500)])
    sd = np.sqrt(np.log(1.0 + cv * cv))
    cut = 0.959  # sd of a standard normal number that is held at 2 where it lies beyond
    for field in ("weight_kg", "gb_mg_per_dl", "kabs", "vmx", "kp2", "ka1", "ksc"):
        factors = np.log(people[:, Params._fields.index(field)] / base[Params._fields.index(field)])
        assert abs(factors).max() <= 2.0 * sd + 1e-12
        assert factors.mean() == pytest.approx(0.0, abs=5.0 * sd / np.sqrt(1500))
        assert factors.std() == pytest.approx(cut * sd, rel=0.1)


def test_cohorts_share_no_base_patient_and_together_are_all_30() -> None:
    rows = {cohort: {cohort_row(settings_of(cohort=cohort), key_of(slot)) for slot in range(800)} for cohort in COHORTS}
    assert sum(len(found) for found in rows.values()) == len(set.union(*rows.values())) == 30
    for cohort in COHORTS:
        assert {NAMES[row].partition("#")[0] for row in rows[cohort]} == {"adolescent", "adult", "child"}


@pytest.mark.parametrize("group", ["adolescent", "adult", "child"])
def test_an_age_group_has_only_its_own(group: str) -> None:
    settings = settings_of(group=group)
    assert {NAMES[cohort_row(settings, key_of(slot))].partition("#")[0] for slot in range(200)} == {group}


def test_a_random_start_moves_glucose_by_one_factor_of_the_stated_spread() -> None:
    p, settings = params("adult#001"), settings_of()
    rest = steady_state(p)
    starts = np.array([start_state(p, settings, key_of(slot)) for slot in range(3000)])
    glucose = [State._fields.index(name) for name in ("gp_mg_per_kg", "gt_mg_per_kg", "gs_mg_per_kg")]
    factors = starts[:, glucose] / np.array(rest)[glucose]
    np.testing.assert_allclose(factors, factors[:, :1].repeat(3, axis=1), rtol=1e-12)
    assert np.median(factors) == pytest.approx(1.0, abs=0.015)
    assert factors[:, 0].std() / factors[:, 0].mean() == pytest.approx(0.19, abs=0.015)
    others = [k for k in range(13) if k not in glucose]
    np.testing.assert_array_equal(starts[:, others], np.tile(np.array(rest)[others], (3000, 1)))


def test_a_start_as_in_simglucose_has_its_three_independent_normals() -> None:
    p, settings = params("adult#001"), settings_of(compat="simglucose")
    rest = np.array(steady_state(p))
    starts = np.array([start_state(p, settings, key_of(slot)) for slot in range(4000)])
    for name in ("gp_mg_per_kg", "gt_mg_per_kg", "gs_mg_per_kg"):
        k = State._fields.index(name)
        assert starts[:, k].mean() == pytest.approx(rest[k], abs=0.5)
        assert starts[:, k].var() == pytest.approx(0.1 * rest[k], rel=0.1)
    moved = starts[:, [State._fields.index(name) for name in ("gp_mg_per_kg", "gt_mg_per_kg", "gs_mg_per_kg")]]
    assert abs(np.corrcoef(moved.T) - np.eye(3)).max() < 0.06


# The sensor


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """The sensor's error in mg/dL at its nodes, every 15 minutes of a day, of 2,000 sensors; nothing is near the sensor's limits."""
    n = 2000
    env = gym.make_vec(ENV_ID, num_envs=n, action="continuous", random_start=False, expose_state=True)
    basal = own_basal_u_per_min("adolescent#002") * 60.0
    vg = params("adolescent#002").vg_dl_per_kg
    _, info = env.reset(seed=11, options={"patient": "adolescent#002", "meals": []})
    nodes = []
    for step in range(288):
        if step % 3 == 0:
            nodes.append(info["state"]["cgm_mg_per_dl"] - info["state"]["gs_mg_per_kg"] / vg)
        info = env.step(np.full((n, 1), basal))[4]
    return np.array(nodes)


def test_the_sensors_error_has_the_published_moments(noise: np.ndarray) -> None:
    assert noise.mean() == pytest.approx(0.719, abs=0.25)  # four standard errors, of a correlated sample
    assert noise.std() == pytest.approx(11.73, abs=0.2)
    assert np.percentile(noise, [2.5, 97.5]) == pytest.approx([-19.9, 27.0], abs=0.5)


def test_the_sensors_error_persists_for_15_minutes_as_published(noise: np.ndarray) -> None:
    assert 0.685 < np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1] < 0.705
    assert np.corrcoef(noise[:-2].ravel(), noise[2:].ravel())[0, 1] == pytest.approx(0.69**2, abs=0.02)


def test_the_sensor_is_stationary_from_the_first_reading_on(noise: np.ndarray) -> None:
    for at in (0, 1, 2, 40, 95):
        assert noise[at].mean() == pytest.approx(0.719, abs=1.1)
        assert noise[at].std() == pytest.approx(11.73, rel=0.1)


def test_two_sensors_err_independently(noise: np.ndarray) -> None:
    correlations = np.corrcoef(noise[::4, :40].T)  # an hour apart, to be nearly independent in time
    assert abs(correlations[np.triu_indices(40, 1)]).mean() < 0.25


# The risk index


PUBLISHED_RISK = {70: 7.755, 54: 18.46, 40: 36.42, 180: 7.729, 250: 22.44, 400: 57.05}


@pytest.mark.parametrize("glucose", PUBLISHED_RISK)
def test_the_risk_index_has_the_published_values(glucose: int) -> None:
    published = PUBLISHED_RISK[glucose]
    digits = 3 if published < 10 else 2
    assert round(risk(float(glucose)), digits) == published
    assert round(float(risk_index(np.array([float(glucose)]))[0]), digits) == published


def test_the_risk_is_zero_at_112_and_rises_on_both_sides_to_100() -> None:
    assert risk(112.517) == pytest.approx(0.0, abs=1e-8)
    up = [risk(g) for g in np.linspace(112.6, 600.0, 500)]
    down = [risk(g) for g in np.linspace(112.4, 20.001, 500)]
    for side in (up, down):
        assert all(a < b for a, b in itertools.pairwise(side))
    assert risk(20.0) == risk(3.0) == risk(-1.0) == risk(600.0) == risk(5000.0) == 100.0
    assert max(*up, *down) <= 100.0


def test_the_array_form_of_the_risk_index_is_the_same() -> None:
    glucose = np.concatenate([np.linspace(1.0, 700.0, 3000), [20.0, 600.0]])
    np.testing.assert_allclose(risk_index(glucose), [risk(g) for g in glucose], rtol=1e-12, atol=1e-12)
