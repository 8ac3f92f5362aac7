"""One trial of a search for hyperparameters: train with some settings changed, judge on validation patients, append a line.

    python benchmarks/tuning/search.py medsim/Glucose-v0 ppo --set learning_rate=1e-3 --set n_steps=32 --seeds 0 1

The judges are 200 patients of the train cohort, whom no training is keyed by; the test cohort is never looked at. Lines go to
``benchmarks/tuning/<environment>-<algorithm>.jsonl``: the changes, all settings, mean and median return and cost, deaths and other
outcomes, and seconds of processor time. Trials are listed in the order in which they were run; the comments in
``agents/medsim_agents/hyperparameters`` say what was concluded.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from medsim.cli.verbs import parse_settings
from medsim.evaluation.rollout import evaluate
from medsim_agents.policies import load_policy
from medsim_agents.provenance import commit
from medsim_agents.run_folder import read_curve, read_run
from medsim_agents.training import VALIDATION_SEED, plan_training, train
from medsim_agents.verbs import sort_settings

JUDGES = 200


def trial(env_id: str, algorithm: str, changes: dict[str, Any], seed: int) -> dict[str, Any]:
    settings, options = sort_settings(algorithm, changes)
    training = plan_training(env_id, algorithm, seed=seed, options=options, curve_points=10, **settings)
    with tempfile.TemporaryDirectory() as folder:
        train(training, folder)
        result = evaluate(env_id, load_policy(folder), options=options, cohort="train", patients=JUDGES, seed=VALIDATION_SEED)
        run, curve = read_run(Path(folder)), read_curve(Path(folder))
    return {
        "changes": changes,
        "seed": seed,
        "return_mean": round(float(result.returns.mean()), 2),
        "return_median": round(float(np.median(result.returns)), 2),
        "cost_mean": round(float(result.cost.mean()), 1),
        "outcomes": {name: result.outcomes.count(name) for name in sorted(set(result.outcomes))},
        "cpu_s": round(run["time"]["cpu_s"], 1),
        "steps_per_s": round(run["time"]["steps_per_s"]),
        "curve": [round(point["return_mean"], 1) for point in curve],
        "settings": dict(training.hyperparameters),
        "commit": commit(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env")
    parser.add_argument("algo")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    path = args.out / f"{args.env.partition('/')[2].lower()}-{args.algo}.jsonl"
    for seed in args.seeds:
        line = json.dumps(trial(args.env, args.algo, parse_settings(args.set), seed))
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line)


if __name__ == "__main__":
    main()
