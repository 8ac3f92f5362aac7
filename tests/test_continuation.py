"""Going on with a finished run: what it begins with, what is left alone, and the gate that refuses a worse policy."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")
import torch

from medsim_agents import continuation, plan_training, train
from medsim_agents.construction import build_environment, build_model, load_model
from medsim_agents.continuation import begin_with, gate, plan_continuation
from medsim_agents.normalisation import read_scale, scale_of
from medsim_agents.run_folder import read_run
from medsim_agents.verbs import verbs

ENV = "medsim/SepsisSCM-v0"
SMALL = {"validation_patients": 8, "curve_points": 1}
PPO = {
    "steps": 20_480, "n_envs": 64, "n_steps": 20, "batch_size": 256, "n_epochs": 4, "net_arch": [32], "activation": "tanh",
    "learning_rate": 1e-3, "gamma": 1.0, "gae_lambda": 0.95, "ent_coef": 0.0, "clip_range": 0.2,
}  # fmt: skip
DQN = {"steps": 600, "n_envs": 4, "learning_starts": 300, "batch_size": 32, "buffer_size": 400, "net_arch": [8]}
SAC = {"steps": 200, "n_envs": 4, "learning_starts": 100, "batch_size": 32, "buffer_size": 400, "net_arch": [8]}


class Broken(RuntimeError):
    """What breaks a training in these tests."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training that has learnt something."""
    return train(plan_training(ENV, "ppo", **PPO, **SMALL), tmp_path_factory.mktemp("runs") / "old")


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def begun(training):
    """The model that a continuation starts with, before it has learnt anything."""
    env = build_environment(training.algorithm, training.env, training.seed, training.options, training.hyperparameters)
    return begin_with(build_model(training.algorithm, env, training.seed, training.hyperparameters), training)


def test_a_continuation_begins_with_the_old_networks_and_leaves_the_old_run_alone(run, tmp_path):
    before = contents(run)
    training = plan_continuation(run, steps=2560, **SMALL)
    model, old = begun(training), load_model("ppo", run / "model.zip")
    assert same(old.policy.state_dict(), model.policy.state_dict())
    assert same(old.policy.optimizer.state_dict()["state"][0], model.policy.optimizer.state_dict()["state"][0])
    new = train(training, tmp_path / "new")
    assert contents(run) == before
    assert not same(old.policy.state_dict(), load_model("ppo", new / "model.zip").policy.state_dict())
    record = read_run(new)
    assert record["steps"] == 2560
    assert record["training"]["begins_with"]["run"] == str(run)
    assert f"--from {run} --steps 2560" in record["command"]


def test_a_continuation_goes_on_from_the_scale_of_the_observations(tmp_path):
    glucose = {"steps": 512, "n_envs": 8, "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]}
    old = train(plan_training("medsim/Glucose-v0", "ppo", **glucose, **SMALL), tmp_path / "old")
    normaliser = begun(plan_continuation(old, steps=512)).get_vec_normalize_env()
    assert scale_of(normaliser).mean == read_scale(old / "normalisation.json").mean
    assert normaliser.obs_rms.count == 512


@pytest.mark.parametrize(
    ("env", "name", "small"),
    [(ENV, "dqn", DQN), ("medsim/Glucose-v0", "sac", SAC), (ENV, "recurrent-ppo", {**PPO, "steps": 1280, "lstm_hidden_size": 8})],
)
def test_every_kind_of_algorithm_begins_with_what_it_had_learnt(env, name, small, tmp_path):
    old = train(plan_training(env, name, **small, **SMALL), tmp_path / "old")
    training = plan_continuation(old, steps=small["steps"], **SMALL)
    model, saved = begun(training), load_model(name, old / "model.zip")
    assert same(saved.policy.state_dict(), model.policy.state_dict())
    if name == "sac":
        assert torch.equal(saved.log_ent_coef, model.log_ent_coef)
    if name == "dqn":  # it knows something already: no random play at the start
        assert training.hyperparameters["learning_starts"] == 32
        assert training.hyperparameters["exploration_initial_eps"] == training.hyperparameters["exploration_final_eps"]
    assert read_run(train(training, tmp_path / "new"))["status"] == "complete"


def test_a_broken_continuation_goes_on_and_ends_with_the_same_weights(run, tmp_path):
    training, made = plan_continuation(run, steps=5120, **SMALL), 0

    def break_late(count):
        nonlocal made
        made += count
        if made >= 3000:
            raise Broken

    whole = train(training, tmp_path / "whole")
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_late, checkpoint_every_s=0.0)
    broken = train(training, tmp_path / "broken")
    assert same(*(load_model("ppo", one / "model.zip").policy.state_dict() for one in (whole, broken)))


def test_a_run_can_go_on_with_a_shifted_cohort_and_is_judged_on_it(run, tmp_path):
    new = train(plan_continuation(run, steps=1280, options={"cohort": "shifted"}, **SMALL), tmp_path)
    found = gate(new, judges=50)
    assert found.cohort == "shifted"
    assert read_run(new)["gate"]["cohort"] == "shifted"


def test_the_same_policy_is_promoted_with_a_difference_of_exactly_nothing(tmp_path):
    plain = {**PPO, "steps": 1280, "normalise_observations": False}  # else the scale of what is seen goes on moving
    run = train(plan_training(ENV, "ppo", **plain, **SMALL), tmp_path / "old")
    new = train(plan_continuation(run, steps=1280, learning_rate=0.0, **SMALL), tmp_path / "new")
    found = gate(new, judges=100)
    assert (found.difference, found.low, found.high, found.better, found.worse) == (0.0, 0.0, 0.0, 0, 0)
    assert found.promoted
    assert read_run(new)["gate"]["verdict"] == "promoted"
    assert not gate(new, judges=100, margin=0.0).promoted  # nothing less than better is asked for then


def test_a_worse_policy_is_refused_with_the_figures(run, tmp_path, monkeypatch):
    new = train(plan_continuation(run, steps=1280, **SMALL), tmp_path)
    returns = iter([np.ones(100), np.where(np.arange(100) < 20, -1.0, 1.0)])  # a fifth of the patients dies who lived
    monkeypatch.setattr(continuation, "returns_of", lambda *what: next(returns))
    found = gate(new, judges=100)
    assert not found.promoted
    assert (found.better, found.worse, found.return_old, found.return_new) == (0, 20, 1.0, 0.6)
    assert found.low < found.difference < found.high < 0.0
    record = read_run(new)["gate"]
    assert record["verdict"] == "refused"
    assert record["difference"] == pytest.approx(-0.4 / (0.5643 + 0.7164))
    assert "refused: new less old -0.3123" in found.said()


def test_what_cannot_go_on_is_refused_by_name(run, tmp_path):
    with pytest.raises(ValueError, match="is not a training's run folder"):
        plan_continuation(tmp_path, steps=100)
    with pytest.raises(ValueError, match="was trained on medsim/SepsisSCM-v0, not on medsim/Glucose-v0"):
        plan_continuation(run, steps=100, env_id="medsim/Glucose-v0")
    with pytest.raises(ValueError, match="cohort must not be 'test'"):
        plan_continuation(run, steps=100, options={"cohort": "test"})
    with pytest.raises(ValueError, match="began anew: there is nothing to compare it with"):
        gate(run)
    with pytest.raises(ValueError, match="saw and did other things"):
        train(plan_continuation(run, steps=100, options={"observation": "full"}, **SMALL), tmp_path / "other")
    training = plan_continuation(run, steps=100, **SMALL)
    training.begins_with["sha256"] = "0" * 64
    with pytest.raises(ValueError, match="has changed since this training was planned"):
        train(training, tmp_path / "changed")


def command(*words):
    verb = next(one for one in verbs() if one.name == "train")
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    return verb.run(parser.parse_args([str(word) for word in words]))


def test_medsim_train_from_a_run_promotes_and_refuses_by_its_exit_code(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(continuation, "JUDGES", 60)
    still = ("--set", "learning_rate=0.0", "--margin", "0.2")
    assert command(ENV, "--from", run, "--steps", 1280, *still, "--out", tmp_path / "same") == 0
    assert "promoted: new less old" in capsys.readouterr().out
    worse = ("--set", "learning_rate=0.3", "--set", "learning_rate_final=0.3", "--set", "max_grad_norm=100.0", "--set", "n_epochs=20")
    assert command(ENV, "--from", run, "--steps", 5120, *worse, "--out", tmp_path / "worse") == 1
    assert "refused: new less old -" in capsys.readouterr().out
    assert command(ENV, "--from", run, "--steps", 5120, *worse, "--out", tmp_path / "worse", "--json") == 1
    assert json.loads(capsys.readouterr().out)["gate"]["verdict"] == "refused"


def test_arguments_that_do_not_go_together_are_refused_by_name(run, tmp_path):
    for words, said in (
        ((ENV,), "say what to train: --algo NAME, or --from RUN"),
        ((ENV, "--algo", "ppo", "--margin", "0.1"), "--margin goes with --from"),
        ((ENV, "--from", run, "--algo", "ppo", "--steps", "9"), "do not go with --from"),
        ((ENV, "--from", run, "--out", tmp_path), "say with --steps"),
        ((ENV, "--from", run, "--steps", "9"), "say with --out where the new run is to go"),
        ((ENV, "--from", run, "--steps", "9", "--out", run), "another folder than"),
        ((ENV, "--from", Path("nowhere"), "--steps", "9"), "nowhere is not a training's run folder"),
    ):
        with pytest.raises(ValueError, match=said):
            command(*words)
