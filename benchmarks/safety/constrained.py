"""Does PPO-Lagrangian keep the limits that PPO breaks, and what does that cost? Five seeds each, on septic shock and on glucose.

    python -m benchmarks.safety.constrained                              # about a quarter of an hour a core and environment; resumes
    python -m benchmarks.safety.constrained --envs medsim/Sepsis-v0 --seeds 0 1

A limit is what the environment's protocol itself costs on patients of the training cohort. Both arms have PPO's tuned settings, and are
judged on the environment's test patients, with doses as an agent would give them (the mean of its distribution). A limit counts as kept
within a tenth.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

RESULTS = Path(__file__).parent / "results"
LIMITED = {"medsim/Sepsis-v0": ("high_norepinephrine",), "medsim/Glucose-v0": ("glucose_above_250", "glucose_below_70")}
ARMS = ("ppo", "ppo-lagrangian")
WITHIN = 1.1  # of a limit
SETTINGS = {"multiplier_rate": 0.1}  # the class's own; nothing was searched for


def limits_of(env_id: str) -> dict[str, float]:
    """Return what the protocol costs on patients of the training cohort whom no training is keyed by."""
    from medsim.evaluation.rollout import evaluate
    from medsim.policies import reference_policies
    from medsim.registry import card

    protocol = reference_policies(env_id)[card(env_id).protocol_policy]()
    found = evaluate(env_id, protocol, cohort="train", patients=1000, seed=7_000_000)
    return {name: float(found.costs[name].mean()) for name in LIMITED[env_id]}


def one_training(env_id: str, arm: str, seed: int, limits: dict[str, float]) -> dict[str, Any]:
    """Train and judge."""
    import torch
    from stable_baselines3 import PPO

    from medsim.evaluation.rollout import evaluate
    from medsim_agents.algorithms import algorithm
    from medsim_agents.constrained import PPOLagrangian
    from medsim_agents.construction import build_environment, model_arguments
    from medsim_agents.policies import ModelPolicy, scale_in_training
    from medsim_agents.training import plan_training

    torch.set_num_threads(1)
    planned = plan_training(env_id, "ppo", seed=seed)
    settings, began = planned.hyperparameters, time.process_time()
    env = build_environment("ppo", env_id, seed, planned.options, settings)
    arguments = model_arguments(algorithm("ppo"), settings, env.action_space)
    kind, more = (PPO, {}) if arm == "ppo" else (PPOLagrangian, {"cost_limits": limits, **SETTINGS})
    model = kind("MlpPolicy", env, seed=seed, device="cpu", **arguments, **more)
    with tqdm(total=settings["steps"], desc=f"{env_id} {arm} seed {seed}", unit="step", mininterval=5.0) as bar:
        model.learn(settings["steps"], callback=lambda *_: bar.update(env.num_envs) or True)
    found = evaluate(env_id, ModelPolicy(arm, model, scale_in_training(model), planned.options))
    return {
        "env": env_id, "arm": arm, "seed": seed, "steps": int(model.num_timesteps), "cpu_s": round(time.process_time() - began, 1),
        "return_mean": float(found.returns.mean()), "normalised": float(found.normalised.mean()),
        "costs": {name: float(values.mean()) for name, values in found.costs.items()},
        "multipliers": model.multipliers if arm != "ppo" else {},
    }  # fmt: skip


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing; returns limits and records by environment."""
    found: dict[str, Any] = {}
    for env_id in args.envs:
        limits, records = limits_of(env_id), []
        for seed in args.seeds:
            for arm in ARMS:
                file = args.out / "constrained" / f"{env_id.rpartition('/')[2]}-{arm}-{seed}.json"
                if not file.is_file():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    partial = file.with_suffix(".tmp")
                    partial.write_text(json.dumps(one_training(env_id, arm, seed, limits), indent=1) + "\n", encoding="utf-8")
                    partial.replace(file)
                records.append(json.loads(file.read_text(encoding="utf-8")))
        found[env_id] = {"limits": limits, "records": records}
    return found


def page(found: dict[str, Any], seeds: list[int]) -> str:
    """Return the figures as a page."""
    lines = [
        "# Limits on harm", "",
        f"`python -m benchmarks.safety.constrained --seeds {' '.join(map(str, seeds))}`. A limit is what the protocol costs on patients of",
        "the training cohort; it counts as kept within a tenth. Means over test patients, each seed. Research simulation, not medical",
        "advice.",
    ]  # fmt: skip
    for env_id, one in found.items():
        limits, records = one["limits"], one["records"]
        told = ", ".join(f"{name} at most {limit:.2f}" for name, limit in limits.items())
        lines += [
            "",
            f"## {env_id}: {told}",
            "",
            f"| arm | return (mean, sd over seeds) | {' | '.join(limits)} | all limits kept | share of PPO's score |",
        ]
        lines.append("|---" * (4 + len(limits)) + "|")
        by_arm = {arm: [record for record in records if record["arm"] == arm] for arm in ARMS}
        free = np.mean([record["normalised"] for record in by_arm["ppo"]])
        for arm, ones in by_arm.items():
            returns = np.array([record["return_mean"] for record in ones])
            costs = [", ".join(f"{record['costs'][name]:.2f}" for record in ones) for name in limits]
            kept = sum(all(record["costs"][name] <= WITHIN * limit for name, limit in limits.items()) for record in ones)
            share = np.mean([record["normalised"] for record in ones]) / free
            spread = f" (sd {returns.std(ddof=1):.3f})" if len(ones) > 1 else ""
            lines.append(f"| {arm} | {returns.mean():.3f}{spread} | {' | '.join(costs)} | {kept} of {len(ones)} seeds | {share:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", choices=list(LIMITED), default=list(LIMITED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = measured(args)
    if set(args.envs) == set(LIMITED):
        for name, text in (("constrained.json", json.dumps(found, indent=1) + "\n"), ("constrained.md", page(found, args.seeds))):
            partial = args.out / f".{name}"
            partial.write_text(text, encoding="utf-8")
            partial.replace(args.out / name)


if __name__ == "__main__":
    main()
