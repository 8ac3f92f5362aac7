"""Does a file of settings train better agents than those of another? Both with the same seeds, judged exactly or on test patients.

    FOUND=benchmarks/tuning/found/sepsisscm-v0-ppo
    python -m benchmarks.tuning.compare medsim/SepsisSCM-v0 ppo $FOUND/settings.toml --before $FOUND/before.toml --seeds 0 1 2 3 4

Without ``--before`` the other settings are the environment's own.
Where the course of the environment is a table, values are exact, over all patients of the test cohort. The seeds are none that the search
trained with. Writes ``compared.json`` beside the settings; what is there already is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from medsim.cli.verbs import silence_gym_notice
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.evaluation.statistics import mean, percentile_interval, stratified_bootstrap
from medsim_agents.policies import load_policy
from medsim_agents.provenance import commit, hardware
from medsim_agents.run_folder import read_run
from medsim_agents.training import plan_training, train


def trained(env: str, algorithm: str, seed: int, config: Path | None, steps: int | None) -> dict[str, Any]:
    changes = {} if steps is None else {"steps": steps}
    training = plan_training(env, algorithm, seed=seed, config=config, curve_points=1, **changes)
    with tempfile.TemporaryDirectory() as folder:
        train(training, folder)
        policy, run = load_policy(folder), read_run(Path(folder))
        exact = exact_score(env, policy)
        found = exact.exact.value if exact is not None else float(evaluate(env, policy).returns.mean())
    spent = {"cpu_s": round(run["time"]["cpu_s"], 1), "steps": run["steps"]}
    return {"return": found, "exact": exact is not None, **spent}


def interval(values: list[float]) -> list[float]:
    """Bounds of the mean over seeds."""
    found: list[float] = percentile_interval(stratified_bootstrap(np.array(values)[:, None], mean, seed=0)).tolist()
    return found


def main() -> None:
    silence_gym_notice()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env")
    parser.add_argument("algo")
    parser.add_argument("config", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    file = args.config.parent / "compared.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"before": {}, "found": {}}
    for seed in args.seeds:
        for name, config in (("before", args.before), ("found", args.config)):
            if str(seed) not in found[name]:
                found[name][str(seed)] = trained(args.env, args.algo, seed, config, args.steps)
                print(name, seed, found[name][str(seed)], flush=True)
                file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    before, after = ([found[name][str(seed)]["return"] for seed in args.seeds] for name in ("before", "found"))
    found |= {
        "mean_before": float(np.mean(before)), "interval_before": interval(before), "mean_found": float(np.mean(after)),
        "interval_found": interval(after), "commit": commit(), "hardware": dict(hardware(cores=1)),
    }  # fmt: skip
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in found.items() if name not in ("before", "found")}, indent=1))


if __name__ == "__main__":
    main()
