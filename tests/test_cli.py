"""The ``medsim`` command as a person or a script uses it."""

import json

import pytest

from medsim.cli.main import main

GLUCOSE = "medsim/Glucose-v0"


def test_envs_lists_and_describes(capsys):
    assert main(["envs"]) == 0
    assert GLUCOSE in capsys.readouterr().out
    assert main(["envs", GLUCOSE, "--json", "--provenance"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["steps"] == 288
    assert all(row["source"] for row in facts["provenance"])


def test_evaluate_prints_every_patient_as_json(capsys):
    assert main(["evaluate", GLUCOSE, "--policy", "fixed-basal", "--policy", "basal-bolus", "--patients", "3", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [result["policy"] for result in results] == ["fixed-basal", "basal-bolus"]
    assert all(len(result["metrics"]["time_in_range"]) == 3 for result in results)


def test_evaluate_takes_the_environments_options(capsys):
    arguments = ["evaluate", GLUCOSE, "--policy", "fixed-basal", "--patients", "2", "--json", "--set"]
    assert main([*arguments, "group=child"]) == 0
    child = json.loads(capsys.readouterr().out)
    assert main([*arguments, "group=adult"]) == 0
    assert json.loads(capsys.readouterr().out) != child


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "medsim/Nothing-v0", "--policy", "random"], "no environment is called 'medsim/Nothing-v0'"),
        (["evaluate", GLUCOSE, "--policy", "wizard"], "no policy is called 'wizard'"),
        (["evaluate", GLUCOSE, "--policy", "random", "--patients", "0"], "--patients must be 1 or more"),
        (["evaluate", GLUCOSE, "--policy", "random", "--set", "grup=adult"], "unknown option 'grup'"),
        (["evaluate", GLUCOSE, "--policy", "random", "--cohort", "mars"], "option cohort must be one of"),
        (["render", GLUCOSE, "--policy", "random", "--patient", "adult#099"], "no patient is called 'adult#099'"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_value(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_render_writes_a_picture(tmp_path, capsys):
    target = tmp_path / "course.png"
    assert main(["render", GLUCOSE, "--policy", "basal-bolus", "--patient", "adult#001", "--out", str(target)]) == 0
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "adult#001" in capsys.readouterr().out


def test_a_person_plays_an_hour_and_is_told_of_a_wrong_action(monkeypatch, capsys):
    lines = iter(["2", "99", "x 11", "nonsense", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert main(["play", GLUCOSE, "--patient", "adult#001"]) == 0
    out = capsys.readouterr().out
    assert "outside Discrete(8)" in out
    assert "'nonsense' is not understood" in out
    assert "hours_elapsed 1 " in out.replace("\n", " ")


def test_a_played_episode_ends_with_its_outcome(monkeypatch, capsys):
    lines = iter(["7", "x 288"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert main(["play", GLUCOSE]) == 0
    assert "severe_hypoglycaemia after" in capsys.readouterr().out


def test_doctor_finds_the_environments_working(capsys):
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings[GLUCOSE] == "works; compiled equals plain Python to the bit"


def test_warmup_says_where_the_kernels_are(capsys):
    assert main(["warmup", GLUCOSE]) == 0
    assert "kernels are kept in" in capsys.readouterr().out


def test_evaluate_says_where_options_of_policies_make_the_patients_differ() -> None:
    from medsim.cli.evaluate import other_patients
    from medsim.policies.policy import FunctionPolicy

    plain = FunctionPolicy("plain", lambda observations: observations[:, 0])
    seeing = FunctionPolicy("seeing", lambda observations: observations["time_h"], {"observation": "multimodal"})
    told = other_patients("medsim/Sepsis-v0", [plain, seeing], {})
    assert "NOT THE SAME PATIENTS" in told
    assert "lungs=typical: plain" in told
    assert "lungs=varied: seeing" in told
    assert other_patients("medsim/Sepsis-v0", [plain, seeing], {"lungs": "varied"}) == ""
    assert other_patients("medsim/Glucose-v0", [plain, plain], {}) == ""


def test_a_policy_that_reads_numbers_is_told_how_to_keep_the_patients() -> None:
    from medsim.evaluation.rollout import evaluate
    from medsim.policies import reference_policies

    protocol = reference_policies("medsim/Sepsis-v0")["surviving-sepsis"]()
    with pytest.raises(ValueError, match="choose observation='vector' and, for the same patients, lungs='varied'"):
        evaluate("medsim/Sepsis-v0", protocol, options={"observation": "multimodal"}, patients=2)
