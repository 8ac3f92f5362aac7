"""``medsim solve``: the best policy of an environment whose course is a table, computed or learned."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, parse_settings

__all__ = ["VERB"]

METHODS = ("value-iteration", "policy-iteration", "q-learning")
EXAMPLES = """examples:
  medsim solve medsim/ICUSepsis-v0 --method value-iteration
  medsim solve medsim/SepsisSCM-v0 --method value-iteration --set version=icml2019 --out best.npz
  medsim solve medsim/SepsisSCM-v0 --method q-learning --steps 20000000 --out learned.npz
  medsim evaluate medsim/SepsisSCM-v0 --policy learned.npz

value-iteration and policy-iteration compute the optimum from the tables themselves, so they must see the whole state: of SepsisSCM
that is observation=full, diabetes included. Over the 20 steps of SepsisSCM value iteration goes backward from the last step, and the
best action depends on the step. q-learning is told no table: it treats patients, sees what the environment shows (set
observation=index, projected, vector or full), and learns what each action is worth; more steps, better policy. Every policy is then
valued exactly. The file that is written holds the probabilities of all actions and goes where the name of a policy goes:
medsim evaluate ENV --policy FILE. The optimum with diabetes hidden is the reference policy pomdp.
Research simulation, not medical advice."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("env", help="an environment whose course is a table: medsim/SepsisSCM-v0 or medsim/ICUSepsis-v0")
    parser.add_argument("--method", choices=METHODS, required=True, help="how; see below")
    parser.add_argument("--out", type=Path, default=Path("policy.npz"), help="file of the policy (default %(default)s)")
    parser.add_argument("--gamma", type=float, help="discount (default: the environment's own)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")
    parser.add_argument("--steps", type=int, default=5_000_000, help="q-learning: steps of all patients together (default %(default)s)")
    parser.add_argument("--patients", type=int, default=256, help="q-learning: patients at once (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="q-learning: of the patients and of exploring (default %(default)s)")
    parser.add_argument("--stationary", action="store_true", help="q-learning: one table for all steps, even before a deadline")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Solve, value, write and print."""
    from medsim.evaluation.exact import Problem, evaluate_table
    from medsim.policies.table import save_table

    options = parse_settings(args.set)
    task = task_to_solve(args.env, options, whole=args.method != "q-learning")
    table, more = learned(args, task) if args.method == "q-learning" else computed(args, task)
    exact = evaluate_table(Problem(task, args.gamma), table)
    facts = {"env": args.env, "method": args.method, "observation": task.config.observation, **more, **exact.record()}
    kept = {**options, "observation": task.config.observation}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_table(args.out, dataclasses.replace(table, facts=facts), args.env, kept, args.method)
    if args.json:
        print(json.dumps({**facts, "policy": str(args.out)}, indent=1))
        return 0
    for steps, value in more.get("curve", []):
        print(f"after {steps:>12,d} steps  {value:.6f}")
    print(f"{args.env}, {args.method}, observation={task.config.observation}: return {exact.value:.6f} exact, discount {exact.discount:g}, "
          f"{exact.length:.4f} steps\nwrote {args.out}; medsim evaluate {args.env} --policy {args.out}")  # fmt: skip
    return 0


def task_to_solve(env_id: str, options: dict[str, Any], *, whole: bool) -> Any:
    """Return the task; ``whole``: shown so that the whole state is seen, if the options leave that open.

    Raises:
        ValueError: the environment's course is no table, or the options hide something that must be seen.
    """
    from medsim.core.tabular import TabularTask
    from medsim.registry import make_task

    if not isinstance(make_task(env_id, **options), TabularTask):
        raise ValueError(f"{env_id} is no table of states and actions: train an agent on it instead (medsim train)")
    if not whole:
        return make_task(env_id, **{"observation": "index", **options})
    modes = [options["observation"]] if "observation" in options else ["index", "full"]
    for mode in modes:
        task = make_task(env_id, **{**options, "observation": mode})
        running = task.view.code_of_state[task.tables.outcome_of == 0]
        if len(np.unique(running)) == len(running):
            return task
    raise ValueError(
        f"observation={modes[0]!r} hides a part of the state, so that no dynamic programming over what is seen is right: "
        "leave it out, or learn with --method q-learning"
    )


def computed(args: argparse.Namespace, task: Any) -> tuple[Any, dict[str, Any]]:
    """Return the table of the best policy, and what there is to tell."""
    from medsim.core.decision_tables import deterministic_table
    from medsim.evaluation.exact import Problem, backward_induction, policy_iteration, value_iteration

    problem = Problem(task, args.gamma)
    with Progress(problem.horizon or float("nan"), "sweep", args.method) as progress:
        if problem.horizon is not None:
            if args.method == "policy-iteration":
                raise ValueError("policy iteration is for courses without a deadline (set horizon=infinite); take value-iteration")
            actions, _ = backward_induction(problem, progress.update)
            rounds = problem.horizon
        elif args.method == "policy-iteration":
            actions, _, rounds = policy_iteration(problem)
        else:
            actions, _, rounds = value_iteration(problem, progress=progress.update)
    by_code = np.zeros((*actions.shape[:-1], int(task.view.code_of_state.max()) + 1), dtype=np.int64)
    by_code[..., task.view.code_of_state] = actions
    return deterministic_table(task.view_name, by_code, problem.actions), {"rounds": rounds}


def learned(args: argparse.Namespace, task: Any) -> tuple[Any, dict[str, Any]]:
    """Return the table that Q-learning learns, and how its value grew."""
    from medsim.evaluation.q_learning import QLearning, learn

    for name in ("steps", "patients"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} must be 1 or more, not {getattr(args, name)}")
    settings = QLearning(steps=args.steps, patients=args.patients, seed=args.seed, by_step=not args.stationary)
    with Progress(args.steps, "step", "q-learning") as progress:
        found = learn(task, settings, args.gamma, progress.update)
    return found.table, {"steps": args.steps, "seed": args.seed, "curve": found.curve}


VERB = Verb("solve", "compute or learn the best policy of an environment whose course is a table", configure, run)
