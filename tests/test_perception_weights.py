"""Shipped weights are what their cards say, and what is not is refused by name."""

import hashlib
import json
import os
import socket
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import nn  # noqa: E402

from medsim_perception import weights  # noqa: E402
from medsim_perception.catalogue import RECIPES, recipe  # noqa: E402
from medsim_perception.recipe import Recipe  # noqa: E402
from medsim_perception.verbs import markdown_of  # noqa: E402

ROOT = Path(__file__).parents[1]
CARDS = weights.list_cards()
LIMIT_BYTES = 4_000_000


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.GroupNorm(1, 5), nn.Linear(5, 2, bias=False))


def unused(*_: Any) -> Any:
    raise NotImplementedError


TOY = Recipe(name="toy", question="What?", data="numbers", licence="none", build=build, begin=unused, judge=unused)
METRICS = {0: {"auroc": 0.7, "error": 2.0}, 1: {"auroc": 0.8, "error": 2.0}, 2: {"auroc": 0.9, "error": 2.0}}


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A folder with the weights of a small network."""
    torch.manual_seed(0)
    weights.save_weights(TOY, build(), METRICS, seed=1, steps=10, folder=tmp_path)
    return tmp_path


def load(folder: Path) -> nn.Module:
    return weights.load_into(build(), weights.read_card("toy", folder), folder)


def change_card(folder: Path, **changes: Any) -> None:
    path = folder / "toy.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# what is shipped


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_shipped_weights_are_those_of_their_card_and_their_recipe(card: weights.Card) -> None:
    content = (weights.WEIGHTS / f"{card.name}.safetensors").read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (card.bytes, card.sha256)
    assert card.name in RECIPES
    made = recipe(card.name)
    assert (card.question, card.data, card.licence) == (made.question, made.data, made.licence)
    model = weights.load_model(card.name)
    assert not model.training
    tensors = model.state_dict().values()
    assert sum(tensor.numel() for tensor in tensors) == card.numbers
    assert all(tensor.dtype == torch.float32 for tensor in tensors if tensor.is_floating_point())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_say_all_that_is_to_be_known(card: weights.Card) -> None:
    assert all(getattr(card, name) for name in ("question", "data", "licence", "torch", "steps"))
    assert card.command.startswith(("medsim perception train ", "python -m benchmarks.perception."))
    assert card.metrics
    for figure in card.metrics.values():
        assert str(card.seed) in figure.seeds
        assert figure.mean == pytest.approx(sum(figure.seeds.values()) / len(figure.seeds))
        if len(figure.seeds) > 1:
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low <= figure.mean <= figure.high


def test_everything_shipped_takes_four_megabytes_at_most_and_has_its_card() -> None:
    files = {path.stem: path for path in weights.WEIGHTS.glob("*.safetensors")}
    assert set(files) == {card.name for card in CARDS}
    assert sum(path.stat().st_size for path in files.values()) <= LIMIT_BYTES


def test_loading_opens_no_socket(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load(shipped)
    for card in CARDS:
        weights.load_model(card.name)


def test_the_readme_shows_the_cards_as_they_are() -> None:
    text = (ROOT / "perception" / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- cards -->\n")[2].partition("\n<!-- end of cards -->")[0]
    assert shown == markdown_of(CARDS), "regenerate it: medsim perception list --markdown"


# written and read back


@pytest.mark.parametrize("half", [False, True])
def test_weights_come_back_as_they_went(half: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = build()
    card = weights.save_weights(TOY, model, METRICS, seed=2, steps=7, half=half, folder=tmp_path)
    assert weights.list_cards(tmp_path) == [card]
    back = load(tmp_path)
    kept = weights.halved(model) if half else model
    assert all(torch.equal(a, b) for a, b in zip(back.state_dict().values(), kept.state_dict().values(), strict=True))
    assert card.dtype == ("float16" if half else "float32")
    assert (card.numbers, card.steps, card.seed) == (40, 7, 2)
    figure = card.metrics["auroc"]
    assert figure.mean == pytest.approx(0.8)
    assert figure.high == pytest.approx(0.8 + 4.302653 * 0.1 / 3**0.5)  # t of two degrees of freedom
    assert figure.seeds == {"0": 0.7, "1": 0.8, "2": 0.9}


def test_half_precision_takes_half_the_room() -> None:
    wide = nn.Linear(256, 256)
    assert len(weights.packed(wide, half=True)) == pytest.approx(len(weights.packed(wide)) / 2, rel=0.01)


def test_the_same_weights_are_the_same_bytes() -> None:
    model = build()
    assert weights.packed(model) == weights.packed(model)


def test_a_single_seed_has_no_interval(tmp_path: Path) -> None:
    card = weights.save_weights(TOY, build(), {4: {"auroc": 0.7}}, seed=4, steps=1, folder=tmp_path)
    assert asdict(card)["metrics"]["auroc"] == {"mean": 0.7, "low": None, "high": None, "seeds": {"4": 0.7}}
    assert "auroc 0.700<br>(one seed, no interval)" in markdown_of([card])


# refused


def test_a_truncated_file_is_refused_by_name(shipped: Path) -> None:
    path = shipped / "toy.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"toy\.safetensors has \d+ bytes and its card says \d+: it is truncated.*install medsim again"):
        load(shipped)


def test_a_changed_file_is_refused_by_name(shipped: Path) -> None:
    path = shipped / "toy.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"toy\.safetensors has the sha256 .* it was changed; install medsim again"):
        load(shipped)


def test_a_missing_file_and_a_missing_card_are_refused_by_name(shipped: Path) -> None:
    (shipped / "toy.safetensors").rename(shipped / "away")
    with pytest.raises(ValueError, match=r"toy\.safetensors is missing; install medsim again"):
        load(shipped)
    with pytest.raises(ValueError, match=r"other\.json is missing: there are no weights called 'other' \(there are: toy\)"):
        weights.read_card("other", shipped)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "toy", "metrics": {"auroc": 0.7}}', "null"])
def test_what_is_no_card_is_refused_by_name(content: str, shipped: Path) -> None:
    (shipped / "toy.json").write_text(content)
    with pytest.raises(ValueError, match=r"toy\.json is not a card"):
        weights.list_cards(shipped)


def test_damage_that_the_card_agrees_with_is_refused_too(shipped: Path) -> None:
    path = shipped / "toy.safetensors"
    path.write_bytes(b"\xff" * 64)
    change_card(shipped, bytes=64, sha256=hashlib.sha256(b"\xff" * 64).hexdigest())
    with pytest.raises(ValueError, match=r"toy\.safetensors cannot be read as safetensors .*it is damaged"):
        load(shipped)


def test_weights_of_another_network_are_refused_by_name_or_shape(shipped: Path) -> None:
    card = weights.read_card("toy", shipped)
    with pytest.raises(ValueError, match=r"toy\.safetensors lacks '2\.bias' \(1 names differ\): they are the weights of another network"):
        weights.load_into(nn.Sequential(nn.Linear(3, 5), nn.GroupNorm(1, 5), nn.Linear(5, 2)), card, shipped)
    with pytest.raises(ValueError, match=r"has, and the network does not, '2\.weight'"):
        weights.load_into(nn.Sequential(nn.Linear(3, 5), nn.GroupNorm(1, 5)), card, shipped)
    with pytest.raises(ValueError, match=r"toy\.safetensors has '0\.weight' of shape \(5, 3\), the network \(5, 4\)"):
        weights.load_into(nn.Sequential(nn.Linear(4, 5), nn.GroupNorm(1, 5), nn.Linear(5, 2, bias=False)), card, shipped)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, "metrics of at least one seed"),
        ({0: {"auroc": 0.7}, 1: {"dice": 0.7}}, "judged by different metrics"),
        ({0: {"auroc": float("nan")}}, "must be finite"),
    ],
)
def test_metrics_that_cannot_be_printed_are_refused(metrics: dict[int, dict[str, float]], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        weights.save_weights(TOY, build(), metrics, seed=0, steps=1, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    model = build()
    with torch.no_grad():
        model[0].weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"'0\.weight' are not finite in half precision"):
        weights.save_weights(TOY, model, METRICS, seed=0, steps=1, half=True, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(step: str, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (shipped / "toy.safetensors").read_bytes()

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="no space left"):
        weights.save_weights(replace(TOY, data="others"), build(), METRICS, seed=0, steps=1, folder=shipped)
    assert (shipped / "toy.safetensors").read_bytes() == before
    assert sorted(path.name for path in shipped.iterdir()) == ["toy.json", "toy.safetensors"]


def test_folders_may_be_texts_and_devices_that_are_not_there_are_refused() -> None:
    assert not weights.load_model("triage-acuity", folder=str(weights.WEIGHTS)).training
    with pytest.raises(ValueError, match="device must be one of auto, cpu, cuda, not 'tpu'"):
        weights.load_model("triage-acuity", device="tpu")
