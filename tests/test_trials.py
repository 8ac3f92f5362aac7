"""Emulated trials: who is enrolled, what is compared, and what is said of it."""

import dataclasses
import json
import textwrap

import numpy as np
import pytest

import medsim.trials
from medsim.cli.main import main
from medsim.cli.trials import report, worlds_report
from medsim.policies.policy import FunctionPolicy
from medsim.policies.sepsis import NoTreatment, Resuscitation
from medsim.render.trials import forest_rows, trial_figure
from medsim.trials import TRIALS, Arm, Published, Trial, run_trial
from medsim.trials.emulation import run_arms
from medsim.trials.septic_shock import CLOVERS, everybody, on_norepinephrine
from medsim.trials.trial import cohorts, trial_steps

SEPSIS = "medsim/Sepsis-v0"
PLAIN = Trial(
    name="plain",
    question="one against another",
    env=SEPSIS,
    arms=(Arm(name="one", policy=Resuscitation), Arm(name="another", policy=Resuscitation)),
    run_in=Resuscitation,
    run_in_h=6.0,
    enrolled=on_norepinephrine,
    criteria="on norepinephrine",
)


def between(one, another, **changes):
    """A trial of two policies without a run-in."""
    arms = (Arm(name="one", policy=one), Arm(name="another", policy=another))
    return dataclasses.replace(PLAIN, **{"arms": arms, "run_in": None, "run_in_h": 0.0, "enrolled": everybody, **changes})


@pytest.fixture(scope="module")
def results():
    """Every trial with 300 screened patients."""
    return {name: run_trial(trial, 300) for name, trial in TRIALS.items()}


# What is compared


def test_a_trial_of_a_policy_against_itself_finds_exactly_nothing():
    found = run_trial(PLAIN, 300, threads=2)
    assert found.effect.estimate == found.effect.low == found.effect.high == 0.0
    assert found.effects["odds ratio"].estimate == found.effects["hazard ratio"].high == 1.0
    assert np.array_equal(found.deaths[0], found.deaths[1])


def test_no_treatment_kills_more_than_the_protocol():
    found = run_trial(between(NoTreatment, Resuscitation), 300)
    assert found.effect.low > 5.0
    assert found.effects["odds ratio"].low > 1.0


def test_all_arms_are_one_until_randomisation_and_then_differ():
    found = run_trial(TRIALS["sepsispam"], 300)
    high, low = found.courses["map_mmhg"]
    assert np.array_equal(high[:7], low[:7])
    assert (high[9:] > low[9:] + 5.0).all()


def test_the_criteria_see_nothing_of_what_comes_after_randomisation():
    seen = []

    def enrolled(course, step):
        seen.append({len(values) for values in course.measures.values()})
        return on_norepinephrine(course, step)

    run_trial(dataclasses.replace(PLAIN, enrolled=enrolled), 60)
    assert seen == [{7}]


def test_who_died_before_randomisation_does_not_count():
    found = run_trial(CLOVERS, 300)
    task = medsim.trials.trial.make_task(SEPSIS, action="continuous", deaths="expected", cohort="test")
    policies = [(task, arm.policy()) for arm in CLOVERS.arms]
    courses = run_arms(policies, 300, found.seed, ("map_mmhg",), run_in=CLOVERS.run_in(), run_in_steps=3)
    chosen = courses[0].measures["map_mmhg"][3] < 65.0
    before = courses[0].measures["death_probability"][3, chosen]
    for arm, course in enumerate(courses):
        risk = (course.death[chosen] - before).sum() / (1.0 - before).sum()
        assert found.risks_percent[arm] == pytest.approx(100.0 * risk)
    assert found.died_before_percent == pytest.approx(100.0 * before.mean())
    assert found.enrolled == chosen.sum()


def test_a_patients_risks_depend_neither_on_the_others_nor_on_threads():
    few, many = (run_trial(between(NoTreatment, Resuscitation), n, threads=threads) for n, threads in ((100, 1), (300, 2)))
    assert np.array_equal(few.deaths, many.deaths[:, :100])


def test_an_arm_on_the_grid_goes_on_from_a_run_in_in_doses():
    """Action 19 of the grid is 250 mL/h and 1 mcg/kg/min."""
    grid = FunctionPolicy("grid", lambda seen: np.full(len(seen), 19), {"action": "discrete"})
    doses = FunctionPolicy("doses", lambda seen: np.tile([250.0, 1.0], (len(seen), 1)), {"action": "continuous"})
    arms = (Arm(name="grid", policy=lambda: grid), Arm(name="doses", policy=lambda: doses))
    found = run_trial(dataclasses.replace(PLAIN, arms=arms), 200)
    assert found.effect.estimate == 0.0
    assert found.courses["norepinephrine_mcg_per_kg_per_min"][:, -1] == pytest.approx(1.0)
    assert found.courses["map_mmhg"][0, -1] == found.courses["map_mmhg"][1, -1]


def test_hours_of_a_trial_are_hours_whatever_the_step():
    found = run_trial(PLAIN, 100, options={"step_hours": 2})
    assert found.courses["map_mmhg"].shape == (2, 37)
    assert found.record()["courses"]["hours"][-1] == 72.0


# The landmark trials


def test_arms_are_treated_as_the_trials_were(results):
    fluid, pressure = results["clovers"].shown, results["sepsispam"].shown
    restrictive, liberal = fluid["fluid_since_randomisation_ml"]
    assert liberal - restrictive > 1500.0  # CLOVERS: 2,134 mL between the medians
    assert fluid["ever_norepinephrine_percent"][0] > fluid["ever_norepinephrine_percent"][1]
    assert pressure["map_mmhg"] == pytest.approx([82.5, 67.5], abs=2.5)
    high, low = pressure["norepinephrine_mcg_per_kg_per_min"]
    assert high > low


def test_every_hour_of_delay_costs_lives(results):
    assert (np.diff(results["antibiotic-delay"].risks_percent) > 0.0).all()
    effects = results["antibiotic-delay"].effects
    assert 1.0 < effects["odds ratio per unit"].estimate < effects["odds ratio per unit, adjusted"].estimate


@pytest.mark.parametrize("name", TRIALS)
def test_ten_thousand_are_enrolled_unless_asked_otherwise(name, results):
    share = results[name].enrolled / results[name].screened
    assert TRIALS[name].screened * (share - 2.0 * np.sqrt(share * (1.0 - share) / 300.0)) >= 10_000


@pytest.mark.parametrize("name", TRIALS)
def test_subgroups_divide_the_enrolled_and_their_deaths_add_up(name, results):
    found = results[name]
    for grouping in ("chronic hypertension", "age", "SAPS II"):
        groups = [one for one in found.subgroups if one.grouping == grouping]
        assert sum(one.patients for one in groups) == found.enrolled
        lowest, highest = min(one.risks_percent[0] for one in groups), max(one.risks_percent[0] for one in groups)
        assert lowest <= found.risks_percent[0] <= highest
    assert len(found.subgroups) == 7


def test_hypertension_modifies_the_effect_of_pressure_and_that_is_said_to_be_assumed(results):
    yes, no = results["sepsispam"].subgroups[:2]
    assert yes.effect.estimate < no.effect.estimate
    assert "assumed, not found" in yes.caution
    assert "assumed, not found" in report(results["sepsispam"], subgroups=True)
    assert "assumed, not found" not in report(results["sepsispam"])


@pytest.mark.parametrize("name", TRIALS)
def test_a_record_is_plain_json_with_ours_beside_theirs(name, results):
    record = json.loads(json.dumps(results[name].record(), allow_nan=False))
    trial = TRIALS[name]
    assert record["disclaimer"] == "Research simulation, not medical advice."
    assert [arm["name"] for arm in record["arms"]] == [arm.name for arm in trial.arms]
    theirs = [one for effect in record["effects"] for one in effect["published"]]
    assert len(theirs) == len(trial.published)
    first = record["effects"][0]
    assert first["published"][0]["ours_is_inside"] == (trial.published[0].low <= first["estimate"] <= trial.published[0].high)
    assert all(len(row) == len(record["courses"]["hours"]) for row in record["courses"]["map_mmhg"].values())


def test_deaths_accumulate_from_randomisation_to_the_risk_at_day_28(results):
    for found in results.values():
        dead = found.courses["death_probability"]
        begins = int(found.trial.run_in_h)
        assert (dead[:, : begins + 1] == 0.0).all()
        assert (np.diff(dead, axis=1) >= -1e-12).all()
        assert 100.0 * dead[:, -1] == pytest.approx(found.risks_percent)


def test_the_picture_has_a_line_for_theirs_ours_every_world_and_every_subgroup(results):
    found = results["sepsispam"]
    worlds = [dataclasses.replace(found, cohort=f"world-{number}") for number in (1, 2)]
    labels = [row.label for row in forest_rows([found, *worlds])]
    assert labels[:4] == [
        "SEPSISPAM, from 142 of 388 and 132 of 388 deaths",
        "medsim",
        "SEPSISPAM, N Engl J Med 2014;370:1583-1593",
        "medsim",
    ]
    assert labels[4:6] == ["world-1", "world-2"]
    assert len(labels) == 6 + len(found.subgroups)
    assert "13 other worlds: median and range" in [row.label for row in forest_rows([found] + 13 * worlds[:1])]
    assert trial_figure([found, *worlds]).axes


def test_worlds_are_listed_with_their_range(results):
    found = results["clovers"]
    moved = dataclasses.replace(found.effect, estimate=9.0, low=8.0, high=10.0)
    other = dataclasses.replace(found, cohort="world-1", effects={**found.effects, moved.name: moved})
    text = worlds_report([found, other], subgroups=True)
    assert f"over the worlds: {found.effect.estimate:.2f} to 9.00" in text
    assert ("disagree" in text) == (found.effect.estimate < 0.0)
    assert "N Engl J Med 2023;388:499-510: 1 of 2" in text
    assert "OUTSIDE" in text
    assert text.count("SAPS II") == 3


# A trial of one's own


def test_the_documented_trial_runs(capsys):
    lines = medsim.trials.__doc__.splitlines()
    first = next(number for number, line in enumerate(lines) if line.endswith("::")) + 1
    code = textwrap.dedent("\n".join(line for line in lines[first:] if line.startswith("    ") or not line))
    names = {}
    exec(compile(code, "medsim.trials.__doc__", "exec"), names)
    assert names["record"]["trial"] == "permissive"
    assert "risk difference, points" in capsys.readouterr().out
    assert names["result"].effect.low > 0.0


def test_another_world_is_another_population():
    other = run_trial(PLAIN, 100, cohort="shifted")
    assert other.record()["cohort"] == "shifted"
    assert other.risks_percent != run_trial(PLAIN, 100).risks_percent
    assert cohorts(SEPSIS)[:3] == ("train", "test", "shifted")


def test_progress_counts_the_steps_that_were_announced():
    counted = []
    run_trial(PLAIN, 20, progress=counted.append)
    assert sum(counted) == trial_steps(PLAIN) == 6 + 2 * 66


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": PLAIN.arms[:1]}, "two or more arms"),
        ({"arms": (PLAIN.arms[0], PLAIN.arms[0])}, "of different names"),
        ({"exposures": (1.0,)}, "an exposure for each of its 2 arms"),
        ({"run_in_h": 0.0}, "a run-in needs a policy and hours"),
        ({"arms": (PLAIN.arms[0], Arm(name="late", policy=Resuscitation, options={"antibiotic_delay_h": 3.0}))}, "cannot share a run-in"),
        ({"published": (Published(effect="luck", estimate=1, low=1, high=1, source=""),)}, "not 'luck'"),
    ],
)
def test_a_trial_whose_parts_do_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PLAIN, **changes)


def test_wrong_use_of_a_trial_is_refused_by_name():
    nobody = dataclasses.replace(PLAIN, enrolled=lambda course, step: ~everybody(course, step))
    looks = FunctionPolicy("sees all", lambda seen: seen, {"action": "continuous", "observation": "full"})
    for trial, arguments, message in [
        (nobody, {"patients": 20}, "0 of 20 patients meet the criteria"),
        (PLAIN, {"patients": 0}, "patients must be a whole number, 1 or larger, not 0"),
        (PLAIN, {"patients": 20, "cohort": "mars"}, "option cohort must be one of"),
        (PLAIN, {"patients": 20, "options": {"deaths": "drawn"}}, "option deaths is the trial's"),
        (PLAIN, {"patients": 20, "options": {"step_hours": 4}}, "6 h are not a whole number of steps of 4 h"),
        (dataclasses.replace(PLAIN, arms=(PLAIN.arms[0], Arm(name="x", policy=lambda: looks))), {"patients": 20}, "observes 'full'"),
    ]:
        with pytest.raises(ValueError, match=message):
            run_trial(trial, **arguments)


# The command


def test_trials_are_listed(capsys):
    assert main(["trials", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in TRIALS)
    assert "-0.90 (-4.40 to 2.60)" in out
    assert main(["trials", "list", "--json"]) == 0
    assert [one["trial"] for one in json.loads(capsys.readouterr().out)] == list(TRIALS)


def test_a_trial_is_run_printed_and_written(tmp_path, capsys):
    arguments = ["trials", "run", "clovers", "--patients", "60", "--threads", "1", "--set", "substep_minutes=10", "--out", str(tmp_path)]
    assert main([*arguments, "--subgroups"]) == 0
    out = capsys.readouterr().out
    for said in (
        "criteria: mean arterial pressure below 65",
        "14.0 v 14.9",
        "1,267 v 3,400",
        "SAPS II above",
        "not medical advice",
        "inside",
    ):
        assert said in out
    assert (tmp_path / "clovers.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    (record,) = json.loads((tmp_path / "clovers.json").read_text())
    assert record["screened"] == 60
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [record]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clover"], "no trial is called 'clover'; there are clovers, sepsispam, antibiotic-delay, and all"),
        (["clovers", "--patients", "0"], "--patients must be 1 or more, not 0"),
        (["clovers", "--cohort", "mars"], "--cohort must be one of train, test, shifted"),
        (["clovers", "--set", "cohort=test"], "option cohort is the trial's"),
        (["clovers", "--set", "substeps=1"], "unknown option 'substeps'"),
        (["clovers", "--patients", "1"], "patients meet the criteria"),
    ],
)
def test_wrong_use_of_the_command_is_one_line(arguments, message, capsys):
    assert main(["trials", "run", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["trials", "run", "--help"])
    out = capsys.readouterr().out
    for said in ("all-worlds", "the same person", "examples:", "not medical advice"):
        assert said in out
