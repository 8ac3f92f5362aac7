"""``python -m benchmarks.hospital.icu_admission``: how much of the gap to the optimum PPO closes on ``medsim/ICUAdmission-v0``.

PPO of Stable-Baselines3 learns from simulated episodes; what it has learned is read as a table of decisions, whose cost per day is then
computed exactly, so that the result has no error of evaluation. 0 is admitting everybody, 1 the optimum. Writes icu_admission.json and
ICU_ADMISSION.md beside this file; with ``--json`` it prints the record instead. ``--search-queue`` searches the rule ``searched`` of
``variant="queue"`` and prints what each rule is worth.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: one thread

import numpy as np

from medsim.hospital.evaluation import DEFAULT_SEED, play_episode
from medsim.hospital.icu_admission import IcuAdmissionEnv, exact_cost_rate, gap_closed, icu_admission_task, policy_table
from medsim.hospital.icu_admission.exact import optimum
from medsim.policies.icu_admission import POLICIES, Reserve
from medsim_agents.provenance import commit, hardware, versions

HERE = Path(__file__).parent
NEEDED, OF_FIVE = 0.9, 4
COPIES = 8  # environments that are stepped in turn
LEARNING_RATE = 1e-3  # falls in a line to 0: without that the table still flickers at the last bed when learning stops
SETTINGS = {"gamma": 0.98, "n_steps": 256, "batch_size": 256, "gae_lambda": 0.95}
SEEDS_APART = 1000  # Stable-Baselines3 gives environment k the seed of the run plus k
SEARCH_SEED, SEARCH_EPISODES = 7, 40  # other episodes than those on which policies are evaluated


def falling(remaining: float) -> float:
    """Return the learning rate while so much of the training (1 to 0) is left."""
    return LEARNING_RATE * remaining


def train(seed: int, steps: int) -> dict[str, Any]:
    """Return what PPO has learned with a seed: its table, the exact cost per day, the share of the gap closed."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    start = time.perf_counter()
    environments = DummyVecEnv([lambda: IcuAdmissionEnv(log_events=False)] * COPIES)
    agent = PPO("MlpPolicy", environments, learning_rate=falling, seed=SEEDS_APART * seed, device="cpu", **SETTINGS)
    agent.learn(steps)
    table = policy_table(lambda name, seen, mask: int(agent.predict(seen, deterministic=True)[0]))
    cost = exact_cost_rate(table)
    return {
        "seed": seed,
        "cost_per_day": cost,
        "gap_closed": gap_closed(cost),
        "table": table.astype(int).T.tolist(),
        "seconds": time.perf_counter() - start,
    }


def record(seeds: int, steps: int) -> dict[str, Any]:
    """Return the result of several seeds with what it holds for."""
    runs = []
    for seed in range(seeds):
        runs.append(train(seed, steps))
    return {
        "command": f"python -m benchmarks.hospital.icu_admission --seeds {seeds} --steps {steps}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": dict(hardware(cores=1)),
        "versions": {**versions(), "simpy": version("simpy")},
        "steps": steps,
        "settings": {**SETTINGS, "learning_rate": f"{LEARNING_RATE} falling to 0", "environments": COPIES, "policy": "MlpPolicy, 64 x 64"},
        "optimum_cost_per_day": optimum().cost_rate,
        "admit_all_cost_per_day": exact_cost_rate(policy_table(POLICIES["admit-all"]())),
        "reserves_gap_closed": {f"trunk-{r}": gap_closed(exact_cost_rate(policy_table(POLICIES[f"trunk-{r}"]()))) for r in (1, 2, 3)},
        "runs": runs,
        "seeds_that_close_90_percent": sum(run["gap_closed"] >= NEEDED for run in runs),
        "scores": scores(),
    }


def scores() -> dict[str, float]:
    """Return the mean returns of the card's policies on the default variant's first 20 episodes of the fixed list."""
    task = icu_admission_task()
    return {name: mean_return(task, POLICIES[name])[0] for name in ("random", "admit-all", "optimal")}


def mean_return(task: Any, make: Callable[[], Any], seed: int = DEFAULT_SEED, episodes: int = 20) -> tuple[float, float]:
    """Return the mean return over episodes, and its standard error."""
    returns = [sum(play_episode(task, make(), seed=seed, slot=slot).terms.values()) for slot in range(episodes)]
    return float(np.mean(returns)), float(np.std(returns, ddof=1) / np.sqrt(episodes))


def search_queue() -> list[tuple[float, float, dict[str, Any]]]:
    """Return (mean return, standard error, rule) of every rule of the search for ``variant="queue"``, the best first."""
    task = icu_admission_task(variant="queue", log_events=False)
    found = []
    early = [("nobody", math.inf), *product(("urgent", "all"), (6.0, 12.0, 24.0, 48.0, math.inf))]
    for reserve, (whom, within_h), divert in product((0, 1, 2), early, (None, 0, 1, 2, 4)):
        rule: dict[str, Any] = {"reserve": reserve, "discharge_early": whom, "ready_within_h": within_h, "divert_waiting": divert}
        mean, error = mean_return(task, lambda rule=rule: Reserve("rule", **rule), SEARCH_SEED, SEARCH_EPISODES)
        found.append((mean, error, rule))
    return sorted(found, key=lambda one: -one[0])


def page(data: dict[str, Any]) -> str:
    """Return the results as a page."""
    lines = [
        "# PPO on medsim/ICUAdmission-v0, variant trunk",
        "",
        f"Measured on {data['date']} by `{data['command']}`, commit `{data['commit']}`, on {data['machine']['cpu']}, one thread.",
        f"Versions: {', '.join(f'{name} {number}' for name, number in data['versions'].items())}.",
        f"PPO of Stable-Baselines3, {data['steps']} steps; {', '.join(f'{name} {value}' for name, value in data['settings'].items())};",
        "everything else as the library has it.",
        "",
        f"Admitting everybody costs {data['admit_all_cost_per_day']:.6f} a day, the optimum {data['optimum_cost_per_day']:.6f}. The cost",
        "of each learned table is computed exactly from the chain, with no simulation. Gap closed: 0 admitting everybody, 1 the optimum.",
        "",
        "| seed | cost per day | gap closed | emergencies admitted at 0 to 9 busy beds | elective patients | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for run in data["runs"]:
        tables = " | ".join("".join(map(str, row)) for row in run["table"])
        lines.append(f"| {run['seed']} | {run['cost_per_day']:.6f} | {run['gap_closed']:.4f} | {tables} | {run['seconds']:.0f} |")
    closed = data["seeds_that_close_90_percent"]
    reserves = ", ".join(f"{name} {share:.4f}" for name, share in data["reserves_gap_closed"].items())
    lines += [
        "",
        f"{closed} of {len(data['runs'])} seeds close at least 90 % of the gap (needed: {OF_FIVE} of 5).",
        f"For comparison, gap closed by fixed reserves: {reserves}.",
        "",
        f"Mean returns on the 20 fixed episodes (seed {DEFAULT_SEED}): "
        + ", ".join(f"{name} {value:.4f}" for name, value in data["scores"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of each training")
    parser.add_argument("--json", action="store_true", help="print the record and write no file")
    parser.add_argument("--search-queue", action="store_true", help="search the rule of variant='queue' instead")
    given = parser.parse_args()
    if given.search_queue:
        for mean, error, rule in search_queue():
            print(f"{mean:10.2f} +- {error:6.2f}  {rule}")
        return
    data = record(given.seeds, given.steps)
    if given.json:
        print(json.dumps(data, indent=1))
        return
    (HERE / "icu_admission.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (HERE / "ICU_ADMISSION.md").write_text(page(data), encoding="utf-8")
    print(page(data))


if __name__ == "__main__":
    main()
