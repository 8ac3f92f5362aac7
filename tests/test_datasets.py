"""Logged episodes: chances that are what they say, data that are the environment's, files that other libraries read."""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import medsim
from medsim.cli.main import main
from medsim.datasets import collect
from medsim.evaluation.counterfactual import record_trajectories
from medsim.evaluation.off_policy import estimate, evaluate_off_policy, logged_evidence, probabilities_under, table_evidence
from medsim.evaluation.off_policy.tables import logged_table_evidence
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.chance import Jittered, Softened, decide, likelihood
from medsim.policies.policy import FunctionPolicy, RandomPolicy
from medsim.registry import card

SEPSIS, ICU, GLUCOSE, SCM = "medsim/Sepsis-v0", "medsim/ICUSepsis-v0", "medsim/Glucose-v0", "medsim/SepsisSCM-v0"


def steady(action=11):
    return FunctionPolicy("steady", lambda observations: np.full(len(observations), action), {"action": "discrete"})


def protocol():
    return reference_policies(SEPSIS)["surviving-sepsis"]()


def test_a_softened_policy_does_what_it_means_as_often_as_it_says():
    episodes = collect(SEPSIS, Softened(steady(), 0.3), 300, options={"deaths": "expected"})
    there = episodes.there()
    chosen, said = episodes.actions[there], episodes.probabilities[there]
    count = int(episodes.action_space.n)
    np.testing.assert_allclose(said, np.where(chosen == 11, 0.7 + 0.3 / count, 0.3 / count))
    share = (chosen == 11).mean()
    assert share == pytest.approx(0.7 + 0.3 / count, abs=4 * np.sqrt(0.21 / there.sum()))
    others = np.bincount(chosen[chosen != 11], minlength=count)
    assert (np.delete(others, 11) > 0).all()


def test_densities_of_jittered_doses_integrate_to_one_and_doses_follow_them():
    policy = Jittered(protocol(), 0.1)
    episodes = collect(SEPSIS, policy, 100)
    low, high = episodes.action_space.low, episodes.action_space.high
    doses = episodes.actions[episodes.there()]
    assert (doses >= low).all()
    assert (doses <= high).all()
    assert np.unique(doses[:, 0]).size > 0.9 * len(doses)
    grid = np.stack(np.meshgrid(*(np.linspace(a, b, 400) for a, b in zip(low, high, strict=True))), axis=-1).reshape(-1, 2)
    for meant in (np.array([[0.0, 0.0]]), (low + high)[None] / 2, high[None].astype(float)):
        policy.meant = lambda observations, meant=meant: np.repeat(meant, len(observations), axis=0)
        assert policy.density(grid, np.repeat(meant, len(grid), axis=0)).mean() == pytest.approx(1.0, abs=0.02)


def test_choices_are_the_same_for_a_patient_in_any_batch():
    few, many = (collect(SEPSIS, Softened(steady(), 0.5), n, seed=3) for n in (3, 7))
    steps = few.rewards.shape[1]
    np.testing.assert_array_equal(few.actions, many.actions[:3, :steps])
    np.testing.assert_array_equal(few.rewards, many.rewards[:3, :steps])


def test_what_is_logged_is_what_evaluation_meets():
    episodes = collect(SEPSIS, protocol(), 40, seed=5, cohort="test", options=card(SEPSIS).evaluation)
    judged = evaluate(SEPSIS, protocol(), patients=40, seed=5)
    np.testing.assert_allclose(episodes.returns, judged.returns)
    assert episodes.outcomes == judged.outcomes
    for name, values in judged.costs.items():
        np.testing.assert_allclose(episodes.costs[name].sum(axis=1), values)
    assert (episodes.probabilities == 1.0).all()
    assert episodes.terminated.all()


def test_a_clinician_may_see_what_the_data_do_not_hold():
    plain = collect(SEPSIS, protocol(), 10, seed=1)
    knowing = FunctionPolicy("by truth", lambda seen: 3 + (seen[:, 0] > np.median(seen[:, 0])), {"action": "discrete"})
    hidden = collect(SEPSIS, knowing, 10, seed=1, hidden={"observation": "full"})
    assert hidden.observation_space == plain.observation_space
    np.testing.assert_array_equal(hidden.observations[:, 0], plain.observations[:, 0])  # the same patients
    assert hidden.acted_on == {"observation": "full"}
    assert set(np.unique(hidden.actions[hidden.there()])) == {3, 4}
    with pytest.raises(ValueError, match="must leave its actions as they are"):
        collect(SEPSIS, knowing, 2, hidden={"action": "continuous"})


def test_a_policy_is_as_probable_on_its_own_data_as_it_said():
    for env, policy in ((SEPSIS, Softened(steady(), 0.3)), (SEPSIS, Jittered(protocol(), 0.1)), (ICU, reference_policies(ICU)["expert"]())):
        episodes = collect(env, policy, 20, seed=2)
        np.testing.assert_allclose(probabilities_under(episodes, policy), episodes.probabilities, rtol=1e-5)
        assert estimate(logged_evidence(episodes, policy), "wis") == pytest.approx(episodes.returns.mean(), rel=1e-4)


def test_logged_and_table_evidence_agree():
    expert, optimal = (reference_policies(ICU)[name]() for name in ("expert", "optimal"))
    episodes = collect(ICU, expert, 100, seed=4)
    trajectories = record_trajectories(ICU, expert, 100, seed=4, cohort="train")
    here, there = logged_evidence(episodes, optimal), table_evidence(trajectories, expert, optimal, model=False)
    np.testing.assert_allclose(here.ratios, there.ratios)
    np.testing.assert_allclose(here.returns, there.returns)


def test_off_policy_estimates_find_a_neighbours_value():
    acted, asked = Softened(steady(11), 0.3), Softened(steady(11), 0.25)
    options = {"deaths": "expected", "step_hours": 4}
    found = evaluate_off_policy(logged_evidence(collect(SEPSIS, acted, 2000, options=options), asked))
    truth = collect(SEPSIS, asked, 2000, seed=9, options=options).returns.mean()
    assert found.enough
    for name in ("wis", "cwpdis", "pdis"):
        assert found.estimates[name].low - 0.02 <= truth <= found.estimates[name].high + 0.02


def test_deterministic_and_random_policies_have_chances_too():
    episodes = collect(SEPSIS, RandomPolicy(), 5, options={"action": "discrete"})
    assert np.allclose(episodes.probabilities[episodes.there()], 1 / int(episodes.action_space.n))
    under = probabilities_under(episodes, steady(11))
    assert set(np.unique(under)) <= {0.0, 1.0}
    actions, chances = decide(steady(4), np.zeros((3, 2)))
    assert actions.tolist() == [4, 4, 4]
    assert chances.tolist() == [1, 1, 1]
    assert likelihood(steady(4), np.zeros((3, 2)), np.array([4, 1, 4])).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Softened(steady(), 0.0), "epsilon must be above 0 and at most 1, not 0.0"),
        (lambda: Jittered(protocol(), -1.0), "spread must be above 0, not -1.0"),
        (lambda: collect(SEPSIS, Softened(protocol(), 0.1), 2), "needs discrete actions"),
        (lambda: collect(SEPSIS, Jittered(steady(), 0.1), 2), "needs at most four continuous doses"),
        (lambda: collect(SEPSIS, protocol(), 0), "episodes must be 1 or more, not 0"),
        (lambda: probabilities_under(collect(SEPSIS, protocol(), 2), steady()), "needs the actions Discrete"),
    ],
)
def test_wrong_use_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_model_counted_of_codes_is_that_of_states_where_codes_are_states():
    expert, optimal = (reference_policies(ICU)[name]() for name in ("expert", "optimal"))
    here = logged_table_evidence(collect(ICU, expert, 200, seed=4), optimal)
    there = table_evidence(record_trajectories(ICU, expert, 200, seed=4, cohort="train"), expert, optimal)
    for name in ("dm", "dr", "wdr"):
        assert estimate(here, name) == pytest.approx(estimate(there, name))


def test_what_a_clinician_knew_and_did_not_write_down_misleads_every_estimator():
    options = {"observation": "index"}  # diabetes is not in it
    physician = reference_policies(SCM)["physician-soft"]()
    episodes = collect(SCM, physician, 3000, options=options, hidden={"observation": "full"})
    asked = reference_policies(SCM)["as-nondiabetic"]()
    truth = exact_score(SCM, asked, options=options, cohort="train")
    found = evaluate_off_policy(logged_table_evidence(episodes, asked))
    assert found.estimates["dm"].low > truth.exact.value  # whoever had no diabetes was treated otherwise, and better
    with pytest.raises(ValueError, match="does not act by the codes that the data hold"):
        logged_table_evidence(episodes, physician)


# files


h5py = pytest.importorskip("h5py", reason="datasets need h5py (extra offline)")
from medsim.datasets.minari_format import content_hash, read_card, read_dataset, write_dataset  # noqa: E402

MADE = {
    "sepsis": lambda: collect(SEPSIS, Jittered(protocol(), 0.1), 12),
    "charts": lambda: collect(SEPSIS, Jittered(protocol(), 0.1), 3, options={"observation": "ehr"}, hidden={"observation": "vector"}),
    "tables": lambda: collect(ICU, reference_policies(ICU)["expert"](), 20),
    "glucose": lambda: collect(GLUCOSE, Jittered(reference_policies(GLUCOSE)["basal-bolus"](), 0.05), 3),
}

MADE_OF = {"sepsis": SEPSIS, "charts": SEPSIS, "tables": ICU, "glucose": GLUCOSE}


@pytest.mark.parametrize("name", MADE)
def test_a_dataset_comes_back_as_it_went_and_minari_reads_it(name, tmp_path, monkeypatch):
    episodes, registered = MADE[name](), dict(gym.spec(MADE_OF[name]).kwargs)
    place = write_dataset(episodes, tmp_path, f"medsim/{name}-v0", command="as in the test")
    assert gym.spec(MADE_OF[name]).kwargs == registered
    again = read_dataset(place)
    assert content_hash(again) == content_hash(episodes) == read_card(place)["sha256"]
    assert read_card(place)["confounded"] is (name == "charts")
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = minari.load_dataset(f"medsim/{name}-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (episodes.n, episodes.steps)
    for number, episode in enumerate(dataset.iterate_episodes()):
        steps = episodes.lengths[number]
        np.testing.assert_array_equal(episode.actions, episodes.actions[number, :steps])
        np.testing.assert_allclose(episode.rewards, episodes.rewards[number, :steps])
        np.testing.assert_allclose(episode.infos["behaviour_probability"][1:], episodes.probabilities[number, :steps])
        assert episode.terminations[-1] == episodes.terminated[number]
        assert episode.terminations[-1] != episode.truncations[-1]
        seen = episode.observations
        first = {key: values[0] for key, values in seen.items()} if isinstance(seen, dict) else seen[0]
        assert dataset.observation_space.contains(first)
    assert dataset.recover_environment().spec.id == episodes.env_id


def test_damage_and_collisions_are_named(tmp_path):
    episodes = MADE["tables"]()
    place = write_dataset(episodes, tmp_path, "a/b-v1")
    with pytest.raises(ValueError, match="exists: give another id"):
        write_dataset(episodes, tmp_path, "a/b-v1")
    with pytest.raises(ValueError, match="must end in a version"):
        write_dataset(episodes, tmp_path, "a/b")
    card = json.loads((place / "card.json").read_text())
    (place / "card.json").write_text(json.dumps({**card, "sha256": "0" * 64}))
    with pytest.raises(ValueError, match="holds other episodes than its card says"):
        read_dataset(place)
    data = place / "data" / "main_data.hdf5"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"main_data.hdf5 is missing or damaged"):
        read_dataset(place)
    with pytest.raises(ValueError, match="cannot be read as a dataset's card"):
        read_dataset(Path(tmp_path))
    assert not [one for one in (tmp_path / "a").iterdir() if one.name.startswith(".")]
    assert medsim.__version__ == card["medsim"]


# the command


def said(capsys):
    return capsys.readouterr().out


def test_the_command_makes_shows_and_asks(tmp_path, capsys):
    common = ["--episodes", "200", "--out", str(tmp_path)]
    assert main(["dataset", "make", ICU, "--policy", "expert", *common]) == 0
    assert "200 of" in said(capsys)
    place = str(tmp_path / "medsim" / "icusepsis" / "expert-v0")
    assert main(["dataset", "show", place, "--json"]) == 0
    card_of = json.loads(said(capsys))
    assert card_of["command"] == f"medsim dataset make {ICU} --policy expert --episodes 200 --cohort train --seed 0"
    assert main(["dataset", "evaluate", place, "--policy", "expert", "--policy", "optimal", "--truth", "--json"]) == 0
    own, other = json.loads(said(capsys))
    assert own["estimates"]["wis"]["value"] == pytest.approx(card_of["return_mean"])
    assert own["truth"] == pytest.approx(0.7818, abs=1e-3)  # the published 0.78
    assert other["truth"] == pytest.approx(0.8751, abs=1e-3)  # and 0.88
    assert not other["enough"]
    assert main(["dataset", "evaluate", place, "--policy", "optimal"]) == 0
    assert "they cannot rank it" in said(capsys)


def test_the_command_hides_what_the_policy_saw_and_refuses_by_name(tmp_path, capsys):
    common = ["--policy", "surviving-sepsis", "--episodes", "3", "--out", str(tmp_path)]
    made = ["dataset", "make", SEPSIS, *common, "--spread", "0.1", "--set", "observation=ehr", "--hide", "observation=vector"]
    assert main(made) == 0
    assert "confounded    whoever acted saw observation=vector" in said(capsys)
    assert main(made) == 2
    assert main(["dataset", "make", "medsim/HospitalFlow-v0", *common]) == 2
    assert main(["dataset", "show", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert "exists: give another id" in errors
    assert "is a hospital" in errors
    assert "cannot be read as a dataset's card" in errors
