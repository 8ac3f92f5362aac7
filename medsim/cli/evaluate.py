"""``medsim evaluate``: policies on the fixed test patients."""

import argparse
import json
from collections import Counter
from typing import Any

import numpy as np

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, find_policy, parse_settings
from medsim.evaluation.rollout import DEFAULT_SEED, EvaluationResult, evaluate
from medsim.evaluation.scoring import ExactScore, exact_score
from medsim.evaluation.statistics import interquartile_mean, percentile_interval, stratified_bootstrap
from medsim.policies.policy import Policy
from medsim.registry import card, is_hospital, make_task

__all__ = ["VERB"]

EXAMPLES = """examples:
  medsim evaluate medsim/Glucose-v0 --policy basal-bolus
  medsim evaluate medsim/Glucose-v0 --policy all --json
  medsim evaluate medsim/Glucose-v0 --policy runs/glucose-ppo --set sensor_dropout=0.1

Every policy meets the same patients with the same fate and noise. The normalised score has 0 at the random policy's mean return and 1 at
that of the best known, under the default options and on the test cohort; elsewhere it is the same scale, with other ends. Its
interquartile mean comes with a 95 % bootstrap interval over patients.

Where the course of the environment is a table (SepsisSCM, ICUSepsis), the value of a policy that acts by what it sees is computed
exactly, over all patients, and the result says "exact"; --rollouts plays patients there, too. A policy can be a file of medsim solve:
  medsim evaluate medsim/SepsisSCM-v0 --policy all
  medsim evaluate medsim/ICUSepsis-v0 --policy optimal --gamma 0.99
  medsim evaluate medsim/SepsisSCM-v0 --policy policy.npz --rollouts --patients 10000

In a hospital an episode takes a patient's place, with the same arrivals, stays and chances for every policy, and the score is the mean
over episodes, with its interval:
  medsim evaluate medsim/HospitalFlow-v0 --policy all --episodes 10
  medsim evaluate medsim/HospitalFlow-v0 --policy runs/hospitalflow-v0-maskable-ppo-seed0"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("env", help="an environment's id")
    parser.add_argument(
        "--policy", action="append", required=True, help="a reference policy's name, a training run's folder, or all; can be repeated"
    )
    parser.add_argument(
        "--patients", "--episodes", dest="patients", type=int, help="how many of the list (default: as many as the environment's card says)"
    )
    parser.add_argument(
        "--cohort", default="test", help="one of the environment's, such as train, test, shifted, world-3 (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the list of patients (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads that step the batch (default 1)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    parser.add_argument("--rollouts", action="store_true", help="play patients even where the value can be computed exactly")
    parser.add_argument("--gamma", type=float, help="discount of exact values (default: the environment's own)")
    parser.add_argument("--json", action="store_true", help="for machines: every patient's figures")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from medsim.policies import reference_policies

    if is_hospital(args.env):
        from medsim.cli.hospital_results import run_hospital

        return run_hospital(args)
    if args.patients is None:
        args.patients = card(args.env).patients
    if args.patients < 1:
        raise ValueError(f"--patients must be 1 or more, not {args.patients}")
    names = [name for given in args.policy for name in (reference_policies(args.env) if given == "all" else [given])]
    policies = [find_policy(args.env, name) for name in names]
    options = parse_settings(args.set)
    results: list[EvaluationResult | ExactScore] = []
    with Progress(len(policies) * make_task(args.env, **options).horizon_steps, "step", "evaluate") as progress:
        for policy in policies:
            score = exact_score_of(args, policy, options, progress)
            results.append(
                score or evaluate(args.env, policy, options=options, cohort=args.cohort, patients=args.patients, seed=args.seed,
                         threads=args.threads, progress=progress.update)
            )  # fmt: skip
    if args.json:
        print(json.dumps([{"policy": r.policy, "exact": False, **r.record()} for r in results], indent=1))
        return 0
    if any(isinstance(result, ExactScore) for result in results):
        print(f"{args.env}: exact values over all patients of the {args.cohort} cohort, by dynamic programming. Not medical advice.\n")
    if any(isinstance(result, EvaluationResult) for result in results):
        told = "".join(f", {name}={value}" for name, value in {**card(args.env).evaluation, **options}.items())
        print(f"{args.env}: {args.patients} patients of the {args.cohort} cohort, seed {args.seed}{told}. Not medical advice.")
        if options or args.cohort != "test":
            print("Scores are scaled by the floor and ceiling of the default options and the test cohort.")
        print()
    print(other_patients(args.env, policies, options), end="")
    for policy, result in zip(policies, results, strict=True):
        print(exact_text_of(result) if isinstance(result, ExactScore) else text_of(result), end="")
        acts = ", ".join(f"{name}={value}" for name, value in policy.options.items() if name not in options)
        print(f"  acts under        {acts}\n" if acts else "")
    return 0


def exact_score_of(args: argparse.Namespace, policy: Policy, options: dict[str, Any], progress: Progress) -> ExactScore | None:
    """Return the exact score of a policy, or None if there is none or patients are to be played.

    Raises:
        ValueError: --gamma was given, and there is no exact value.
    """
    score = None
    if not args.rollouts:
        score = exact_score(args.env, policy, options=options, cohort=args.cohort, discount=args.gamma, progress=progress.update)
    if score is None and args.gamma is not None:
        raise ValueError(f"--gamma is for exact values, and {policy.name} has none here")
    return score


def other_patients(env_id: str, policies: list[Policy], options: dict[str, Any]) -> str:
    """Return a warning if options that policies bring along make the patients differ from policy to policy, else nothing."""
    met = {policy.name: dict(make_task(env_id, **{**policy.options, **options}).same_patients) for policy in policies}
    kinds = {", ".join(f"{name}={value}" for name, value in one.items()): one for one in met.values()}
    if len(kinds) < 2:
        return ""
    who = "; ".join(f"{kind}: {', '.join(name for name, one in met.items() if one == kinds[kind])}" for kind in kinds)
    return f"NOT THE SAME PATIENTS, do not compare: {who}. Give the option with --set to all.\n\n"


def exact_text_of(result: ExactScore) -> str:
    """Return an exact score as a few lines."""
    exact = result.exact
    discounted = "" if exact.discount == 1.0 else f"  (discount {exact.discount:g}; {exact.undiscounted:.6f} without)"
    lines = [
        f"{result.policy}",
        f"  normalised score  {result.normalised:.4f}  exact",
        f"  return            {exact.value:.6f}  exact{discounted}",
        f"  length            {exact.length:.4f} steps",
        "  outcomes          " + ", ".join(f"{name} {share:.4f}" for name, share in exact.outcomes.items()),
        "  costs             " + ", ".join(f"{name} {value:.4f}" for name, value in exact.costs.items()),
    ]
    return "\n".join(lines) + "\n"


def text_of(result: EvaluationResult) -> str:
    """Return a result as a few lines."""
    scores = result.normalised[:, None]
    low, high = percentile_interval(stratified_bootstrap(scores, seed=0, repetitions=2000)) if len(scores) > 1 else (np.nan, np.nan)
    lines = [
        f"{result.policy}",
        f"  normalised score  {float(interquartile_mean(scores)):.3f}  (95 % {low:.3f} to {high:.3f}), interquartile mean; "
        f"mean {float(scores.mean()):.3f}",
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
