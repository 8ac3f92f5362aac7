"""``medsim evaluate``: policies on the fixed test patients."""

import argparse
import json
from collections import Counter
from typing import Any

import numpy as np

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, find_policy, parse_settings
from medsim.evaluation.rollout import DEFAULT_SEED, EvaluationResult, evaluate
from medsim.evaluation.statistics import interquartile_mean, percentile_interval, stratified_bootstrap
from medsim.registry import card, make_task

__all__ = ["VERB"]

EXAMPLES = """examples:
  medsim evaluate medsim/Glucose-v0 --policy basal-bolus
  medsim evaluate medsim/Glucose-v0 --policy all --json
  medsim evaluate medsim/Glucose-v0 --policy runs/glucose-ppo --set sensor_dropout=0.1

Every policy meets the same patients with the same meals and noise. The normalised score is 0 for the random policy and 1 for the
best known; its interquartile mean comes with a 95 % bootstrap interval over patients."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("env", help="an environment's id")
    parser.add_argument(
        "--policy", action="append", required=True, help="a reference policy's name, a training run's folder, or all; can be repeated"
    )
    parser.add_argument("--patients", type=int, help="how many of the list (default: as many as the environment's card says)")
    parser.add_argument("--cohort", default="test", help="train, test or shifted (default %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the list of patients (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads that step the batch (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    parser.add_argument("--json", action="store_true", help="for machines: every patient's figures")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from medsim.policies import reference_policies

    if args.patients is None:
        args.patients = card(args.env).patients
    if args.patients < 1:
        raise ValueError(f"--patients must be 1 or more, not {args.patients}")
    names = [name for given in args.policy for name in (reference_policies(args.env) if given == "all" else [given])]
    policies = [find_policy(args.env, name) for name in names]
    options = parse_settings(args.set)
    results = []
    with Progress(len(policies) * make_task(args.env, **options).horizon_steps, "step", "evaluate") as progress:
        for policy in policies:
            results.append(
                evaluate(args.env, policy, options=options, cohort=args.cohort, patients=args.patients, seed=args.seed,
                         threads=args.threads, progress=progress.update)
            )  # fmt: skip
    if args.json:
        print(json.dumps([{"policy": r.policy, **r.record()} for r in results], indent=1))
    else:
        print(f"{args.env}: {args.patients} patients of the {args.cohort} cohort, seed {args.seed}. Not medical advice.\n")
        for result in results:
            print(text_of(result))
    return 0


def text_of(result: EvaluationResult) -> str:
    """Return a result as a few lines."""
    scores = result.normalised[:, None]
    low, high = percentile_interval(stratified_bootstrap(scores, seed=0, repetitions=2000)) if len(scores) > 1 else (np.nan, np.nan)
    lines = [
        f"{result.policy}",
        f"  normalised score  {float(interquartile_mean(scores)):.3f}  (95 % {low:.3f} to {high:.3f}), interquartile mean",
        f"  return            {result.returns.mean():.2f}  (sd over patients {result.returns.std():.2f})",
        "  outcomes          " + ", ".join(f"{name} {count}" for name, count in Counter(result.outcomes).most_common()),
        "  costs             " + ", ".join(f"{name} {values.mean():.2f}" for name, values in result.costs.items()),
        "  metrics           " + ", ".join(f"{name} {number(values)}" for name, values in result.metrics.items()),
    ]
    return "\n".join(lines) + "\n"


def number(values: Any) -> str:
    """Return a mean in three digits."""
    return f"{float(np.mean(values)):.3g}"


VERB = Verb("evaluate", "evaluate policies on the fixed test patients", configure, run)
