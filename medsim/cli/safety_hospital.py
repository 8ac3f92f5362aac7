"""``medsim safety`` of a hospital: a policy of all its agents put through a safety evaluation."""

import argparse

from medsim.cli.safety_report import evaluated
from medsim.cli.verbs import find_hospital_policy, parse_settings

__all__ = ["run_hospital"]


def run_hospital(args: argparse.Namespace) -> int:
    """Evaluate, write the report, say the verdict; returns the exit code."""
    from dataclasses import replace

    from medsim.safety.hospital.context import HospitalContext, HospitalPlan
    from medsim.safety.hospital.evaluation import HOSPITAL_SECTIONS
    from medsim.safety.hospital.profile import hospital_profile_path, load_hospital_profile

    if args.patients is not None:
        raise ValueError("--patients is for treatments; of a hospital say --episodes")
    if args.cohort != "test":
        raise ValueError(f"--cohort is for treatments, not {args.cohort!r} of a hospital, whose episodes are a fixed list")
    policy, given = find_hospital_policy(args.env, args.policy), parse_settings(args.set)
    profile = load_hospital_profile(args.profile or hospital_profile_path(args.env, {**policy.options, **given}))
    if profile.environment != args.env:
        raise ValueError(f"the profile is for {profile.environment}, not {args.env}")
    amount = profile.quick if args.quick else profile.full
    if args.episodes is not None:
        if args.episodes < 20:
            raise ValueError(f"--episodes must be 20 or more, not {args.episodes}: fewer tell nothing of safety")
        most = {name: min(number, args.episodes) for name, number in vars(amount).items()}
        amount = replace(amount, **{**most, "episodes": args.episodes})
    plan = HospitalPlan(name="quick" if args.quick else "full", amount=amount)
    context = HospitalContext(args.env, policy, profile, plan, options=given)
    return evaluated(args, context, HOSPITAL_SECTIONS, "episode")
