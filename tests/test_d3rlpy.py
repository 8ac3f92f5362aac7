"""d3rlpy beside our own: the same data, and scores that differ no more than seeds do."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("d3rlpy")

from medsim.datasets import collect
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.chance import Jittered
from medsim_agents.offline import from_d3rlpy, learn, to_d3rlpy, transitions_of
from medsim_agents.offline.d3rlpy_adapter import needed_d3rlpy
from medsim_agents.policies import ModelPolicy

SCM, SEPSIS = "medsim/SepsisSCM-v0", "medsim/Sepsis-v0"


@pytest.fixture(scope="module")
def logged():
    return collect(SCM, reference_policies(SCM)["physician-soft"](), 400, seed=1)


def test_a_dataset_holds_every_step_and_says_how_episodes_ended(logged):
    found = to_d3rlpy(logged)
    assert len(found.episodes) == logged.n
    assert found.transition_count == logged.steps
    np.testing.assert_allclose([episode.rewards.sum() for episode in found.episodes], logged.returns)
    np.testing.assert_array_equal([episode.terminated for episode in found.episodes], logged.terminated)
    own = transitions_of(logged).steps
    np.testing.assert_array_equal(np.concatenate([episode.observations for episode in found.episodes]), own.seen.numpy())
    np.testing.assert_array_equal(np.concatenate([episode.actions[:, 0] for episode in found.episodes]), own.actions.numpy())


def fitted(config, data, steps, batch_size=128):
    d3rlpy = needed_d3rlpy()
    d3rlpy.seed(0)
    algo = config(batch_size=batch_size).create(device="cpu:0")
    algo.fit(data, n_steps=steps, n_steps_per_epoch=steps, show_progress=False, logger_adapter=d3rlpy.logging.NoopAdapterFactory())
    return algo


def test_behaviour_cloning_of_both_scores_alike_within_the_noise_of_seeds(logged):
    d3rlpy = needed_d3rlpy()
    theirs = from_d3rlpy(fitted(lambda **more: d3rlpy.algos.DiscreteBCConfig(learning_rate=1e-3, **more), to_d3rlpy(logged), 300), logged)
    options = {"observation": "full"}
    same = {"steps": 300, "batch_size": 128, "net_arch": (256, 256)}  # as d3rlpy's default encoder is wide
    ours = [ModelPolicy("bc", learn("bc", logged, seed=seed, **same), None, options) for seed in range(3)]
    values = [exact_score(SCM, one).exact.value for one in (theirs, *ours)]
    assert abs(values[0] - np.mean(values[1:])) < max(3.0 * np.std(values[1:], ddof=1), 0.03)


def test_what_d3rlpy_learnt_of_doses_gives_doses_in_their_units():
    d3rlpy = needed_d3rlpy()
    data = collect(SEPSIS, Jittered(reference_policies(SEPSIS)["surviving-sepsis"](), 0.1), 10, seed=1)
    algo = fitted(lambda **more: d3rlpy.algos.BCConfig(learning_rate=1e-3, **more), to_d3rlpy(data), 20)
    policy = from_d3rlpy(algo, data, name="theirs")
    assert policy.options["action"] == "continuous"
    assert np.isfinite(evaluate(SEPSIS, policy, patients=4).returns).all()
    with pytest.raises(ValueError, match="theirs learnt from"):
        evaluate(SEPSIS, policy, options={"action": "discrete"}, patients=2)
