"""The leaderboard's records, its rows by hand, its text and JSON. Every policy and figure is made up."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from medsim_agents.leaderboard import (
    leaderboard,
    load_records,
    validate_record,
    write_record,
)
from medsim_agents.leaderboard.table import duration, figure

RECORD = json.loads((Path(__file__).parent / "reference" / "fictional_record.json").read_text())
SCORES = RECORD["result"]["normalised"]


def record(policy="fictional_heron", seed=0, role="agent", normalised=SCORES, cost=None, **job):
    """The small valid record with other figures: returns are ten times the score, everybody goes home."""
    made, n = copy.deepcopy(RECORD), len(normalised)
    kind = "agent" if role == "agent" else "reference"
    made["role"] = role
    made["job"] |= {"policy": policy, "seed": seed, "kind": kind, "id": f"{seed:016x}", **job}
    made["job"]["evaluation"]["patients"] = n
    costs = [0.0] * n if cost is None else cost
    made["result"] |= {
        "returns": [10.0 * value for value in normalised],
        "normalised": [float(value) for value in normalised],
        "costs": {"overdose": costs},
        "cost": costs,
        "outcomes": {"home": n},
        "metrics": {"time_in_range": [0.5] * n},
    }
    return made


# Records


def test_a_record_comes_back_as_it_was_written(tmp_path):
    path = write_record(record(), tmp_path / "new" / "folder")
    assert path.name == record()["job"]["id"] + ".json"
    assert load_records(path.parent) == [record()]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_records_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_record(record(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_record({**record(), "commit": "1" * 40}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def changed(path, value):
    """A valid record with one field set, or removed where `value` is KeyError."""
    made = copy.deepcopy(record())
    *parents, last = path.split(".")
    inner = made
    for name in parents:
        inner = inner[name]
    if value is KeyError:
        del inner[last]
    else:
        inner[last] = value
    return made


POINT = {"step": 5, "return_mean": 0.0, "cost_mean": 0.0, "wall_s": 0.0}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema", 2, r"record: schema is 2; allowed: 1"),
        ("schema", True, r"record: schema is True"),
        ("surprise", 1, r"record: surprise is unknown; allowed: schema, job"),
        ("job.surprise", 1, r"record: job.surprise is unknown"),
        ("commit", KeyError, r"record: commit is missing"),
        ("job.evaluation.cohort", KeyError, r"record: job.evaluation.cohort is missing"),
        ("job.id", "not hex", r"record: job.id is 'not hex'; allowed: 16 hex digits"),
        ("job.kind", "robot", r"record: job.kind is 'robot'; allowed: one of agent, reference"),
        ("job.kind", "reference", r"record: role is 'agent'; allowed: floor"),
        ("job.seed", -1, r"record: job.seed is -1; allowed: a whole number, 0 or more"),
        ("job.settings", [], r"record: job.settings is \[\]; allowed: an object"),
        ("role", "hero", r"record: role is 'hero'; allowed: one of floor"),
        ("command", " ", r"record: command is ' '; allowed: a text"),
        ("hardware.gpu", 1, r"record: hardware.gpu is 1; allowed: a text or null"),
        (
            "result.normalised",
            [0.0, float("nan"), 0, 0],
            r"record: result.normalised\[1\] is nan; allowed: a finite",
        ),
        ("result.returns", [0.0, None, 0, 0], r"record: result.returns\[1\] is None"),
        ("result.returns", [0.0, 1.0], r"record: result.returns is 2 figures; allowed: 4, one a patient"),
        ("result.metrics.time_in_range", [], r"record: result.metrics.time_in_range is 0 figures"),
        (
            "result.costs.overdose",
            [-1.0, 0, 0, 0],
            r"record: result.costs.overdose\[0\] is -1.0; allowed: .* 0 or more",
        ),
        ("result.cost", [1.0, 0, 0, 0], r"record: result.cost\[0\] is 1.0; allowed: 0.0, the sum"),
        ("result.outcomes", {"home": 3}, r"record: result.outcomes is 3 patients in all; allowed: 4"),
        (
            "learning_curve",
            [POINT, POINT],
            r"record: learning_curve is at steps \[5, 5\]; allowed: steps that increase",
        ),
        ("learning_curve", [{**POINT, "loss": 0.0}], r"record: learning_curve\[0\].loss is unknown"),
    ],
)
def test_a_bad_record_is_refused_by_the_name_of_its_field(path, value, said):
    with pytest.raises(ValueError, match=said):
        validate_record(changed(path, value))


def test_a_reference_policy_does_not_learn():
    with pytest.raises(ValueError, match="does not learn"):
        validate_record(record(role="protocol") | {"learning_curve": [POINT]})


def test_a_bad_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_records(tmp_path / "nowhere")
    path = write_record(record(), tmp_path)
    moved = path.rename(tmp_path / "0123456789abcdef.json")
    with pytest.raises(ValueError, match=r"0123456789abcdef\.json: job\.id is"):
        load_records(tmp_path)
    moved.write_text('{"schema": 1,')
    with pytest.raises(ValueError, match=r"0123456789abcdef\.json is not JSON"):
        load_records(tmp_path)
    moved.write_text(json.dumps(changed("result.normalised", [0.0, 0.5, 1.0, float("nan")])))
    with pytest.raises(ValueError, match=r"0123456789abcdef.json: result.normalised\[3\] is nan"):
        load_records(tmp_path)


# Rows, by hand


def test_the_score_is_the_interquartile_mean_over_seeds_and_patients():
    [row] = leaderboard([record(seed=0), record(seed=1, normalised=[0.5, 0.5, 0.5, -9.0])])
    assert row.score.value == 0.5  # of -9 0 .5 .5 .5 .5 1 5 the middle four
    assert (row.seeds, row.statistic) == (2, "interquartile mean")
    assert row.mean_return.value == pytest.approx(10 * np.mean([0, 0.5, 1, 5, 0.5, 0.5, 0.5, -9]))


def test_the_score_is_the_mean_where_patients_live_or_die():
    some, many = [0.0] * 8 + [1.0] * 32, [0.0] * 4 + [1.0] * 36
    rows = leaderboard([record(policy="calm_otter", normalised=some), record(policy="swift_egret", normalised=many)])
    assert [(row.policy, row.statistic) for row in rows] == [("swift_egret", "mean"), ("calm_otter", "mean")]
    assert [row.score.value for row in rows] == pytest.approx([0.9, 0.8])


def test_figures_that_do_not_vary_have_intervals_of_no_width():
    [row] = leaderboard([record(seed=k, normalised=[0.5] * 4, cost=[2] * 4) for k in range(3)])
    for estimate in (row.score, row.mean_return, row.cost, row.costs["overdose"]):
        assert estimate.low == estimate.value == estimate.high
    assert row.cost.value == 2
    assert row.metrics == {"time_in_range": 0.5}


def test_an_interval_reflects_seeds_as_well_as_patients():
    [same_patients] = leaderboard([record(seed=k, normalised=[level] * 4) for k, level in enumerate((0.2, 0.5, 0.8))])
    [same_seeds] = leaderboard([record(seed=k, normalised=[0.2, 0.4, 0.6, 0.8]) for k in range(3)])
    assert same_patients.score.high - same_patients.score.low > 0.3
    assert same_seeds.score.high - same_seeds.score.low > 0.2


def test_outcomes_are_shares_of_all_patients_with_zero_for_what_only_others_met():
    lost = record("fictional_moth", normalised=[0] * 4)
    lost["result"]["outcomes"] = {"home": 1, "died": 3}
    saved, mixed = leaderboard(
        [
            record("fictional_heron", normalised=[1] * 4),
            lost,
        ]
    )
    assert saved.outcomes == {"died": 0.0, "home": 1.0}
    assert mixed.outcomes == {"died": 0.75, "home": 0.25}


def test_verdicts_follow_from_paired_differences():
    patients = np.random.default_rng(0).normal(0, 10, 50)  # patients differ far more than policies do
    rows = leaderboard(
        [
            record("random", role="floor", normalised=patients),
            record("protocol", role="protocol", normalised=patients + 1, cost=[1.0] * 50),
            record("fictional_heron", normalised=patients + 2, cost=[0.5] * 50),
            record("fictional_otter", normalised=patients + 1, cost=[2.0] * 50),
            record("fictional_moth", normalised=patients - 1, cost=[1.0] * 50),
        ]
    )
    said = {row.policy: (row.against_floor, row.against_protocol, row.harm_against_protocol) for row in rows}
    assert said == {
        "fictional_heron": ("better", "better", "less harm"),
        "fictional_otter": ("better", "cannot be told apart", "more harm"),
        "protocol": ("better", None, None),
        "random": (None, "worse", "less harm"),
        "fictional_moth": ("worse", "worse", "cannot be told apart"),
    }
    assert {row.policy: row.group for row in rows} == {
        "fictional_heron": "a",
        "fictional_otter": "b",
        "protocol": "b",
        "random": "c",
        "fictional_moth": "d",
    }
    assert {row.policy: row.ranks for row in rows}["protocol"] == (2, 3)


def test_the_probability_of_improvement_is_the_share_of_patients_better_off():
    rows = leaderboard(
        [
            record("protocol", role="protocol", normalised=[0, 0, 0, 0]),
            record("fictional_heron", normalised=[1, 1, 0, -1]),
        ]
    )
    improvement = {row.policy: row.improvement_over_protocol for row in rows}
    assert improvement["protocol"] is None
    assert improvement["fictional_heron"].value == 0.625


def test_a_board_without_floor_or_protocol_gives_no_verdict():
    [row] = leaderboard([record()])
    assert row.against_floor is row.against_protocol is row.improvement_over_protocol is None


def test_the_learning_curve_is_the_mean_over_seeds_at_the_steps_all_have():
    def curve(*returns):
        points = [{**POINT, "step": step, "return_mean": value} for step, value in enumerate(returns)]
        return {"learning_curve": points}

    [row] = leaderboard([record() | curve(0.0, 4.0), record(seed=1) | curve(2.0, 8.0, 9.0)])
    assert [(p.step, p.return_low, p.return_mean, p.return_high) for p in row.curve] == [
        (0, 0, 1, 2),
        (1, 4, 6, 8),
    ]


def test_other_settings_are_another_board():
    rows = leaderboard([record(), record(seed=1, settings={"horizon_h": 24})])
    assert [row.board.settings for row in rows] == ["{}", '{"horizon_h": 24}']


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (record(seed=0), "both have seed 0"),
        (record(seed=1, steps=5), "steps 1000 and 5"),
        (record(seed=1, hyperparameters={"rate": 1}), "hyperparameters"),
        (record(seed=1) | {"role": "ceiling"}, "role agent and ceiling"),
    ],
)
def test_seeds_of_one_row_must_be_one_configuration(other, said):
    with pytest.raises(ValueError, match=said):
        leaderboard([record(), other])


def test_policies_of_one_board_must_have_the_same_costs():
    other = record("fictional_otter")
    other["result"]["costs"] = {"delay": other["result"]["cost"]}
    with pytest.raises(ValueError, match=r"costs .*delay.*overdose.*one set a board"):
        leaderboard([record(), other])


# Figures as text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.85, "0.850"),
        (-51.23, "-51.2"),
        (999.6, "1,000"),
        (12340.4, "12,340"),
        (0, "0"),
        (-0.0, "0"),
        (9.999, "10.0"),
        (0.01234, "0.012"),
        (-0.00311, "-0.0031"),
    ],
)
def test_figures_have_as_many_digits_as_one_reads(value, said):
    assert figure(value) == said


def test_durations_are_said_as_people_say_them():
    assert [duration(s) for s in (0.42, 12, 300, 9000)] == ["0.4 s", "12 s", "5 min", "2.5 h"]
