"""``medsim evaluate`` for hospitals: policies on the fixed list of episodes."""

import argparse
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.cli.progress import Progress
from medsim.cli.verbs import find_hospital_policy, parse_settings
from medsim.evaluation.statistics import mean, percentile_interval, stratified_bootstrap
from medsim.hospital.evaluation import HospitalResult, evaluate_hospital
from medsim.hospital.policy import HospitalPolicy
from medsim.registry import hospital_card, make_task

__all__ = ["run_hospital", "text_of"]

NOTE = "research simulation, not medical advice"
NO_EFFECT = {"expected_excess_deaths": "associations with delay, not effects"}  # what a cost's name could be taken for, and is not


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
        about = {"env": args.env, "seed": args.seed, "episodes": episodes, "note": NOTE}
        given = [{**known.evaluation, **policy.options, **options} for policy in policies]
        rows = [
            {"policy": result.policy, **about, "options": its, "unscored": result.unscored, **result.record()}
            for result, its in zip(results, given, strict=True)
        ]
        print(json.dumps(rows, indent=1, default=str))
        return 0
    told = "".join(f", {name}={value}" for name, value in {**known.evaluation, **options}.items())
    print(f"{args.env}: {episodes} episodes, seed {args.seed}{told}. {NOTE.capitalize()}.\n")
    for number, (policy, result) in enumerate(zip(policies, results, strict=True)):
        print(text_of(result, first=number == 0), end="")
        twin = next((other.policy for other in results[:number] if np.array_equal(other.returns, result.returns)), "")
        print(f"  the same as {twin} here, return for return\n" if twin else "", end="")
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


def text_of(result: HospitalResult, *, first: bool = True) -> str:
    """Return a result as a few lines; the first of several says what its costs are not."""
    notes = [f"    {name}: {note}" for name, note in NO_EFFECT.items() if first and name in result.costs]
    lines = [
        f"{result.policy}",
        f"  normalised score  {score_text(result)}",
        f"  return            {result.returns.mean():.2f}  (sd over episodes {result.returns.std():.2f})",
        "  terms             " + means_of(result.terms),
        "  costs             " + means_of(result.costs),
        *notes,
        "  metrics           " + means_of(result.metrics),
        f"  decisions         {result.decisions.mean():.1f} an episode",
    ]
    return "\n".join(lines) + "\n"


def score_text(result: HospitalResult) -> str:
    """Return the mean score with its 95 % bootstrap interval over episodes: the ends of its scale are mean returns, too; or why there is
    none."""
    if result.unscored:
        return f"none: floor and ceiling are those of the default options, and here {result.unscored}"
    low_high = interval(result.normalised)
    sure = "" if low_high is None else f"  (95 % {low_high[0]:.3f} to {low_high[1]:.3f})"
    return f"{float(result.normalised.mean()):.3f}{sure}, mean over episodes; 0 floor, 1 ceiling"


def interval(scores: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the bounds of the mean score, or None for a single episode."""
    if len(scores) < 2:
        return None
    low, high = percentile_interval(stratified_bootstrap(scores[:, None], mean, repetitions=2000))
    return float(low), float(high)


def means_of(values: dict[str, Any]) -> str:
    """Return means by name, in three digits."""
    return ", ".join(f"{name} {float(np.mean(each)):.3g}" for name, each in values.items())
