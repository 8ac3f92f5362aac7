"""On a GPU: every recipe learns there, what it learnt answers there as on a CPU, and a run that stopped goes on. Skipped where there is
none; agents that learn with their encoders on a GPU are here too."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from medsim_perception import weights  # noqa: E402
from medsim_perception.catalogue import RECIPES, recipe  # noqa: E402
from medsim_perception.device import autocast  # noqa: E402
from medsim_perception.ehr.nets import CORES, make_net  # noqa: E402
from medsim_perception.reconstruction.ct import CT  # noqa: E402
from medsim_perception.reconstruction.phantoms import random_phantoms  # noqa: E402
from medsim_perception.run_folder import load_run, plain  # noqa: E402
from medsim_perception.state import perceived_sepsis  # noqa: E402
from medsim_perception.training import run  # noqa: E402

ENV = "medsim/Sepsis-v0"
CARDS = weights.list_cards()
CUDA = torch.device("cuda")


def begun(name: str, device: torch.device) -> Any:
    """A training of three steps; skipped where the data are absent."""
    try:
        torch.manual_seed(0)
        learner = recipe(name).begin(0, device)
    except FileNotFoundError as absent:
        pytest.skip(str(absent))
    learner.planned_steps = 3
    return learner


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_on_the_gpu_as_on_the_cpu(name: str) -> None:
    there, here = begun(name, CUDA), begun(name, torch.device("cpu"))
    first = there.step(), here.step()
    assert first[0] == pytest.approx(first[1], rel=0.05, abs=0.05)  # bfloat16 has three digits
    state = copy.deepcopy(plain(there.state_dict(), "state_dict"))
    again = begun(name, CUDA)
    again.load_state_dict(state)
    losses = [learner.step() for learner in (there, again)]
    assert np.isfinite(losses).all()
    assert losses[0] == pytest.approx(losses[1], rel=0.05, abs=0.05)
    assert all(tensor.is_cuda for tensor in there.model.parameters())


@pytest.mark.parametrize("core", CORES)
def test_chart_networks_answer_and_have_gradients_on_the_gpu_in_either_precision(core: str) -> None:
    torch.manual_seed(0)
    net = make_net(core, [f"column{i}" for i in range(6)], ["age"], {"death": 1}).eval()
    draws = torch.Generator().manual_seed(1)
    values, mask = torch.randn(32, 24, 6, generator=draws), (torch.rand(32, 24, 6, generator=draws) < 0.3).float()
    inputs = (values, mask, 100 * torch.rand(32, 24, 6, generator=draws), torch.randn(32, 1, generator=draws))
    here = net(*inputs)["death"]
    there = net.cuda()
    for mixed, tolerance in ((False, 2e-3), (True, 5e-2)):
        on_gpu = [one.cuda().requires_grad_() for one in inputs]
        with autocast(CUDA, mixed):
            answer = there(*on_gpu)["death"]
        torch.testing.assert_close(answer.float().cpu(), here, rtol=tolerance, atol=tolerance)
        answer.float().sum().backward()
        assert on_gpu[0].grad is not None
        assert bool(torch.isfinite(on_gpu[0].grad).all())


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_shipped_weights_are_worth_on_the_gpu_what_their_cards_say(card: weights.Card) -> None:
    model = weights.load_model(card.name, device=CUDA)
    try:
        found = recipe(card.name).judge(model, CUDA)
    except FileNotFoundError as absent:
        pytest.skip(str(absent))
    for name, figure in card.metrics.items():
        if name in found:
            assert found[name] == pytest.approx(figure.seeds[str(card.seed)], rel=0.02, abs=0.02), name


def test_a_run_goes_on_on_the_gpu_and_its_weights_are_read_on_a_cpu(tmp_path: Path) -> None:
    made = recipe("chest-lung-water")

    def stop(done: int, planned: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(made, 0, tmp_path, steps=4, device="cuda", progress=stop)
    model = run(made, 0, tmp_path, steps=4, device="cuda")
    images = torch.randint(0, 256, (8, 1, 64, 64), dtype=torch.uint8)
    there, here = model(images.cuda()), load_run(made, tmp_path)(images)
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-2, atol=1e-2)


def test_projections_are_the_same_on_the_gpu() -> None:
    images = random_phantoms(np.random.default_rng(0), 4, "ct", 64)
    here, there = CT.beam.project(images), CT.beam.project(images.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
    back, back_there = CT.beam.filtered_backprojection(here), CT.beam.filtered_backprojection(there)
    torch.testing.assert_close(back_there.cpu(), back, rtol=1e-3, atol=1e-3)


def test_the_perceived_state_is_the_same_wherever_the_encoders_are() -> None:
    pytest.importorskip("stable_baselines3")
    from medsim_agents.perception import PerceptionVecWrapper
    from medsim_agents.vec_env import make_vec_env

    courses = []
    for device in ("cpu", "cuda"):
        env = PerceptionVecWrapper(
            make_vec_env(ENV, 16, seed=0, observation="multimodal", deaths="expected"), perceived_sepsis().to(device)
        )
        rows = [env.reset()]
        for _ in range(10):
            rows.append(env.step(np.full(16, 7))[0])
        courses.append(np.stack(rows))
    np.testing.assert_allclose(courses[1], courses[0], rtol=1e-2, atol=1e-2)


def test_encoders_learn_with_a_policy_on_the_gpu() -> None:
    ppo = pytest.importorskip("stable_baselines3").PPO
    from medsim_agents.perception import ClinicalExtractor
    from medsim_agents.vec_env import make_vec_env

    told = {"state": perceived_sepsis(), "trainable": True}
    model = ppo(
        "MultiInputPolicy", make_vec_env(ENV, 4, seed=0, observation="multimodal"), n_steps=16, batch_size=32, n_epochs=1, device="cuda",
        policy_kwargs={"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": told},
    )  # fmt: skip
    before = [tensor.detach().clone() for tensor in model.policy.features_extractor.encoders.parameters()]
    model.learn(64)
    after = list(model.policy.features_extractor.encoders.parameters())
    assert all(tensor.is_cuda for tensor in after)
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
