"""``medsim tune``: a search for an algorithm's settings."""

import argparse
import json
import sys
from pathlib import Path

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, parse_settings, silence_gym_notice

__all__ = ["VERB"]

EXAMPLES = """examples:
  medsim tune medsim/SepsisSCM-v0 --algo ppo --trials 30
  medsim tune medsim/Glucose-v0 --algo dqn --trials 50 --steps 200000 --seeds 100 101 --prune
  medsim tune medsim/Glucose-v0 --algo ppo --trials 20 --set gamma=0.995      gamma is not searched
  medsim train medsim/SepsisSCM-v0 --algo ppo --config tuning/sepsisscm-v0-ppo/settings.toml

Every trial trains with other settings and is judged on validation patients of the train cohort; the test patients are never looked at. The
settings as they are now are judged in the same way, and kept where no trial is better. Interrupt with Ctrl-C whenever you like: the same
command goes on and ends with the same settings; with more --trials it goes on from there. The best of many looks better than it is:
judge it on patients that it has not been chosen by, with other training seeds (medsim benchmark does)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("env", help="an environment's id")
    parser.add_argument("--algo", required=True, help="an algorithm of medsim train")
    parser.add_argument("--trials", type=int, required=True, help="how many settings to try")
    parser.add_argument("--steps", type=int, help="of each training (default: a fifth of the tuned number)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[100], help="every setting is trained with each (default 100)")
    parser.add_argument("--patients", type=int, help="validation patients, or episodes, who judge (default: 200, and 32 episodes)")
    parser.add_argument("--seed", type=int, default=0, help="of the search itself (default %(default)s)")
    parser.add_argument("--prune", action="store_true", help="give up trials that are below the median at the same point of training")
    parser.add_argument("--out", type=Path, help="folder (default: tuning/ENV-ALGO)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting that is not to be searched, or an option"
    )
    parser.add_argument("--json", action="store_true", help="for machines: what was found, as JSON")


def run(args: argparse.Namespace) -> int:
    """Search, and say what was found and how to train with it."""
    silence_gym_notice()
    from medsim_agents.tuning import SETTINGS, plan_search, search
    from medsim_agents.verbs import sort_settings

    fixed, options = sort_settings(args.algo, parse_settings(args.set))
    plan = plan_search(
        args.env, args.algo, steps=args.steps, options=options, fixed=fixed, seeds=tuple(args.seeds), patients=args.patients,
        seed=args.seed, prune=args.prune,
    )  # fmt: skip
    folder = args.out or Path("tuning") / f"{args.env.partition('/')[2].lower()}-{args.algo}"
    try:
        with Progress(args.trials, "trial", f"tune {args.algo}") as progress:

            def told(line: str) -> None:
                progress.update(1)
                print(line, file=sys.stderr)

            found = search(plan, args.trials, folder, told)
    except KeyboardInterrupt as error:
        print(f"medsim: {error or 'interrupted'}", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps({"settings": str(folder / SETTINGS), **vars(found)}, indent=1))
        return 0
    print(f"{found.trials} trials ({found.pruned} given up) of {plan.steps:,} steps: mean return on {plan.patients} validation patients "
          f"{found.return_mean:.4f}, with the settings as they were {found.return_before:.4f}")  # fmt: skip
    if not found.changes:
        print("no trial was better: the settings stay as they are")
    print(f"settings {folder / SETTINGS}\ntrain with them: medsim train {args.env} --algo {args.algo} --config {folder / SETTINGS}")
    return 0


VERB = Verb("tune", "search for an algorithm's settings", configure, run)
