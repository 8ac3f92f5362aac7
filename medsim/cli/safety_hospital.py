"""``medsim safety`` of a hospital: a policy of all its agents put through a safety evaluation."""

import argparse
import json
import sys
from pathlib import Path

from medsim.cli.progress import Progress
from medsim.cli.verbs import find_hospital_policy, parse_settings

__all__ = ["run_hospital"]


def run_hospital(args: argparse.Namespace) -> int:
    """Evaluate, write the report, say the verdict; returns the exit code."""
    from dataclasses import replace

    from medsim.cli.safety import identity_of, slug, text_of
    from medsim.safety.evaluation import evaluate_safety, work_of
    from medsim.safety.gates import FAILED
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
    folder = args.out or Path("runs") / f"safety-{args.env.partition('/')[2].lower()}-{slug(args.policy)}"
    with Progress(work_of(context, HOSPITAL_SECTIONS), "episode", f"safety of {policy.name}") as progress:
        context.progress = progress.update
        report = evaluate_safety(context, folder, identity=identity_of(args.policy), sections=HOSPITAL_SECTIONS)
    if args.json:
        print(json.dumps(report.record(), indent=1))
    else:
        print(text_of(report))
        print(f"report {folder / 'report.html'}")
    sys.stdout.flush()
    return 1 if report.verdict == FAILED else 0
