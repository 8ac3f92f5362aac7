"""``python -m benchmarks.hospital.routing``: PPO on the two-hospital routing problem, valued exactly beside the optimum.

Trains Stable-Baselines3's PPO on ``medsim/RegionalNetwork-v0`` itself (variant "routing", the heterogeneous case), from the view of the one
agent that is asked; then reads the learned policy out as a table over all numbers of patients, and has theory compute its mean number of
patients in steady state: no simulation stands between the learned table and its figure. Writes routing.json and ROUTING.md.
"""

import argparse
import json
import multiprocessing
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from medsim.hospital.regional_network import RegionalNetworkEnv
from medsim.hospital.theory.routing import TwoHospitals
from medsim.policies.regional_network import ROUTING_HARD
from medsim_agents.provenance import commit, hardware, versions

HERE = Path(__file__).parent
HORIZON_H = 100.0  # about 420 patients an episode: some times the chain's memory; a bad early policy cannot run away for long
WAITING_MOST, WAITING_SCALE = 40.0, 10.0  # patients: a queue is cut at the one and divided by the other
# The reward that PPO gets is minus (patients - USUAL), integrated between decisions, over SPREAD (which makes
# values of the order of 1: larger ones take the gradient's norm from the policy). The time between two arrivals is nobody's
# doing, so what is added to it moves no policy of an average-cost problem; but it takes most of the noise of that time away.
USUAL, SPREAD = 10.0, 40.0
SETTINGS: dict[str, Any] = {
    "n_steps": 128, "batch_size": 512, "n_epochs": 8, "gamma": 0.98, "gae_lambda": 0.9, "ent_coef": 0.05, "vf_coef": 0.5,
}  # fmt: skip
ENVS = 16
FIRST_RATE, LAST_RATE = 2e-3, 1e-4  # of learning, falling in a straight line
NETWORK = [64, 64]


def features(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what PPO is given (..., 4) for the numbers in both hospitals (..., 2): servers at work, as a share, and queues."""
    servers = np.array([ROUTING_HARD["servers_0"], ROUTING_HARD["servers_1"]], dtype=np.float32)
    waiting = np.minimum(np.maximum(numbers - servers, 0.0), WAITING_MOST) / WAITING_SCALE
    return np.concatenate([np.minimum(numbers, servers) / servers, waiting], axis=-1).astype(np.float32)


def value_of_a_split() -> list[npt.NDArray[np.float64]]:
    """Return what each patient more in a hospital costs in the long run (patient hours, cumulated over 0, 1, ... of them) under a coin.

    Sent in proportion to what they can treat, the two are M/M/c queues of their own, whose relative values solve Poisson's equation
    lam d(n) = mean - n + mu min(n, c) d(n - 1), with d(n) = h(n + 1) - h(n); from c - 1 on d is a straight line.
    """
    hospitals, found = pair(), []
    numbers = hospitals.random_split().mean_numbers
    capacities = [mu * c for mu, c in zip(hospitals.service_rates, hospitals.beds, strict=True)]
    for mean, mu, c, capacity in zip(numbers, hospitals.service_rates, hospitals.beds, capacities, strict=True):
        lam = hospitals.arrival_rate * capacity / sum(capacities)
        slope = 1.0 / (capacity - lam)
        steps = [mean / lam]
        for n in range(1, 1000):
            steps.append((mean - n + mu * n * steps[-1]) / lam if n < c else slope * n + (capacity * slope - mean) * slope)
        found.append(np.concatenate([[0.0], np.cumsum(steps)]))
    return found


class EmsView(gym.Env[npt.NDArray[np.float32], int]):
    """The routing problem as ``ems`` sees it, with hospital 0 or 1 as actions."""

    def __init__(self, shaped: bool) -> None:
        self.shaped, self.values = shaped, value_of_a_split()
        self.env = RegionalNetworkEnv(horizon_h=HORIZON_H, log_events=False, **ROUTING_HARD)
        self.observation_space = gym.spaces.Box(0.0, WAITING_MOST / WAITING_SCALE, (4,), dtype=np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def potential_of(self, observations: dict[str, Any]) -> float:
        n0, n1 = (int(number) for number in observations["ems"])
        return -float(self.values[0][n0] + self.values[1][n1])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        observations, infos = self.env.reset(seed=seed, options=options)
        self.time_h, self.potential = infos["ems"]["time_h"], self.potential_of(observations)
        return features(observations["ems"]), {}

    def step(self, action: int) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        observations, rewards, terminations, truncations, infos = self.env.step({"ems": 1 + int(action)})
        before_h, self.time_h = self.time_h, infos["ems"]["time_h"]
        before, self.potential = self.potential, self.potential_of(observations)
        reward = rewards["ems"] + USUAL * (self.time_h - before_h)
        if self.shaped:
            reward += SETTINGS["gamma"] * self.potential - before
        reward /= SPREAD
        return features(observations["ems"]), reward, terminations["ems"], truncations["ems"], {}


def pair() -> TwoHospitals:
    """Return the same two hospitals as theory knows them."""
    o = ROUTING_HARD
    return TwoHospitals(arrival_rate=o["lam"], service_rates=(o["mu_0"], o["mu_1"]), beds=(o["servers_0"], o["servers_1"]))


def train(seed: int, steps: int, shaped: bool) -> Any:
    """Return PPO after so many decisions on the environment."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    model = PPO(
        "MlpPolicy",
        DummyVecEnv([lambda: EmsView(shaped)] * ENVS),
        learning_rate=lambda left: LAST_RATE + left * (FIRST_RATE - LAST_RATE),
        policy_kwargs={"net_arch": NETWORK},
        seed=seed,
        device="cpu",
        **SETTINGS,
    )
    return model.learn(steps)


def table(model: Any, side: int) -> npt.NDArray[np.int64]:
    """Return where the learned policy sends, (side, side), by the numbers in hospital 0 and 1: the more probable hospital."""
    n = np.arange(side, dtype=np.float32)
    states = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2)
    actions, _ = model.predict(features(states), deterministic=True)
    return np.asarray(actions, dtype=np.int64).reshape(side, side)


def one_seed(job: tuple[int, int, bool]) -> dict[str, Any]:
    """Train with one seed; return the learned table's exact value, and where it begins to use hospital 1."""
    import torch

    torch.set_num_threads(1)
    seed, steps, shaped = job
    began = time.perf_counter()
    model = train(seed, steps, shaped)
    seconds = time.perf_counter() - began
    hospitals = pair()
    learned = table(model, hospitals.limit + 1)
    value = hospitals.evaluate(learned)
    first = [int(np.argmax(learned[:, n1])) if learned[:, n1].any() else -1 for n1 in range(8)]
    return {
        "seed": seed, "shaped": shaped, "steps": int(model.num_timesteps), "seconds": round(seconds, 1), "mean_number": value.mean_number,
        "p_at_limit": value.p_at_limit, "sends_to_1_from": first,
    }  # fmt: skip


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval by Student's t over seeds."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, mean, mean
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return everything that is reported."""
    hospitals = pair()
    best = hospitals.optimum()
    queue = hospitals.evaluate(hospitals.shortest_queue()).mean_number
    known = {
        "optimal": best.mean_number,
        "shortest-expected-wait": hospitals.evaluate(hospitals.shortest_expected_wait()).mean_number,
        "shortest-queue": queue,
        "proportional-split": hospitals.random_split().mean_number,
    }
    optimal_first = [int(np.argmax(best.policy[:, n1])) for n1 in range(8)]
    arms = {}
    for arm, shaped in (("ppo_shaped", True), ("ppo_plain", False)):
        mean, low, high = interval([run["mean_number"] for run in runs if run["shaped"] == shaped])
        gap = (queue - mean) / (queue - best.mean_number)
        arms[arm] = {"mean": mean, "low": low, "high": high, "gap_closed": gap, "beats_shortest_queue": high < queue}
    return {
        "case": dict(ROUTING_HARD), "known": known, "optimal_sends_to_1_from": optimal_first, "runs": runs, **arms,
        "settings": {**SETTINGS, "envs": ENVS, "net_arch": NETWORK, "learning_rate": [FIRST_RATE, LAST_RATE], "horizon_h": HORIZON_H},
    }  # fmt: skip


HEAD = """# Routing between two hospitals: PPO beside the exact optimum

`{command}`

`medsim/RegionalNetwork-v0`, `variant="routing"`, 4 + 4 servers of rates 1 and 0.25 an hour, 4.2 patients an hour. The figure is the mean
number of patients in both hospitals in steady state, computed exactly from each policy's table (`medsim.hospital.theory.routing`); of PPO:
of the greedy table that it learned on the environment. Fewer is better. Two kinds of PPO, same settings:

- **shaped**: its reward has a potential added (gamma Phi(next) - Phi), which moves no optimum but takes most of the noise away. Phi is
  what the *proportional split* is known to cost from there on, in closed form; nothing of the optimum or of the shortest queue is in it.
- **plain**: without the potential.

Settings were chosen by trial on seeds 0 to 3; the seeds below are others.

| policy | mean number (95 % interval over seeds, Student's t) | above the optimum | of the gap between shortest queue and optimum closed |
|---|---|---|---|
"""


def page(result: dict[str, Any], command: str) -> str:
    """Return ROUTING.md."""
    known, best, queue = result["known"], result["known"]["optimal"], result["known"]["shortest-queue"]

    def row(name: str, value: float, interval: str = "") -> str:
        return f"| {name} | {value:.4f}{interval} | {100 * (value / best - 1):+.2f} % | {100 * (queue - value) / (queue - best):.0f} % |"

    rows = [row(name, value) for name, value in known.items()]
    for arm in ("ppo_plain", "ppo_shaped"):
        found = result[arm]
        rows.insert(1, row(f"**PPO, {arm[4:]}**", found["mean"], f" ({found['low']:.4f} to {found['high']:.4f})"))
    each = [
        f"| {'shaped' if run['shaped'] else 'plain'} | {run['seed']} | {run['steps']} | {run['seconds']:.0f} | {run['mean_number']:.4f} "
        f"| {run['p_at_limit']:.1e} | {', '.join(map(str, run['sends_to_1_from']))} |"
        for run in result["runs"]
    ]
    verdicts = []
    for arm in ("ppo_shaped", "ppo_plain"):
        beats = result[arm]["beats_shortest_queue"]
        verb, where = ("beats", "below") if beats else ("does not beat", "not below")
        verdicts.append(f"PPO, {arm[4:]}, {verb} joining the shortest queue: its interval is {where} {queue:.4f}.")
    tail = [
        "| kind | seed | decisions | s | mean number | probability at the table's limit | sends to 1 from n0 = (n1 = 0, 1, ... 7) |",
        "|---|---|---|---|---|---|---|",
        *each,
        f"| optimum | | | | {best:.4f} | | {', '.join(map(str, result['optimal_sends_to_1_from']))} |",
        "",
        f"Settings: `{result['settings']}`.",
        "",
        f"{result['when']}, commit {result['commit']}; `{result['hardware']}`; `{result['versions']}`.",
        "",
        "Research simulation, not advice on how to run hospitals.",
        "",
    ]
    return HEAD.format(command=command) + "\n".join([*rows, "", *verdicts, "", *tail])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=100, help="settings were chosen on seeds 0 to 3, which are not reported")
    parser.add_argument("--steps", type=int, default=100_000, help="decisions of each seed")
    parser.add_argument("--processes", type=int, default=1, help="seeds trained side by side")
    parser.add_argument("--json", action="store_true", help="print the figures, and write nothing")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        runs = pool.map(
            one_seed,
            [(seed, args.steps, shaped) for shaped in (True, False) for seed in range(args.first_seed, args.first_seed + args.seeds)],
            chunksize=1,
        )
    result = figures(runs)
    result |= {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "hardware": dict(hardware(cores=min(args.processes, os.cpu_count() or 1))),
        "versions": versions(),
    }
    if args.json:
        print(json.dumps(result, indent=1))
        return
    command = f"python -m benchmarks.hospital.routing --seeds {args.seeds} --steps {args.steps} --processes {args.processes}"
    (HERE / "routing.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "ROUTING.md").write_text(page(result, command))
    print(page(result, command))


if __name__ == "__main__":
    main()
