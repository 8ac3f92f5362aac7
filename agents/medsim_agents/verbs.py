"""The verbs that agents contribute to the ``medsim`` command: ``train``, ``tune`` and ``benchmark``."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, parse_settings, silence_gym_notice
from medsim_agents import tune_verb

__all__ = ["verbs"]

TRAIN_EXAMPLES = """examples:
  medsim train medsim/Glucose-v0 --algo ppo
  medsim train medsim/Glucose-v0 --algo sac --steps 50000 --seed 1 --out runs/sac-1
  medsim train medsim/Glucose-v0 --algo dqn --set learning_rate=3e-4 --set net_arch='[128, 128]' --set days=7
  medsim evaluate medsim/Glucose-v0 --policy runs/glucose-v0-ppo-seed0
  medsim train medsim/Sepsis-v0 --algo cql --dataset data/medsim/sepsis/surviving-sepsis-v0
  medsim train medsim/SepsisSCM-v0 --algo ppo-lagrangian --set cost_limits='{"ventilation": 3.0, "death": 0.1}'
  medsim train medsim/SepsisSCM-v0 --algo q-learning
  medsim train medsim/HospitalFlow-v0 --algo maskable-ppo
  medsim train medsim/HospitalFlow-v0 --algo maskable-ppo --set sharing=role --set rounds=8

--set changes a tuned setting of the algorithm or an option of the environment. The run folder holds the model and all that is
needed to train it again. Interrupt with Ctrl-C whenever you like: the same command goes on where it stopped, and ends with the same
weights as if it had not.

A run's policy can go on learning, on other options or another cohort too; --steps are then those that are added:
  medsim train medsim/Glucose-v0 --from runs/glucose-v0-ppo-seed0 --steps 200000 --set cohort=shifted --out runs/shifted
At the end old and new meet the same validation patients. The new one is promoted where the 95 % interval of its paired difference lies
above -MARGIN; else the record says "refused", with the figures, and the exit code is 1.

A setting that changes in the course of a training (learning_rate, clip_range, ent_coef, exploration_rate) is a text:
  --set learning_rate=linear:3e-4                  a straight line from 3e-4 to 0
  --set clip_range=linear:0.3:0.1:0.5              to 0.1 in the first half of the training, and there it stays
  --set exploration_rate=exponential:1.0:0.02:0.4  of dqn and qrdqn: by the same factor in each part of the way

hospitals: every decision is a step. maskable-ppo chooses among what is allowed; the others can choose what is forbidden, which does nothing
and costs. Two settings say how several roles learn:
  sharing=shared   one policy for all roles, which is told who is asked (default)
  sharing=role     a policy for each role (ppo, a2c, maskable-ppo): in so many rounds (rounds=5) each role in turn learns on its own clock,
                   a manager's step its 4 hours, a unit's the next event, while the others act by their latest policies; --steps are the
                   learners' decisions, more for roles that are asked more often. It takes longer than one policy for all. Stopped, it goes
                   on from the start of what the role at hand was learning. Two more settings go with it:
                     gamma_h=0.7   the discount of an hour, in place of gamma, that of a decision: for agents who can put off a decision
                     of_role='{"icu": {"n_envs": 1024}}'   settings of single roles; rarely asked ones are quicker with many hospitals"""

BENCHMARK_EXAMPLES = """examples:
  medsim benchmark run quick           train and judge, print the table, write benchmarks/site/index.html
  medsim benchmark run smoke           the same in under a minute; its scores mean nothing
  medsim benchmark run quick --only 0123456789abcdef    one job again (a record's "command" says which)
  medsim benchmark table quick --json  what there is, for machines
  medsim benchmark page                the page of every suite that has results
  medsim benchmark slurm quick > quick.sh                a SLURM array script for what is missing
  medsim benchmark submit result.json --by "A. N. Other"         a record from outside: checked, and marked as not verified
  medsim benchmark submit mine.safetensors --by "A. N. Other" --to quick --env medsim/Glucose-v0    a policy: judged here
  medsim benchmark verify quick --rows 5   run five rows again, drawn by --seed, and compare; exit code 1 if one is not what it must be

--engine ray hands the jobs to Ray (extra cluster): on this machine, or with --address on a cluster whose machines have medsim.
A job whose result is there is not run again: interrupt and go on at will. Results lie in OUT/leaderboard/SUITE, one file a job,
and do not depend on the engine."""


def verbs() -> tuple[Verb, ...]:
    """Return the verbs (entry point of ``medsim.verbs``)."""
    return (
        Verb("train", "train an agent", configure_train, run_train),
        tune_verb.VERB,
        Verb("benchmark", "train and judge agents beside the reference policies, and rank them", configure_benchmark, run_benchmark),
    )


# train


def configure_train(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = TRAIN_EXAMPLES
    parser.add_argument("env", help="an environment's id")
    parser.add_argument(
        "--algo", help="an algorithm, such as ppo, dqn, sac, ppo-lagrangian or cql (agents/README.md lists all); not with --from"
    )
    parser.add_argument("--from", dest="begin", type=Path, metavar="RUN", help="go on with a finished run's policy; the run stays as it is")
    parser.add_argument(
        "--margin", type=float, help="with --from: what the new policy may be worse by, of the way from floor to ceiling (default 0.02)"
    )
    parser.add_argument("--dataset", metavar="FOLDER", help="of medsim dataset make: what an offline algorithm learns from (default: the"
                        " protocol's decisions, by chance, on training patients)")  # fmt: skip
    parser.add_argument(
        "--steps",
        type=int,
        help="environment steps (of hospitals: decisions) in all (default: the tuned number), rounded up to whole rollouts",
    )
    parser.add_argument("--seed", type=int, default=0, help="of patients, networks and exploration (default %(default)s)")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/ENV-ALGO-seedSEED)")
    parser.add_argument("--envs", type=int, help="patients or hospitals side by side (default: the tuned number)")
    parser.add_argument("--config", type=Path, help="a file of settings in place of the tuned ones, such as one that medsim tune wrote")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), help="where networks learn (default cpu; only there a seed gives the same bits again)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the algorithm or an option of the environment"
    )
    parser.add_argument("--json", action="store_true", help="for machines: print the run's record")


def run_train(args: argparse.Namespace) -> int:
    """Train, and say where the result is and how good it is on the validation patients."""
    silence_gym_notice()
    from medsim_agents.run_folder import judges_of, read_curve, read_run
    from medsim_agents.training import default_folder, train

    training = planned(args)
    folder = args.out or (default_folder(training) if args.begin is None else None)
    if folder is None or (args.begin is not None and folder.resolve() == args.begin.resolve()):
        raise ValueError(f"say with --out where the new run is to go, another folder than {args.begin}")
    finished = is_complete(folder)
    try:
        with Progress(training.hyperparameters["steps"], "step", f"train {training.algorithm}") as progress:
            train(training, folder, progress.update)
    except KeyboardInterrupt as error:
        print(f"medsim: {error or 'interrupted'}", file=sys.stderr)
        return 130
    verdict = None if args.begin is None else judged_by_gate(folder, args.margin)
    code = 0 if verdict is None or verdict.promoted else 1
    run, curve = read_run(folder), read_curve(folder)
    if args.json:
        print(json.dumps({"folder": str(folder), **run, "learning_curve": curve}, indent=1))
        return code
    print(done_text(run, finished))
    judges = judges_of(args.env, run["training"]["algorithm"])
    print(f"mean return on {judges} {curve[0]['return_mean']:.2f} before, {curve[-1]['return_mean']:.2f} after")
    if curve[-1]["return_mean"] < curve[0]["return_mean"]:
        print("warning: worse after training than before: more steps, another seed or other settings are needed")
    print(f"run folder {folder}")
    print(f"judge it on what it has never met: medsim evaluate {args.env} --policy {folder}")
    if verdict is not None:
        print(verdict.said())
    return code


def judged_by_gate(folder: Path, margin: float | None) -> Any:
    """Return how a continuation compares with the run that it began with."""
    from medsim_agents.continuation import MARGIN, gate

    return gate(folder, margin=MARGIN if margin is None else margin)


def planned(args: argparse.Namespace) -> Any:
    """Return the training that the arguments describe.

    Raises:
        ValueError: it cannot be; where nobody knows a name, the message lists the environment's options and the algorithm's settings.
    """
    from medsim_agents.algorithms import algorithm
    from medsim_agents.hyperparameters import TRAINING
    from medsim_agents.training import plan_training

    asked = (("steps", args.steps), ("n_envs", args.envs), ("device", args.device), ("dataset", args.dataset))
    named = {name: value for name, value in asked if value is not None}
    if args.begin is not None:
        return planned_continuation(args, named)
    if args.algo is None:
        raise ValueError("say what to train: --algo NAME, or --from RUN to go on with a run")
    if args.margin is not None:
        raise ValueError("--margin goes with --from")
    changes, options = sort_settings(args.algo, {**parse_settings(args.set), **named})
    try:
        return plan_training(args.env, args.algo, seed=args.seed, options=options, config=args.config, **changes)
    except ValueError as error:
        if not str(error).startswith("unknown option"):
            raise
        settings = ", ".join(sorted({*TRAINING, *algorithm(args.algo).settings}))
        raise ValueError(f"{error}; and settings of {args.algo}: {settings}") from error


def planned_continuation(args: argparse.Namespace, named: dict[str, Any]) -> Any:
    """Return the training that goes on with a run.

    Raises:
        ValueError: it cannot be, or an argument does not go with --from.
    """
    from medsim_agents.continuation import plan_continuation
    from medsim_agents.run_folder import read_finished

    if args.algo is not None or args.config is not None:
        raise ValueError("--algo and --config do not go with --from: a run keeps its algorithm and settings (--set changes them)")
    if args.steps is None:
        raise ValueError("say with --steps for how many steps the run is to go on")
    changes, options = sort_settings(read_finished(args.begin)["training"]["algorithm"], {**parse_settings(args.set), **named})
    steps = changes.pop("steps")
    return plan_continuation(args.begin, env_id=args.env, steps=steps, seed=args.seed, options=options, **changes)


def done_text(run: dict[str, Any], finished: bool) -> str:
    """Return in a line what a complete training did, and whether it had been complete before."""
    training, spent = run["training"], run["time"]
    asked, made = training["hyperparameters"]["steps"], run["steps"]
    rounded = f" ({asked:,} rounded up to whole rollouts: {made:,})" if made != asked else ""
    what = f"{training['algorithm']} on {training['env']}: "
    if finished:
        return f"{what}already finished, {made:,} steps{rounded}; nothing was trained now"
    return f"{what}{made:,} steps{rounded} in {spent['wall_s']:.0f} s ({spent['steps_per_s']:,.0f} steps/s)"


def is_complete(folder: Path) -> bool:
    """Return whether a folder holds a training that has finished."""
    from medsim_agents.run_folder import COMPLETE, RUN, read_run

    return (folder / RUN).is_file() and read_run(folder)["status"] == COMPLETE


def sort_settings(algorithm_name: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (settings of the algorithm, options of the environment); what the algorithm does not know is the environment's to judge."""
    from medsim_agents.algorithms import algorithm
    from medsim_agents.hyperparameters import TRAINING

    known = {*TRAINING, *algorithm(algorithm_name).settings}
    return (
        {name: value for name, value in given.items() if name in known},
        {name: value for name, value in given.items() if name not in known},
    )


# benchmark


def configure_benchmark(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = BENCHMARK_EXAMPLES
    parser.add_argument(
        "what",
        choices=("run", "table", "page", "verify", "slurm", "submit"),
        help="run the jobs, print the table, write the page, check, print a script, or add a result from outside",
    )
    parser.add_argument(
        "suite", nargs="?", help="full, quick or smoke; table and page take all that have results if none is named; of submit: the file"
    )
    parser.add_argument("--by", default="", help="of submit: who submits it")
    parser.add_argument("--to", metavar="SUITE", help="of submit, a policy: the suite that it is judged in")
    parser.add_argument("--env", help="of submit, a policy: the environment that it acts in")
    parser.add_argument("--name", help="of submit, a policy: the name of its row (default: the file's)")
    parser.add_argument("--algo", help="of submit, a .zip of Stable-Baselines3: its algorithm")
    parser.add_argument("--trust", action="store_true", help="of submit: read files that can run any code as they are read")
    parser.add_argument("--engine", default="process", help="process (side by side), serial or ray (default %(default)s)")
    parser.add_argument("--address", help="of a Ray cluster, such as auto or 10.0.0.1:6379 (default: Ray on this machine)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the engine (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder of results and page (default %(default)s)")
    parser.add_argument("--rows", type=int, default=5, help="that verify runs again (default %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="by which verify draws rows; of submit: which of several trainings it is (default %(default)s)"
    )
    parser.add_argument("--kind", default="any", help="of the rows that verify draws: agent, reference or any (default %(default)s)")
    parser.add_argument("--only", metavar="ID", help="run this job alone, even if its result is there")
    parser.add_argument("--json", action="store_true", help="for machines: the table as JSON")


def run_benchmark(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    silence_gym_notice()
    from medsim_agents.suites import suite

    if args.what == "run":
        if args.suite is None:
            raise ValueError("say which suite to run: medsim benchmark run quick")
        return run_jobs(args)
    if args.what == "verify":
        return run_verify(args)
    if args.what == "slurm":
        return print_slurm(args)
    if args.what == "submit":
        return submit(args)
    if args.suite is not None:
        suite(args.suite)
    if args.what == "table":
        print_table(args, args.suite)
    else:
        print(f"page {write_board(args, args.suite)}")
    return 0


def run_jobs(args: argparse.Namespace) -> int:
    """Run a suite, print its table, write the page of all results."""
    from medsim_agents.benchmark import jobs_to_run, run_suite, work_of
    from medsim_agents.suites import suite

    chosen, folder = suite(args.suite), args.out / "leaderboard" / args.suite
    jobs = jobs_to_run(chosen, folder, args.only)
    began = time.monotonic()
    print(f"suite {chosen.name}: {len(jobs)} jobs to run; {chosen.purpose}", file=sys.stderr)
    try:
        with Progress(sum(work_of(job) for job in jobs), "step", f"benchmark {chosen.name}") as progress:
            run_suite(
                chosen, folder, engine=args.engine, workers=args.workers, only=args.only, address=args.address, progress=progress.update
            )
    except KeyboardInterrupt:
        print("medsim: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    print_table(args, args.suite)
    page = write_board(args, None)
    summary = f"{len(jobs)} jobs in {time.monotonic() - began:.0f} s; results {folder}, page {page}"
    print(summary, file=sys.stderr if args.json else sys.stdout)
    return 0


def print_slurm(args: argparse.Namespace) -> int:
    """Print a SLURM script for what is missing of a suite."""
    from medsim_agents.slurm import slurm_script
    from medsim_agents.suites import suite

    if args.suite is None:
        raise ValueError("say which suite: medsim benchmark slurm quick")
    print(slurm_script(suite(args.suite), args.out), end="")
    return 0


def submit(args: argparse.Namespace) -> int:
    """Add a record, or a policy's, to a suite's results, and write the page of all results."""
    from medsim_agents.submission import submit_policy, submit_record

    if args.suite is None:
        raise ValueError("say which file to submit: medsim benchmark submit result.json --by NAME")
    file, results = Path(args.suite), args.out / "leaderboard"
    if file.suffix == ".json":
        written = submit_record(file, by=args.by, results=results)
    else:
        if args.to is None or args.env is None:
            raise ValueError("say where a policy is to be judged: --to SUITE --env ENVIRONMENT")
        written = submit_policy(
            file, by=args.by, to=args.to, env_id=args.env, policy_name=args.name or file.stem, results=results, seed=args.seed,
            trust=args.trust, algorithm=args.algo,
        )  # fmt: skip
    print(f"added {written}; page {write_board(args, None)}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Run some rows again and compare; returns 1 if one is not what it must be."""
    from medsim_agents.verification import here, text_of, verify

    if args.suite is None:
        raise ValueError("say which suite to verify: medsim benchmark verify quick")
    with Progress(args.rows, "row", f"verify {args.suite}") as progress:
        found = verify(
            args.suite, args.out / "leaderboard" / args.suite, rows=args.rows, seed=args.seed, kind=args.kind,
            told=lambda row: progress.update(),
        )  # fmt: skip
    if args.json:
        print(json.dumps([one.record() for one in found], indent=1))
    else:
        print(f"{text_of(found)}\n{sum(one.same for one in found)} of {len(found)} rows equal to the bit, on {here()}")
    return 1 if any(one.failed for one in found) else 0


def records_of(out: Path, suite_name: str | None) -> list[Any]:
    """Return the records of a suite, or of all that have some.

    Raises:
        ValueError: there are none.
    """
    from medsim_agents.leaderboard import load_records

    place = out / "leaderboard"
    folders = [place / suite_name] if suite_name else sorted(path for path in place.glob("*") if path.is_dir())
    records = [record for folder in folders if folder.is_dir() for record in load_records(folder)]
    if not records:
        where = place / suite_name if suite_name else place
        raise ValueError(f"no results in {where}: run medsim benchmark run {suite_name or 'quick'} first")
    return records


def print_table(args: argparse.Namespace, suite_name: str | None) -> None:
    """Print the table, or its rows as JSON."""
    from medsim_agents.leaderboard import format_table, leaderboard, rows_as_json

    rows = leaderboard(records_of(args.out, suite_name))
    print(rows_as_json(rows) if args.json else format_table(rows), end="")


def write_board(args: argparse.Namespace, suite_name: str | None) -> Path:
    """Write the page; returns where it is."""
    from medsim_agents.leaderboard import write_page

    return write_page(records_of(args.out, suite_name), args.out / "site" / "index.html")
