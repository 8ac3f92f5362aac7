"""``medsim safety``: a policy put through a safety evaluation; the exit code is 1 when a gate fails."""

import argparse
import json
from pathlib import Path

from medsim.cli.safety_hospital import run_hospital
from medsim.cli.safety_report import evaluated
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
    from medsim.safety.evaluation import SECTIONS
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
    return evaluated(args, context, SECTIONS, "course")


def made_how(name: str) -> str:
    """Return in a sentence how the policy of a run folder was trained; nothing for others."""
    path = Path(name) / "run.json"
    if not path.is_file():
        return ""
    run = json.loads(path.read_text(encoding="utf-8"))
    training = run.get("training", {})
    return (f"{training.get('algorithm')} on {training.get('env')}, {run.get('steps', 0):,} steps, seed {training.get('seed')}; "
            f"again with: {run.get('command')}")  # fmt: skip


VERB = Verb("safety", "put a policy through a safety evaluation: a verdict, a report, an exit code", configure, run)
