"""How well lung water and the other findings are read off rendered chests: patients never seen, the scanner learnt from and another one.

python -m benchmarks.perception.lung_water --seeds 5
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from benchmarks.perception.vision_runs import (
    arguments,
    machine,
    per_seed,
    summary,
    table,
    trained,
    with_interval,
    write_json,
    write_page,
)
from medsim_perception.device import choose_device
from medsim_perception.vision import chest_state, count_weights

NAME = "lung_water"
GOALS = {"r2_lung_water_ml_per_kg_scanner_a": 0.9, "r2_lung_water_ml_per_kg_scanner_b": 0.75}


def one_seed(seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    device = choose_device(chosen.device)
    model = trained(chest_state.recipe(), seed, chosen)
    return {"metrics": chest_state.judge(model, device)}


def speed(repeats: int = 20) -> dict[str, float]:
    """Images a CPU-second in batches of 256, and milliseconds for one image."""
    model = chest_state.build().eval()
    many = torch.zeros(256, 1, 64, 64, dtype=torch.uint8)
    with torch.inference_mode():
        model(many), model(many[:1])
        start = time.process_time()
        for _ in range(repeats):
            model(many)
        middle = time.process_time()
        for _ in range(10 * repeats):
            model(many[:1])
        end = time.process_time()
    return {"images_per_cpu_second": 256 * repeats / (middle - start), "one_image_ms": 1e3 * (end - middle) / (10 * repeats)}


def page(records: list[dict[str, Any]], found: dict[str, Any]) -> list[str]:
    rows = []
    for target in chest_state.TARGETS:
        row = [target]
        for scanner in ("a", "b"):
            for measure in ("r2", "coverage"):
                row.append(with_interval([r["metrics"][f"{measure}_{target}_scanner_{scanner}"] for r in records]))
        rows.append(row)
    header = ["target", "R2, scanner a", "90 % interval covers, a", "R2, scanner b (never seen)", "90 % interval covers, b"]
    means = {name: found["metrics"][name]["mean"] for name in GOALS}
    goals = [
        f"- {name}: goal {goal}, mean {means[name]:.3f}: {'reached' if means[name] >= goal else 'NOT reached'}"
        for name, goal in GOALS.items()
    ]
    speeds = found["speed"]
    return [
        "# Findings read off rendered chests", "",
        f"{len(records)} trainings (seeds 0 to {len(records) - 1}), mean (95 % interval over seeds). Test: 1,000 patients, each in views",
        "pa and ap, on scanner a (trained on, changed at random) and scanner b (never trained nor calibrated on). A baseline that answers",
        "with the mean has R2 = 0.", "", *table(header, rows), "", *goals, "",
        f"Net: {found['weights']} weights, {speeds['images_per_cpu_second']:.0f} images a CPU-second in batches,",
        f"{speeds['one_image_ms']:.2f} ms for one. Effusion and consolidation hide behind each other and behind the heart:",
        "part of them cannot be seen in one projection.", "",
        f"Command: `python -m benchmarks.perception.lung_water --seeds {len(records)}`. Machine: {machine()};",
        f"{sum(r['cpu_seconds'] for r in records) / len(records):.0f} CPU-seconds a seed.",
    ]  # fmt: skip


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: one_seed(seed, chosen))
    metrics = {name: summary([r["metrics"][name] for r in records]) for name in records[0]["metrics"]}
    found = {"metrics": metrics, "weights": count_weights(chest_state.build()), "speed": speed(), "machine": machine(), "goals": GOALS}
    write_json(chosen.out / f"{NAME}.json", found)
    write_page(chosen.out / f"{NAME}.md", page(records, found))


if __name__ == "__main__":
    main()
