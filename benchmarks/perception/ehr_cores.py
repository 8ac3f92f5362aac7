"""The networks that can read a chart beside one another: LSTM, GRU, GRU-D, RETAIN's attention and a Transformer.

    python -m benchmarks.perception.ehr_cores --seeds 5    # about 15 minutes of one core; goes on where it stopped

All learn the tasks of the recipe `ehr-multitask` from the same windows of the same simulated patients for the same number of steps (fewer
than the recipe's, unless `--steps` says otherwise), 48 wide, with the recipe's rates, which were chosen for the LSTM. Judged on the same
test patients.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.perception.vision_runs import arguments, machine, per_seed, summary, table, trained, with_interval, write_json, write_page
from medsim_perception.device import choose_device
from medsim_perception.ehr import multitask
from medsim_perception.ehr.encoder import ChartEncoder
from medsim_perception.ehr.nets import CORES
from medsim_perception.recipe import Recipe

NAME = "ehr_cores"
STEPS = 1000
SHOWN = ("auroc_mortality", "auroc_shock", "r2_creatinine_ahead", "r2_lung_water_ml_per_kg", "r2_damage", "r2_sofa", "coverage_90")


def recipe_of(core: str) -> Recipe:
    """The recipe `ehr-multitask` with another network."""

    def begin(seed: int, device: torch.device) -> Any:
        return multitask.begin(seed, device, core=core)

    return replace(multitask.recipe(), name=f"ehr-core-{core}", build=lambda: ChartEncoder(core), begin=begin)


def one_seed(seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Metrics and CPU seconds of every network; cohorts are simulated before the clock starts."""
    multitask.cohort(multitask.PATIENTS, multitask.TRAIN_SEED + seed, "train")
    found: dict[str, Any] = {}
    for core in CORES:
        began = time.process_time()
        model = trained(recipe_of(core), seed, chosen)
        spent = time.process_time() - began
        metrics = multitask.judge(model, choose_device(chosen.device))
        found[core] = {"metrics": metrics, "training_cpu_seconds": round(spent, 1), "weights": sum(p.numel() for p in model.parameters())}
    return found


def page(records: list[dict[str, Any]], chosen: argparse.Namespace) -> list[str]:
    rows = [
        [core, f"{records[0][core]['weights']:,}", *(with_interval([r[core]["metrics"][name] for r in records]) for name in SHOWN),
         f"{sum(r[core]['training_cpu_seconds'] for r in records) / len(records):.0f}"] for core in CORES
    ]  # fmt: skip
    paired = [
        [core, *(with_interval([r[core]["metrics"][name] - r["lstm"]["metrics"][name] for r in records]) for name in SHOWN)]
        for core in CORES
        if core != "lstm"
    ]
    return [
        "# Networks that read charts", "",
        f"{chosen.steps} steps each on simulated septic patients (recipe `ehr-multitask`), seeds 0 to {len(records) - 1}: mean (95 %",
        "interval over seeds), on the same test patients of another cohort. Rates were chosen for the LSTM.", "",
        *table(["network", "weights", *SHOWN, "CPU s a training"], rows), "", "Paired differences to the LSTM:", "",
        *table(["network", *SHOWN], paired), "",
        f"Command: `python -m benchmarks.perception.{NAME} --seeds {len(records)}`. Machine: {machine(chosen.device)}.",
    ]  # fmt: skip


def main() -> None:
    chosen = arguments(__doc__ or "")
    chosen.steps = chosen.steps or STEPS
    records = per_seed(NAME, chosen, lambda seed: one_seed(seed, chosen))
    metrics = {core: {name: summary([r[core]["metrics"][name] for r in records]) for name in records[0][core]["metrics"]} for core in CORES}
    write_json(chosen.out / f"{NAME}.json", {"metrics": metrics, "steps": chosen.steps, "machine": machine(chosen.device)})
    write_page(chosen.out / f"{NAME}.md", page(records, chosen))


if __name__ == "__main__":
    main()
