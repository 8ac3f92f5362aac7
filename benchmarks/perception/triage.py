"""What triage by a network is worth to a hospital: categories by nurses, by the early warning score, by the network, and the truth.

    python -m benchmarks.perception.triage                # trains 5 networks, then 20 weeks of a hospital for each way of triage

First the networks, on test arrivals who are the same for all; then `medsim/HospitalFlow-v0` (SimPy) under the rule "priority", whose
emergency department sees the most urgent category first: the same weeks for every way of triage. The perception gap of a hospital is
(J_truth - J) / (J_truth - J_blind), blind: everybody in one category.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

ENV = "medsim/HospitalFlow-v0"
RESULTS = Path(__file__).parent / "results"
RESAMPLES = 10_000


def networks(seeds: int) -> tuple[list[dict[str, float]], Any]:
    """Return the figures of trained networks, and the last of them."""
    import torch

    from medsim_perception.triage.acuity import begin, judge

    found, net = [], None
    for seed in tqdm(range(seeds), desc="networks", unit="network"):
        learner = begin(seed, torch.device("cpu"))
        while learner.step_number < learner.planned_steps:
            learner.step()
        net = learner.model.eval()
        found.append(judge(net, torch.device("cpu")))
    return found, net


def score_alone() -> dict[str, float]:
    """Return the figures of the early warning score on the same test arrivals."""
    from medsim.hospital.arrival_chart import ArrivalChart, early_warning_score, news_triage
    from medsim_perception.metrics import auroc
    from medsim_perception.triage.acuity import TEST_PATIENTS, TEST_SEED, arrivals, figures

    people = arrivals(TEST_PATIENTS, TEST_SEED)
    charts = [ArrivalChart(*row.tolist()) for row in people.charts]
    scores = np.array([early_warning_score(chart) for chart in charts])
    given = np.array([news_triage(chart) for chart in charts])
    return {"auroc_urgent": auroc(people.acuity <= 1, scores), **figures(given, people.acuity)}


def weeks_under(triage: Callable[[Any], int] | None, weeks: int, progress: Any, **more: Any) -> list[float]:
    """Return the team's return of each week."""
    from medsim.hospital.evaluation import evaluate_hospital
    from medsim.policies import hospital_policies

    policy = hospital_policies(ENV)["priority"]
    result = evaluate_hospital(ENV, policy(), options={"engine": "simpy", "triage": triage, **more}, episodes=weeks)
    progress.update()
    return [float(value) for value in result.returns]


def perfect_hospital() -> Any:
    """Return the hospital of the preset with nurses who never err."""
    import dataclasses

    from medsim.hospital.presets import preset

    return dataclasses.replace(preset("district-general").scaled(0.5), under_triage=0.0, over_triage=0.0)


def hospital(weeks: int, net: Any) -> dict[str, Any]:
    """Return the weeks' returns by way of triage."""
    from medsim.hospital.arrival_chart import news_triage
    from medsim_perception.triage import EncoderTriage

    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "truth": (None, {"config": perfect_hospital(), "size": 1.0}),
        "network, caution 2": (EncoderTriage(net, caution=2.0), {}),
        "network, caution 1": (EncoderTriage(net, caution=1.0), {}),
        "nurses": (None, {}),
        "early warning score": (news_triage, {}),
        "blind": (lambda chart: 3, {}),
    }
    with tqdm(total=len(ways), desc="hospitals", unit="hospital") as progress:
        return {name: weeks_under(triage, weeks, progress, **more) for name, (triage, more) in ways.items()}


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return a mean and its 95 % interval, weeks resampled."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def gap_of(weeks: dict[str, np.ndarray], values: np.ndarray) -> str:
    """Return the share of what the truth is worth over blindness that is lost, with its 95 % interval, weeks resampled for all."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    ratio = (weeks["truth"] - values)[drawn].mean(axis=1) / (weeks["truth"] - weeks["blind"])[drawn].mean(axis=1)
    low, high = np.percentile(ratio, [2.5, 97.5])
    gap = (weeks["truth"] - values).mean() / (weeks["truth"] - weeks["blind"]).mean()
    return f"{gap:.2f} ({low:.2f} to {high:.2f})"


def page(found: dict[str, Any]) -> str:
    """Return the figures as a page."""
    from medsim_perception.metrics import mean_interval

    names = ("auroc_urgent", "accuracy", "under_triage", "over_triage", "urgent_called_urgent", "weighted_kappa")
    lines = [
        "# Triage by a network", "", f"`{found['command']}`, two cores, CPU.", "",
        "On 10,000 test arrivals, caution 2; mean and 95 % interval over training seeds:", "",
        f"| | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (len(names) + 1) + "|",
    ]  # fmt: skip
    cells = []
    for name in names:
        mean, low, high = mean_interval([one[name] for one in found["networks"]])
        cells.append(f"{mean:.3f} ({low:.3f} to {high:.3f})")
    lines.append(f"| network, {len(found['networks'])} seeds | {' | '.join(cells)} |")
    scores = [f"{found['score'][name]:.3f}" for name in names]
    lines.append(f"| early warning score | {' | '.join(scores)} |")
    weeks = {name: np.array(values) for name, values in found["weeks"].items()}
    lines += [
        "",
        f"`{ENV}`, district-general, half its size, under the rule `priority`, {len(weeks['truth'])} weeks, the same for all:", "",
        "| who triages | return a week (95 %) | against nurses, paired (95 %) | perception gap (95 %) |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, values in weeks.items():
        mean, low, high = interval(values)
        more, lowest, highest = interval(values - weeks["nurses"])
        gap = gap_of(weeks, values)
        lines.append(f"| {name} | {mean:.0f} ({low:.0f} to {high:.0f}) | {more:+.0f} ({lowest:.0f} to {highest:.0f}) | {gap} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write ``results/triage.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="networks (default %(default)s)")
    parser.add_argument("--weeks", type=int, default=20, help="of each hospital (default %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    figures, net = networks(args.seeds)
    command = f"python -m benchmarks.perception.triage --seeds {args.seeds} --weeks {args.weeks}"
    found = {"command": command, "networks": figures, "score": score_alone(), "weeks": hospital(args.weeks, net)}
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("triage.json", json.dumps(found, indent=1) + "\n"), ("triage.md", page(found))):
        partial = args.out / f".{name}.tmp"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, args.out / name)
    print(page(found))


if __name__ == "__main__":
    main()
