"""``python -m benchmarks.tabular``: SepsisSCM-v0 and ICUSepsis-v0 beside the original ICU-Sepsis, in turn, in one process.

Writes RESULTS.md beside this file. The original needs its own dependencies: pip install icu-sepsis. Without it (or without the old gym
that it imports) its rows are left out, and the page says so.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import medsim  # noqa: F401  registers the environments
from benchmarks.speed.timing import Timing, Work, interleave, quotients, spread
from medsim_agents.provenance import commit, hardware, versions

HERE = Path(__file__).parent
PEER = "Sepsis/ICU-Sepsis-v2"
PEER_BATCH = 8  # the original's best: more environments in a SyncVectorEnv are not faster
IDS = ("medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0")
TARGETS = {"medsim/SepsisSCM-v0": 3e6, "medsim/ICUSepsis-v0": 1e6}  # steps a second of a batch on one core
SINGLE_US, TIMES = 5.0, 50.0


def peer_is_there() -> bool:
    """Return whether the original can be made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import icu_sepsis  # noqa: F401
    except ImportError:
        return False
    return True


def single(env_id: str, steps: int, with_resets: bool) -> Work:
    """Return the work of one environment under random actions; the resets on the way are timed too, or not."""
    env: Any = gym.make(env_id)
    actions = np.random.default_rng(0).integers(0, int(env.action_space.n), steps).tolist()

    def run() -> tuple[float, float]:
        step, reset, left_out = env.step, env.reset, np.zeros(2)
        begin = np.array([time.process_time(), time.perf_counter()])
        for action in actions:
            _, _, terminated, truncated, _ = step(action)
            if terminated or truncated:
                before = time.process_time(), time.perf_counter()
                reset()
                left_out += np.array([time.process_time(), time.perf_counter()]) - before
        cpu, wall = np.array([time.process_time(), time.perf_counter()]) - begin - (0.0 if with_resets else left_out)
        return float(cpu), float(wall)

    return Work(units=steps, run=run, prepare=lambda: env.reset(seed=0))


def batch(env_id: str, n: int, rounds: int, make: Callable[[], Any]) -> Work:
    """Return the work of a batch under random actions: observations, rewards, infos and resets of a full step."""
    env = make()
    actions = np.random.default_rng(0).integers(0, int(env.single_action_space.n), (16, n))

    def run() -> None:
        for number in range(rounds):
            env.step(actions[number % 16])

    return Work(units=n * rounds, run=run, prepare=lambda: env.reset(seed=0))


def works(n: int, quick: bool) -> tuple[dict[str, Work], dict[str, Work]]:
    """Return the works of one environment, and of batches."""
    steps, rounds = (5_000, 20) if quick else (50_000, 100)
    alone = {f"one {env_id}": single(env_id, steps, False) for env_id in IDS}
    alone |= {f"one-with-resets {env_id}": single(env_id, steps, True) for env_id in IDS}
    together = {f"batch {env_id}": batch(env_id, n, rounds, lambda e=env_id: gym.make_vec(e, num_envs=n)) for env_id in IDS}  # type: ignore[misc]
    if peer_is_there():
        alone["one original"] = single(PEER, steps // 10, False)
        alone["one-with-resets original"] = single(PEER, steps // 10, True)
        together["batch original"] = batch(
            PEER, PEER_BATCH, steps // 100, lambda: gym.make_vec(PEER, num_envs=PEER_BATCH, vectorization_mode="sync")
        )
    return alone, together


def rate(timing: Timing) -> str:
    """Return steps a second of CPU time, with quartiles."""
    found = spread([1.0 / value for value in timing.cpu])
    return f"{found.median:,.0f} ({found.q1:,.0f} to {found.q3:,.0f})"


def page(found: dict[str, Timing], n: int, repeats: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Speed of the environments whose course is a table", "",
        f"`python -m benchmarks.tabular`, {datetime.now(UTC):%Y-%m-%d}, commit {commit()}. Medians and quartiles of {repeats} rounds, CPU "
        f"time, one thread, competitors in turn in one process; batches of {n:,d}; random actions, full steps with resets.", "",
        "| what | steps a second | us a step | wanted |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, timing in found.items():
        kind, _, env_id = name.partition(" ")
        wanted = f"{TARGETS[env_id]:,.0f} a second" if kind == "batch" and env_id in TARGETS else ""
        wanted = f"at most {SINGLE_US:g} us" if kind == "one" and env_id in TARGETS else wanted
        kind = {"one": "one, a step", "one-with-resets": "one, a step and its share of resets", "batch": "batch, resets among the steps"}[
            kind
        ]
        called = f"{kind}: {f'icu-sepsis, {PEER}' if env_id == 'original' else env_id}"
        called += f", SyncVectorEnv of {PEER_BATCH}" if name == "batch original" else ""
        lines.append(f"| {called} | {rate(timing)} | {spread([1e6 * value for value in timing.cpu]).median:.3g} | {wanted} |")
    lines += [
        "",
        *comparisons(found),
        "",
        f"Machine: {', '.join(f'{name} {value}' for name, value in hardware(cores=1).items())}",
        "",
        f"Versions: {', '.join(f'{name} {value}' for name, value in versions().items())}",
        "",
    ]
    return "\n".join(lines)


def comparisons(found: dict[str, Timing]) -> list[str]:
    """Return how many times as fast as the original ICUSepsis-v0 is, round by round."""
    if "one original" not in found:
        return ["The original was not measured: `pip install icu-sepsis` brings it."]
    lines = []
    for ours, theirs in (("one medsim/ICUSepsis-v0", "one original"), ("batch medsim/ICUSepsis-v0", "batch original"),
                         ("batch medsim/ICUSepsis-v0", "one original")):  # fmt: skip
        times = spread(quotients(found[theirs].cpu, found[ours].cpu))
        wanted = f" (wanted: {TIMES:g})" if ours.startswith("batch") else ""
        lines.append(f"- {ours} over {theirs}: {times.median:.1f} times as fast ({times.q1:.1f} to {times.q3:.1f}){wanted}")
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular", description=__doc__)
    parser.add_argument("--repeats", type=int, default=11, help="rounds (default %(default)s)")
    parser.add_argument("--batch", type=int, default=8192, help="patients of a batch (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, and nothing is written")
    args = parser.parse_args()
    alone, together = works(args.batch, args.quick)
    found = {**interleave(alone, args.repeats, "one"), **interleave(together, args.repeats, "batches")}
    text = page(found, args.batch, args.repeats)
    print(text)
    if not args.quick:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
