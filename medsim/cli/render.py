"""``medsim render``: a picture of one patient's course, or of a hospital's bed board, under a policy."""

import argparse
from pathlib import Path

import numpy as np
from gymnasium.vector import AutoresetMode

from medsim.cli.verbs import Verb, find_policy, parse_settings
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.rollout import DEFAULT_SEED, rollout
from medsim.registry import is_hospital, make_task

__all__ = ["VERB"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = (
        "examples:\n  medsim render medsim/Glucose-v0 --policy basal-bolus --patient adult#001 --out course.png\n"
        "  medsim render medsim/HospitalFlow-v0 --policy random --hour 30 --out board.png\n"
        "  medsim render medsim/HospitalFlow-v0 --policy random --hour 24 --out day.gif"
    )
    parser.add_argument("env", help="an environment's id")
    parser.add_argument("--policy", required=True, help="a reference policy's name or a training run's folder")
    parser.add_argument("--patient", help="a named patient (default: patient --slot of the test list)")
    parser.add_argument("--slot", type=int, default=0, help="which patient or episode of the list (default 0)")
    parser.add_argument("--hour", type=float, help="of hospitals: the bed board at this hour, or up to it in a gif (default 24)")
    parser.add_argument("--cohort", default="test", help="one of the environment's (default %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the list of patients (default %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    parser.add_argument(
        "--out",
        default="course.png",
        help="the picture's file: png, pdf or svg; of hospitals png or txt, and films gif, webp or apng (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Draw the picture."""
    if is_hospital(args.env):
        from medsim.cli.hospital_facts import render_hospital

        return render_hospital(args)
    from medsim.render.trajectory import episode_figure

    if args.slot < 0:
        raise ValueError(f"--slot must be 0 or more, not {args.slot}")
    policy = find_policy(args.env, args.policy)
    task = make_task(args.env, **{**policy.options, "cohort": args.cohort, **parse_settings(args.set)})
    env = PatientVectorEnv(task, args.slot + 1, autoreset_mode=AutoresetMode.DISABLED, threads=1)
    trace = rollout(env, policy, seed=args.seed, reset_options={"patient": args.patient})
    last = int(trace.steps_lived[args.slot]) + 1
    history = np.stack([series[:last, args.slot] for series in trace.measures.values()], axis=1)
    who = args.patient or f"patient {args.slot} of the {args.cohort} list"
    title = f"{args.env}: {who}, {policy.name}, {trace.outcomes[args.slot]}\nresearch simulation, not medical advice"
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    episode_figure(list(trace.measures), history.tolist(), task, title).savefig(Path(args.out))
    print(f"wrote {args.out}: {who}, {trace.outcomes[args.slot]}, return {trace.rewards[:, args.slot].sum():.2f}")
    return 0


VERB = Verb("render", "draw one patient's course, or a hospital's bed board, under a policy", configure, run)
