"""Charts: what stands in a window of hourly rows, what does not, and that every shell hands out the same one."""

import copy
import itertools
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from medsim.core.charts import NEVER_H, Chart, ChartWindow, Column
from medsim.policies.policy import NamedColumns
from medsim.registry import make_task
from tests.courses import Options, actions_at, arrays_in, equal_to_the_bit, flat, patient_of, play_batch, play_one

ENV = "medsim/Sepsis-v0"
N = 11
HARMONISED = (
    "alb alp alt ast be bicar bili bili_dir bnd bun ca cai ck ckmb cl crea crp dbp fgn fio2 glu hgb hr inr_pt k lact lymph map mch mchc "
    "mcv methb mg na neut o2sat pco2 ph phos plt po2 ptt resp sbp temp tnt urine wbc"
)
CHART: Chart = make_task(ENV, observation="ehr").chart
AT = {name: number for number, name in enumerate(CHART.names)}
GRIDS = ("ehr", "ehr_mask", "ehr_hours_since", "treatment")

Observation = dict[str, np.ndarray]


def observed(steps: int = 72, n: int = N, mode: str = "disabled", **options: Any) -> list[Observation]:
    """Return the charts of patients who all live to the end, hour by hour."""
    env = gym.make_vec(ENV, num_envs=n, observation="ehr", deaths="expected", autoreset_mode=mode, **options)
    seen = [env.reset(seed=1)[0]]
    for step in range(steps):
        seen.append(env.step(actions_at(env.single_action_space, np.arange(n), step))[0])
    return seen


@pytest.fixture(scope="module")
def course() -> list[Observation]:
    return observed()


# What stands where


def test_the_columns_are_those_of_harmonised_tables_in_their_order() -> None:
    assert " ".join(CHART.names) == HARMONISED
    assert len(CHART.names) == 48
    assert [static.name for static in CHART.statics] == ["age", "sex", "height", "weight"]


def test_the_first_chart_has_one_row_and_nothing_was_given_or_measured_before(course: list[Observation]) -> None:
    first = course[0]
    assert not first["time_h"].any()
    assert not first["ehr"][:, :-1].any()
    assert not first["ehr_mask"][:, :-1].any()
    assert (first["ehr_hours_since"][:, :-1] == NEVER_H).all()
    assert not first["treatment"].any()
    assert first["ehr_mask"][:, -1, [AT[name] for name in ("lact", "po2", "fio2", "crea", "plt", "temp")]].all()
    assert not first["ehr_mask"][:, -1, AT["urine"]].any()  # none has been collected


def test_a_chart_is_the_one_before_moved_up_by_an_hour_with_a_row_added(course: list[Observation]) -> None:
    for before, now in itertools.pairwise(course):
        for name in GRIDS:
            np.testing.assert_array_equal(now[name][:, :-1], before[name][:, 1:])


def test_after_a_day_the_oldest_row_is_that_of_23_hours_ago(course: list[Observation]) -> None:
    for hour in range(23, 73):
        for name in GRIDS:
            np.testing.assert_array_equal(course[hour][name][:, 0], course[hour - 23][name][:, -1])


def test_where_the_mask_is_0_stands_0_and_columns_that_the_model_lacks_stay_empty(course: list[Observation]) -> None:
    lacking = [AT[name] for name in CHART.names if name not in CHART.produced]
    assert len(lacking) == 33
    for one in course:
        assert not one["ehr"][one["ehr_mask"] == 0].any()
        assert not one["ehr_mask"][..., lacking].any()
        assert (one["ehr_hours_since"][..., lacking] == NEVER_H).all()
        np.testing.assert_array_equal(one["demographics_mask"], [[1, 0, 0, 1]] * N)
        assert not one["demographics"][:, 1:3].any()
    assert all((course[-1]["ehr_mask"].any(axis=1) == np.isin(HARMONISED.split(), CHART.produced)).all(axis=1))


def test_a_value_measured_three_hours_ago_has_hours_since_3(course: list[Observation]) -> None:
    lactate = AT["lact"]
    assert (course[3]["ehr_mask"][:, -4:, lactate] == [1, 0, 0, 0]).all()
    assert (course[3]["ehr_hours_since"][:, -4:, lactate] == [0.0, 1.0, 2.0, 3.0]).all()


def test_hours_since_count_from_the_last_row_with_a_mask(course: list[Observation]) -> None:
    since = np.full((N, 48), NEVER_H)
    for one in course:
        measured = one["ehr_mask"][:, -1] == 1
        since = np.where(measured, 0.0, np.minimum(since + 1.0, NEVER_H))
        np.testing.assert_array_equal(one["ehr_hours_since"][:, -1], since)


def test_the_chart_holds_what_the_monitor_and_the_laboratory_show_and_no_more() -> None:
    charted, shown = observed(charting="complete"), []
    twin = gym.make_vec(ENV, num_envs=N, deaths="expected", autoreset_mode="disabled")
    shown.append(twin.reset(seed=1)[0])
    for step in range(72):
        shown.append(twin.step(actions_at(twin.single_action_space, np.arange(N), step))[0])
    vector = {name: number for number, name in enumerate(make_task(ENV).view.names)}
    monitor = {
        "hr": "heart_rate_per_min",
        "sbp": "systolic_mmhg",
        "map": "map_mmhg",
        "dbp": "diastolic_mmhg",
        "resp": "respiratory_rate_per_min",
    }
    blood = {"crea": "creatinine_mg_per_dl", "bili": "bilirubin_mg_per_dl", "plt": "platelets_per_nl", "wbc": "wbc_per_nl"}
    for hour, (one, row) in enumerate(zip(charted, shown, strict=True)):
        last, mask = one["ehr"][:, -1], one["ehr_mask"][:, -1]

        def agree(name: str, values: np.ndarray, last: np.ndarray = last) -> None:
            column = CHART.columns[AT[name]]
            np.testing.assert_allclose(last[:, AT[name]], np.clip(values, column.low, column.high), rtol=1e-6)

        for name, source in monitor.items():
            assert mask[:, AT[name]].all()
            agree(name, row[:, vector[source]])
        agree("o2sat", 100.0 * row[:, vector["spo2"]])
        assert (mask[:, AT["temp"]] == (hour % 4 == 0)).all()
        assert (mask[:, AT["urine"]] == (hour > 0)).all()
        if hour > 0:
            agree("urine", row[:, vector["urine_ml"]])
        for name in ("lact", "po2", "fio2"):
            assert (mask[:, AT[name]] == (row[:, vector["gas_age_h"]] == 0.0)).all()
        for name in blood:
            assert (mask[:, AT[name]] == (row[:, vector["blood_age_h"]] == 0.0)).all()
        if hour % 4 == 0:
            agree("lact", row[:, vector["lactate_mmol_per_l"]])
            agree("fio2", 100.0 * row[:, vector["fio2"]])
            agree("po2", row[:, vector["pf_ratio_mmhg"]] * row[:, vector["fio2"]])
        if hour % 12 == 0:
            for name, source in blood.items():
                agree(name, row[:, vector[source]])
        given = one["treatment"][:, -1]
        np.testing.assert_array_equal(given[:, 0], row[:, vector["fluid_ml_per_h"]])
        np.testing.assert_array_equal(given[:, 1], row[:, vector["norepinephrine_mcg_per_kg_per_min"]])
        np.testing.assert_allclose(given[:, 2], np.clip(row[:, vector["antibiotics_running_h"]], 0.0, 1.0), atol=1e-6)
        np.testing.assert_array_equal(one["demographics"][:, [0, 3]], row[:, [vector["age_years"], vector["weight_kg"]]])
        np.testing.assert_array_equal(one["time_h"][:, 0], row[:, vector["time_h"]])


@pytest.mark.parametrize("step_hours", [2, 4])
def test_rows_stay_hourly_where_a_step_takes_several(step_hours: int) -> None:
    course = observed(72 // step_hours, step_hours=step_hours, charting="complete")
    for step, (before, now) in enumerate(itertools.pairwise(course), 1):
        assert (now["time_h"] == step * step_hours).all()
        for name in GRIDS:
            np.testing.assert_array_equal(now[name][:, :-step_hours], before[name][:, step_hours:])
        between = slice(-step_hours, -1)
        assert not now["ehr_mask"][:, between].any()
        assert (now["ehr_hours_since"][:, between, AT["hr"]] == np.arange(1.0, step_hours)).all()
        assert (now["ehr_hours_since"][:, -1, AT["hr"]] == 0.0).all()
        assert (now["treatment"][:, -step_hours:] == now["treatment"][:, -1:]).all()  # what runs, runs in every hour of the step


def test_hours_are_left_out_as_often_as_in_real_charts_and_together() -> None:
    seen = observed(n=400)
    masks = np.stack([one["ehr_mask"][:, -1] for one in seen[1:]])
    shares = {"hr": 0.953, "sbp": 0.884, "map": 0.884, "dbp": 0.884, "resp": 0.850, "o2sat": 0.896, "temp": 0.285}
    for name, share in shares.items():
        assert masks[..., AT[name]].mean() == pytest.approx(share, abs=0.008), name  # 28,800 hours: two standard errors are 0.005
    together = np.corrcoef(masks[..., AT["hr"]].ravel(), masks[..., AT["map"]].ravel())[0, 1]
    assert together == pytest.approx(0.54, abs=0.1)
    np.testing.assert_array_equal(masks[..., AT["sbp"]], masks[..., AT["map"]])


def test_gaps_in_the_chart_change_neither_patients_nor_what_is_written() -> None:
    for usual, complete in zip(observed(30), observed(30, charting="complete"), strict=True):
        assert (usual["ehr_mask"] <= complete["ehr_mask"])[..., [AT[name] for name in CHART.produced if name != "temp"]].all()
        both = (usual["ehr_mask"] == 1) & (complete["ehr_mask"] == 1)
        np.testing.assert_array_equal(usual["ehr"][both], complete["ehr"][both])


# The window by itself

SMALL = Chart(
    columns=(Column("a", "", 10.0, 20.0), Column("b", "", 0.0, 1.0), Column("c", "", -5.0, 5.0)),
    produced=("c", "a"),
    treatments=(Column("dose", "mg", 0.0, 9.0),),
    statics=(Column("age", "years", 0.0, 100.0),),
    known=(),
    longest_h=1000.0,
    hours=6,
)


def test_values_are_clipped_to_the_columns_valid_range() -> None:
    window = ChartWindow(SMALL, 2, 1.0)
    seen = np.array([[0.0, -9.0, 3.0, 1.0, 1.0, 0.0], [0.0, 9.0, 30.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    window.begin(np.array([True, True]), seen)
    np.testing.assert_array_equal(window.observation(seen)["ehr"][:, -1], [[10.0, 0.0, -5.0], [0.0, 0.0, 5.0]])


@pytest.mark.parametrize("hours_a_step", [1, 2, 4, 5, 6])
def test_a_window_over_many_days_is_the_end_of_the_whole_record(hours_a_step: int) -> None:
    draws = np.random.default_rng(0)
    window = ChartWindow(SMALL, 3, float(hours_a_step))
    record = {name: [] for name in ("values", "mask", "since", "dose")}  # type: ignore[var-annotated]
    since = np.full((3, 3), NEVER_H)
    seen = np.zeros((3, 6), dtype=np.float32)
    window.begin(np.ones(3, dtype=np.bool_), seen)
    for _ in range(6):
        record["values"].append(np.zeros((3, 3))), record["mask"].append(np.zeros((3, 3)))
        record["since"].append(since), record["dose"].append(np.zeros((3, 1)))
    for step in range(1, 60):
        flags = draws.random((3, 2)) < (0.02 if step < 40 else 0.5)
        seen = np.concatenate([np.full((3, 1), step), draws.uniform(1.0, 15.0, (3, 2)), flags, draws.random((3, 1))], axis=1).astype(
            np.float32
        )
        window.add(seen)
        for row in range(hours_a_step):
            mask, values = np.zeros((3, 3)), np.zeros((3, 3))
            since = np.minimum(since + 1.0, NEVER_H)
            if row == hours_a_step - 1:
                mask[:, [2, 0]] = flags
                values[:, [2, 0]] = np.clip(seen[:, 1:3], [-5.0, 10.0], [5.0, 20.0]) * flags
                since = np.where(mask == 1, 0.0, since)
            record["values"].append(values), record["mask"].append(mask)
            record["since"].append(since), record["dose"].append(seen[:, 5:6])
        found = window.observation(seen)
        for name, kept in (("ehr", "values"), ("ehr_mask", "mask"), ("ehr_hours_since", "since"), ("treatment", "dose")):
            np.testing.assert_array_equal(found[name], np.stack(record[kept][-6:], axis=1))
    assert (np.stack(record["since"]) == NEVER_H).any()


@pytest.mark.parametrize("step_h", [0.5, 1.5, 7.0])
def test_a_step_that_is_not_of_whole_hours_or_longer_than_the_window_has_no_chart(step_h: float) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 6 whole hours, not {step_h:g}"):
        ChartWindow(SMALL, 1, step_h)


# The shells


@pytest.mark.parametrize("options", [{}, {"step_hours": 2}, {"step_hours": 4, "charting": "complete"}, {"action": "continuous"}])
def test_a_slot_is_the_same_to_the_bit_alone_and_in_a_batch(options: Options) -> None:
    options = {"observation": "ehr", **options}
    together = play_batch(ENV, options, 100, N)
    for slot in range(N):
        assert equal_to_the_bit(patient_of(together, slot), play_one(ENV, options, 100, slot=slot))
    assert together["terminated"].any(axis=0).all()


def batch_of(mode: str, **options: Any) -> Any:
    return gym.make_vec(ENV, num_envs=N, observation="ehr", autoreset_mode=mode, **options).unwrapped


def hard(step: int) -> np.ndarray:
    """No fluid and no norepinephrine for most: many die early."""
    return np.where(np.arange(N) % 3 == 0, step % 25, 0)


def test_the_last_chart_of_an_episode_is_not_lost_and_the_next_begins_empty() -> None:
    same, disabled = batch_of("same_step"), batch_of("disabled")
    same.reset(seed=3)
    disabled.reset(seed=3)
    found: dict[int, Observation] = {}
    for step in range(72):
        now, _, terminated, truncated, info = same.step(hard(step))
        disabled.step_running(hard(step))
        truth = disabled.observations()
        ended = terminated | truncated
        for k in np.flatnonzero(ended):
            if int(k) not in found:
                found[int(k)] = {name: array[k] for name, array in truth.items()}
                for name, array in truth.items():
                    np.testing.assert_array_equal(info["final_obs"][name][k], array[k])
            assert now["time_h"][k] == 0.0
            assert not now["ehr_mask"][k, :-1].any()
            assert not now["treatment"][k].any()
    assert len(found) == N
    assert len({float(one["time_h"][0]) for one in found.values()}) > 2
    for k, one in found.items():  # who has died stands still, whatever happens to the others
        for name, array in disabled.observations().items():
            np.testing.assert_array_equal(array[k], one[name])


def test_next_step_begins_the_next_chart_in_the_step_after_the_end() -> None:
    env = batch_of("next_step")
    env.reset(seed=3)
    before = np.zeros(N, dtype=np.bool_)
    begun = 0
    for step in range(80):
        now, _, terminated, truncated, _ = env.step(hard(step))
        assert (now["time_h"][:, 0] == 0.0).tolist() == before.tolist()
        assert not now["ehr_mask"][before, :-1].any()
        assert not now["ehr"][before, :-1].any()
        begun, before = begun + int(before.sum()), terminated | truncated
    assert begun >= N


def test_a_masked_reset_leaves_the_charts_of_the_others_as_they_are() -> None:
    env = batch_of("disabled")
    env.reset(seed=3)
    for step in range(30):
        env.step_running(hard(step))
    before = env.observations()
    mask = np.arange(N) % 2 == 0
    now, _ = env.reset(options={"reset_mask": mask})
    for name, array in now.items():
        np.testing.assert_array_equal(array[~mask], before[name][~mask])
    assert not now["ehr_mask"][mask, :-1].any()


@pytest.mark.parametrize("kind", ["snapshot", "pickle", "deepcopy"])
@pytest.mark.parametrize("hours_before", [5, 30])
def test_a_copy_goes_on_to_the_same_charts(kind: str, hours_before: int) -> None:
    env = batch_of("same_step")
    env.reset(seed=3)
    for step in range(hours_before):
        env.step(hard(step))
    if kind == "snapshot":
        other, kept = batch_of("same_step"), env.snapshot()
        other.reset(seed=9)
        other.step(hard(0))
        other.restore(kept)
    else:
        other = pickle.loads(pickle.dumps(env)) if kind == "pickle" else copy.deepcopy(env)
    for step in range(hours_before, hours_before + 50):
        ours, theirs = env.step(hard(step)), other.step(hard(step))
        assert flat(ours[0], batch=True).tobytes() == flat(theirs[0], batch=True).tobytes()
    assert not any(np.shares_memory(a, b) for _, a in arrays_in(ours) for _, b in arrays_in(theirs))


def test_one_environment_can_be_pickled_in_mid_course() -> None:
    env = gym.make(ENV, observation="ehr", deaths="expected").unwrapped
    env.reset(seed=3)
    for _ in range(30):
        env.step(7)
    other = pickle.loads(pickle.dumps(env))
    for _ in range(5):
        assert flat(env.step(7)[0]).tobytes() == flat(other.step(7)[0]).tobytes()


def test_a_chart_becomes_a_table_of_hours_with_gaps() -> None:
    env = batch_of("disabled", deaths="expected")
    env.reset(seed=3)
    for step in range(5):
        env.step_running(np.full(N, 7 + step))
    seen = env.observations()
    table = CHART.long_table(seen)
    assert list(table.columns) == ["stay_id", "time", *CHART.names]
    assert len(table) == N * 6
    third = table[table.stay_id == 2]
    assert (third.time.dt.total_seconds() / 3600).tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(third["lact"].isna(), [False, True, True, True, False, True])
    np.testing.assert_array_equal(third["lact"].iloc[4], seen["ehr"][2, -2, AT["lact"]])
    assert table["alb"].isna().all()
    alone = CHART.long_table({name: array[2] for name, array in seen.items()})
    np.testing.assert_array_equal(alone[list(CHART.names)], third[list(CHART.names)])


def test_a_policy_that_reads_numbers_by_name_says_that_it_cannot_read_charts() -> None:
    with pytest.raises(ValueError, match="choose observation='vector'"):
        NamedColumns(batch_of("disabled"))
