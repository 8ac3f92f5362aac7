"""What a GPU gives: training steps of every recipe, frozen encoders that read for agents, and agents whose encoders learn.

    python -m benchmarks.perception.cuda

Writes `cuda.json` and `cuda.md`. CPU and GPU take turns, the CPU with one thread and with all. Where a step is made of small kernels, a GPU
waits for Python; what it is worth then is told as it is. Recipes whose data are absent are left out by name.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.perception.vision_runs import RESULTS, machine, table, write_json, write_page
from medsim_perception.catalogue import RECIPES, recipe
from medsim_perception.state import perceived_sepsis

ENV = "medsim/Sepsis-v0"
PATIENTS = (8, 64, 512)  # that frozen encoders read for at a time
WARM_STEPS, SECONDS = 3, 0.7  # chosen: steps that are not counted, and how long each kind of step is repeated in a round
Spread = dict[str, float]


def main() -> None:
    chosen = parsed()
    record: dict[str, Any] = {
        "machine": machine("cuda"), "cores": os.cpu_count(), "rounds": chosen.rounds, "training": {}, "reading": {}, "agents": {},
    }  # fmt: skip
    for name in tqdm(RECIPES, desc="recipes"):
        record["training"][name] = training(name, chosen.rounds)
    for n in tqdm(PATIENTS, desc="readings"):
        record["reading"][str(n)] = reading(n, chosen.rounds)
    for device in tqdm(("cpu", "cuda"), desc="agents"):
        record["agents"][device] = agents(device, chosen.rounds)
    write_json(chosen.out / "cuda.json", record)
    write_page(chosen.out / "cuda.md", page(record))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def a_second(do: Callable[[], Any]) -> float:
    """How often a second that can be done, by the wall clock."""
    torch.cuda.synchronize()
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS or times == 0:
        do()
        times += 1
    torch.cuda.synchronize()
    return times / (time.perf_counter() - began)


def by_turns(work: dict[str, tuple[int, Callable[[], Any]]], rounds: int) -> dict[str, Spread]:
    """Median, lowest and highest over the rounds of each, with its number of threads."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (threads, do) in work.items():
            torch.set_num_threads(threads)
            found[name].append(a_second(do))
    return {name: {"median": float(np.median(ones)), "low": min(ones), "high": max(ones)} for name, ones in found.items()}


def training(name: str, rounds: int) -> dict[str, Any]:
    """Steps a second of a recipe; or why there are none."""
    made = recipe(name)
    learners = {}
    try:
        for device in ("cpu", "cuda"):
            torch.manual_seed(0)
            learners[device] = made.begin(0, torch.device(device))
            learners[device].planned_steps = 1_000_000
            for _ in range(WARM_STEPS):
                learners[device].step()
    except FileNotFoundError as absent:
        return {"absent": str(absent).splitlines()[0]}
    cores = os.cpu_count() or 1
    return by_turns(
        {"cpu, 1 thread": (1, learners["cpu"].step), "cpu": (cores, learners["cpu"].step), "cuda": (1, learners["cuda"].step)}, rounds
    )


def reading(n: int, rounds: int) -> dict[str, Any]:
    """Batches a second that the shipped encoders of Sepsis read: every chart and every picture of n patients."""
    from medsim_agents.vec_env import make_vec_env

    seen: Any = make_vec_env(ENV, n, seed=0, observation="multimodal").reset()
    work = {}
    for device in ("cpu", "cuda"):
        state = perceived_sepsis().to(device)
        state.of(seen)
        work[device] = (1, lambda state=state: state.of(seen))
    return by_turns(work, rounds)  # type: ignore[arg-type]


def agents(device: str, rounds: int) -> dict[str, Any]:
    """Environment steps a second of a PPO whose encoders learn, collecting and learning together."""
    from stable_baselines3 import PPO

    from medsim_agents.perception import ClinicalExtractor
    from medsim_agents.vec_env import make_vec_env

    told = {"state": perceived_sepsis(), "trainable": True}
    torch.set_num_threads(os.cpu_count() or 1)
    model = PPO(
        "MultiInputPolicy", make_vec_env(ENV, 64, seed=0, observation="multimodal", lungs="varied"), n_steps=8, batch_size=256, n_epochs=4,
        device=device, seed=0, policy_kwargs={"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": told},
    )  # fmt: skip
    model.learn(512)
    speeds = []
    for _ in range(rounds):
        began = time.perf_counter()
        model.learn(1024, reset_num_timesteps=False)
        speeds.append(1024 / (time.perf_counter() - began))
    return {"median": float(np.median(speeds)), "low": min(speeds), "high": max(speeds)}


def shown(spread: Spread) -> str:
    return f"{spread['median']:,.1f} ({spread['low']:,.1f} to {spread['high']:,.1f})"


def page(record: dict[str, Any]) -> list[str]:
    """The readable page."""
    command = f"python -m benchmarks.perception.cuda --rounds {record['rounds']}"
    lines = ["# Perception on a GPU", "", f"`{command}`, {record['machine']}, beside {record['cores']} CPU cores of the same machine.",
             f"By the wall clock, taking turns: median (lowest to highest) of {record['rounds']} rounds.", "",
             "## Training steps a second", ""]  # fmt: skip
    rows = []
    for name, found in record["training"].items():
        if "absent" in found:
            rows.append([name, "-", "-", "-", found["absent"]])
            continue
        best = max(found["cpu"]["median"], found["cpu, 1 thread"]["median"])
        kinds = ("cpu, 1 thread", "cpu", "cuda")
        rows.append([name, *(shown(found[kind]) for kind in kinds), f"{found['cuda']['median'] / best:.1f} x"])
    lines += table(["recipe", "one thread", f"{record['cores']} threads", "GPU", "GPU over the better CPU"], rows)
    lines += ["", "## Patients a second that the shipped encoders read (charts and pictures, all new)", ""]
    rows = []
    for n, found in record["reading"].items():
        scaled = {device: {key: value * int(n) for key, value in spread.items()} for device, spread in found.items()}
        ratio = found["cuda"]["median"] / found["cpu"]["median"]
        rows.append([n, shown(scaled["cpu"]), shown(scaled["cuda"]), f"{ratio:.1f} x"])
    lines += table(["patients at a time", "one thread", "GPU", "GPU over CPU"], rows)
    both = record["agents"]
    lines += ["", "## PPO with encoders that learn (64 patients, batches of 256, 4 epochs)", ""]
    ratio = both["cuda"]["median"] / both["cpu"]["median"]
    return [
        *lines,
        *table(
            [f"{record['cores']} threads, steps/s", "GPU, steps/s", "GPU over CPU"],
            [[shown(both["cpu"]), shown(both["cuda"]), f"{ratio:.1f} x"]],
        ),
    ]


if __name__ == "__main__":
    main()
