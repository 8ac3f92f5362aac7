"""Learning from logged episodes: losses where the answer is known, teachers reproduced, runs that stop and go on, no pickle."""

import json

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("safetensors")
import torch
from safetensors import safe_open

from medsim.datasets import collect
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.chance import Jittered, Softened
from medsim.policies.grid import OnGrid
from medsim_agents import load_policy, plan_training, train
from medsim_agents.benchmark import run_suite
from medsim_agents.leaderboard import load_records
from medsim_agents.normalisation import ObservationScale
from medsim_agents.offline import learn, load, new_learner, transitions_of
from medsim_agents.offline.data import record_of_data
from medsim_agents.offline.encoding import Batch, Encoding, Transitions
from medsim_agents.offline.losses import advantage_weights, clipped_blend, conservative_gap, expectile_loss, imitable
from medsim_agents.policies import ModelPolicy
from medsim_agents.run_folder import read_curve, read_run
from medsim_agents.suites import Agent, Board, Suite

SCM, ICU, SEPSIS, GLUCOSE = "medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0", "medsim/Sepsis-v0", "medsim/Glucose-v0"
SEEN = {"observation": "full"}
CHOOSING, DOSING = ("bc", "cql", "iql", "bcq"), ("bc", "cql", "iql", "bcq", "td3-bc")


@pytest.fixture(scope="module")
def choices():
    return collect(SCM, reference_policies(SCM)["physician-soft"](), 300, seed=1)


@pytest.fixture(scope="module")
def doses():
    return collect(SEPSIS, Jittered(reference_policies(SEPSIS)["surviving-sepsis"](), 0.1), 30, seed=1, options={"deaths": "expected"})


def logged(request, kind):
    return request.getfixturevalue("choices" if kind == "choices" else "doses")


EVERY = [*(("choices", name) for name in CHOOSING), *(("doses", name) for name in DOSING)]


# Losses


def test_the_expectile_of_a_uniform_distribution_is_the_known_one():
    """The tau-expectile m of U(0, 1) solves tau (1 - m)^2 = (1 - tau) m^2."""
    sample = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    for tau in (0.5, 0.7, 0.9):
        guess = torch.zeros((), dtype=torch.float64, requires_grad=True)
        descent = torch.optim.LBFGS([guess], max_iter=50, tolerance_grad=1e-12, tolerance_change=1e-14)

        def loss(tau=tau, guess=guess, descent=descent):
            descent.zero_grad()
            found = expectile_loss(sample - guess, tau)
            found.backward()
            return found

        descent.step(loss)
        ratio = (tau / (1.0 - tau)) ** 0.5
        assert guess.item() == pytest.approx(ratio / (1.0 + ratio), abs=1e-4)


def test_the_conservative_gap_is_zero_for_one_action_and_log_n_for_n_alike():
    assert conservative_gap(torch.tensor([[3.0], [5.0]]), torch.tensor([3.0, 5.0])).item() == 0.0
    assert conservative_gap(torch.full((4, 8), 2.0), torch.full((4,), 2.0)).item() == pytest.approx(np.log(8.0), abs=1e-6)
    assert conservative_gap(torch.tensor([[0.0, 9.0]]), torch.tensor([0.0])).item() == pytest.approx(9.0, abs=1e-3)


def test_imitation_counts_advantages_by_their_exponentials_up_to_a_hundred():
    np.testing.assert_allclose(advantage_weights(torch.tensor([-1.0, 0.0, 1.0, 9.0]), 2.0), [np.exp(-2), 1.0, np.exp(2), 100.0], rtol=1e-6)


def test_imitable_are_actions_near_enough_to_the_likeliest():
    logits = torch.log(torch.tensor([[0.6, 0.3, 0.1], [0.34, 0.33, 0.33]]))
    assert imitable(logits, 0.3).tolist() == [[True, True, False], [True, True, True]]


def test_twin_values_are_blended_three_to_one_towards_the_lesser():
    assert clipped_blend(torch.tensor([[4.0, 0.0], [0.0, 8.0]]), 0.75).tolist() == [1.0, 2.0]


def tanh_normal():
    """A CQL learner of one dose whose critics say 0 everywhere."""
    learner = new_learner("cql", bandit((-1.0, 1.0), lambda dose: 0.0).encoding, net_arch=[8])
    for parameter in learner.networks["q"].parameters():
        torch.nn.init.zeros_(parameter)
    return learner


def test_the_density_of_drawn_doses_is_that_of_a_normal_distribution_through_tanh():
    learner = tanh_normal()
    seen = torch.ones(50, 1)
    with torch.no_grad():
        mean, log_sd = learner.networks["actor"](seen).double().chunk(2, dim=1)
        doses, density = learner.drawn(seen)
        before = torch.atanh(doses.double())
        normal = torch.distributions.Normal(mean, log_sd.exp()).log_prob(before)
        np.testing.assert_allclose(density, (normal - torch.log1p(-(doses.double() ** 2)))[:, 0], atol=1e-3)


def test_the_log_sum_exp_of_values_that_are_zero_everywhere_is_the_logarithm_of_the_doses_range():
    learner = tanh_normal()
    ones, zeros = torch.ones(20_000, 1), torch.zeros(20_000)
    with torch.no_grad():
        found = learner.soft_values(Batch(ones, 0.5 * ones, zeros, ones, zeros))
    assert found.exp().mean().item() == pytest.approx(2.0, abs=0.05)


# Bandits: one step, one state, known best


def bandit(actions, rewards, count=0, size=512):
    """A course of one step in one place: ``count`` choices, or one dose from -1 to 1."""
    place = ObservationScale(mean=(0.0,), variance=(1.0,), epsilon=0.0, clip=10.0)
    encoding = Encoding(codes=0, scale=place, actions=count, low=() if count else (-1.0,), high=() if count else (1.0,), reward_spread=1.0)
    rng = np.random.default_rng(0)
    done = rng.choice(actions, size) if count else rng.uniform(*actions, size)[:, None]
    earned = np.array([rewards(each) for each in done.reshape(size)])
    one, none = torch.ones(size, 1), torch.zeros(size)
    steps = Batch(one, encoding.done(done), torch.as_tensor(earned, dtype=torch.float32), one, none)
    return Transitions(encoding=encoding, steps=steps)


def taught(name, transitions, steps=150, **changes):
    torch.set_num_threads(1)
    learner = new_learner(name, transitions.encoding, **{"batch_size": 64, "net_arch": [16, 16], "learning_rate": 1e-2, **changes})
    learner.learn(transitions, steps)
    return learner


@pytest.mark.parametrize("name", ["cql", "iql", "bcq"])
def test_of_two_arms_the_better_is_chosen_although_it_was_tried_less(name):
    arms = bandit([0, 0, 1], lambda arm: 1.0 if arm == 1 else 0.0, 2)
    changes = {"alpha": 0.1} if name == "cql" else {}
    assert taught(name, arms, **changes).predict(np.ones(1))[0] == 1
    assert taught("bc", arms).predict(np.ones(1))[0] == 0


def test_an_arm_that_nobody_tried_stays_below_those_that_were():
    arms = bandit([0, 1], lambda arm: 1.0 if arm == 1 else 0.0, 3)
    values = taught("cql", arms).scores(torch.ones(1, 1))[0]
    assert values[2] < values[0] < values[1]


@pytest.mark.parametrize("name", ["iql", "bcq"])
def test_what_nobody_tried_is_never_chosen(name):
    arms = bandit([0, 1], lambda arm: -1.0 if arm == 1 else -2.0, 3)  # what is unknown would look better: it starts at 0
    assert taught(name, arms).predict(np.ones(1))[0] == 1


@pytest.mark.parametrize("name", ["cql", "iql", "bcq", "td3-bc"])
def test_of_doses_that_were_given_better_ones_are_chosen(name):
    """Doses from -0.6 to 0.6, the best at 0.4: imitation gives 0, and every other learner more.

    With nothing to see, BCQ's autoencoder gives the mean: the perturbation is widened. TD3's actor runs off before its critic has formed
    unless value counts for little (alpha).
    """
    range_of_doses = bandit((-0.6, 0.6), lambda dose: -((dose - 0.4) ** 2) * 10.0)
    changes = {"bcq": {"perturbation": 0.5}, "cql": {"alpha": 0.1}, "td3-bc": {"steps": 600, "learning_rate": 3e-3, "alpha": 0.5}}.get(
        name, {}
    )
    given = taught(name, range_of_doses, **changes).predict(np.ones(1))[0].item()
    assert 0.15 < given < 0.75
    assert abs(taught("bc", range_of_doses).predict(np.ones(1))[0].item()) < 0.1


# Teachers


def test_behaviour_cloning_scores_as_the_protocol_whose_jittered_doses_it_saw():
    protocol = reference_policies(SEPSIS)["surviving-sepsis"]()
    data = collect(SEPSIS, Jittered(protocol, 0.1), 200, seed=1)
    clone = ModelPolicy("bc", learn("bc", data, steps=1500), None, protocol.options)
    teacher, pupil = (evaluate(SEPSIS, one, patients=100).normalised.mean() for one in (protocol, clone))
    assert abs(pupil - teacher) < 0.1


def test_behaviour_cloning_chooses_as_the_protocol_that_it_saw_through_chance():
    protocol = OnGrid(reference_policies(SEPSIS)["surviving-sepsis"]())
    clone = learn("bc", collect(SEPSIS, Softened(protocol, 0.1), 150, seed=1), steps=1000)
    fresh = collect(SEPSIS, protocol, 30, seed=2)
    there = fresh.there()
    same = clone.predict(fresh.observations[:, :-1][there])[0] == fresh.actions[there]
    assert same.mean() > 0.8  # of 25 actions; the levels are decided by small differences of pressure


def test_behaviour_cloning_reproduces_the_probabilities_of_a_clinician_who_decides_by_chance():
    pytest.importorskip("icu_sepsis")
    expert = reference_policies(ICU)["expert"]()
    clone = learn("bc", collect(ICU, expert, 1500, seed=1), steps=600, learning_rate=3e-3)

    class Clone:
        name, options, memoryless, probabilities = "clone", {}, True, staticmethod(clone.probabilities)

    assert exact_score(ICU, Clone()).exact.value == pytest.approx(exact_score(ICU, expert).exact.value, abs=0.01)


def test_behaviour_cloning_gives_the_mean_of_jittered_doses():
    always = bandit((0.1, 0.5), lambda dose: 0.0)
    assert taught("bc", always).predict(np.ones(1))[0].item() == pytest.approx(0.3, abs=0.02)


# Every learner


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_seed_teaches_the_same_to_the_bit_and_another_something_else(kind, name, request):
    data = logged(request, kind)
    one, same, other = (learn(name, data, steps=4, seed=seed).networks.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[part], same[part]) for part in one)
    assert not all(torch.equal(one[part], other[part]) for part in one)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_saved_learner_acts_as_before_and_its_file_holds_no_pickle(kind, name, request, tmp_path):
    data = logged(request, kind)
    learner = learn(name, data, steps=3)
    learner.save(tmp_path / "model.safetensors")
    seen = data.seen_at(0)
    actions, state = load(tmp_path / "model.safetensors").predict(seen)
    assert state is None
    np.testing.assert_array_equal(actions, learner.predict(seen)[0])
    np.testing.assert_allclose(learner.predict(seen[0])[0], actions[0], rtol=1e-5)  # sums of one row are added up in another order
    assert all(learner.action_space.contains(one) for one in actions)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        told = json.loads(file.metadata()["medsim"])
    assert told["algorithm"] == name
    assert told["encoding"]["reward_spread"] > 0.0


def test_observations_are_normalised_by_the_datas_own_mean_and_spread(doses):
    transitions = transitions_of(doses)
    seen = transitions.steps.seen
    varied = seen.std(dim=0) > 0
    np.testing.assert_allclose(seen.mean(dim=0), 0.0, atol=0.05)
    np.testing.assert_allclose(seen[:, varied].std(dim=0), 1.0, atol=0.1)
    assert transitions.steps.rewards.std().item() == pytest.approx(1.0, abs=0.01)
    assert transitions.steps.actions.min() >= -1.0
    assert transitions.steps.actions.max() <= 1.0
    assert transitions.n == doses.steps


def test_nothing_follows_a_course_that_ended_by_itself_and_something_a_day_that_was_only_watched(doses):
    assert (transitions_of(doses).steps.going == 0.0).sum() == doses.n
    day = collect(GLUCOSE, Jittered(reference_policies(GLUCOSE)["basal-bolus"](), 0.1), 3, seed=1)
    assert (transitions_of(day).steps.going == 0.0).sum() == day.terminated.sum()


# Runs


def quick(env_id=SCM, name="cql", **changes):
    return plan_training(env_id, name, **{"steps": 300, "episodes": 30, "validation_patients": 8, "curve_points": 3, **changes})


@pytest.mark.parametrize(("env_id", "name"), [(SCM, "cql"), (ICU, "bcq"), (SEPSIS, "td3-bc"), (GLUCOSE, "iql")])
def test_a_run_on_the_protocols_own_data_can_be_judged_like_any_other(env_id, name, tmp_path):
    if env_id == ICU:
        pytest.importorskip("icu_sepsis")
    folder = train(quick(env_id, name, steps=100), tmp_path / "run")
    assert sorted(path.name for path in folder.iterdir()) == ["curve.csv", "model.safetensors", "run.json"]
    run = read_run(folder)
    assert run["data"]["episodes"] == 30
    assert len(run["data"]["sha256"]) == 64
    assert run["training"]["hyperparameters"]["episodes"] == 30
    assert [point["step"] for point in read_curve(folder)] == [0, 50, 100]
    assert np.isfinite(evaluate(env_id, load_policy(folder), patients=4).returns).all()


class Broken(RuntimeError):
    """What breaks a training here."""


@pytest.mark.parametrize(("env_id", "name"), [(SCM, "iql"), (SEPSIS, "td3-bc"), (SEPSIS, "cql")])
def test_a_broken_run_goes_on_and_ends_with_the_same_weights_to_the_bit(env_id, name, tmp_path):
    training, made = quick(env_id, name, steps=200, net_arch=[8], batch_size=16), [0]

    def progress(count):
        made[0] += count
        if made[0] == 150:
            raise Broken

    whole = train(training, tmp_path / "whole")
    with pytest.raises(Broken):
        train(training, tmp_path / "broken", progress, checkpoint_every_s=0.0)
    broken = train(training, tmp_path / "broken")
    assert (whole / "model.safetensors").read_bytes() == (broken / "model.safetensors").read_bytes()
    assert [p["return_mean"] for p in read_curve(whole)] == [p["return_mean"] for p in read_curve(broken)]
    assert len(read_run(broken)["resumed"]) == 1


def test_a_dataset_folder_is_learnt_from_and_its_hash_kept(tmp_path):
    pytest.importorskip("h5py")
    from medsim.datasets.minari_format import read_card, write_dataset

    data = collect(SCM, reference_policies(SCM)["physician-soft"](), 20, seed=5)
    place = str(write_dataset(data, tmp_path, "medsim/scm/physician-v0"))
    training = plan_training(SCM, "bc", steps=50, dataset=place, validation_patients=8, curve_points=1)
    assert training.options == {"observation": "full"}
    folder = train(training, tmp_path / "run")
    assert read_run(folder)["data"]["sha256"] == read_card(place)["sha256"] == record_of_data(data)["sha256"]
    assert "dataset=" in read_run(folder)["command"]
    with pytest.raises(ValueError, match="option observation is 'full' in"):
        plan_training(SCM, "bc", dataset=place, options={"observation": "vector"})
    with pytest.raises(ValueError, match=r"holds episodes of medsim/SepsisSCM-v0, not of medsim/ICUSepsis-v0"):
        plan_training(ICU, "bc", dataset=place)
    with pytest.raises(ValueError, match="episodes is a setting of data that are collected"):
        plan_training(SCM, "bc", dataset=place, episodes=3)
    tested = write_dataset(collect(SCM, reference_policies(SCM)["physician-soft"](), 2, cohort="test"), tmp_path, "medsim/scm/test-v0")
    with pytest.raises(ValueError, match="holds test patients, who are kept for evaluation"):
        plan_training(SCM, "bc", dataset=str(tested))


def test_where_the_protocol_sees_more_than_agents_the_record_says_so(tmp_path):
    assert read_run(train(quick(steps=50), tmp_path / "one"))["data"]["acted_on"] == {"observation": "full"}
    assert read_run(train(quick(steps=50, options=SEEN), tmp_path / "two"))["data"]["acted_on"] == {}


def test_what_cannot_be_is_refused_by_name(choices):
    with pytest.raises(ValueError, match="td3-bc cannot act in medsim/Sepsis-v0 with discrete actions"):
        plan_training(SEPSIS, "td3-bc", options={"action": "discrete"})
    with pytest.raises(ValueError, match=r"bc learns from logged episodes of a treatment, and medsim/HospitalFlow-v0 is a hospital"):
        plan_training("medsim/HospitalFlow-v0", "bc")
    with pytest.raises(ValueError, match="n_envs is a setting of algorithms that act while they learn"):
        plan_training(SCM, "bc", n_envs=8)
    with pytest.raises(ValueError, match="charts are too large"):
        plan_training(SEPSIS, "bc", options={"observation": "ehr"})
    with pytest.raises(ValueError, match="no offline learner of choices is called 'td3-bc'; there are bc, cql, iql, bcq"):
        learn("td3-bc", choices, steps=1)
    with pytest.raises(ValueError, match="expectile must be between 0 and 1, not 1"):
        learn("iql", choices, steps=1, expectile=1.0)
    with pytest.raises(ValueError, match=r"card.json is no saved offline learner"):
        load("card.json")


def test_data_that_changed_since_a_run_began_are_refused(tmp_path):
    from medsim_agents.offline.training import keep_record_of_data
    from medsim_agents.run_folder import RunFolder

    training = quick()
    run = RunFolder(tmp_path, training)
    run.begin(None)
    keep_record_of_data(run, {"sha256": "a" * 64})
    with pytest.raises(ValueError, match="learnt from other data"):
        keep_record_of_data(run, {"sha256": "b" * 64})


def test_a_suite_names_offline_algorithms_like_any_other_and_a_job_gives_the_same_again(tmp_path):
    small = {"steps": 50, "episodes": 20, "net_arch": [8]}
    agents = tuple(Agent(algorithm=name, seeds=(0,), changes=small) for name in ("bc", "cql"))
    board = Board(env=SCM, agents=agents, references=("random",), patients=5, curve_points=1, validation_patients=4)
    chosen = Suite(name="offline", purpose="a test", boards=(board,))
    one, again = (load_records(run_suite(chosen, tmp_path / name, engine="serial")) for name in ("one", "again"))
    assert {record["job"]["policy"] for record in one} == {"random", "bc", "cql"}
    assert [record["result"] for record in one] == [record["result"] for record in again]
    assert all(record["job"]["hyperparameters"]["episodes"] == 20 for record in one if record["role"] == "agent")
