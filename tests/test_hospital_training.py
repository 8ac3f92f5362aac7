"""Training in hospitals: one policy for all roles or one for each, run folders that stop and go on, and what the command says."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")
import torch

import medsim.cli.doctor
import medsim.cli.environments
from medsim import registry
from medsim.cli.hospital_results import text_of
from medsim.cli.main import main
from medsim.cli.verbs import parse_settings
from medsim.hospital import evaluation
from medsim.hospital.evaluation import differing, evaluate_hospital
from medsim.hospital.presets import preset
from medsim_agents import load_policy, plan_training, train
from medsim_agents.algorithms import ALGORITHMS
from medsim_agents.checkpoint import read_checkpoint
from medsim_agents.construction import load_model
from medsim_agents.hyperparameters import TRAINING, load_hyperparameters, parse_hyperparameters
from medsim_agents.learning import TrainingInterrupted
from medsim_agents.run_folder import read_curve, read_run
from medsim_agents.training import VALIDATION_SEED
from tests import toy_hospital

ENV = "medsim/Toy-v0"
QUICK = {"n_envs": 4, "validation_patients": 4, "curve_points": 3, "net_arch": [16, 16]}
PPO = {"steps": 768, "n_steps": 32, "batch_size": 64, "n_epochs": 2, **QUICK}  # six rollouts
BY_ROLE = {**PPO, "steps": 384, "n_steps": 16, "sharing": "role", "rounds": 3}
LEARNING = {"n_envs": 8, "n_steps": 64, "batch_size": 64, "n_epochs": 8, "learning_rate": 3e-3, "curve_points": 1}


class Broken(RuntimeError):
    """What breaks a training in these tests."""


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """The toy is one of the hospitals there are."""
    there_are = (*registry.HOSPITALS, toy_hospital.CARD)
    for module in (registry, medsim.cli.environments, medsim.cli.doctor):
        monkeypatch.setattr(module, "HOSPITALS", there_are)


def quick(name, **changes):
    small = dict(PPO)
    if name == "a2c":
        small = {"steps": 320, "n_steps": 8, **QUICK}
    elif name == "recurrent-ppo":
        small |= {"lstm_hidden_size": 8}
    elif name in ("dqn", "qrdqn"):
        small = {"steps": 400, "learning_starts": 100, "batch_size": 32, "buffer_size": 400, **QUICK}
    elif name in ("ppo-lagrangian", "ppo-pid-lagrangian"):
        small |= {"cost_limits": {"urgent_refused": 1.0}}
    return plan_training(ENV, name, **{**small, **changes})


def weights(folder, name="maskable-ppo", part="model"):
    return load_model(name, folder / f"{part}.zip").policy.state_dict()


def equal_to_the_bit(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[part], other[part]) for part in one)


def break_at(steps):
    made = 0

    def progress(count):
        nonlocal made
        made += count
        if made >= steps:
            raise Broken

    return progress


# What may be combined


def test_wrong_settings_are_refused_by_name():
    with pytest.raises(ValueError, match="sharing must be one of shared, role, not 'all'"):
        plan_training(ENV, "ppo", sharing="all")
    with pytest.raises(
        ValueError, match=r"dqn cannot train a policy for each role \(sharing=role\); those that can are ppo, a2c, maskable-ppo"
    ):
        plan_training(ENV, "dqn", sharing="role")
    with pytest.raises(ValueError, match="sac cannot act in medsim/Toy-v0 with discrete actions"):
        plan_training(ENV, "sac")
    with pytest.raises(ValueError, match="ppo-saute cannot act in medsim/Toy-v0 or any hospital; those that can are ppo, a2c"):
        plan_training(ENV, "ppo-saute", cost_limits={"urgent_refused": 1.0})
    with pytest.raises(ValueError, match=r"ppo-lagrangian cannot train a policy for each role \(sharing=role\)"):
        plan_training(ENV, "ppo-lagrangian", sharing="role", cost_limits={"urgent_refused": 1.0})
    with pytest.raises(
        ValueError, match=r"cost_limits: there is no cost 'tea'; costs of medsim/Toy-v0 are urgent_refused, forbidden_action"
    ):
        plan_training(ENV, "ppo-lagrangian", cost_limits={"tea": 1.0})
    with pytest.raises(ValueError, match="rounds must be 1 or more, not 0"):
        plan_training(ENV, "ppo", sharing="role", rounds=0)
    with pytest.raises(ValueError, match="unknown option 'beds'"):
        plan_training(ENV, "ppo", options={"beds": 3})
    with pytest.raises(ValueError, match=r"sharing is a setting of hospitals, and medsim/Glucose-v0 is none"):
        plan_training("medsim/Glucose-v0", "ppo", sharing="role")


def test_every_hospital_has_settings_for_every_algorithm_that_can_act_in_it():
    for card in registry.HOSPITALS:
        for one in ALGORITHMS:
            if one.discrete and one.hospitals:
                assert {"steps", "n_envs", "learning_rate", "gamma"} <= load_hyperparameters(card.id, one.name).keys()
    assert {"sharing", "rounds"} <= TRAINING.keys()


# Runs


@pytest.mark.parametrize("name", [one.name for one in ALGORITHMS if one.discrete and one.hospitals])
def test_a_broken_training_goes_on_and_ends_with_the_same_weights_to_the_bit(name, tmp_path):
    training = quick(name)
    whole = train(training, tmp_path / "whole")
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_at(0.7 * training.hyperparameters["steps"]), checkpoint_every_s=0.0)
    broken = train(training, tmp_path / "broken")
    assert equal_to_the_bit(weights(whole, name), weights(broken, name))
    assert [(p["step"], p["return_mean"]) for p in read_curve(whole)] == [(p["step"], p["return_mean"]) for p in read_curve(broken)]
    assert (whole / "normalisation.json").read_bytes() == (broken / "normalisation.json").read_bytes()


@pytest.mark.parametrize("name", ["maskable-ppo", "ppo", "recurrent-ppo"])
def test_a_loaded_policy_does_what_the_model_in_training_did(name, tmp_path):
    folder = train(quick(name, options={"horizon_h": 12.0}), tmp_path)
    policy = load_policy(folder)
    assert (policy.name, policy.options) == (name, {"horizon_h": 12.0})
    result = evaluate_hospital(ENV, policy, episodes=4, seed=VALIDATION_SEED)
    assert float(result.returns.mean()) == read_curve(folder)[-1]["return_mean"]
    assert read_run(folder)["curve"].startswith("mean return and cost on validation episodes")


def test_one_policy_a_role_is_broken_goes_on_and_is_loaded(tmp_path):
    training = quick("maskable-ppo", **BY_ROLE)
    whole = train(training, tmp_path / "whole")
    names = sorted(path.name for path in whole.iterdir())
    assert names == [
        "curve.csv",
        "model-door.zip",
        "model-manager.zip",
        "normalisation-door.json",
        "normalisation-manager.json",
        "run.json",
    ]
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_at(250))
    done = read_checkpoint(tmp_path / "broken" / "checkpoint.pkl")["done"]
    assert 0 < done < 6
    broken = train(training, tmp_path / "broken")
    for part in ("model-door", "model-manager"):
        assert equal_to_the_bit(weights(whole, part=part), weights(broken, part=part))
    curve = read_curve(whole)
    assert [(p["step"], p["return_mean"]) for p in curve] == [(p["step"], p["return_mean"]) for p in read_curve(broken)]
    result = evaluate_hospital(ENV, load_policy(whole), episodes=4, seed=VALIDATION_SEED)
    assert float(result.returns.mean()) == curve[-1]["return_mean"]
    assert curve[-1]["step"] == read_run(whole)["steps"] >= 384


def test_an_interrupt_of_training_by_roles_says_that_the_same_command_goes_on(tmp_path):
    training, made = quick("maskable-ppo", **BY_ROLE), []

    def interrupt(count):
        made.append(count)
        if len(made) == 60:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="the same command goes on, from the start of what this role was learning"):
        train(training, tmp_path, interrupt)
    assert read_run(train(training, tmp_path))["status"] == "complete"


def test_the_same_seed_trains_the_same_policies_by_role_and_another_seed_others(tmp_path):
    folders = [train(quick("ppo", **{**BY_ROLE, "seed": seed}), tmp_path / name) for seed, name in ((1, "one"), (1, "same"), (2, "other"))]
    one, same, other = (weights(folder, "ppo", "model-manager") for folder in folders)
    assert equal_to_the_bit(one, same)
    assert not equal_to_the_bit(one, other)


def test_the_command_of_a_run_names_what_differs_from_the_settings_of_its_file(tmp_path):
    from medsim_agents.run_folder import training_command

    training = plan_training(ENV, "maskable-ppo", steps=500, sharing="role", options={"horizon_h": 8.0})
    assert training_command(training, tmp_path / "out").endswith(
        f"--steps 500 --seed 0 --out {tmp_path / 'out'} --set horizon_h=8.0 --set rounds=5 --set sharing=role"
    )


def test_a_role_may_have_settings_of_its_own_and_goes_on_with_them(tmp_path):
    own = {"manager": {"n_envs": 8, "n_steps": 4, "gamma": 0.5, "gamma_h": 0.9}}
    training = quick("maskable-ppo", **{**BY_ROLE, "of_role": own})
    whole = train(training, tmp_path / "whole")
    door, manager = (load_model("maskable-ppo", whole / f"model-{role}.zip") for role in ("door", "manager"))
    assert (manager.gamma, manager.n_steps, manager.n_envs) == (0.5, 4, 8)
    assert (door.n_steps, door.n_envs) == (16, 4)
    assert door.gamma != 0.5
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_at(250))
    broken = train(training, tmp_path / "broken")
    for part in ("model-door", "model-manager"):
        assert equal_to_the_bit(weights(whole, part=part), weights(broken, part=part))


def test_settings_of_a_role_that_is_not_there_or_that_no_role_has_are_refused():
    with pytest.raises(ValueError, match="medsim/Toy-v0 has no role 'icu'; there are door, manager"):
        plan_training(ENV, "ppo", sharing="role", of_role={"icu": {"gamma": 0.5}})
    with pytest.raises(ValueError, match="steps is a setting of the whole training, and no role's own"):
        plan_training(ENV, "ppo", sharing="role", of_role={"door": {"steps": 5}})
    with pytest.raises(ValueError, match="unknown setting 'gama'"):
        plan_training(ENV, "ppo", sharing="role", of_role={"door": {"gama": 0.5}})
    with pytest.raises(ValueError, match="it goes with sharing=role"):
        plan_training(ENV, "ppo", of_role={"door": {"gamma": 0.5}})
    with pytest.raises(ValueError, match="gamma_h is a setting of policies by role"):
        plan_training(ENV, "ppo", gamma_h=0.9)
    with pytest.raises(ValueError, match="n_envs of door must be 1 or more, not 0"):
        plan_training(ENV, "ppo", sharing="role", of_role={"door": {"n_envs": 0}})


def test_a_file_says_what_holds_in_place_of_its_settings_where_roles_learn_apart():
    text = "[ppo]\ngamma = 0.95\nsteps = 9\n[ppo.by_role]\nsteps = 5\nof_role = {icu = {gamma = 0.5}}\n"
    assert parse_hyperparameters(text, "toy.toml")["ppo"]["by_role"]["steps"] == 5
    with pytest.raises(ValueError, match=r"toy.toml, \[ppo.by_role\], icu: unknown setting 'gama'"):
        parse_hyperparameters(text.replace("gamma = 0.5", "gama = 0.5"), "toy.toml")
    flow = "medsim/HospitalFlow-v0"
    shared, by_role = (load_hyperparameters(flow, "maskable-ppo", sharing) for sharing in ("shared", "role"))
    assert "by_role" not in shared
    assert "of_role" not in shared
    assert by_role["of_role"]["icu"]["n_envs"] > by_role["n_envs"] == shared["n_envs"]
    assert plan_training(flow, "maskable-ppo", sharing="role", steps=5).hyperparameters == {**by_role, "sharing": "role", "steps": 5}


# Learning


@pytest.mark.parametrize("changes", [{"steps": 5120}, {"steps": 6144, "sharing": "role", "rounds": 3}], ids=["shared", "by role"])
def test_agents_find_the_best_policy_of_a_hospital_where_it_is_known(changes, tmp_path):
    """The best return is 0, the random policy's about -94; opening no bed and turning nobody away is learnt in seconds."""
    policy = load_policy(train(plan_training(ENV, "maskable-ppo", **{**LEARNING, **changes}), tmp_path))
    result = evaluate_hospital(ENV, policy, episodes=10)
    chance = evaluate_hospital(ENV, toy_hospital.POLICIES["random"](), episodes=10)
    assert result.returns.mean() > -10.0 > chance.returns.mean() + 60.0


# The command


def test_medsim_train_and_evaluate_go_together(tmp_path, capsys):
    small = [f"--set={name}={json.dumps(PPO[name])}" for name in ("n_steps", "batch_size", "n_epochs", "net_arch")]
    run = str(tmp_path / "run")
    assert main(["train", ENV, "--algo", "maskable-ppo", "--steps", "128", "--envs", "4", "--out", run, *small]) == 0
    said = capsys.readouterr().out
    assert "mean return on validation episodes" in said
    assert f"medsim evaluate {ENV} --policy {run}" in said
    assert main(["evaluate", ENV, "--policy", "all", "--policy", run, "--episodes", "3"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{ENV}: 3 episodes, seed 20260. Research simulation, not medical advice.")
    assert [line for line in said.splitlines() if line and line[0] != " "][1:] == ["random", "nothing", "best", "maskable-ppo"]
    assert (
        "best\n  normalised score  1.000  (95 % 1.000 to 1.000), mean over episodes; 0 floor, 1 ceiling\n  return            0.00" in said
    )
    assert "  metrics           lost_share" in said


def test_medsim_train_says_how_steps_were_rounded_and_when_nothing_was_left_to_do(tmp_path, capsys):
    small = [f"--set={name}={json.dumps(PPO[name])}" for name in ("n_steps", "batch_size", "n_epochs", "net_arch")]
    command = ["train", ENV, "--algo", "ppo", "--steps", "200", "--envs", "4", "--out", str(tmp_path / "run"), *small]
    assert main(command) == 0
    assert "ppo on medsim/Toy-v0: 256 steps (200 rounded up to whole rollouts: 256) in " in capsys.readouterr().out
    assert main(command) == 0
    assert "already finished, 256 steps" in (said := capsys.readouterr().out)
    assert " s (" not in said
    for last, warned in ((-9.0, True), (-5.0, False)):
        (tmp_path / "run" / "curve.csv").write_text(f"step,return_mean,cost_mean,wall_s\n0,-5.0,0.0,0.0\n256,{last},0.0,1.0\n")
        assert main(command) == 0
        said = capsys.readouterr().out
        assert f"-5.00 before, {last:.2f} after" in said
        assert ("warning: worse after training than before" in said) == warned


def test_the_notice_of_the_old_gym_is_silenced_and_nothing_else():
    pytest.importorskip("gym")
    script = (
        "import sys; from medsim.cli.verbs import silence_gym_notice\n"
        "if sys.argv[1] == 'quiet': silence_gym_notice()\n"
        "import stable_baselines3, warnings; warnings.warn('beware'); print('trouble', file=sys.stderr)"
    )
    quiet, plain = (
        subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, check=True).stderr for how in ("quiet", "plain")
    )
    assert "Gym has been unmaintained" in plain
    assert "unmaintained" not in quiet
    assert "beware" in quiet
    assert "trouble" in quiet
    assert set(quiet.splitlines()) <= set(plain.splitlines())


def test_medsim_commands_that_load_agents_write_no_notice_of_gym(tmp_path):
    run = train(quick("ppo", steps=128), tmp_path / "run")
    script = "import sys; from medsim.cli.verbs import loaded_policy; print(loaded_policy('medsim/HospitalFlow-v0', sys.argv[1]).name)"
    record = json.loads((run / "run.json").read_text())
    record["training"]["env"] = "medsim/HospitalFlow-v0"  # the toy is not known in a process of its own
    (run / "run.json").write_text(json.dumps(record))
    done = subprocess.run([sys.executable, "-c", script, str(run)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ppo\n", "")


def test_medsim_evaluate_gives_every_episode_as_json(capsys):
    assert main(["evaluate", ENV, "--policy", "random", "--patients", "3", "--json", "--set", "horizon_h=6.0"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["policy"] == "random"
    assert len(result["returns"]) == len(result["metrics"]["lost_share"]) == 3
    assert np.sum([result["terms"][name] for name in ("lost", "beds")], axis=0).tolist() == result["returns"]
    assert (result["env"], result["seed"], result["episodes"]) == (ENV, 20260, 3)
    assert (result["options"], result["note"]) == ({"horizon_h": 6.0}, "research simulation, not medical advice")
    assert (result["normalised"], result["unscored"]) == (None, "horizon_h=6.0")


def test_the_floor_scores_nought_where_scores_are_means_whatever_the_middle_half_of_its_episodes_does():
    result = evaluate_hospital(ENV, toy_hospital.POLICIES["random"](), episodes=40)
    skewed = np.where(np.arange(40) < 4, -9.0, 1.0)  # a mean of 0, an interquartile mean of 1
    said = text_of(dataclasses.replace(result, normalised=skewed))
    low, high = re.search(r"normalised score  0.000  \(95 % (\S+) to (\S+)\), mean", said).groups()
    assert (float(low), float(high)) == (-1.0, 0.75)  # 8 and 1 of 40 at -9: the 97.5 and 2.5 % points of Binomial(40, 0.1)


def test_one_episode_has_no_interval(capsys):
    assert main(["evaluate", ENV, "--policy", "best", "--episodes", "1"]) == 0
    said = capsys.readouterr().out
    assert "normalised score  1.000, mean over episodes" in said
    assert "nan" not in said


def test_another_hospital_than_the_scale_is_of_has_no_score_and_the_reason_is_told(capsys):
    assert main(["evaluate", ENV, "--policy", "best", "--episodes", "2", "--set", "stay_h=2.0"]) == 0
    assert "normalised score  none: floor and ceiling are those of the default options, and here stay_h=2.0" in capsys.readouterr().out
    flow, best = "medsim/HospitalFlow-v0", {"engine": "compiled", "expose_state": True, "days": 7.0, "load": 1.0}
    assert differing(flow, best) == ""
    assert differing(flow, {**best, "load": 1.1, "config": "small-general"}) == "load=1.1, config=small-general"


def test_policies_that_do_the_same_are_told_to(capsys):
    assert main(["evaluate", ENV, "--policy", "random", "--policy", "best", "--policy", "best", "--episodes", "2"]) == 0
    said = capsys.readouterr().out
    assert said.count("the same as") == said.count("the same as best here, return for return") == 1


def test_what_a_cost_is_not_is_said_once(capsys):
    command = ["evaluate", "medsim/HospitalFlow-v0", "--policy", "priority", "--policy", "nothing", "--episodes", "1", "--set", "days=0.2"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.count("expected_excess_deaths: associations with delay, not effects") == 1
    assert said.count("expected_excess_deaths ") == 2


@pytest.mark.parametrize("text", ["True", "true"])
def test_options_are_taken_as_help_writes_them(text, capsys):
    assert parse_settings(["a=True", "b=False", "c=None", "d=true", "e=Truest"]) == {
        "a": True, "b": False, "c": None, "d": True, "e": "Truest",
    }  # fmt: skip
    options = ["--set", f"expose_state={text}", "--set", "size=None", "--set", "days=0.1"]
    assert main(["evaluate", "medsim/HospitalFlow-v0", "--policy", "nothing", "--episodes", "1", *options]) == 0


# Side by side


@pytest.mark.parametrize(
    ("env_id", "name", "changes", "options"),
    [
        (ENV, "maskable-ppo", {}, {}),
        (ENV, "dqn", {}, {}),
        (ENV, "recurrent-ppo", {}, {}),
        (ENV, "maskable-ppo", BY_ROLE, {}),
        ("medsim/HospitalFlow-v0", "maskable-ppo", {"steps": 256}, {"days": 0.5}),
        ("medsim/ICUAdmission-v0", "ppo", {"steps": 256}, {}),
    ],
)
def test_episodes_played_side_by_side_are_those_played_one_after_the_other(env_id, name, changes, options, tmp_path, monkeypatch):
    training = (
        quick(name, options=options, **changes) if env_id == ENV else plan_training(env_id, name, options=options, **{**PPO, **changes})
    )
    policy = load_policy(train(training, tmp_path))
    told = []
    monkeypatch.setattr(evaluation, "SIDE_BY_SIDE", 3)
    together = evaluate_hospital(env_id, policy, episodes=5, progress=told.append)
    monkeypatch.setattr(evaluation, "answers_many", lambda policy: False)
    alone = evaluate_hospital(env_id, policy, episodes=5)
    assert together.record() == alone.record()
    assert sum(told) == 5
    assert len(set(together.metrics[next(iter(together.metrics))].tolist())) > 1 or name == "dqn"  # which has not learnt a thing here


# What a run was trained in


def test_a_run_is_not_judged_or_trained_on_in_another_hospital_than_its_file_described(tmp_path):
    file = tmp_path / "mine.json"
    mine = preset("district-general").scaled(0.2).as_dict()
    file.write_text(json.dumps(mine))
    options = {"config": str(file), "days": 0.2}
    training = plan_training("medsim/HospitalFlow-v0", "ppo", options=options, **{**PPO, "steps": 128, "validation_patients": 1})
    run = train(training, tmp_path / "run")
    file.write_text(json.dumps(mine, indent=1, sort_keys=True))  # the same hospital, written otherwise
    assert load_policy(run).options == options
    mine["units"][0]["beds"] += 1
    file.write_text(json.dumps(mine))
    for again in (lambda: load_policy(run), lambda: train(training, run)):
        with pytest.raises(ValueError, match=r"was trained with config=.*mine.json, and that file has changed since"):
            again()
    file.unlink()
    with pytest.raises(ValueError, match=r"mine.json, and that file is gone: put it back"):
        load_policy(run)


def test_medsim_envs_lists_and_describes_hospitals(capsys):
    assert main(["envs"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len({len(line) - len(line.partition(" ")[2].lstrip()) for line in said}) == 1  # one column of questions
    assert said[-1].split(maxsplit=1) == ["medsim/Toy-v0", "a door and a manager"]
    assert main(["envs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["several_agents"]
    assert main(["envs", ENV, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["actions"]["manager"] == "nothing; open; close"
    assert facts["costs"] == "urgent_refused, forbidden_action"
    assert facts["metrics"] == "lost_share"
    assert main(["envs", ENV]) == 0
    assert "acuity; beds free; hour" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "begins"), [("board.png", b"\x89PNG"), ("day.gif", b"GIF8"), ("board.txt", b"")])
def test_medsim_render_draws_the_bed_board(name, begins, tmp_path, capsys):
    target = tmp_path / "new" / "folder" / name
    assert main(["render", ENV, "--policy", "best", "--hour", "6", "--out", str(target)]) == 0
    assert target.read_bytes().startswith(begins)
    found = re.search(r"best, (film up to the )?board of Day 1, 06:(\d\d) \(hour 6 of 24 asked for", capsys.readouterr().out)
    assert found.group(2) != "00"  # nobody is asked at six sharp: the board is that of the next decision
    if name == "board.txt":
        assert "ward" in target.read_text()


def test_the_doctor_finds_a_hospital_the_same_twice(monkeypatch):
    assert medsim.cli.doctor.try_hospital(ENV) == "works; two runs on one seed are the same to the bit for 54 decisions"
    luck = iter(np.random.default_rng(0).random(1000))
    monkeypatch.setattr(toy_hospital.Draws, "uniform", lambda *who: next(luck))
    assert medsim.cli.doctor.try_hospital(ENV).startswith("WRONG: two runs on one seed differ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", ENV, "--policy", "wizard"], "no policy is called 'wizard'; there are random, nothing, best, folders"),
        (["evaluate", ENV, "--policy", "best", "--cohort", "train"], "--cohort is for treatments, and medsim/Toy-v0 is a hospital"),
        (["evaluate", ENV, "--policy", "best", "--episodes", "0"], "--episodes must be 1 or more, not 0"),
        (["evaluate", ENV, "--policy", "best", "--set", "beds=3"], "unknown option 'beds'"),
        (["render", ENV, "--policy", "best", "--hour", "25"], "--hour must be 0 to 24, not 25"),
        (
            ["render", ENV, "--policy", "best", "--out", "a.jpg"],
            "--out must end in .png, .txt (one board) or .gif, .webp, .apng (a film), not '.jpg'",
        ),
        (["train", ENV, "--algo", "ppo", "--set", "lr=3"], "unknown option 'lr'; allowed are horizon_h, stay_h, local_rewards, mask_in_"),
        (["train", ENV, "--algo", "ppo", "--set", "lr=3"], "; and settings of ppo: action, activation, batch_size, clip_range, "),
        (
            ["train", "medsim/ICUAdmission-v0", "--algo", "ppo", "--set", "sharing=role"],
            "sharing=role is for several roles, and medsim/ICUAdmission-v0 has one here (",
        ),
        (["train", ENV, "--algo", "ppo", "--set", "sharing=all"], "sharing must be one of shared, role, not 'all'"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_value(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_treatments_policy_is_not_taken_for_a_hospitals(tmp_path, capsys):
    run = str(train(quick("ppo", steps=128), tmp_path / "run"))
    assert main(["evaluate", "medsim/Glucose-v0", "--policy", run]) == 2
    assert "is that of a hospital, and medsim/Glucose-v0 is a treatment" in capsys.readouterr().err
    assert main(["evaluate", ENV, "--policy", run, "--episodes", "1"]) == 0
