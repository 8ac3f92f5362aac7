"""Perceived state: what a row says, when a picture is read, and that wrapper, batch and policy network give the same numbers.

The encoders here are untrained: what they answer is as arbitrary as it is fixed. What trained ones are worth is measured elsewhere.
"""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

torch = pytest.importorskip("torch", reason="perception needs torch")
PPO = pytest.importorskip("stable_baselines3", reason="agents need stable-baselines3").PPO

from medsim.core.charts import NEVER_H  # noqa: E402
from medsim.evaluation.rollout import evaluate  # noqa: E402
from medsim.treatments.sepsis.chart import SEPSIS_CHART  # noqa: E402
from medsim_agents.perception import ClinicalExtractor, PerceivedPolicy, PerceptionVecWrapper  # noqa: E402
from medsim_agents.vec_env import make_vec_env  # noqa: E402
from medsim_perception.ehr.encoder import ChartEncoder  # noqa: E402
from medsim_perception.state import ChartSense, ChartSummary, ChestSense, PerceivedState, PerceptionWrapper  # noqa: E402
from medsim_perception.vision.chest_state import TARGETS, build  # noqa: E402
from tests.courses import actions_at  # noqa: E402

ENV = "medsim/Sepsis-v0"
SEEN = {"observation": "multimodal", "deaths": "expected"}
MOST = (60.0, 1.0, 5000.0, 1.0)


class Counting(torch.nn.Module):
    """An encoder that counts the images that it was shown."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder, self.images = encoder, 0

    def forward(self, images: torch.Tensor) -> Any:
        self.images += len(images)
        return self.encoder(images)


@pytest.fixture
def state() -> PerceivedState:
    torch.manual_seed(0)
    chest, chart = Counting(build()), ChartEncoder(width=16)
    return PerceivedState([ChartSummary(SEPSIS_CHART), ChartSense(chart), ChestSense(chest, TARGETS, MOST)])


def course(n: int, steps: int, **options: Any) -> list[dict[str, np.ndarray]]:
    env = gym.make_vec(ENV, num_envs=n, **{**SEEN, **options})
    seen = [env.reset(seed=2)[0]]
    for step in range(steps):
        seen.append(env.step(actions_at(env.single_action_space, np.arange(n), step))[0])
    return seen


# What a row says


def test_the_summary_holds_the_latest_value_of_each_column_and_its_age() -> None:
    summary = ChartSummary(SEPSIS_CHART)
    for observation in course(5, 20)[::4]:
        rows = summary.read(observation, None)
        for k, column in enumerate(SEPSIS_CHART.produced):
            at = SEPSIS_CHART.names.index(column)
            for i in range(5):
                hours = np.flatnonzero(observation["ehr_mask"][i, :, at])
                value = observation["ehr"][i, hours[-1], at] if len(hours) else 0.0
                age = 23 - hours[-1] if len(hours) else 24
                assert rows[i, k] == value
                assert rows[i, len(SEPSIS_CHART.produced) + k] == age
        np.testing.assert_array_equal(rows[:, summary.names.index("time_h")], observation["time_h"][:, 0])
        np.testing.assert_array_equal(rows[:, summary.names.index("weight")], observation["demographics"][:, 3])
        np.testing.assert_allclose(rows[:, summary.names.index("mean_fluid_ml_per_h")], observation["treatment"][..., 0].mean(1), rtol=1e-6)


def test_what_the_encoder_says_of_the_picture_stands_in_the_row_with_its_uncertainty(state: PerceivedState) -> None:
    observation = course(4, 0)[0]
    mean, sd = state.senses[2].encoder(torch.from_numpy(observation["image"]))
    rows = state.of(observation)
    for k, name in enumerate(TARGETS):
        np.testing.assert_array_equal(rows[:, state.names.index(f"seen_{name}")], mean[:, k].detach().numpy())
        np.testing.assert_array_equal(rows[:, state.names.index(f"seen_{name}_sd")], sd[:, k].detach().numpy())


def test_without_a_picture_nothing_is_seen_of_it(state: PerceivedState) -> None:
    rows = state.of(course(3, 2, xray="agent")[0])
    seen = rows[:, [name.startswith("seen_") for name in state.names]]
    assert not seen.any()
    assert (rows[:, state.names.index("image_age_h")] == NEVER_H).all()
    assert state.senses[2].encoder.images == 0


def test_rows_are_inside_the_space_and_change_with_the_patient(state: PerceivedState) -> None:
    rows = np.concatenate([state.of(observation) for observation in course(6, 30)])
    assert (rows >= state.space.low).all()
    assert (rows <= state.space.high).all()
    assert np.isfinite(rows).all()
    assert (np.ptp(rows[:, : len(SEPSIS_CHART.produced)], axis=0) > 0).all()


def test_names_stand_once_and_observations_without_images_are_refused_by_name(state: PerceivedState) -> None:
    assert len(set(state.names)) == len(state.names) == state.space.shape[0]
    with pytest.raises(ValueError, match=r"time_h"):
        PerceivedState([ChartSummary(SEPSIS_CHART)] * 2)
    with pytest.raises(ValueError, match=r"arrays image, image_age_h to be perceived"):
        PerceptionWrapper(gym.make(ENV, observation="ehr"), state)
    with pytest.raises(ValueError, match=r"there are rows of numbers"):
        PerceptionVecWrapper(make_vec_env(ENV, 2), state)


def test_no_hidden_variable_is_an_input_of_the_perceived_state(state: PerceivedState) -> None:
    """What is perceived follows from the observation alone: the same observations of other hidden patients give the same rows."""
    n, steps = 8, 5
    one, other, swapped = (gym.make_vec(ENV, num_envs=n, **SEEN).unwrapped for _ in range(3))
    for env, seed in ((one, 2), (other, 3), (swapped, 4)):
        env.reset(seed=seed)
        for step in range(steps):
            env.step(actions_at(env.single_action_space, np.arange(n), step))
    swapped.batch.restore({**one.batch.snapshot(), "block": other.batch.snapshot()["block"]})
    records = [[env.batch.record(record) for record in ("state", "params", "memory")] for env in (one, swapped)]
    assert all((mine != theirs).any(axis=0).all() for mine, theirs in zip(*records, strict=True))  # nobody is who they were
    seen, same = one.observations(), swapped.observations()
    for name, array in seen.items():
        np.testing.assert_array_equal(array, same[name], err_msg=name)
    rows = state.of(seen)
    np.testing.assert_array_equal(rows, copy.deepcopy(state).of(same))
    actions = actions_at(one.single_action_space, np.arange(n), steps)
    later = [state.of(env.step(actions)[0], rows) for env in (one, swapped)]
    assert (later[0] != later[1]).any(axis=1).all()  # and once the sensors look again, it shows


def test_a_sense_reads_the_arrays_that_it_declares_and_no_other(state: PerceivedState) -> None:
    observation = course(4, 9)[-1]
    changed = {name: array[::-1].copy() for name, array in observation.items()}  # of other patients
    hidden = {"state": np.full((4, 18), np.nan), "params": np.full((4, 28), np.nan)}
    for sense in state.senses:
        alone = PerceivedState([sense])
        rows = alone.of(observation)
        told = {name: observation[name] for name in sense.needs}
        np.testing.assert_array_equal(alone.of(told), rows)
        np.testing.assert_array_equal(alone.of({**changed, **hidden, **told}), rows)
        assert (alone.of({**observation, **{name: changed[name] for name in sense.needs}}) != rows).any(axis=1).all()
    everything = {name: observation[name] for sense in state.senses for name in sense.needs}
    np.testing.assert_array_equal(state.of({**everything, **hidden}), state.of(observation))
    assert set(everything) <= set(gym.make(ENV, **SEEN).observation_space.spaces)


# When a picture is read


def test_each_picture_is_read_once_and_its_reading_is_carried_until_the_next(state: PerceivedState) -> None:
    venv = PerceptionVecWrapper(make_vec_env(ENV, 5, seed=2, **SEEN, xray_hours=6), state)
    fresh = copy.deepcopy(state)
    plain = course(5, 13, xray_hours=6)
    rows = [venv.reset()]
    for step in range(13):
        rows.append(venv.step(actions_at(venv.action_space, np.arange(5), step))[0])
    assert state.senses[2].encoder.images == 5 * 3  # at 0, 6 and 12 h
    for row, observation in zip(rows, plain, strict=True):
        np.testing.assert_allclose(row, fresh.of(observation), rtol=1e-4, atol=1e-4)


def test_the_wrapper_of_one_patient_sees_what_the_wrapper_of_many_sees(state: PerceivedState) -> None:
    venv = PerceptionVecWrapper(make_vec_env(ENV, 3, seed=2, **SEEN), copy.deepcopy(state))
    env = PerceptionWrapper(gym.make(ENV, **SEEN), state)
    many, (one, _) = venv.reset(), env.reset(seed=2, options={"slot": 1})
    for step in range(75):
        np.testing.assert_allclose(one, many[1], rtol=1e-4, atol=1e-4)
        actions = actions_at(venv.action_space, np.arange(3), step)
        many, _, ended, infos = venv.step(actions)
        one, _, terminated, truncated, _ = env.step(int(actions[1]))
        if terminated or truncated:
            assert ended[1]
            np.testing.assert_allclose(infos[1]["terminal_observation"], one, rtol=1e-4, atol=1e-4)
            one, _ = env.reset()
    assert many.dtype == np.float32


def test_gymnasiums_checker_finds_nothing_in_a_wrapped_environment(state: PerceivedState) -> None:
    check_env(PerceptionWrapper(gym.make(ENV, **SEEN).unwrapped, state), skip_render_check=True)


# Inside a policy


def test_the_extractor_gives_the_perceived_state_standardised(state: PerceivedState) -> None:
    size = len(state.names)
    venv = make_vec_env(ENV, 4, seed=2, **SEEN)
    told = {"state": state, "centre": np.full(size, 2.0), "spread": np.full(size, 40.0)}
    policy = {"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": told, "net_arch": [8]}
    model = PPO("MultiInputPolicy", venv, n_steps=4, batch_size=8, n_epochs=1, policy_kwargs=policy, device="cpu", seed=0)
    observation = venv.reset()
    tensors, _ = model.policy.obs_to_tensor(observation)
    features = model.policy.extract_features(tensors, model.policy.features_extractor).detach().numpy()
    np.testing.assert_allclose(features, np.clip((state.of(observation) - 2.0) / 40.0, -10.0, 10.0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trainable", [True, False], ids=["fine-tuned", "frozen"])
def test_encoders_learn_with_the_policy_only_if_they_may_and_the_shared_state_never_changes(state: PerceivedState, trainable: bool) -> None:
    venv = make_vec_env(ENV, 4, seed=2, **SEEN)
    told = {"state": state, "trainable": trainable}
    policy = {"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": told, "net_arch": [8]}
    model = PPO("MultiInputPolicy", venv, n_steps=4, batch_size=16, n_epochs=2, policy_kwargs=policy, device="cpu", seed=0)
    inside = model.policy.features_extractor.encoders
    before = [parameter.detach().clone() for parameter in inside.parameters()]
    outside = [parameter.detach().clone() for encoder in state.encoders() for parameter in encoder.parameters()]
    model.learn(16)
    moved = [not torch.equal(old, new) for old, new in zip(before, inside.parameters(), strict=True)]
    assert any(moved) == trainable
    now = [parameter for encoder in state.encoders() for parameter in encoder.parameters()]
    assert all(torch.equal(old, new) for old, new in zip(outside, now, strict=True))


def test_a_policy_does_not_draw_the_weights_of_trained_encoders_anew(state: PerceivedState) -> None:
    """Stable-Baselines3 initialises what it finds in a features extractor: it would throw away what the encoders have learnt."""
    policy = {"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": {"state": state}, "ortho_init": True}
    model = PPO("MultiInputPolicy", make_vec_env(ENV, 2, seed=2, **SEEN), policy_kwargs=policy, device="cpu", seed=0)
    inside = model.policy.features_extractor.encoders
    for encoder, trained in zip(inside, state.encoders(), strict=True):
        for name, values in trained.state_dict().items():
            assert torch.equal(encoder.state_dict()[name], values), name


def test_no_layer_of_what_an_agent_perceives_through_normalises_over_a_batch(state: PerceivedState) -> None:
    layers = [module for encoder in state.encoders() for module in encoder.modules()]
    assert not [one for one in layers if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
    extractor = ClinicalExtractor(gym.make(ENV, **SEEN).observation_space, state)
    extractor.train()
    assert not any(encoder.training for encoder in extractor.encoders)


def test_memory_can_be_added_with_a_recurrent_policy(state: PerceivedState) -> None:
    recurrent = pytest.importorskip("sb3_contrib").RecurrentPPO
    venv = make_vec_env(ENV, 2, seed=2, **SEEN)
    policy = {"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": {"state": state}, "lstm_hidden_size": 8}
    model = recurrent("MultiInputLstmPolicy", venv, n_steps=4, batch_size=8, n_epochs=1, policy_kwargs=policy, device="cpu", seed=0)
    model.learn(8)
    assert model.num_timesteps == 8


def test_an_agent_trained_on_the_perceived_state_is_judged_like_any_other(state: PerceivedState) -> None:
    venv = PerceptionVecWrapper(make_vec_env(ENV, 4, seed=2, **SEEN, step_hours=4), state)
    model = PPO("MlpPolicy", venv, n_steps=6, batch_size=24, n_epochs=1, device="cpu", seed=0).learn(24)
    options = {**SEEN, "step_hours": 4}
    results = [evaluate(ENV, PerceivedPolicy("seen", model, None, options, state), patients=6) for _ in range(2)]
    np.testing.assert_array_equal(results[0].returns, results[1].returns)
    assert len(results[0].returns) == 6
    with pytest.raises(ValueError, match="to be perceived"):
        evaluate(ENV, PerceivedPolicy("seen", model, None, {**options, "observation": "vector"}, state), patients=2)
    with pytest.raises(ValueError, match="other actions"):
        evaluate(ENV, PerceivedPolicy("seen", model, None, {**options, "action": "continuous"}, state), patients=2)
