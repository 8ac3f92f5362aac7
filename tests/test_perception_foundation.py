"""The frame of perception: recipes, resumable training, devices, real data, the verb, and what importing costs."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from medsim.cli.main import main  # noqa: E402
from medsim_perception import real_data, run_folder  # noqa: E402
from medsim_perception.catalogue import RECIPES, recipe  # noqa: E402
from medsim_perception.device import autocast, choose_device, compiled  # noqa: E402
from medsim_perception.recipe import Recipe  # noqa: E402
from medsim_perception.supervised import SCHEDULES, SupervisedLearner, learning_rate_at  # noqa: E402
from medsim_perception.training import read_run, run  # noqa: E402
from medsim_perception.weights import load_model  # noqa: E402

ROOT = Path(__file__).parents[1]
SLOPES = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
STEPS = 120
TOY = f"{__name__}:toy"


def build() -> nn.Module:
    """A small network, with chance in its training."""
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.05), nn.ReLU(), nn.Linear(16, 1))


def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, x @ SLOPES[:, None]


def squared(network: nn.Module, x: Any, y: Any) -> Any:
    return ((network(x) - y) ** 2).mean()


def begin(seed: int, device: Any, **changes: Any) -> SupervisedLearner:
    return SupervisedLearner(build(), sample, squared, **{"seed": seed, "device": device, "steps": STEPS, "learning_rate": 0.02, **changes})


def judge(model: nn.Module, device: Any) -> dict[str, float]:
    from medsim_perception.metrics import r_squared

    x, y = sample(np.random.default_rng((999, 1)), 500)
    return {"r_squared": r_squared(y[:, 0], model(torch.as_tensor(x).to(device)).cpu().numpy()[:, 0])}


def toy() -> Recipe:
    """A recipe that is trained in a moment."""
    return Recipe(name="toy", question="What is the sum?", data="numbers", licence="none", build=build, begin=begin, judge=judge)


def averaged() -> Recipe:
    return replace(toy(), begin=lambda seed, device: begin(seed, device, averaging=0.95, schedule="cosine"))


def weights_of(model: nn.Module) -> list[Any]:
    return list(model.state_dict().values())


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(other), strict=True))


def stop_at(step: int) -> Any:
    def progress(done: int, planned: int, loss: float) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


# training


def test_a_recipe_learns_what_it_is_for(tmp_path: Path) -> None:
    model = run(toy(), 0, tmp_path, device="cpu")
    assert not model.training
    with torch.no_grad():
        assert judge(model, torch.device("cpu"))["r_squared"] > 0.95
    record = read_run(tmp_path)
    assert (record["status"], record["steps"], record["planned_steps"]) == ("complete", STEPS, STEPS)
    assert record["curve"][-1][1] < 0.1 * record["curve"][0][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "run.json"]


@pytest.mark.parametrize("made", [toy, averaged])
def test_a_training_that_was_stopped_twice_ends_with_the_same_bits(made: Any, tmp_path: Path) -> None:
    whole = run(made(), 3, tmp_path / "whole", device="cpu")
    for step in (17, 63):
        with pytest.raises(KeyboardInterrupt, match=f"after {step} of {STEPS} steps"):
            run(made(), 3, tmp_path / "parts", device="cpu", progress=stop_at(step))
        torch.rand(step)  # whatever else draws meanwhile
    parts = run(made(), 3, tmp_path / "parts", device="cpu")
    assert equal(whole, parts)
    one, other = (read_run(tmp_path / name) for name in ("whole", "parts"))
    assert one["curve"] == other["curve"]
    assert not equal(whole, run(made(), 4, tmp_path / "other", device="cpu"))


def test_a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_bits(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, planned: int, loss: float) -> None:
        if done == 50:
            raise Killed

    whole = run(toy(), 0, tmp_path / "whole", device="cpu")
    with pytest.raises(Killed):
        run(toy(), 0, tmp_path / "parts", device="cpu", progress=kill, checkpoint_s=0.0)
    assert read_run(tmp_path / "parts")["steps"] == 49
    assert equal(whole, run(toy(), 0, tmp_path / "parts", device="cpu"))


def test_ctrl_c_waits_for_the_end_of_a_step(tmp_path: Path) -> None:
    seen = []

    def press(network: nn.Module, x: Any, y: Any) -> Any:
        seen.append(1)
        if len(seen) == 20:
            signal.raise_signal(signal.SIGINT)
        return squared(network, x, y)

    pressed = replace(toy(), begin=lambda seed, device: SupervisedLearner(build(), sample, press, seed=seed, device=device, steps=STEPS,
                                                                           learning_rate=0.02))  # fmt: skip
    with pytest.raises(KeyboardInterrupt, match="after 20 of"):
        run(pressed, 0, tmp_path / "parts", device="cpu")
    assert equal(run(toy(), 0, tmp_path / "whole", device="cpu"), run(toy(), 0, tmp_path / "parts", device="cpu"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_time_lowers_the_planned_steps_and_rates_come_to_their_end(tmp_path: Path) -> None:
    rates = []

    class Watched(SupervisedLearner):
        def step(self) -> float:
            loss = super().step()
            rates.append(self.optimizer.param_groups[0]["lr"])
            return loss

    watched = replace(toy(), begin=lambda seed, device: Watched(build(), sample, squared, seed=seed, device=device, steps=10**7))
    run(watched, 0, tmp_path / "short", seconds=0.3, device="cpu")
    record = read_run(tmp_path / "short")
    assert record["status"] == "complete"
    assert record["steps"] == record["planned_steps"] < 10**6
    assert rates[-1] == pytest.approx(1e-7)
    run(watched, 0, tmp_path / "none", seconds=1e-9, device="cpu")
    assert read_run(tmp_path / "none")["steps"] == 2
    run(toy(), 0, tmp_path / "plenty", seconds=1000, device="cpu")
    assert read_run(tmp_path / "plenty")["steps"] == STEPS


def test_out_of_time_is_kept_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy(), 0, tmp_path, device="cpu", progress=stop_at(10))
    run(toy(), 0, tmp_path, seconds=1e-9, device="cpu")
    assert (read_run(tmp_path)["status"], read_run(tmp_path)["steps"]) == ("running", 11)
    assert equal(run(toy(), 0, tmp_path, device="cpu"), run(toy(), 0, tmp_path / "whole", device="cpu"))


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = run(toy(), 0, tmp_path, steps=20, device="cpu")
    untouched = replace(toy(), begin=lambda seed, device: pytest.fail("it trains"))
    assert equal(first, run(untouched, 0, tmp_path, device="cpu"))
    assert read_run(tmp_path)["steps"] == 20


def test_steps_asked_for_at_first_are_still_those_when_it_goes_on_without_a_word(tmp_path: Path) -> None:
    def kill(done: int, planned: int, loss: float) -> None:
        raise RuntimeError("killed before the first checkpoint")

    with pytest.raises(RuntimeError):
        run(toy(), 0, tmp_path, steps=30, device="cpu", progress=kill)
    run(toy(), 0, tmp_path, device="cpu")
    assert read_run(tmp_path)["steps"] == 30


def test_training_leaves_torchs_own_stream_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(toy(), 0, tmp_path, steps=3, device="cpu")
    assert torch.equal(torch.rand(3), expected)


# wrong use


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    run(toy(), 0, tmp_path, steps=5, device="cpu")
    with pytest.raises(ValueError, match="holds a training of seed 0, not 1: choose another folder"):
        run(toy(), 1, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="holds a training of recipe 'toy', not 'other'"):
        run(replace(toy(), name="other"), 0, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="holds a training of 5 steps, not 6"):
        run(toy(), 0, tmp_path, steps=6, device="cpu")


def test_damaged_run_folders_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy(), 0, tmp_path, device="cpu", progress=stop_at(10))
    with pytest.raises(ValueError, match=r"is unfinished \(10 of 120 steps\): go on with medsim perception train toy --seed 0"):
        run_folder.load_run(toy(), tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be gone on from .*delete it"):
        run(toy(), 0, tmp_path, device="cpu")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json is damaged .*lacks recipe"):
        run(toy(), 0, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="is no run folder"):
        read_run(tmp_path / "nowhere")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy(), 0, tmp_path, device="cpu", progress=stop_at(10))
    wider = replace(
        toy(), begin=lambda seed, device: SupervisedLearner(nn.Linear(4, 1), sample, squared, seed=seed, device=device, steps=9)
    )
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be gone on from"):
        run(wider, 0, tmp_path, device="cpu")


def test_a_training_that_diverges_says_where(tmp_path: Path) -> None:
    diverging = replace(toy(), begin=lambda seed, device: SupervisedLearner(build(), sample, lambda net, x, y: squared(net, x, y) * np.nan,
                                                                             seed=seed, device=device, steps=5))  # fmt: skip
    with pytest.raises(ValueError, match=r"the loss of toy \(seed 0\) is nan at step 1: the training has diverged"):
        run(diverging, 0, tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: run(toy(), 0, path, steps=0), "steps must be 1 or more, not 0"),
        (lambda path: run(toy(), 0, path, seconds=0), "seconds must be above 0, not 0"),
        (lambda path: run(toy(), 0, path, device="tpu"), "device must be one of auto, cpu, cuda, not 'tpu'"),
        (lambda path: begin(0, torch.device("cpu"), schedule="steep"), "schedule must be one of one-cycle, cosine, constant"),
        (lambda path: begin(0, torch.device("cpu"), averaging=1.5), "averaging must lie between 0 and 1"),
        (lambda path: begin(0, torch.device("cpu"), batch_size=0), "must be 1 or more"),
        (lambda path: replace(toy(), name="Toy!"), "small letters, digits and hyphens, not 'Toy!'"),
        (lambda path: replace(toy(), licence=" "), "must say its licence"),
        (lambda path: recipe("chest-nothing"), "no recipe is called 'chest-nothing'; there are"),
        (lambda path: recipe("medsim_perception.nowhere:recipe"), "cannot be had: No module named"),
        (lambda path: recipe("medsim_perception.metrics:accuracies"), "cannot be had"),
    ],
)
def test_wrong_use_is_refused_with_the_value_and_what_is_allowed(call: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_state_that_a_checkpoint_cannot_hold_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match=r"state_dict\['rng'\]\[1\] is Generator"):
        run_folder.plain({"rng": [1, np.random.default_rng(0)]}, "state_dict")


# parts of the learner


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_never_pass_their_peak_and_one_cycle_is_torchs(schedule: str) -> None:
    rates = [learning_rate_at(step, 200, 0.1, schedule) for step in range(200)]
    assert max(rates) <= 0.1
    assert min(rates) > 0
    if schedule == "one-cycle":
        weight = nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.AdamW([weight], lr=0.1)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=200, pct_start=0.25 + 0.75 / 200, final_div_factor=400)
        for step, rate in enumerate(rates):
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-4), step
            optimizer.step()
            theirs.step()


def test_frozen_weights_stay_and_biases_do_not_decay() -> None:
    network = build()
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    learner = SupervisedLearner(network, sample, squared, seed=0, device=torch.device("cpu"), steps=5)
    for _ in range(5):
        learner.step()
    assert torch.equal(network[0].weight, before)
    assert [group["weight_decay"] for group in learner.optimizer.param_groups] == [1e-2, 0.0]
    with pytest.raises(ValueError, match="no weights to train"):
        SupervisedLearner(network.requires_grad_(False), sample, squared, seed=0, device=torch.device("cpu"), steps=5)


def test_every_step_meets_another_batch_and_a_seed_always_the_same() -> None:
    def batches(seed: int) -> list[float]:
        seen = []

        def note(network: nn.Module, x: Any, y: Any) -> Any:
            seen.append(float(x[0, 0]))
            return squared(network, x, y)

        learner = SupervisedLearner(build(), sample, note, seed=seed, device=torch.device("cpu"), steps=9)
        for _ in range(9):
            learner.step()
        return seen

    assert len({*batches(0), *batches(1)}) == 18
    assert batches(0) == batches(0)


def test_averaged_weights_lag_behind_trained_ones_and_are_what_is_shipped() -> None:
    learner = begin(0, torch.device("cpu"), averaging=0.9)
    for _ in range(3):
        learner.step()
    assert learner.model is not learner.network
    assert not equal(learner.model, learner.network)
    assert not any(p.requires_grad for p in learner.model.parameters())


def test_mixed_precision_on_a_cpu_learns_too() -> None:
    learner = begin(0, torch.device("cpu"), mixed_precision=True)
    losses = [learner.step() for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    assert all(p.dtype == torch.float32 for p in learner.network.parameters())


# devices


def test_cuda_is_refused_where_there_is_none_and_auto_is_what_there_is() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"'cuda' cannot be had: .*choose 'cpu' or 'auto'"):
            choose_device("cuda")


def test_precision_is_mixed_where_asked() -> None:
    x = torch.ones(2, 2)
    with autocast(torch.device("cpu")):
        assert (x @ x).dtype == torch.float32
    with autocast(torch.device("cpu"), True):
        assert (x @ x).dtype == torch.bfloat16


def test_a_model_that_cannot_be_compiled_still_answers_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: nn.Module) -> Any:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    model = build()
    assert compiled(model) == (model, False, "RuntimeError: no compiler")
    assert compiled(model, enabled=False) == (model, False, "not asked for")


# real data


def test_absent_data_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEDSIM_DATA", raising=False)
    assert real_data.data_folder() is None
    with pytest.raises(FileNotFoundError, match=r"set the environment variable MEDSIM_DATA .* pneumoniamnist\.npz"):
        real_data.pneumonia_mnist()
    monkeypatch.setenv("MEDSIM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"MEDSIM_DATA names .*nowhere, which is no folder"):
        real_data.icu_demo("sepsis")
    monkeypatch.setenv("MEDSIM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"dyn\.parquet is missing"):
        real_data.icu_demo("sepsis")
    with pytest.raises(ValueError, match="task must be one of mortality24, sepsis, not 'shock'"):
        real_data.icu_demo("shock")


def test_damaged_data_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDSIM_DATA", str(tmp_path))
    (tmp_path / "pneumoniamnist.npz").write_bytes(b"PK not an archive")
    with pytest.raises(ValueError, match=r"pneumoniamnist\.npz cannot be read as PneumoniaMNIST"):
        real_data.pneumonia_mnist()
    pytest.importorskip("pyarrow")
    folder = tmp_path / "icu_demo/sepsis/eicu_demo"
    folder.mkdir(parents=True)
    (folder / "dyn.parquet").write_bytes(b"PAR1 not a table")
    with pytest.raises(ValueError, match=r"dyn\.parquet cannot be read as a table"):
        real_data.icu_demo("sepsis")


def test_pneumonia_mnist_has_its_published_size() -> None:
    if real_data.data_folder() is None:
        pytest.skip("MEDSIM_DATA is not set")
    splits = real_data.pneumonia_mnist()
    assert [part.images.shape for part in splits] == [(4708, 1, 28, 28), (524, 1, 28, 28), (624, 1, 28, 28)]
    assert np.bincount(splits.test.labels).tolist() == [234, 390]


def test_the_icu_demo_has_its_stays_and_deaths() -> None:
    pytest.importorskip("pyarrow")
    if real_data.data_folder() is None:
        pytest.skip("MEDSIM_DATA is not set")
    tables = real_data.icu_demo("mortality24")
    assert tables.dynamic.shape == (1367 * 25, 50)
    assert tables.static["stay_id"].nunique() == len(tables.outcome) == 1367
    assert int(tables.outcome["label"].sum()) == 70


# the verb


@pytest.fixture
def catalogued(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue that knows the toy, importable by its name, and a command that knows the verb."""
    from medsim_perception.verbs import verbs

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules["__main__"])
    monkeypatch.setattr(sys.modules[__name__], "toy", toy, raising=False)
    monkeypatch.setitem(RECIPES, "toy", TOY)
    monkeypatch.setattr("medsim.cli.main.contributed_verbs", verbs)


@pytest.mark.usefixtures("catalogued")
def test_the_verb_trains_judges_ships_and_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(tmp_path / f"run{seed}") for seed in range(3)]
    for seed, folder in enumerate(folders):
        assert main(["perception", "train", "toy", "--seed", str(seed), "--out", folder, "--device", "cpu"]) == 0
    assert f"evaluate toy --weights {folders[2]}" in capsys.readouterr().out
    assert main(["perception", "train", "toy", "--out", folders[0]]) == 0
    assert "nothing was trained now" in capsys.readouterr().out
    assert main(["perception", "evaluate", "toy", "--weights", folders[0], "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)["metrics"]
    assert judged["r_squared"] > 0.95
    assert main(["perception", "ship", "toy", *folders, "--to", str(tmp_path / "out"), "--half", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert main(["perception", "ship", "toy", *folders, "--to", str(tmp_path / "out")]) == 2
    assert "is there already: write elsewhere with --to FOLDER, or replace it with --overwrite" in capsys.readouterr().err
    assert main(["perception", "ship", "toy", *folders, "--to", str(tmp_path / "out"), "--half", "--overwrite"]) == 0
    assert capsys.readouterr().out.startswith(str(tmp_path / "out" / "toy.safetensors"))
    figures = card["metrics"]["r_squared"]
    assert figures["low"] < figures["mean"] < figures["high"]
    assert sorted(figures["seeds"].values())[1] == figures["seeds"][str(card["seed"])]
    assert figures["seeds"]["0"] == pytest.approx(judged["r_squared"], abs=1e-3)
    model = load_model("toy", folder=tmp_path / "out")
    with torch.no_grad():
        assert judge(model, torch.device("cpu"))["r_squared"] == figures["seeds"][str(card["seed"])]


OWN = """
import tests.test_perception_foundation as toys
recipe = toys.toy
number = 3
"""


def test_a_recipe_of_ones_own_is_found_in_the_folder_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_own_recipe.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(ROOT), *[place for place in sys.path if place not in ("", str(tmp_path))]])
    assert main(["perception", "train", "my_own_recipe:recipe", "--steps", "2", "--out", "run", "--device", "cpu"]) == 0
    assert "2 of 2 steps" in capsys.readouterr().out
    assert main(["perception", "train", "my_own_recipe:number"]) == 2
    assert "number is int, and must be a function" in capsys.readouterr().err
    assert main(["perception", "evaluate", "my_own_recipe:recipe"]) == 2
    assert "no weights of toy are shipped" in capsys.readouterr().err


@pytest.mark.usefixtures("catalogued")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "chest-nothing"], "no recipe is called 'chest-nothing'"),
        (["evaluate", "toy"], "no weights of toy are shipped: give --weights RUN"),
        (["evaluate", "toy", "--weights", "nowhere"], "nowhere is no run folder"),
        (["train", "toy", "--steps", "0"], "steps must be 1 or more"),
        (["train", "toy", "--device", "tpu"], "device must be one of"),
    ],
)
def test_wrong_use_of_the_verb_is_a_line_on_stderr_and_code_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["perception", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("medsim: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("catalogued")
def test_the_list_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perception", "list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in RECIPES)
    assert main(["perception", "list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(RECIPES)


def test_every_recipe_of_the_catalogue_can_be_had_and_fits_its_learner() -> None:
    assert RECIPES
    for name in RECIPES:
        made = recipe(name)
        assert made.name == name
        assert made.build().state_dict()


# imports


def test_importing_the_frame_is_light() -> None:
    quick = "metrics, real_data, images, catalogue, recipe, verbs, weights"
    code = f"""
import sys, medsim_perception
from medsim_perception import {quick}
assert not {{"torch", "scipy", "tqdm"}} & set(sys.modules), "before torch"
import torch
before = set(sys.modules)
from medsim_perception import device, run_folder, supervised, training
print(*set(sys.modules) - before)
"""
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'perception'}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    added = done.stdout.split()
    assert "medsim_perception.training" in added
    assert not [name for name in added if name.startswith(("torch._dynamo", "torch._inductor", "torch.onnx", "torchvision"))]
    heavy = {"sklearn", "monai", "skimage", "pandas", "pydicom", "nibabel", "matplotlib", "stable_baselines3", "PIL", "scipy"}
    assert not {name.partition(".")[0] for name in added} & heavy
