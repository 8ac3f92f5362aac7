"""A search for settings: judged on validation patients, going on after a stop, and written as a file that training takes."""

import argparse
import json
import sys

import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("optuna")
import optuna

from medsim_agents import load_hyperparameters, plan_training, train
from medsim_agents.algorithms import ALGORITHMS
from medsim_agents.hyperparameters import check_hyperparameters
from medsim_agents.learning import TrainingInterrupted
from medsim_agents.run_folder import read_run
from medsim_agents.search_spaces import SPACES, Choice, space_of
from medsim_agents.tuning import plan_search, search
from medsim_agents.verbs import verbs

ENV = "medsim/SepsisSCM-v0"
FIXED = {"n_envs": 8, "net_arch": [8], "n_epochs": 1, "n_steps": 16, "batch_size": 64, "activation": "tanh"}
SMALL = {"steps": 512, "patients": 8, "fixed": FIXED}


def journal(folder):
    """Every trial of a folder's search: its number among the finished ones, what it tried, and its worth."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))))
    done = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    return [(trial.params, trial.value, trial.state.name) for trial in done]


def test_a_search_of_two_trials_writes_settings_that_training_takes(tmp_path):
    plan = plan_search(ENV, "ppo", **SMALL)
    found = search(plan, 2, tmp_path / "search")
    assert found.trials == 2
    assert found.return_mean >= found.return_before
    file = tmp_path / "search" / "settings.toml"
    training = plan_training(ENV, "ppo", config=file)
    assert training.origin.trials == 2
    assert (
        training.hyperparameters["steps"] == load_hyperparameters(ENV, "ppo")["steps"]
    )  # a search's trials are shorter, a training is not
    assert {name: training.hyperparameters[name] for name in FIXED} == FIXED
    for name, value in found.changes.items():
        assert training.hyperparameters[name] == value
    train(plan_training(ENV, "ppo", config=file, steps=256, validation_patients=2, curve_points=1), tmp_path / "run")
    origin = read_run(tmp_path / "run")["settings_from"]
    assert (origin["file"], origin["trials"], origin["changed"]) == ("settings.toml", 2, ["steps"])
    said = file.read_text()
    assert 'judged_on = "8 validation patients of the train cohort"' in said
    assert "training_seeds = [100]" in said
    assert 'learning_rate = "0.0001 to 0.01, evenly on a logarithmic scale"' in said


def test_a_search_that_goes_on_tries_what_one_that_never_stopped_tries(tmp_path):
    plan = plan_search(ENV, "ppo", **SMALL)
    search(plan, 3, tmp_path / "whole")
    search(plan, 1, tmp_path / "stopped")

    def stop(line):
        raise TrainingInterrupted(line)

    with pytest.raises(TrainingInterrupted, match="trial 2 of 3"):
        search(plan, 3, tmp_path / "stopped", stop)
    search(plan, 3, tmp_path / "stopped")
    assert journal(tmp_path / "stopped") == journal(tmp_path / "whole")


def test_a_trial_that_was_under_way_is_begun_again(tmp_path, monkeypatch):
    plan, calls = plan_search(ENV, "ppo", **SMALL), []
    from medsim_agents import tuning

    whole = search(plan, 2, tmp_path / "whole")
    honest = tuning.train

    def killed(*arguments, **more):
        calls.append(1)
        if len(calls) == 3:
            raise TrainingInterrupted("stopped")
        return honest(*arguments, **more)

    monkeypatch.setattr(tuning, "train", killed)
    with pytest.raises(TrainingInterrupted):
        search(plan, 2, tmp_path / "killed")
    assert search(plan, 2, tmp_path / "killed") == whole
    assert journal(tmp_path / "killed") == journal(tmp_path / "whole")


def test_the_test_patients_are_never_looked_at(tmp_path, monkeypatch):
    from medsim_agents import validation

    seen, honest = [], validation.evaluate

    def watched(env_id, policy, **how):
        seen.append((how["cohort"], how["seed"], how["patients"]))
        return honest(env_id, policy, **how)

    monkeypatch.setattr(validation, "evaluate", watched)
    search(plan_search(ENV, "ppo", **SMALL), 1, tmp_path)
    assert set(seen) == {("train", 990_001, 8)}


def test_a_trial_that_falls_behind_is_given_up(tmp_path, monkeypatch):
    from medsim_agents import tuning

    monkeypatch.setattr(tuning, "BEFORE_PRUNING", 1)
    found = search(plan_search(ENV, "ppo", **SMALL, prune=True), 6, tmp_path)
    states = [state for _, _, state in journal(tmp_path)]
    assert len(states) == found.trials == 6
    assert found.pruned == states.count("PRUNED") > 0


def test_where_nothing_is_better_the_settings_stay_as_they_are(tmp_path, monkeypatch):
    from medsim_agents import tuning

    monkeypatch.setattr(tuning, "worth", lambda plan, settings, folder, trial: 1.0 if not settings else 0.5)
    found = search(plan_search(ENV, "ppo", steps=512, patients=8), 2, tmp_path)
    assert found.changes == {}
    assert found.return_mean == found.return_before == 1.0
    assert plan_training(ENV, "ppo", config=tmp_path / "settings.toml").hyperparameters == load_hyperparameters(ENV, "ppo")
    assert "no trial was better" in (tmp_path / "settings.toml").read_text()


def test_another_search_in_the_folder_is_refused_by_name(tmp_path):
    search(plan_search(ENV, "ppo", **SMALL), 1, tmp_path)
    with pytest.raises(ValueError, match=r"holds another search \(seed: 0 there, 1 asked for\)"):
        search(plan_search(ENV, "ppo", **SMALL, seed=1), 1, tmp_path)
    with pytest.raises(ValueError, match="trials must be 1 or more, not 0"):
        search(plan_search(ENV, "ppo", **SMALL), 0, tmp_path)


def test_what_cannot_be_searched_is_refused_by_name():
    with pytest.raises(ValueError, match="no algorithm is called 'pop'"):
        plan_search(ENV, "pop")
    with pytest.raises(ValueError, match="different seeds, not 8 and"):
        plan_search(ENV, "ppo", **SMALL, seeds=(1, 1))
    with pytest.raises(ValueError, match="cohort must not be 'test'"):
        plan_search(ENV, "ppo", **SMALL, options={"cohort": "test"})
    with pytest.raises(ValueError, match="nothing is left to search for a2c"):
        space_of("a2c", {one.name: 0 for one in SPACES["a2c"]})


def test_without_optuna_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'medsim\[tune\]'"):
        search(plan_search(ENV, "ppo", **SMALL), 1, tmp_path)


@pytest.mark.parametrize("name", SPACES)
def test_every_value_of_a_space_is_one_that_the_algorithm_takes(name):
    assert name in {one.name for one in ALGORITHMS}
    for one in SPACES[name]:
        values = one.values if isinstance(one, Choice) else (one.low, one.high)
        for value in values:
            check_hyperparameters({one.name: json.loads(json.dumps(value))}, name, "space")


def test_medsim_tune_says_what_it_found_and_how_to_train_with_it(tmp_path, capsys):
    verb = next(one for one in verbs() if one.name == "tune")
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    fixed = [word for name, value in FIXED.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    words = [ENV, "--algo", "ppo", "--trials", "2", "--steps", "512", "--patients", "8", "--out", str(tmp_path), *fixed]
    assert verb.run(parser.parse_args(words)) == 0
    said = capsys.readouterr()
    assert f"medsim train {ENV} --algo ppo --config {tmp_path / 'settings.toml'}" in said.out
    assert "trial 2 of 2" in said.err
    assert verb.run(parser.parse_args([*words, "--json"])) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 2
