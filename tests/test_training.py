"""Training: what may be combined, settings refused by name, and runs that stop, are killed, go on and end the same."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")
import torch

from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim_agents import checkpoint as checkpoints
from medsim_agents import load_hyperparameters, load_policy, plan_training, train
from medsim_agents.algorithms import ALGORITHMS, LOGGED, suited_options
from medsim_agents.benchmark import jobs_of, run_job
from medsim_agents.construction import TRANSLATED, load_model
from medsim_agents.hyperparameters import parse_hyperparameters
from medsim_agents.learning import TrainingInterrupted
from medsim_agents.normalisation import ObservationScale
from medsim_agents.policies import load
from medsim_agents.run_folder import read_curve, read_run
from medsim_agents.suites import Agent, Board, Suite
from medsim_agents.verbs import verbs

ENV = "medsim/Glucose-v0"
SEPSIS = "medsim/Sepsis-v0"
ROOT = Path(__file__).parent.parent
QUICK = {"validation_patients": 8, "curve_points": 3, "net_arch": [16, 16]}
PPO = {"steps": 1536, "n_envs": 8, "n_steps": 32, "batch_size": 128, "n_epochs": 2, **QUICK}  # six rollouts
OFF_POLICY = {"steps": 600, "n_envs": 4, "learning_starts": 100, "batch_size": 32, "buffer_size": 400, **QUICK}
NAMES = [one.name for one in ALGORITHMS if not one.tabular and not one.offline]  # those others: below, and test_offline.py
LIMITED = [one.name for one in ALGORITHMS if one.constraints]


class Broken(RuntimeError):
    """What breaks a training in these tests."""


def quick(name, **changes):
    """A training of a few steps."""
    if name in ("ppo", "maskable-ppo", "recurrent-ppo", *LIMITED):
        small = dict(PPO)
    elif name == "a2c":
        small = {"steps": 640, "n_envs": 8, "n_steps": 8, **QUICK}
    else:
        small = dict(OFF_POLICY)
    if name == "recurrent-ppo":
        small |= {"lstm_hidden_size": 8}
    if name in LIMITED:
        small |= {"cost_limits": {"glucose_below_70": 4.0}}
    return plan_training(ENV, name, **{**small, **changes})


def weights(folder, name):
    """Every tensor of a finished run's networks."""
    model = load_model(name, folder / "model.zip")
    return {part: value.clone() for part, value in model.policy.state_dict().items()}


def equal_to_the_bit(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[part], other[part]) for part in one)


def break_at(steps):
    """A progress function that breaks the training once so many steps are made."""
    made = 0

    def progress(count):
        nonlocal made
        made += count
        if made >= steps:
            raise Broken

    return progress


# What may be combined


def test_an_unknown_algorithm_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"no algorithm is called 'pop'; there are ppo, a2c"):
        plan_training(ENV, "pop")


def test_discrete_only_algorithms_refuse_continuous_actions_by_name():
    for name in ("dqn", "qrdqn"):
        with pytest.raises(ValueError, match=rf"{name} cannot act in medsim/Glucose-v0 with continuous actions.*those that can are ppo"):
            plan_training(ENV, name, options={"action": "continuous"})


def test_continuous_only_algorithms_choose_continuous_actions_and_refuse_discrete_ones():
    for name in ("sac", "td3", "tqc"):
        assert suited_options(name, ENV) == {"action": "continuous"}
        with pytest.raises(ValueError, match=f"{name} cannot act in .* with discrete actions"):
            suited_options(name, ENV, {"action": "discrete"})


def test_training_on_the_test_patients_is_refused():
    with pytest.raises(ValueError, match="cohort must not be 'test'"):
        plan_training(ENV, "ppo", options={"cohort": "test"})


def test_wrong_options_and_settings_are_refused_by_name():
    with pytest.raises(ValueError, match="unknown option 'dayz'"):
        plan_training(ENV, "ppo", options={"dayz": 7})
    with pytest.raises(ValueError, match="unknown setting 'learning_rat'"):
        plan_training(ENV, "ppo", learning_rat=1e-3)
    with pytest.raises(ValueError, match=r"n_steps must be int, not 1\.5"):
        plan_training(ENV, "ppo", n_steps=1.5)
    with pytest.raises(ValueError, match="steps must be 1 or more, not 0"):
        plan_training(ENV, "ppo", steps=0)


# Hyperparameter files


def test_a_misspelt_setting_in_a_file_is_refused_with_file_table_and_name():
    with pytest.raises(ValueError, match=r"glucose.toml, \[ppo\]: unknown setting 'gama'; allowed are"):
        parse_hyperparameters("[ppo]\ngama = 0.99", "glucose.toml")
    with pytest.raises(ValueError, match=r"glucose.toml: unknown table \[pop\]"):
        parse_hyperparameters("[pop]\ngamma = 0.99", "glucose.toml")
    with pytest.raises(ValueError, match=r"\[dqn\]: buffer_size must be int, not True"):
        parse_hyperparameters("[dqn]\nbuffer_size = true", "glucose.toml")


def test_a_table_can_share_the_settings_of_one_above_it_but_for_its_own():
    text = "[ppo]\ngamma = 0.9\nn_steps = 8\n[ppo.by_role]\nn_steps = 4\n[a2c]\nlike = 'ppo'\nn_steps = 5"
    assert parse_hyperparameters(text, "x.toml")["a2c"] == {"gamma": 0.9, "n_steps": 5}
    with pytest.raises(ValueError, match=r"x.toml, \[a2c\]: like must be a table above it, one of none, not 'ppo'"):
        parse_hyperparameters("[a2c]\nlike = 'ppo'\n[ppo]\ngamma = 0.9", "x.toml")
    with pytest.raises(ValueError, match=r"\[ppo-lagrangian\]: unknown setting 'use_rms_prop'"):
        parse_hyperparameters("[a2c]\nuse_rms_prop = true\n[ppo-lagrangian]\nlike = 'a2c'", "x.toml")


@pytest.mark.parametrize("name", NAMES)
def test_every_algorithm_has_tuned_settings_with_a_reason_for_them(name):
    assert {"steps", "n_envs", "learning_rate", "gamma"} <= load_hyperparameters(ENV, name).keys()
    text = (ROOT / "agents/medsim_agents/hyperparameters/glucose.toml").read_text()
    table = text.partition(f"[{name}]")[2].partition("\n[")[0]
    assert all("#" in line for line in table.splitlines() if "=" in line.partition("#")[0])


@pytest.mark.parametrize("one", ALGORITHMS, ids=lambda one: one.name)
def test_every_setting_is_one_that_the_class_takes(one):
    taken = {name for kind in inspect.getmro(one.load()) for name in inspect.signature(kind.__init__).parameters}
    elsewhere = {*TRANSLATED, *(LOGGED if one.offline else ())}
    assert [name for name in one.settings if name not in taken and name not in elsewhere] == []


# Tables


def test_a_table_is_trained_loaded_and_valued_like_any_agent(tmp_path):
    small = {"steps": 200_000, "n_envs": 100, "curve_points": 2}
    training = plan_training("medsim/SepsisSCM-v0", "q-learning", seed=1, **small)
    folder = train(training, tmp_path / "one")
    run, curve, policy = read_run(folder), read_curve(folder), load_policy(folder)
    assert (run["status"], run["steps"], policy.name, policy.options) == ("complete", 200_000, "q-learning", {"observation": "index"})
    assert "computed exactly" in run["curve"]
    assert [point["step"] for point in curve] == [0, 100_000, 200_000]
    exact = exact_score("medsim/SepsisSCM-v0", policy).exact
    assert exact.value == pytest.approx(curve[-1]["return_mean"], abs=1e-12)
    assert exact.value > -0.1 > curve[0]["return_mean"] + 0.1  # the random policy: -0.72; more steps: more
    again = train(training, tmp_path / "again")
    assert (again / "policy.npz").read_bytes() == (folder / "policy.npz").read_bytes()
    assert train(training, folder) == folder  # finished: nothing is done


def test_a_suites_job_can_name_a_table(tmp_path):
    board = Board(env="medsim/SepsisSCM-v0", agents=(Agent(algorithm="q-learning", seeds=(0,), changes={"steps": 25_600}),),
                  references=("random",), patients=20)  # fmt: skip
    job = next(job for job in jobs_of(Suite(name="tables", purpose="a test", boards=(board,))) if job.kind == "agent")
    record = run_job(job, tmp_path)
    assert record["job"]["policy"] == "q-learning"
    assert len(record["result"]["returns"]) == 20
    assert record["learning_curve"][-1]["step"] == 25_600


def test_a_table_is_refused_where_the_course_is_none():
    with pytest.raises(ValueError, match="q-learning learns a table, and the course of medsim/Glucose-v0 is none"):
        suited_options("q-learning", ENV)
    with pytest.raises(ValueError, match="q-learning cannot act in medsim/ICUAdmission-v0 or any hospital"):
        plan_training("medsim/ICUAdmission-v0", "q-learning")


# Runs


def test_a_run_folder_holds_all_that_is_needed_to_run_it_again(tmp_path):
    folder = train(quick("ppo"), tmp_path / "run", command="medsim train this")
    run, curve = read_run(folder), read_curve(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "model.zip", "normalisation.json", "run.json"]
    assert run["status"] == "complete"
    assert run["command"] == "medsim train this"
    assert run["training"]["hyperparameters"]["n_envs"] == 8
    assert {"python", "medsim", "torch", "stable-baselines3", "numpy"} <= run["versions"].keys()
    assert {"commit", "hardware", "began", "ended", "time"} <= run.keys()
    assert [point["step"] for point in curve] == [0, 512, 1024, 1536]


def test_the_command_of_a_run_names_what_differs_from_the_tuned_settings(tmp_path):
    from medsim_agents.run_folder import training_command

    training = plan_training(ENV, "ppo", seed=3, steps=500, gamma=0.5, options={"days": 7})
    assert training_command(training, Path("out")) == (
        "medsim train medsim/Glucose-v0 --algo ppo --steps 500 --seed 3 --out out --set days=7 --set gamma=0.5"
    )


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(tmp_path):
    one, same, other = (
        weights(train(quick("ppo", seed=seed), tmp_path / name), "ppo") for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert equal_to_the_bit(one, same)
    assert not equal_to_the_bit(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_training_goes_on_and_ends_with_the_same_weights_to_the_bit(name, tmp_path):
    training = quick(name)
    whole = train(training, tmp_path / "whole")
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_at(0.7 * training.hyperparameters["steps"]), checkpoint_every_s=0.0)
    assert (tmp_path / "broken" / "checkpoint.pkl").is_file()
    broken = train(training, tmp_path / "broken")
    assert equal_to_the_bit(weights(whole, name), weights(broken, name))
    assert [(p["step"], p["return_mean"]) for p in read_curve(whole)] == [(p["step"], p["return_mean"]) for p in read_curve(broken)]
    assert (whole / "normalisation.json").read_bytes() == (broken / "normalisation.json").read_bytes()
    assert len(read_run(broken)["resumed"]) == 1


def test_an_off_policy_training_goes_on_with_its_replay_buffer(tmp_path):
    training = quick("dqn")
    with pytest.raises(Broken):
        train(training, tmp_path, break_at(500), checkpoint_every_s=0.0)
    replay = checkpoints.read_checkpoint(tmp_path / "checkpoint.pkl")["replay"]
    assert replay["full"]
    assert replay["arrays"]["observations"].shape == (100, 4, 25)
    assert np.ptp(replay["arrays"]["observations"][:, 0, 0]) > 0.0


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    training = quick("ppo")
    with pytest.raises(Broken):
        train(training, tmp_path, break_at(1000), checkpoint_every_s=0.0)
    before = (tmp_path / "checkpoint.pkl").read_bytes()

    def full(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("medsim_agents.checkpoint.os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        train(training, tmp_path, checkpoint_every_s=0.0)
    assert (tmp_path / "checkpoint.pkl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupt_writes_a_checkpoint_and_says_that_the_same_command_goes_on(tmp_path):
    training, made = quick("ppo"), []

    def interrupt(count):
        made.append(count)
        if len(made) == 70:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="stopped at 768 of 1536 steps; the same command goes on"):
        train(training, tmp_path / "run", interrupt)
    whole, stopped = train(training, tmp_path / "whole"), train(training, tmp_path / "run")
    assert equal_to_the_bit(weights(whole, "ppo"), weights(stopped, "ppo"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_the_last_rollout_is_not_forgotten(tmp_path):
    training, made = quick("ppo"), []

    def interrupt(count):
        made.append(count)
        if sum(made) == 1536:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="this training is complete"):
        train(training, tmp_path, interrupt)
    assert load_policy(tmp_path).name == "ppo"


def test_a_killed_process_loses_nothing_but_the_time_since_its_checkpoint(tmp_path):
    training = quick("ppo", steps=200_000)
    code = (
        "import sys; from medsim_agents import train, Training; import json\n"
        "train(Training(**json.loads(sys.argv[1])), sys.argv[2], checkpoint_every_s=0.0)"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "agents")])
    plan = json.dumps(training.plan())
    process = subprocess.Popen([sys.executable, "-c", code, plan, str(tmp_path)], env={**os.environ, "PYTHONPATH": paths})
    deadline = time.monotonic() + 60
    while not (tmp_path / "checkpoint.pkl").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.kill()
    process.wait()
    at = checkpoints.restore_model
    steps = []

    def restore(*arguments):
        model = at(*arguments)
        steps.append(model.num_timesteps)
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medsim_agents.checkpoint.restore_model", restore)
        with pytest.raises(Broken):
            train(training, tmp_path, break_at(steps[0] + 256 if steps else 1))
    assert steps
    assert steps[0] > 0


def test_a_folder_that_holds_another_training_is_refused(tmp_path):
    folder = train(quick("ppo"), tmp_path)
    with pytest.raises(ValueError, match=r"holds another training \(seed: 0 there, 1 asked for\)"):
        train(quick("ppo", seed=1), folder)


def test_a_complete_training_is_not_trained_again(tmp_path):
    folder = train(quick("ppo"), tmp_path)
    before = (folder / "model.zip").read_bytes()
    train(quick("ppo"), folder)
    assert (folder / "model.zip").read_bytes() == before


# Trained policies


@pytest.mark.parametrize("name", ["ppo", "sac", "recurrent-ppo"])
def test_a_loaded_policy_does_what_the_model_in_training_did(name, tmp_path):
    folder = train(quick(name), tmp_path)
    policy = load_policy(folder)
    assert policy.options == ({"action": "continuous"} if name == "sac" else {})
    result = evaluate(ENV, policy, cohort="train", patients=8, seed=990_001)
    assert float(result.returns.mean()) == read_curve(folder)[-1]["return_mean"]


@pytest.mark.parametrize("name", ["ppo", "recurrent-ppo"])
def test_a_policy_trained_on_charts_is_stopped_goes_on_and_is_loaded_like_any_other(name, tmp_path):
    small = {**quick(name).hyperparameters, "steps": 1024, "n_envs": 4, "n_steps": 64, "batch_size": 64}
    training = plan_training(SEPSIS, name, options={"observation": "ehr"}, validation_patients=4, curve_points=2, **small)
    whole, broken = train(training, tmp_path / "whole"), tmp_path / "broken"
    with pytest.raises(Broken):
        train(training, broken, break_at(600), checkpoint_every_s=0.0)
    assert equal_to_the_bit(weights(train(training, broken), name), weights(whole, name))
    policy = load_policy(whole)
    assert policy.options == training.options
    assert policy.options["observation"] == "ehr"
    result = evaluate(SEPSIS, policy, cohort="train", patients=4, seed=990_001)
    assert float(result.returns.mean()) == read_curve(whole)[-1]["return_mean"]


@pytest.mark.parametrize("how", ["frozen", "fine-tuned"])
def test_a_policy_trained_through_encoders_is_stopped_goes_on_and_is_loaded_like_any_other(how, tmp_path):
    small = {**quick("ppo").hyperparameters, "steps": 384, "n_envs": 4, "n_steps": 32, "batch_size": 64, "perception": how}
    seen = {"observation": "multimodal", "step_hours": 4, "xray_hours": 12}
    training = plan_training(SEPSIS, "ppo", options=seen, validation_patients=4, curve_points=2, **small)
    whole, broken = train(training, tmp_path / "whole"), tmp_path / "broken"
    with pytest.raises(Broken):
        train(training, broken, break_at(200), checkpoint_every_s=0.0)
    assert equal_to_the_bit(weights(train(training, broken), "ppo"), weights(whole, "ppo"))
    result = evaluate(SEPSIS, load_policy(whole), cohort="train", patients=4, seed=990_001)
    assert float(result.returns.mean()) == read_curve(whole)[-1]["return_mean"]


@pytest.mark.parametrize(("env_id", "how", "seen", "message"), [
    (SEPSIS, "molten", {"observation": "multimodal"}, "perception must be one of frozen, fine-tuned, not 'molten'"),
    (SEPSIS, "frozen", {}, "perception needs observation='multimodal' .*, not 'vector'"),
    (ENV, "frozen", {}, "perception needs an environment whose patients there are encoders for"),
])  # fmt: skip
def test_what_cannot_be_perceived_is_refused_by_name(env_id, how, seen, message):
    with pytest.raises(ValueError, match=message):
        plan_training(env_id, "ppo", options=seen, perception=how)


def test_settings_say_which_kind_of_action_they_are_for_unless_another_is_asked_for():
    assert plan_training(SEPSIS, "ppo").options == {"action": "continuous"}
    assert plan_training(SEPSIS, "ppo", options={"action": "discrete"}).options == {"action": "discrete"}
    assert plan_training(SEPSIS, "dqn").options == {}


def test_a_policy_that_learnt_from_a_shaped_reward_in_units_is_judged_on_the_outcome_in_doses(tmp_path):
    small = {"steps": 1152, "n_envs": 8, "n_steps": 72, "batch_size": 96}
    policy = load_policy(train(plan_training(SEPSIS, "ppo", validation_patients=4, curve_points=1, **small), tmp_path))
    env = gym.make_vec(SEPSIS, num_envs=3, action="continuous").unwrapped
    observations, _ = env.reset(seed=0)
    policy.begin(env)
    doses = policy.act(observations)
    assert policy.model.action_space.low.tolist() == [-1.0, -1.0]
    assert (doses >= 0.0).all()
    assert (doses[:, 0] > 2.0).any(), "mL/h, not a number from -1 to 1"
    env.step(doses)
    result = evaluate(SEPSIS, policy, cohort="train", patients=4, seed=990_001)
    np.testing.assert_allclose(result.returns, 1.0 - 2.0 * result.metrics["death_probability"], atol=1e-12)


def test_an_algorithm_with_a_replay_buffer_refuses_charts():
    with pytest.raises(ValueError, match="charts are too large for that: choose observation='vector', or one of ppo, a2c"):
        suited_options("sac", SEPSIS, {"observation": "ehr"})


def test_a_number_that_never_changed_in_training_is_held_at_its_mean():
    scale = ObservationScale(mean=(0.0, 100.0), variance=(1e-9, 400.0), epsilon=1e-8, clip=10.0)
    assert scale(np.array([[5.0, 120.0]])).tolist() == [[0.0, 1.0]]


def test_only_run_folders_name_a_policy(tmp_path):
    assert load("basal-bolus") is None
    assert load(str(tmp_path)) is None
    training = quick("ppo")
    with pytest.raises(Broken):
        train(training, tmp_path / "run", break_at(500))
    with pytest.raises(ValueError, match="has not finished; go on with: medsim train"):
        load(str(tmp_path / "run"))


def test_ppo_learns_to_dose_far_better_than_chance(tmp_path):
    tuned = load_hyperparameters(ENV, "ppo")
    training = plan_training(ENV, "ppo", **{**tuned, "steps": 100_000, "n_envs": 32, "n_steps": 32, "batch_size": 128}, curve_points=1)
    trained = evaluate(ENV, load_policy(train(training, tmp_path)), patients=50)
    chance = evaluate(ENV, reference_policies(ENV)["random"](), patients=50)
    assert trained.returns.mean() > chance.returns.mean() + 60.0


# The verb


def test_medsim_train_trains_and_says_where(tmp_path, capsys):
    import argparse

    verb = next(one for one in verbs() if one.name == "train")
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    small = [f"--set={name}={json.dumps(PPO[name])}" for name in ("n_steps", "batch_size", "n_epochs", "net_arch")]
    args = parser.parse_args([ENV, "--algo", "ppo", "--steps", "512", "--envs", "8", "--out", str(tmp_path), *small, "--json"])
    assert verb.run(args) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["training"]["hyperparameters"]["n_envs"] == 8
    assert said["status"] == "complete"
    assert said["folder"] == str(tmp_path)


def test_listing_the_verbs_imports_neither_torch_nor_stable_baselines(run_python):
    done = run_python(
        "import sys, medsim_agents; from medsim_agents.verbs import verbs; verbs(); import argparse\n"
        "[verb.configure(argparse.ArgumentParser()) for verb in verbs()]\n"
        "print([name for name in ('torch', 'stable_baselines3', 'sb3_contrib') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]"


def test_plans_are_plain_data():
    training = quick("ppo")
    assert replace(training) == training
    assert json.loads(json.dumps(dict(training.hyperparameters))) == training.hyperparameters
