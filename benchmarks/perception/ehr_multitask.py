"""What a network reads off the charts of simulated septic patients, beside gradient boosting on the same windows' summaries.

    python -m benchmarks.perception.ehr_multitask --seeds 5

Each seed trains the recipe `ehr-multitask` on its own training patients; test patients are of another cohort, the same for all seeds.
Gradient boosting learns from 40,000 windows of the same training patients (minimum, maximum, mean, last value and missing share of each
column that the network sees, treatments included, and the statics), with scikit-learn's defaults.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.perception.vision_runs import arguments, machine, per_seed, summary, table, trained, with_interval, write_json, write_page
from medsim_perception.device import choose_device
from medsim_perception.ehr import multitask
from medsim_perception.ehr.encoder import CREATININE_H, SHOCK_H, TARGETS, ChartEncoder
from medsim_perception.ehr.features import boosted_trees, summary_features
from medsim_perception.metrics import auprc, auroc, r_squared

NAME = "ehr_multitask"
BOOSTED_WINDOWS = 40_000
TASKS = ("auroc_mortality", "auprc_mortality", "auroc_shock", "auprc_shock", "r2_creatinine_ahead")
COMPARED = ("auroc_mortality", "auroc_shock", "r2_creatinine_ahead")


def one_seed(seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    model = trained(multitask.recipe(), seed, chosen)
    return {"network": multitask.judge(model, choose_device(chosen.device)), "boosting": boosting(seed)}


def boosting(seed: int) -> dict[str, float]:
    """Gradient boosting's figures on the same test windows."""
    training = multitask.cohort(multitask.PATIENTS, multitask.TRAIN_SEED + seed, "train")
    rng = np.random.default_rng((seed, 77))
    who = rng.integers(len(training.courses), size=BOOSTED_WINDOWS)
    seen, asked = training.batch(who, multitask.asked_hours(training.courses, who, rng))
    seen_in_test, asked_in_test = multitask.judged()
    features, features_in_test = rows(seen), rows(seen_in_test)
    told = ~np.isnan(features).all(axis=0)  # sex and height, which the simulator does not have, tell nothing
    features, features_in_test = features[:, told], features_in_test[:, told]
    found: dict[str, float] = {}
    for task in ("mortality", "shock", "creatinine"):
        known, known_in_test = ~np.isnan(asked[task]), ~np.isnan(asked_in_test[task])
        model = boosted_trees(seed, regression=task == "creatinine").fit(features[known], asked[task][known])
        truth = asked_in_test[task][known_in_test]
        if task == "creatinine":
            found["r2_creatinine_ahead"] = r_squared(truth, model.predict(features_in_test[known_in_test]))
        else:
            scores = model.predict_proba(features_in_test[known_in_test])[:, 1]
            found |= {f"auroc_{task}": auroc(truth, scores), f"auprc_{task}": auprc(truth, scores)}
    return found


def rows(seen: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Summaries of what the network sees of these windows."""
    values, mask, _, statics = ChartEncoder(width=8).inputs({name: torch.from_numpy(array) for name, array in seen.items()})
    return summary_features(values.numpy(), mask.numpy(), statics.numpy())


def page(records: list[dict[str, Any]], found: dict[str, Any]) -> list[str]:
    tasks = [
        [task, *(with_interval([r[who][task] for r in records]) for who in ("network", "boosting")),
         with_interval([r["network"][task] - r["boosting"][task] for r in records])] for task in TASKS
    ]  # fmt: skip
    state = [[name, with_interval([r["network"][f"r2_{name}"] for r in records])] for name in TARGETS]
    others = ("coverage_90", "brier_mortality", "calibration_error_mortality", "brier_shock", "calibration_error_shock")
    goals = [
        f"- {task}: network {found['difference'][task]['mean']:+.3f} against boosting; goal: no more than 0.01 below: "
        + ("reached" if found["difference"][task]["mean"] >= -0.01 else "NOT reached")
        for task in COMPARED
    ]
    shock_percent = 100 * found["shock_share"]
    return [
        "# Charts of simulated septic patients", "",
        f"{len(records)} trainings (seeds 0 to {len(records) - 1}), mean (95 % interval over seeds). Test: {multitask.JUDGED:,} patients",
        f"of the cohort `test`, {multitask.JUDGED_WINDOWS} windows of 24 h each. Death by day 28; an hour of shock (mean pressure below 65",
        f"mmHg, or lactate above 2 mmol/L on norepinephrine) in the next {SHOCK_H} h: {shock_percent:.0f} % of windows; the last",
        f"creatinine of the next {CREATININE_H} h. Boosting learns from {BOOSTED_WINDOWS:,} windows of the training patients,",
        f"the network from {multitask.STEPS * multitask.BATCH:,} draws of them: the same patients, not the same effort.", "",
        *table(["task", "network (LSTM, 48 wide)", "gradient boosting", "difference, paired"], tasks), "", *goals, "",
        "The true state at the window's end, R2 (lung water differs from patient to patient beyond what the chart tells, on purpose):", "",
        *table(["of the state", "R2"], state), "",
        *table(["measure", "network"], [[name, with_interval([r["network"][name] for r in records])] for name in others]), "",
        "`coverage_90`: how often the 90 % interval of the state holds the truth.", "",
        f"Command: `python -m benchmarks.perception.ehr_multitask --seeds {len(records)}`. Machine: {machine()};",
        f"{sum(r['cpu_seconds'] for r in records) / len(records):.0f} CPU-seconds a seed, without those of the training if it was there",
        "already (150).",
    ]  # fmt: skip


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: one_seed(seed, chosen))
    asked = multitask.judged()[1]["shock"]
    found = {
        "network": {name: summary([r["network"][name] for r in records]) for name in records[0]["network"]},
        "boosting": {name: summary([r["boosting"][name] for r in records]) for name in records[0]["boosting"]},
        "difference": {name: summary([r["network"][name] - r["boosting"][name] for r in records]) for name in TASKS},
        "shock_share": float(np.nanmean(asked)),
        "machine": machine(),
    }
    write_json(chosen.out / f"{NAME}.json", found)
    write_page(chosen.out / f"{NAME}.md", page(records, found))


if __name__ == "__main__":
    main()
