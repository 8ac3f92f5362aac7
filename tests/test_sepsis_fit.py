"""The fitted sets: within their bounds, apart from one another, and every target met; and what the fit's machinery promises."""

import csv
import json

import numpy as np
import pytest

from benchmarks.fidelity.__main__ import parsed
from benchmarks.fidelity.figures import Study, estimates, every_figure
from benchmarks.fidelity.output import output_rise_percent, output_rises_percent
from benchmarks.fidelity.search import Box, distance, predicted_misses, read_trials, search, write_fits
from benchmarks.fidelity.sensitivity import CONCLUSIONS, broken
from benchmarks.fidelity.targets import TARGETS, loss, meets, room
from medsim.treatments.sepsis.constants import DATA, Constants, constant_sets, constant_table

SETS = constant_sets()
MIDDLE = {t.figure: 0.5 * (t.aim_low + min(t.aim_high, t.aim_low + 10.0 * t.unit)) for t in TARGETS}


def test_the_table_names_every_constant_once_and_in_order():
    assert tuple(constant_table()) == Constants._fields


@pytest.mark.parametrize("member", SETS)
def test_every_constant_is_within_its_bounds(member):
    for name, row in constant_table().items():
        assert float(row["lowest"]) <= getattr(SETS[member], name) <= float(row["highest"]), name


@pytest.mark.parametrize("member", SETS)
def test_only_what_is_said_to_be_fitted_differs_from_its_start(member):
    for name, row in constant_table().items():
        if row["fitted"] == "0":
            assert getattr(SETS[member], name) == float(row["start"]), name


def test_v0_keeps_away_from_its_bounds():
    place = Box().place(SETS["v0"])
    assert place.min() > 0.05
    assert place.max() < 0.95


def test_the_worlds_are_numbered_and_far_from_one_another():
    assert list(SETS) == ["v0", *(f"world-{number}" for number in range(1, len(SETS)))]
    assert len(SETS) >= 7
    places = [Box().place(c) for c in SETS.values()]
    assert min(distance(a, b) for i, a in enumerate(places) for b in places[:i]) > 0.3  # two random places: 0.41


def test_v0_meets_every_aim_on_test_patients():
    figures = estimates(every_figure(SETS["v0"], Study(patients=1500, cohort="test", seed=7, delay_arms_every_h=3)))
    assert {t.figure: figures[t.figure] for t in TARGETS if room(figures, t) < 0.0} == {}
    assert broken({**figures, "none_v_protocol": figures["none"] - figures["protocol"]})[1] == []


def test_a_place_and_its_constants_are_the_same_set():
    box = Box()
    for c in SETS.values():
        back = box.constants(box.place(c))
        assert np.allclose(back, c, rtol=1e-3)


def test_loss_counts_only_what_is_outside_its_aim():
    assert loss(MIDDLE) == 0.0
    assert meets(MIDDLE)
    first = TARGETS[0]
    assert loss({**MIDDLE, first.figure: first.aim_high + 2.0 * first.unit}) == pytest.approx(2.0)
    assert not meets({**MIDDLE, first.figure: first.high + 1.0})


def test_aims_lie_within_what_is_required():
    for target in TARGETS:
        assert target.low <= target.aim_low < target.aim_high <= target.high, target.figure


def test_the_regression_that_guides_the_search_finds_a_linear_relation():
    rng = np.random.default_rng(1)
    box = Box()
    from benchmarks.fidelity.search import Record

    places = rng.uniform(0.2, 0.8, (150, len(box.names)))
    records = [Record(place, {**MIDDLE, "protocol": 20.0 + 20.0 * place[0]}) for place in places]
    ends = np.tile(places.mean(axis=0), (2, 1))
    ends[:, 0] = 0.45, 0.95  # 29 % and 39 %: within the aim, and far above it
    within, above = predicted_misses(records, ends)
    assert above > within + 0.5


def test_a_search_resumes_after_its_last_trial(tmp_path):
    path, study = tmp_path / "trials.jsonl", Study(patients=60, delay_arms_every_h=6)
    search(2, path, study, seed=3)
    first = path.read_text()
    search(3, path, study, seed=3)
    assert path.read_text().startswith(first)
    assert len(read_trials(path, Box())) == 3
    again = tmp_path / "again.jsonl"
    search(3, again, study, seed=3)
    assert again.read_text() == path.read_text()
    assert set(json.loads(first.splitlines()[0])) == {"loss", "constants", "figures"}


def test_sets_are_written_whole_and_read_back(tmp_path):
    path = tmp_path / "fits.csv"
    write_fits(path, SETS)
    assert list(csv.reader(path.open())) == list(csv.reader((DATA / "sepsis_fits.csv").open()))


def test_norepinephrine_raises_cardiac_output():
    for c in SETS.values():
        assert 5.0 < output_rise_percent(c) < 20.0  # Hamzaoui, Crit Care 2010;14:R142: 12.5 % from MAP 54 to 76
    v0 = SETS["v0"]
    assert output_rise_percent(v0._replace(venoconstriction=0.0)) < 0.0
    rises = output_rises_percent(v0, Study(patients=100).task(v0), 100, 1)
    assert 0.0 < float(np.median(rises)) < output_rise_percent(v0)  # less than in Hamzaoui's patients: see RESULTS.md


def test_a_conclusion_that_does_not_hold_is_named():
    figures = {**MIDDLE, "none_v_protocol": 10.0, "clovers": -1.0, "sepsispam": 1.1}
    assert broken(figures) == ([], [])
    assert broken({**figures, "target_45_worse": -1.0}) == (["a MAP target of 45 is worse than 65"], ["target_45_worse"])
    assert len(CONCLUSIONS) == 9


def test_help_says_how_long_a_verb_takes(capsys):
    with pytest.raises(SystemExit):
        parsed(["--help"])
    assert "20 min" in capsys.readouterr().out
