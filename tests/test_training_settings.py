"""Settings that change in the course of a training, where they come from, and where networks are trained."""

import argparse
import json

import pytest

pytest.importorskip("stable_baselines3")
import torch

from medsim_agents import plan_training, train
from medsim_agents.construction import load_model
from medsim_agents.device import device_of
from medsim_agents.hyperparameters import load_hyperparameters, origin_of, parse_hyperparameters, read_settings
from medsim_agents.run_folder import read_run
from medsim_agents.schedules import parse_schedule, scheduled
from medsim_agents.verbs import verbs

ENV = "medsim/SepsisSCM-v0"
SMALL = {"validation_patients": 4, "curve_points": 2, "net_arch": [8]}
PPO = {"steps": 1024, "n_envs": 8, "n_steps": 32, "batch_size": 64, "n_epochs": 1, **SMALL}
DQN = {"steps": 600, "n_envs": 4, "learning_starts": 100, "batch_size": 32, "buffer_size": 400, **SMALL}


class Broken(RuntimeError):
    """What breaks a training in these tests."""


# Schedules


def test_a_line_and_an_exponential_go_from_the_first_to_the_last_and_stay_there():
    line, curve = parse_schedule("linear:1.0:0.2:0.5", "x"), parse_schedule("exponential:1.0:0.01", "x")
    assert [line(remaining) for remaining in (1.0, 0.75, 0.5, 0.0)] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert [curve(remaining) for remaining in (1.0, 0.5, 0.0)] == pytest.approx([1.0, 0.1, 0.01])
    assert parse_schedule("linear:3e-4", "x")(0.0) == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cosine:1.0", r"gamma must be a number or a schedule \(linear:FIRST.*, not 'cosine:1.0'"),
        ("linear", "must be a number or a schedule"),
        ("linear:one", "must be a number or a schedule"),
        ("linear:1:0:0.5:7", "must be a number or a schedule"),
        ("linear:nan", "must be a number or a schedule"),
        ("exponential:1.0", "an exponential needs FIRST and LAST above 0"),
        ("exponential:1.0:0", "an exponential needs FIRST and LAST above 0"),
        ("linear:-1", "must not be below 0"),
        ("linear:1:0:1.5", "SHARE must be above 0 and at most 1"),
    ],
)
def test_a_text_that_is_no_schedule_is_refused_with_what_is_allowed(text, said):
    with pytest.raises(ValueError, match=said):
        parse_schedule(text, "gamma")


def test_a_wrong_schedule_is_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match=r"settings of ppo: learning_rate must be a number or a schedule .*, not 'fast'"):
        plan_training(ENV, "ppo", learning_rate="fast")
    assert scheduled({"ent_coef": "auto_0.1"}, "ent_coef") is None  # a word of SAC's own


def test_ppo_follows_the_schedules_of_its_learning_rate_clipping_and_entropy(tmp_path):
    told = {"learning_rate": "linear:1e-3:5e-4", "clip_range": "exponential:0.4:0.1", "ent_coef": "linear:0.1:0.0"}
    model = load_model("ppo", train(plan_training(ENV, "ppo", **PPO, **told), tmp_path) / "model.zip")
    assert model.lr_schedule(0.5) == pytest.approx(7.5e-4)
    assert model.clip_range(0.5) == pytest.approx(0.2)
    assert model.ent_coef == pytest.approx(0.0)  # the last update is at the end of the course
    assert read_run(tmp_path)["training"]["hyperparameters"]["ent_coef"] == "linear:0.1:0.0"


def test_dqn_explores_by_the_schedule_that_it_is_told(tmp_path):
    training = plan_training(ENV, "dqn", **DQN, exploration_rate="exponential:0.8:0.2")
    model = load_model("dqn", train(training, tmp_path) / "model.zip")
    assert model.exploration_rate == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("name", "small", "told"),
    [("ppo", PPO, {"ent_coef": "linear:0.1:0.02"}), ("dqn", DQN, {"exploration_rate": "exponential:0.8:0.2"})],
)
def test_a_broken_training_goes_on_along_its_schedules(name, small, told, tmp_path):
    training, made = plan_training(ENV, name, **small, **told), 0

    def break_late(count):
        nonlocal made
        made += count
        if made >= 0.6 * training.hyperparameters["steps"]:
            raise Broken

    whole = load_model(name, train(training, tmp_path / "whole") / "model.zip")
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", break_late, checkpoint_every_s=0.0)
    broken = load_model(name, train(training, tmp_path / "broken") / "model.zip")
    ours, theirs = whole.policy.state_dict(), broken.policy.state_dict()
    assert all(torch.equal(ours[part], theirs[part]) for part in ours)


# Where settings come from


def test_a_run_says_where_its_settings_come_from_and_how_many_were_tried(tmp_path):
    train(plan_training(ENV, "ppo", **PPO), tmp_path)
    found = read_run(tmp_path)["settings_from"]
    assert found["file"] == "sepsisscm.toml"
    assert found["trials"] == 30
    assert {"steps", "net_arch"} <= set(found["changed"])
    assert origin_of("medsim/Glucose-v0", "ppo", load_hyperparameters("medsim/Glucose-v0", "ppo")).trials == 13
    assert origin_of("medsim/Glucose-v0", "ppo", load_hyperparameters("medsim/Glucose-v0", "ppo")).changed == ()


def test_a_file_of_settings_takes_the_place_of_the_tuned_ones(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[ppo]\nsteps = 1024\nn_envs = 8\nlearning_rate = 2e-3\n[ppo.search]\ntrials = 20\nsampler = 'TPE'\n")
    training = plan_training(ENV, "ppo", config=file, gamma=0.5)
    assert training.hyperparameters == {"steps": 1024, "n_envs": 8, "learning_rate": 2e-3, "gamma": 0.5}
    assert (training.origin.file, training.origin.trials, training.origin.changed) == ("mine.toml", 20, ("gamma",))
    with pytest.raises(ValueError, match=r"cannot read the settings in .*nowhere.toml"):
        read_settings(tmp_path / "nowhere.toml", "ppo")
    with pytest.raises(ValueError, match=r"mine.toml has no settings for dqn; it has ppo"):
        read_settings(file, "dqn")
    with pytest.raises(ValueError, match=r"\[ppo.search\] must be a table with trials, a whole number"):
        parse_hyperparameters("[ppo]\nsearch = { trials = -1 }", "mine.toml")


# Where networks are trained


def test_training_is_on_the_processor_unless_something_else_is_said():
    assert device_of({}) == "cpu"
    assert device_of({"device": "auto"}) == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="device must be one of auto, cpu, cuda, not 'tpu'"):
        plan_training(ENV, "ppo", device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_a_graphics_card_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="torch finds no graphics card here"):
        plan_training(ENV, "ppo", device="cuda")


def test_medsim_train_records_the_device(tmp_path, capsys):
    verb = next(one for one in verbs() if one.name == "train")
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    small = [word for name, value in PPO.items() if name not in SMALL and name != "steps" for word in ("--set", f"{name}={value}")]
    words = [ENV, "--algo", "ppo", "--steps", "256", "--device", "cpu", "--out", str(tmp_path), "--json", *small]
    assert verb.run(parser.parse_args(words)) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["training"]["hyperparameters"]["device"] == "cpu"
    assert run["hardware"]["gpu"] is None
