"""What trained models' own critics say: of which models, by which networks, and what the report makes of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")
import torch

from medsim.datasets.episodes import collect, patients_of
from medsim.policies import reference_policies
from medsim.safety.sections import calibration
from medsim_agents import load_policy, plan_training, train
from medsim_agents.construction import build_environment, build_model
from medsim_agents.normalisation import ObservationScale
from medsim_agents.offline import learn
from medsim_agents.policies import ModelPolicy, treatment_policy
from tests.safety_policies import SMALL, context

GLUCOSE, SEPSIS, SCM = "medsim/Glucose-v0", "medsim/Sepsis-v0", "medsim/SepsisSCM-v0"
ROWS = 5
OF_REPLAY = ("dqn", "qrdqn", "sac", "td3", "tqc")


def untrained(name: str, **changes: Any) -> ModelPolicy:
    """A model as it begins, with a scale of observations that is not nought and one."""
    small: dict[str, Any] = {"buffer_size": 100} if name in OF_REPLAY else {}
    settings = {"net_arch": [8], "n_envs": 2, **small, **changes}
    planned = plan_training(GLUCOSE, name, **settings)
    env = build_environment(name, GLUCOSE, 0, planned.options, planned.hyperparameters)
    model = build_model(name, env, 0, planned.hyperparameters)
    numbers = model.observation_space.shape[0] - (1 if name == "ppo-saute" else 0)
    scale = ObservationScale(mean=(100.0,) * numbers, variance=(400.0,) * numbers, epsilon=1e-8, clip=10.0)
    return treatment_policy(name, GLUCOSE, model, scale, planned.options, planned.hyperparameters)


def seen_by(policy: ModelPolicy) -> Any:
    """Return what is seen of a few patients whose episode has just begun, under that policy."""
    env = patients_of(GLUCOSE, policy.options, ROWS)
    observations, _ = env.reset(seed=1)
    policy.begin(env)
    return observations


def tensors(policy: ModelPolicy, observations: Any) -> torch.Tensor:
    return torch.as_tensor(policy.scale(observations))


@pytest.mark.parametrize("name", ["ppo", "a2c", "maskable-ppo"])
def test_of_an_actor_with_a_critic_it_is_what_that_says(name: str) -> None:
    policy = untrained(name)
    seen = seen_by(policy)
    with torch.no_grad():
        expected = policy.model.policy.predict_values(tensors(policy, seen))[:, 0]
    assert policy.values(seen).shape == (ROWS,)
    np.testing.assert_allclose(policy.values(seen), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["dqn", "qrdqn"])
def test_of_values_of_choices_it_is_that_of_the_choice(name: str) -> None:
    policy = untrained(name)
    seen = seen_by(policy)
    with torch.no_grad():
        net = policy.model.policy.q_net if name == "dqn" else policy.model.policy.quantile_net
        each = net(tensors(policy, seen))
    each = each if name == "dqn" else each.mean(dim=1)
    assert policy.values(seen).shape == (ROWS,)
    np.testing.assert_allclose(policy.values(seen), each[np.arange(ROWS), policy.act(seen)], rtol=1e-6)


@pytest.mark.parametrize("name", ["sac", "td3", "tqc"])
def test_of_values_of_doses_it_is_that_of_the_dose_given(name: str) -> None:
    policy = untrained(name)
    seen = seen_by(policy)
    model = policy.model
    with torch.no_grad():
        doses = torch.as_tensor(model.policy.scale_action(policy.act(seen)), dtype=torch.float32)
        said = model.policy.critic(tensors(policy, seen), doses)
    expected = said.mean(dim=(1, 2)) if name == "tqc" else torch.minimum(*said)[:, 0]
    assert policy.values(seen).shape == (ROWS,)
    np.testing.assert_allclose(policy.values(seen), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["recurrent-ppo", "ppo-saute"])
def test_a_critic_that_needs_more_than_an_observation_is_not_asked(name: str) -> None:
    changes = {"lstm_hidden_size": 8} if name == "recurrent-ppo" else {"cost_limits": {"glucose_below_70": 4.0}}
    assert not hasattr(untrained(name, **changes), "values")


@pytest.mark.parametrize("name", ["cql", "iql", "bcq", "bc"])
def test_of_an_offline_learner_it_is_its_critics_if_it_has_one(name: str) -> None:
    logged = collect(SCM, reference_policies(SCM)["physician-soft"](), 20, seed=1)
    policy = ModelPolicy(name, learn(name, logged, steps=5, net_arch=(8,)), None, {"observation": "full"})
    if name == "bc":
        assert not hasattr(policy, "values")
        return
    assert isinstance(logged.observations, np.ndarray)
    seen = logged.observations[:ROWS, 0]
    assert policy.values(seen).shape == (ROWS,)
    if name == "cql":
        scores = policy.model.scores(policy.model.encoding.seen(seen)).detach().numpy()
        np.testing.assert_allclose(policy.values(seen), scores.max(axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", ["td3-bc", "cql", "bcq", "iql"])
def test_of_an_offline_learner_of_doses_too(name: str) -> None:
    logged = collect(SEPSIS, reference_policies(SEPSIS)["random"](), 5, seed=1, options={"action": "continuous"})
    policy = ModelPolicy(name, learn(name, logged, steps=2, net_arch=(8,)), None, {"action": "continuous"})
    assert isinstance(logged.observations, np.ndarray)
    said = policy.values(logged.observations[:, 0])
    assert said.shape == (5,)
    assert np.isfinite(said).all()
    assert np.ptp(said) > 0.0


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_the_report_says_how_a_trained_policys_own_estimates_go_with_what_comes(name: str, tmp_path: Any) -> None:
    small: dict[str, Any] = {"net_arch": [16], "validation_patients": 4, "curve_points": 2, "n_envs": 4}
    more = {"steps": 256, "n_steps": 32, "batch_size": 64, "n_epochs": 2} if name == "ppo" else {
        "steps": 200, "learning_starts": 50, "batch_size": 32, "buffer_size": 200}  # fmt: skip
    policy = load_policy(train(plan_training(SCM, name, **small, **more), tmp_path))
    c = context(SCM, policy, replace(SMALL, patients=200, kept=200))
    sentence = calibration.SECTION.run(c).says[-1]
    assert sentence.startswith("The policy's own estimate of the return to come has a rank correlation of ")
    said = float(sentence.split(" of ")[-1].split(" ")[0])
    assert -1.0 <= said <= 1.0
    assert said != 0.0
