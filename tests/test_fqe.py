"""Fitted Q evaluation: exact on a small table, the behaviour's value on its own data, and probabilities of every action."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
import torch

from medsim.cli.main import main
from medsim.datasets import collect
from medsim.evaluation.off_policy import evaluate_off_policy
from medsim.policies import reference_policies
from medsim.policies.chance import Jittered, Softened
from medsim.policies.policy import FunctionPolicy
from medsim_agents.offline.encoding import Encoding
from medsim_agents.offline.fqe import FittedQ, Rows, asked, fit_q, fitted_values, fqe_evidence

SCM, SEPSIS = "medsim/SepsisSCM-v0", "medsim/Sepsis-v0"
STATES, ACTIONS, DISCOUNT = 4, 2, 0.8
QUICK = FittedQ(warm_steps=150, steps=150, net_arch=(32, 32), tau=0.05)


def test_on_a_small_table_it_is_the_exact_value():
    """A ring of four places: action 0 stays, 1 goes on, and the last place is left for good."""
    rng = np.random.default_rng(1)
    rewards, target = rng.normal(size=(STATES, ACTIONS)), rng.dirichlet(np.ones(ACTIONS), STATES)
    then = np.array([[s, min(s + 1, STATES - 1)] for s in range(STATES)])
    going = np.array([[1.0, 1.0]] * (STATES - 1) + [[1.0, 0.0]])
    exact = np.zeros((STATES, ACTIONS))
    for _ in range(300):
        exact = rewards + DISCOUNT * going * (target * exact).sum(1)[then]
    place, action = (each.reshape(-1) for each in np.meshgrid(range(STATES), range(ACTIONS), indexing="ij"))

    def float32(values):
        return torch.as_tensor(np.asarray(values, dtype=np.float32))

    rows = Rows(
        seen=torch.as_tensor(place), actions=torch.as_tensor(action), rewards=float32(rewards.reshape(-1)),
        following=float32(np.zeros(STATES * ACTIONS)), then=torch.as_tensor(then.reshape(-1)),
        asked_then=float32(target[then.reshape(-1)]), going=float32(going.reshape(-1)),
    )  # fmt: skip
    encoding = Encoding(codes=STATES, scale=None, actions=ACTIONS, low=(), high=(), reward_spread=1.0)
    settings = FittedQ(warm_steps=0, steps=800, batch_size=64, tau=0.1, net_arch=(32,), learning_rate=3e-3)
    found = fit_q(encoding, rows, DISCOUNT, settings=settings)(torch.arange(STATES)).detach().numpy()
    np.testing.assert_allclose(found, exact, atol=0.02)


@pytest.fixture(scope="module")
def logged():
    return collect(SCM, reference_policies(SCM)["physician-soft"](), 200, seed=1)


def test_every_actions_probability_is_the_policys_own(logged):
    soft = reference_policies(SCM)["physician-soft"]()
    chances = asked(logged, soft)
    assert chances.shape == (200, logged.rewards.shape[1] + 1, 8)
    np.testing.assert_allclose(chances.sum(-1), 1.0, atol=1e-6)
    taken = np.take_along_axis(chances[:, :-1], logged.actions[..., None], 2)[..., 0]
    np.testing.assert_allclose(taken[logged.there()], logged.probabilities[logged.there()], rtol=1e-6)


def test_a_policy_that_does_not_decide_by_chance_has_one_action_or_one_draw(logged):
    always = FunctionPolicy("always 3", lambda seen: np.full(len(seen), 3), {"observation": "full"})
    chances = asked(logged, always)
    assert (chances[..., 3] == 1.0).all()
    protocol = reference_policies(SEPSIS)["surviving-sepsis"]()
    jittered = Jittered(protocol, 0.1)
    doses = collect(SEPSIS, jittered, 5, seed=1)
    assert asked(doses, protocol).shape == (5, doses.rewards.shape[1] + 1, 1, 2)
    draws = asked(doses, jittered)
    assert draws.shape[2] == 8
    assert np.ptp(draws, axis=2).min(axis=-1).max() > 0.0
    assert not np.isclose(draws[:, :-1], doses.actions[:, :, None]).all(axis=-1)[doses.there()].any()  # not the logged chance again


def test_of_the_policy_that_acted_it_gives_about_the_mean_return(logged):
    soft = reference_policies(SCM)["physician-soft"]()
    report = evaluate_off_policy(fqe_evidence(logged, soft, settings=FittedQ(warm_steps=300, steps=300)), resamples=50)
    for name in ("dm", "dr", "wdr", "magic"):
        assert report.estimates[name].value == pytest.approx(logged.returns.mean(), abs=0.12)


def test_values_are_those_of_steps_that_happened_and_the_same_for_the_same_seed():
    protocol = reference_policies(SEPSIS)["surviving-sepsis"]()
    data = collect(SEPSIS, Jittered(protocol, 0.1), 10, seed=1)
    (q, v), again = (fitted_values(data, protocol, seed=3, settings=QUICK) for _ in range(2))
    assert (q[~data.there()] == 0.0).all()
    assert (v[~data.there()] == 0.0).all()
    np.testing.assert_array_equal(q, again[0])
    np.testing.assert_array_equal(v, again[1])


def test_it_knows_a_better_policy_by_its_values(logged):
    """Softening the physician half is worth less than the physician, by the data of one who is softened a little."""
    physician = reference_policies(SCM)["physician"]()
    worth = [fitted_values(logged, one, settings=FittedQ(warm_steps=300, steps=600))[1][:, 0].mean() for one in (
        physician, Softened(physician, 0.9))]  # fmt: skip
    assert worth[0] > worth[1] + 0.2


def test_other_actions_than_the_datas_are_refused(logged):
    with pytest.raises(ValueError, match="the data hold others"):
        asked(logged, FunctionPolicy("blind", lambda seen: np.zeros(len(seen)), {"observation": "index"}))


def test_the_command_asks_an_installed_package_to_fit(tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    from medsim.datasets.minari_format import write_dataset

    place = write_dataset(collect(SCM, reference_policies(SCM)["physician-soft"](), 20, seed=1), tmp_path, "medsim/scm-v0")
    point = EntryPoint("fqe", "medsim_agents.offline.fqe:fqe_evidence", "medsim.value_models")
    entries = "medsim.evaluation.off_policy.evidence.entry_points"
    monkeypatch.setattr(entries, lambda group: [point] if group == "medsim.value_models" else [])
    monkeypatch.setattr("medsim_agents.offline.fqe.FittedQ", lambda: QUICK)
    assert main(["dataset", "evaluate", str(place), "--policy", "physician", "--fqe"]) == 0
    assert "magic" in capsys.readouterr().out
    monkeypatch.setattr(entries, lambda group: [])
    assert main(["dataset", "evaluate", str(place), "--policy", "physician", "--fqe"]) == 2
    assert "pip install 'medsim[agents]'" in capsys.readouterr().err
