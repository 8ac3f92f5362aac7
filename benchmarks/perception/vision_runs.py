"""What the benchmarks of chest X-rays share: trainings in run folders, one file a seed, tables with intervals."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medsim.core.files import write_whole
from medsim_perception.device import choose_device
from medsim_perception.metrics import mean_interval
from medsim_perception.recipe import Recipe
from medsim_perception.training import run
from medsim_perception.weights import packed

RESULTS = Path(__file__).parent / "results"
RUNS = Path("runs/perception")


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=5, help="how many trainings, with seeds from 0 on")
    parser.add_argument("--steps", type=int, default=None, help="steps of a training, instead of the recipe's")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trainings: what is finished there is not done again")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    return chosen


def trained(recipe: Recipe, seed: int, chosen: argparse.Namespace) -> nn.Module:
    """The model of a run folder, trained if it is not, under a progress bar."""
    from tqdm import tqdm

    folder = chosen.runs / recipe.name / f"seed{seed}"
    with tqdm(desc=f"{recipe.name} seed {seed}", unit="step", mininterval=5) as bar:

        def progress(done: int, planned: int, loss: float) -> None:
            bar.total = planned
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(done - bar.n)

        return run(recipe, seed, folder, steps=chosen.steps, device=chosen.device, progress=progress)


def per_seed(name: str, chosen: argparse.Namespace, work: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of all seeds: read where there are some made with the same settings, worked out and written where not."""
    records = []
    for seed in range(chosen.seeds):
        path = chosen.out / name / f"seed{seed}.json"
        if not path.is_file() or json.loads(path.read_text()).get("made_with", {}).get("steps") != chosen.steps:
            start = time.process_time()
            record = {"seed": seed, **work(seed), "made_with": {"steps": chosen.steps, "machine": machine(chosen.device)}}
            write_json(path, {**record, "cpu_seconds": round(time.process_time() - start, 1)}, indent=None)
        records.append(json.loads(path.read_text()))
    return records


def size_of(model: nn.Module) -> tuple[int, float]:
    """How many numbers a model is, and how many kilobytes in half precision."""
    return sum(tensor.numel() for tensor in model.state_dict().values()), len(packed(model, half=True)) / 1000


def write_json(path: Path, content: dict[str, Any], indent: int | None = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())


def write_page(path: Path, lines: Sequence[str]) -> None:
    write_whole(path, ("\n".join(lines) + "\n").encode())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]


def with_interval(values: Sequence[float], digits: int = 3) -> str:
    mean, low, high = mean_interval(values)
    return f"{mean:.{digits}f}" if len(values) < 2 else f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def summary(values: Sequence[float]) -> dict[str, Any]:
    mean, low, high = mean_interval(values)
    return {"mean": mean, "low": None if np.isnan(low) else low, "high": None if np.isnan(high) else high, "seeds": list(values)}


def machine(device: str = "cpu") -> str:
    """What the figures were got on; `device` as of `choose_device`."""
    torch_version = f"torch {torch.__version__.partition('+')[0]}"
    if choose_device(device).type == "cuda":
        return f"{torch.cuda.get_device_name()}, {torch_version}"
    return f"{os.cpu_count()} cores, CPU, {torch_version}, one thread"
