"""``medsim safety``: a policy put through a safety evaluation; the exit code is 1 when a gate fails."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from medsim.cli.progress import Progress
from medsim.cli.safety_hospital import run_hospital
from medsim.cli.verbs import Verb, find_policy, parse_settings
from medsim.registry import is_hospital

__all__ = ["VERB"]

EXAMPLES = """examples:
  medsim safety surviving-sepsis --env medsim/Sepsis-v0 --quick
  medsim safety always-maximum --env medsim/Sepsis-v0 --quick          fails, exit code 1
  medsim safety runs/glucose-v0-ppo-seed0 --env medsim/Glucose-v0
  medsim safety my_rules.py:cautious --env medsim/Sepsis-v0 --set action=continuous
  medsim safety expert --env medsim/ICUSepsis-v0 --quick --json
  medsim safety levelled --env medsim/RegionalNetwork-v0 --quick      hospitals: all agents together

POLICY is a reference policy's name, a training run's folder, a file of medsim solve, or FILE.py:NAME, a function of the observations
(n, k) that returns the actions (n,) or (n, a), or a class or object with begin(env) and act(observations). The code in FILE.py is run.
Of a hospital: a function (agent, seen, mask) that returns an action, or begin(task, key) and act(agent, seen, mask).

The report is in OUT/report.html and OUT/report.json. Each section's findings are written when it is done: interrupt and go on at will.
Exit code 0: no gate failed (the report says if some could not be decided); 1: a gate failed; 2: wrong use.
Gates are in a file for each environment, with a reason each; --profile takes your own. Research simulation, not medical advice."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("policy", help="a reference policy, a run folder, a file of medsim solve, or FILE.py:NAME")
    parser.add_argument("--env", required=True, help="an environment's id")
    parser.add_argument("--quick", action="store_true", help="fewer patients and a smaller stress matrix: below two minutes")
    parser.add_argument("--patients", type=int, help="of the test cohort (default: what the plan says)")
    parser.add_argument("--episodes", type=int, help="of a hospital's fixed list (default: what its profile says)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    parser.add_argument("--cohort", default="test", help="whose patients (default %(default)s)")
    parser.add_argument("--profile", type=Path, help="hazards, limits and gates of your own (TOML)")
    parser.add_argument("--out", type=Path, help="folder of the report (default: runs/safety-ENV-POLICY)")
    parser.add_argument("--json", action="store_true", help="for machines: print the record")


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the report, say the verdict."""
    if is_hospital(args.env):
        return run_hospital(args)
    from dataclasses import replace

    from medsim.safety.context import FULL, QUICK, Context
    from medsim.safety.evaluation import evaluate_safety, work_of
    from medsim.safety.gates import FAILED
    from medsim.safety.profile import load_profile, profile_path

    plan = QUICK if args.quick else FULL
    if args.episodes is not None:
        raise ValueError("--episodes is for hospitals; of a treatment say --patients")
    if args.patients is not None:
        if args.patients < 100:
            raise ValueError(f"--patients must be 100 or more, not {args.patients}: fewer tell nothing of safety")
        plan = replace(plan, patients=args.patients, stressed=min(plan.stressed, args.patients), logged=min(plan.logged, args.patients))
    profile = load_profile(args.profile or profile_path(args.env))
    if profile.environment != args.env:
        raise ValueError(f"the profile is for {profile.environment}, not {args.env}")
    policy = find_policy(args.env, args.policy)
    context = Context(args.env, policy, profile, plan, options=parse_settings(args.set), cohort=args.cohort, made=made_how(args.policy))
    folder = args.out or Path("runs") / f"safety-{args.env.partition('/')[2].lower()}-{slug(args.policy)}"
    with Progress(work_of(context), "course", f"safety of {policy.name}") as progress:
        context.progress = progress.update
        report = evaluate_safety(context, folder, identity=identity_of(args.policy))
    if args.json:
        print(json.dumps(report.record(), indent=1))
    else:
        print(text_of(report))
        print(f"report {folder / 'report.html'}")
    sys.stdout.flush()
    return 1 if report.verdict == FAILED else 0


def slug(text: str) -> str:
    """Return a name for a folder."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text.rstrip("/"))
    return kept.strip("-.") or "policy"


def identity_of(name: str) -> str:
    """Return a hash of a policy's files, or nothing for a reference policy."""
    path = Path(name.rpartition(":")[0] if ".py:" in name else name)
    if path.is_dir():
        parts = sorted(one for one in path.rglob("*") if one.is_file())
    elif path.is_file():
        parts = [path]
    else:
        return ""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes())
    return digest.hexdigest()[:16]


def made_how(name: str) -> str:
    """Return in a sentence how the policy of a run folder was trained; nothing for others."""
    path = Path(name) / "run.json"
    if not path.is_file():
        return ""
    run = json.loads(path.read_text(encoding="utf-8"))
    training = run.get("training", {})
    return (f"{training.get('algorithm')} on {training.get('env')}, {run.get('steps', 0):,} steps, seed {training.get('seed')}; "
            f"again with: {run.get('command')}")  # fmt: skip


def text_of(report: Any) -> str:
    """Return the verdict and the gates as text."""
    lines = [
        f"{report.about['policy']} in {report.about['environment']}: {report.verdict.upper()}. Research simulation, not medical advice.",
        "",
    ]
    for one in report.judgements:
        found = one.figure.text() if one.figure is not None else ""
        lines.append(f"  {one.status:12} {one.gate.figure:34} {found}   {one.limit}")
    return "\n".join(lines)


VERB = Verb("safety", "put a policy through a safety evaluation: a verdict, a report, an exit code", configure, run)
