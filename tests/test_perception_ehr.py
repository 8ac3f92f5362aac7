"""Charts as tables, tensors, labels and networks."""

import builtins
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from medsim.core.charts import NEVER_H  # noqa: E402
from medsim.treatments.sepsis.chart import SEPSIS_CHART  # noqa: E402
from medsim.treatments.sepsis.environment import SepsisVectorEnv  # noqa: E402
from medsim_perception.ehr import multitask  # noqa: E402
from medsim_perception.ehr.codes import CodeEmbedding, Vocabulary, bags  # noqa: E402
from medsim_perception.ehr.encoder import TARGETS, ChartEncoder  # noqa: E402
from medsim_perception.ehr.labels import dies_within, happens_within, last_value_within, shock_hours  # noqa: E402
from medsim_perception.ehr.meds import from_events, read_meds, read_yaib, to_events, write_meds, write_yaib  # noqa: E402
from medsim_perception.ehr.nets import CORES, Attention, make_net  # noqa: E402
from medsim_perception.ehr.simulated import WINDOW_H, observations, simulate  # noqa: E402
from medsim_perception.ehr.standardise import Standardiser, carried_forward  # noqa: E402
from medsim_perception.ehr.tables import TableError, from_long_tables, hours_since_measured, to_long_tables  # noqa: E402

ARRAYS = ("values", "mask", "hours_since", "statics", "stay_ids", "first_h")
HEADS = {"mortality": 1, "shock": 1, "creatinine": 1}


def table(**changes):
    """Two stays of three hours."""
    columns = {
        "stay_id": [7, 7, 7, 3, 3, 3],
        "time": pd.to_timedelta([0, 1, 2, 0, 1, 2], unit="h"),
        "hr": [80.0, np.nan, 90.0, 70.0, 71.0, 72.0],
        "map": [np.nan, 65.0, np.nan, np.nan, np.nan, 60.0],
        **changes,
    }
    return pd.DataFrame(columns)


def statics():
    return pd.DataFrame(
        {"stay_id": [3, 7], "age": [50.0, np.nan], "sex": ["Female", "Male"], "height": [160.0, 180.0], "weight": [60.0, 80.0]}
    )


@pytest.fixture(scope="module")
def courses():
    return simulate(24, 5, lungs="varied")


def random_inputs(n=4, hours=6, columns=5, seed=0):
    rng = np.random.default_rng(seed)
    mask = (rng.random((n, hours, columns)) < 0.4).astype(np.float32)
    values = (rng.standard_normal((n, hours, columns)) * mask).astype(np.float32)
    known = np.array([[1.0, np.nan], [0.5, 2.0]] * (n // 2), np.float32)
    return tuple(torch.from_numpy(x) for x in (values, mask, hours_since_measured(mask), known))


# tables


def test_a_long_table_becomes_values_mask_and_ages_in_the_order_of_its_stays():
    charts = from_long_tables(table(), statics())
    hr, pressure = charts.columns.index("hr"), charts.columns.index("map")
    assert charts.stay_ids.tolist() == [7, 3]
    assert charts.values[0, :, hr].tolist() == [80.0, 0.0, 90.0]
    assert charts.mask[0, :, hr].tolist() == [1, 0, 1]
    assert charts.hours_since[0, :, hr].tolist() == [0, 1, 0]
    assert charts.hours_since[0, :, pressure].tolist() == [NEVER_H, 0, 1]
    assert np.array_equal(charts.statics, [[np.nan, 1, 180, 80], [50, 0, 160, 60]], equal_nan=True)


def test_a_window_takes_the_last_hours_and_leaves_short_stays_empty_in_front():
    charts = from_long_tables(table().drop(index=3), hours=2)
    assert charts.values[0, :, charts.columns.index("hr")].tolist() == [0.0, 90.0]
    assert charts.first_h.tolist() == [1, 1]
    charts = from_long_tables(table().drop(index=[3, 4]), hours=4)
    assert charts.mask[1].sum(axis=1).tolist() == [0, 0, 0, 2]
    assert charts.first_h.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (table().iloc[:0], "is empty"),
        (table(pulse=1.0), "unknown column 'pulse'"),
        (table().drop(columns="time"), "lacks the column 'time'"),
        (table(time=pd.to_timedelta([0, 1, 1, 0, 1, 2], unit="h")), "stay 7, row 2: hour 1 stands twice"),
        (table(time=pd.to_timedelta([0, 2, 1, 0, 1, 2], unit="h")), "stay 7, row 2: hour 1 stands after hour 2"),
        (table(time=pd.to_timedelta([0, 30, 90, 0, 60, 120], unit="m")), r"row 1 \(stay 7\): time must be a whole number of hours"),
        (table(hr=["80", "x", "90", "70", "71", "72"]), r"column 'hr', row 1 \(stay 7\): 'x' is not a finite number"),
        (table(hr=[80, 1, 90, 70, np.inf, 72]), r"column 'hr', row 4 \(stay 3\): .*inf.* is not a finite number"),
        (table(hr=[80, 1, 90, np.nan, np.nan, np.nan], map=[np.nan] * 6), "stay 3 has no measurement in its window"),
    ],
)
def test_a_bad_table_is_refused_by_column_row_and_stay(broken, words):
    with pytest.raises(TableError, match=words):
        from_long_tables(broken)


def test_stays_that_are_whole_are_kept_beside_those_that_are_not():
    with pytest.raises(TableError) as caught:
        from_long_tables(table(time=pd.to_timedelta([0, 1, 1, 0, 1, 2], unit="h")), statics())
    assert caught.value.partial is not None
    assert caught.value.partial.stay_ids.tolist() == [3]
    assert caught.value.partial.values[0, :, caught.value.partial.columns.index("hr")].tolist() == [70.0, 71.0, 72.0]


def test_bad_statics_are_refused_by_column_and_stay():
    with pytest.raises(TableError, match="column 'sex', stay 3: must be Male or Female, not 'F'"):
        from_long_tables(table(), statics().assign(sex=["F", "Male"]))
    with pytest.raises(TableError, match="stay 3 stands twice"):
        from_long_tables(table(), pd.concat([statics(), statics()]))


def test_simulated_charts_are_read_as_real_ones_are():
    env = SepsisVectorEnv(num_envs=3, observation="ehr")
    env.reset(seed=4)
    for _ in range(5):
        seen = env.step(env.action_space.sample())[0]
    charts = from_long_tables(SEPSIS_CHART.long_table(seen), hours=WINDOW_H)
    assert np.array_equal(charts.values, seen["ehr"])
    assert np.array_equal(charts.mask, seen["ehr_mask"])
    assert np.array_equal(charts.hours_since, seen["ehr_hours_since"])


@pytest.mark.parametrize("kind", ["meds", "yaib", "frames"])
def test_charts_come_back_equal_from_files(kind, tmp_path: Path):
    charts = from_long_tables(table().drop(index=3), statics(), hours=4)
    if kind == "frames":
        back = from_long_tables(*to_long_tables(charts), hours=4)
    else:
        pytest.importorskip("pyarrow")
        if kind == "meds":
            write_meds(charts, tmp_path / "events.parquet")
            back = read_meds(tmp_path / "events.parquet")
        else:
            write_yaib(charts, tmp_path)
            back = read_yaib(tmp_path, hours=4)
    if kind == "meds":  # events are sorted by subject
        charts = charts.select(np.argsort(charts.stay_ids))
    for name in ARRAYS:
        assert np.array_equal(getattr(charts, name), getattr(back, name), equal_nan=True), name


def test_files_are_written_whole_or_the_old_ones_stay(tmp_path: Path, monkeypatch):
    pytest.importorskip("pyarrow")
    charts = from_long_tables(table(), statics())
    write_meds(charts, tmp_path / "events.parquet")
    write_yaib(charts, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"events.parquet", "dyn.parquet", "sta.parquet"}

    def disk_full(descriptor):
        raise OSError("no space left on the device")

    monkeypatch.setattr(os, "fsync", disk_full)
    for write, place in ((write_meds, tmp_path / "events.parquet"), (write_yaib, tmp_path)):
        with pytest.raises(OSError, match="no space left"):
            write(charts.select([0]), place)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_meds_events_are_sorted_and_faults_named_by_row():
    events = to_events(from_long_tables(table(), statics()))
    assert list(events.columns) == ["subject_id", "time", "code", "numeric_value"]
    assert events.groupby("subject_id")["time"].apply(lambda t: t.dropna().is_monotonic_increasing).all()
    assert events["subject_id"].drop_duplicates().tolist() == [3, 7]  # the chart has them the other way round
    order = np.lexsort((events["time"].fillna(pd.Timestamp(0)), events["subject_id"]))
    assert order.tolist() == list(range(len(events)))
    assert from_events(events).stay_ids.tolist() == [3, 7]
    odd = events.copy()
    odd.loc[6, "code"] = "pulse//beats"
    with pytest.raises(TableError, match=r"row 6 .*unknown code.*'pulse//beats'"):
        from_events(odd)
    with pytest.raises(TableError, match="lack the column 'code'"):
        from_events(events.drop(columns="code"))
    with pytest.raises(TableError, match="empty"):
        from_events(events.iloc[:0])


def test_a_damaged_file_is_named_and_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch):
    pytest.importorskip("pyarrow")
    (tmp_path / "events.parquet").write_bytes(b"PAR1 truncated")
    with pytest.raises(TableError, match=r"events\.parquet"):
        read_meds(tmp_path / "events.parquet")
    usual = builtins.__import__

    def without_pyarrow(name, *rest):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'medsim\[tables\]'"):
        read_meds(tmp_path / "events.parquet")


def test_the_real_demo_makes_a_round_trip_through_meds(tmp_path: Path):
    if not os.environ.get("MEDSIM_DATA"):
        pytest.skip("the eICU demo: MEDSIM_DATA is not set")
    pytest.importorskip("pyarrow")
    from medsim_perception.real_data import icu_demo

    tables = icu_demo("mortality24")
    charts = from_long_tables(tables.dynamic, tables.static)
    assert charts.values.shape == (1367, 25, 48)
    assert int(tables.outcome["label"].sum()) == 70
    some = charts.select(slice(0, 60))
    some = some.select(np.argsort(some.stay_ids))
    write_meds(some, tmp_path / "demo.parquet")
    back = read_meds(tmp_path / "demo.parquet")
    assert all(np.array_equal(getattr(some, name), getattr(back, name), equal_nan=True) for name in ARRAYS)


# labels


def test_labels_are_made_of_hours_after_the_window_alone():
    rng = np.random.default_rng(0)
    events, values, last = rng.random((50, 40)) < 0.1, rng.random((50, 40)), np.full(50, 23)
    before = events.copy(), values.copy()
    before[0][:, :24] = ~before[0][:, :24]
    before[1][:, :24] = np.nan
    end = np.full(50, 39)
    assert np.array_equal(happens_within(events, last, end, 6), happens_within(before[0], last, end, 6))
    assert np.array_equal(last_value_within(values, last, 6), last_value_within(before[1], last, 6))
    at_the_edges = np.zeros((4, 40), bool)
    at_the_edges[[0, 1, 2, 3], [23, 24, 29, 30]] = True
    assert happens_within(at_the_edges, last[:4], end[:4], 6).tolist() == [0, 1, 1, 0]


def test_who_leaves_before_the_horizon_without_the_event_has_no_label():
    events = np.zeros((3, 40), bool)
    events[1, 25] = True
    assert np.array_equal(happens_within(events, [23] * 3, [26, 26, 39], 6), [np.nan, 1, 0], equal_nan=True)
    assert np.isnan(last_value_within(np.full((1, 40), np.nan), [23], 6)).all()
    with pytest.raises(ValueError, match="stay in row 1 died at hour 3"):
        dies_within([np.inf, 3.0], [5, 5])
    assert dies_within([6.0, 20.0, np.inf], [5, 5, 5], 6).tolist() == [1, 0, 0]


def test_shock_is_low_pressure_or_lactate_under_norepinephrine():
    nan = np.nan
    pressure, lactate = [[70, 60, nan, 70, 70, 70, 70]], [[3.0, nan, nan, nan, nan, nan, 3.0]]
    assert shock_hours(pressure, lactate, [[0.1, 0, 0.1, 0.1, 0.1, 0.1, 0]]).tolist() == [[True, True, True, True, False, False, False]]
    assert shock_hours(pressure, lactate).tolist() == [[False, True, False, False, False, False, False]]


def test_what_is_seen_does_not_depend_on_what_comes_after_the_window(courses):
    later = {name: getattr(courses, name).copy() for name in ("values", "mask", "hours_since", "treatment")}
    for array in later.values():
        array[:, 31:] = 1
    changed = type(courses)(**{**vars(courses), **later})
    who = np.flatnonzero(courses.last_h >= 30)
    first, second = (observations(one, who, np.full(len(who), 30)) for one in (courses, changed))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not any(name in first for name in ("state", "hidden", "died_h"))


# simulated patients


def test_windows_of_courses_are_the_observations_of_the_environment():
    course = simulate(6, 8, arms={"no-treatment": 1.0})
    env = SepsisVectorEnv(num_envs=6, observation="ehr", action="continuous", autoreset_mode="disabled")
    env.reset(seed=8)
    for hour in range(1, 31):
        env.step_running(np.zeros((6, 2)))
        alive = np.flatnonzero(course.last_h >= hour)
        seen, cut = env.observations(), observations(course, alive, np.full(len(alive), hour))
        if hour in (1, 10, 30):
            assert alive.size
            for name in cut:
                assert np.allclose(seen[name][alive], cut[name]), (hour, name)


@pytest.mark.parametrize("options", [{"norepinephrine": "nurses", "step_hours": 4}, {"antibiotics": "agent"}, {"step_hours": 2}])
def test_every_kind_of_environment_gives_courses_with_a_state_at_the_end_of_each_step(options):
    courses = simulate(12, 3, lungs="varied", **options)
    there = ~np.isnan(courses.hidden[..., 0])
    step = options.get("step_hours", 1)
    for patient, last in enumerate(courses.last_h):
        assert np.flatnonzero(there[patient]).tolist() == list(range(0, last + 1, step))
    assert (courses.treatment[..., :2].max(axis=(0, 1)) > 0).all()


def test_patients_come_in_parts_and_training_and_test_patients_are_other_people():
    whole, part = simulate(8, 3, arms={"no-treatment": 1.0}), simulate(3, 3, arms={"no-treatment": 1.0}, first_patient=5)
    assert np.array_equal(whole.values[5:], part.values)
    assert np.array_equal(whole.demographics[5:], part.demographics)
    test = simulate(8, 3, cohort="test", arms={"no-treatment": 1.0})
    people = [{tuple(row) for row in one.demographics.tolist()} for one in (whole, test)]
    assert len(people[0]) == 8
    assert people[0].isdisjoint(people[1])
    assert (
        multitask.cohort.__wrapped__(5, multitask.TRAIN_SEED, "train").courses.key
        != multitask.cohort.__wrapped__(5, multitask.TEST_SEED, "test").courses.key
    )
    with pytest.raises(ValueError, match="arms among"):
        simulate(2, 3, arms={"homeopathy": 1.0})


# networks


def test_standardisation_knows_measured_cells_of_training_stays_alone():
    values, mask = (
        torch.tensor([[[70.0, 1.0], [0.0, 1.0]], [[90.0, 0.0], [0.0, 0.0]]]),
        torch.tensor([[[1.0, 0], [0, 0]], [[1.0, 0], [0, 0]]]),
    )
    scale = Standardiser(("map", "lact")).fit(values, mask)
    assert scale.centre.tolist() == [80.0, 0.0]
    assert scale.spread.tolist() == [10.0, 1.0]
    assert scale(torch.tensor([90.0, 1.0]))[0] == 1.0
    assert scale(torch.tensor([1e9, 1.0]))[0] == 5.0


def test_values_are_carried_forward_from_the_last_measurement():
    mask = torch.tensor([0.0, 1, 0, 1, 0])[None, :, None]
    values = torch.tensor([0.0, 3, 0, 5, 0])[None, :, None]
    assert carried_forward(values, mask).flatten().tolist() == [0, 3, 3, 5, 5]


@pytest.mark.parametrize("core", CORES)
def test_every_network_answers_by_head_and_each_patient_alone(core):
    torch.manual_seed(0)
    net = make_net(core, [f"c{i}" for i in range(5)], ["age", "weight"], HEADS, width=16, dropout=0.3, column_dropout=0.3).eval()
    inputs = random_inputs()
    out = net(*inputs)
    assert {name: tuple(part.shape) for name, part in out.items()} == dict.fromkeys(HEADS, (4, 1))
    alone = net(*(part[1:2] for part in inputs))
    assert torch.allclose(out["mortality"][1:2], alone["mortality"], atol=1e-5)
    assert net.encode(*inputs).shape == (4, 16)
    hidden = (inputs[0] + 7.0 * (1 - inputs[1]), *inputs[1:])  # what was not measured cannot matter
    assert torch.allclose(net(*hidden)["shock"], out["shock"], atol=1e-5)
    with pytest.raises(ValueError, match="shape"):
        net(inputs[0][..., :4], *inputs[1:])
    assert not any(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in net.modules())
    with pytest.raises(ValueError, match="core must be one of"):
        make_net("mamba", ["a"], ["age"], HEADS)


def test_attention_sums_to_one_and_contributions_to_the_state():
    torch.manual_seed(0)
    net = make_net("retain", [f"c{i}" for i in range(5)], ["age", "weight"], HEADS, width=16).eval()
    assert isinstance(net, Attention)
    inputs = random_inputs()
    assert torch.allclose(net.attention(*inputs).sum(1), torch.ones(4), atol=1e-5)
    whole = net.norm(net.contributions(*inputs).sum((1, 2)) + net._statics(inputs[3]))
    assert torch.allclose(whole, net.encode(*inputs), atol=1e-4)


def test_codes_fade_with_time_and_the_future_is_left_out():
    vocabulary = Vocabulary(["sepsis", "sepsis", "copd"])
    torch.manual_seed(0)
    net = CodeEmbedding(vocabulary, 4)
    stays = [[("sepsis", 0.0), ("copd", 5.0)], [], [("unheard-of", 1.0), ("sepsis", 99.0)]]
    events = bags(stays, vocabulary, 10.0)
    out = net(events)
    assert events.codes.tolist() == [1, 2, 0]
    assert out.shape == (3, 4)
    assert (out[1] == 0).all()
    older = net(events._replace(hours_ago=events.hours_ago + 168.0))
    assert torch.allclose(older, out * np.exp(-1.0), atol=1e-5)
    with pytest.raises(ValueError, match="future"):
        net(events._replace(hours_ago=-events.hours_ago))


# the encoder of charts


def test_the_encoder_reads_one_observation_as_it_reads_a_batch(courses):
    torch.manual_seed(0)
    encoder = ChartEncoder(width=16).eval()
    who = np.flatnonzero(courses.last_h >= 10)[:3]
    seen = observations(courses, who, np.full(len(who), 10))
    many = encoder.from_observation(seen)
    one = encoder.from_observation({name: array[1] for name, array in seen.items()})
    assert many.mean.shape == (3, len(TARGETS))
    assert one.sd.shape == (len(TARGETS),)
    assert (many.sd > 0).all()
    assert torch.allclose(many.mean[1], one.mean, atol=1e-5)
    with pytest.raises(ValueError, match="lacks treatment"):
        encoder.from_observation({name: array for name, array in seen.items() if name != "treatment"})
    with pytest.raises(ValueError, match=r"ehr must have the shape \(3, 24, 48\)"):
        encoder.from_observation({**seen, "ehr": seen["ehr"][:, :12]})
    broken = seen["ehr"].copy()
    broken[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"ehr must be finite, and is nan at \[1, 2, 3\]"):
        encoder.from_observation({**seen, "ehr": broken})


def test_a_short_training_finds_the_hidden_state_of_new_patients():
    learner = multitask.begin(0, torch.device("cpu"), width=24, patients=120, steps=150)
    learner.batch_size = 64
    losses = [learner.step() for _ in range(150)]
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 1.0
    test = multitask.cohort(60, multitask.TEST_SEED, "test")
    who = np.arange(60)
    seen, asked = test.batch(who, multitask.asked_hours(test.courses, who, np.random.default_rng(0)))
    estimate = learner.model.from_observation(seen).mean.numpy()
    sofa = TARGETS.index("sofa")
    assert np.corrcoef(estimate[:, sofa], asked["state"][:, sofa])[0, 1] > 0.6
