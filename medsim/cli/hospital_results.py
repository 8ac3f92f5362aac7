"""``medsim evaluate`` for hospitals: policies on the fixed list of episodes."""

import argparse
import json
from typing import Any

import numpy as np

from medsim.cli.progress import Progress
from medsim.cli.verbs import find_hospital_policy, parse_settings
from medsim.evaluation.statistics import interquartile_mean, percentile_interval, stratified_bootstrap
from medsim.hospital.evaluation import HospitalResult, evaluate_hospital
from medsim.hospital.policy import HospitalPolicy
from medsim.registry import hospital_card, make_task

__all__ = ["run_hospital", "text_of"]


def run_hospital(args: argparse.Namespace) -> int:
    """Evaluate and print.

    Raises:
        ValueError: an argument is for treatments alone, a policy or an option is not allowed, or there are no episodes.
    """
    from medsim.policies import hospital_policies

    refuse_what_treatments_have(args)
    known = hospital_card(args.env)
    episodes = known.episodes if args.patients is None else args.patients
    if episodes < 1:
        raise ValueError(f"--episodes must be 1 or more, not {episodes}")
    options = parse_settings(args.set)
    everyone = {name: make() for name, make in hospital_policies(args.env).items()}
    fitting = [name for name, policy in everyone.items() if fits(args.env, policy, options)]
    policies = [find_hospital_policy(args.env, name) for given in args.policy for name in (fitting if given == "all" else [given])]
    results = []
    with Progress(len(policies) * episodes, "episode", "evaluate") as progress:
        for policy in policies:
            results.append(
                evaluate_hospital(args.env, policy, options=options, episodes=episodes, seed=args.seed, progress=progress.update)
            )
    if args.json:
        print(json.dumps([{"policy": result.policy, **result.record()} for result in results], indent=1))
        return 0
    told = "".join(f", {name}={value}" for name, value in {**known.evaluation, **options}.items())
    print(f"{args.env}: {episodes} episodes, seed {args.seed}{told}. Research simulation, not medical advice.")
    if options:
        print("Scores are scaled by the floor and ceiling of the default options.")
    print()
    for policy, result in zip(policies, results, strict=True):
        print(text_of(result), end="")
        acts = ", ".join(f"{name}={value}" for name, value in policy.options.items() if name not in options)
        print(f"  acts under        {acts}\n" if acts else "")
    if "all" in args.policy and len(fitting) < len(everyone):
        print(f"left out, made for other options: {', '.join(name for name in everyone if name not in fitting)}")
    return 0


def fits(env_id: str, policy: HospitalPolicy, options: dict[str, Any]) -> bool:
    """Return whether a policy is made for the environment under these options, the others as they are by default."""
    config = make_task(env_id, **{**hospital_card(env_id).evaluation, **options}).config
    return all(getattr(config, name, None) == value for name, value in policy.options.items())


def refuse_what_treatments_have(args: argparse.Namespace) -> None:
    """Raise ValueError if an argument was given that has no meaning for hospitals."""
    for name, default in (("cohort", "test"), ("threads", 1), ("rollouts", False), ("gamma", None)):
        if getattr(args, name) != default:
            raise ValueError(f"--{name} is for treatments, and {args.env} is a hospital")


def text_of(result: HospitalResult) -> str:
    """Return a result as a few lines; costs and figures that a policy never had are left out where they are 0."""
    scores = result.normalised[:, None]
    low, high = percentile_interval(stratified_bootstrap(scores, seed=0, repetitions=2000)) if len(scores) > 1 else (np.nan, np.nan)
    lines = [
        f"{result.policy}",
        f"  normalised score  {float(interquartile_mean(scores)):.3f}  (95 % {low:.3f} to {high:.3f}), interquartile mean; "
        f"mean {float(scores.mean()):.3f}",
        f"  return            {result.returns.mean():.2f}  (sd over episodes {result.returns.std():.2f})",
        "  terms             " + means_of(result.terms),
        "  costs             " + means_of(result.costs),
        "  metrics           " + means_of(result.metrics),
        f"  decisions         {result.decisions.mean():.1f} an episode",
    ]
    return "\n".join(lines) + "\n"


def means_of(values: dict[str, Any]) -> str:
    """Return means by name, in three digits."""
    return ", ".join(f"{name} {float(np.mean(each)):.3g}" for name, each in values.items())
