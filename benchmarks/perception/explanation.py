"""Do explanations point at what truly made the answer's subject? Chest encoders against the renderer's masks, charts against a known risk.

python -m benchmarks.perception.explanation --seeds 5
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
from medsim_perception.ehr.nets import ChartNet, make_net
from medsim_perception.explanation import cells, charts, chest
from medsim_perception.explanation.gradients import integrated_gradients
from medsim_perception.explanation.scoring import overlap_at_area, overlap_by_chance, pointing, pointing_by_chance
from medsim_perception.metrics import auroc, mean_interval
from medsim_perception.supervised import SupervisedLearner
from medsim_perception.vision import StateRegressor, chest_state

NAME = "explanation"
CASES, STAYS = 60, 300  # explained a finding, and a network
CHART_NETS, CHART_STEPS, CHART_STAYS = ("retain", "lstm"), 1_000, 20_000
FIRST_RANDOM = 10_000  # seeds of weights that are never trained

Scores = dict[str, Any]


# chests


def chests_of_seed(seed: int, chosen: argparse.Namespace) -> Scores:
    model = trained(chest_state.recipe(), seed, chosen).cpu()
    torch.manual_seed(FIRST_RANDOM + seed)
    models = {"trained": model, "random": chest_state.build()}
    return {finding: of_finding(finding, models) for finding in chest.FINDINGS}


def of_finding(finding: str, models: dict[str, Any]) -> Scores:
    data = chest.cases(finding, n=CASES)
    scores: Scores = {
        "chance": {
            "pointing": float(pointing_by_chance(data.masks).mean()),
            "pointing in the lungs": float(pointing_by_chance(data.masks, data.lungs).mean()),
            "overlap": float(overlap_by_chance(data.masks).mean()),
        },
        "incompleteness": incompleteness(models["trained"], finding, data),
    }
    for kind, model in models.items():
        scores[kind] = {method: of_maps(chest.explain(model, finding, data, method), data) for method in chest.METHODS}
    return scores


def of_maps(maps: NDArray[np.float64], data: chest.Cases) -> Scores:
    side = (chest.right_share(maps) > 0.5) == (chest.right_share(data.masks.astype(float)) > 0.5)
    return {
        "pointing": float(pointing(maps, data.masks).mean()),
        "overlap": float(overlap_at_area(maps, data.masks).mean()),
        "side": float(side.mean()),
    }


def incompleteness(model: StateRegressor, finding: str, data: chest.Cases) -> float:
    """How far the sum of integrated gradients from black is off, relative to the answers' mean difference."""
    answer = chest.answer_of(model, finding)
    total = integrated_gradients(answer, data.images, 0.0, steps=16).sum((1, 2, 3))
    with torch.no_grad():
        difference = answer(data.images) - answer(torch.zeros_like(data.images))
    return float((total - difference).abs().mean() / difference.abs().mean())


# charts


def charts_of_seed(seed: int) -> Scores:
    train, test = charts.charts(CHART_STAYS, seed), charts.charts(4 * STAYS, FIRST_RANDOM + seed)
    caused = np.flatnonzero(test.cause.any((1, 2)))[:STAYS]
    scores: Scores = {"chance": chance_of(test, caused), "auroc of the true risk": auroc(test.outcome, test.risk.sum(1))}
    for core in CHART_NETS:
        for kind, steps in (("trained", CHART_STEPS), ("random", 0)):
            model = chart_net(core, train, seed, steps)
            scores[f"{core} {kind}"] = {"auroc": auroc_of(model, test), **of_methods(model, core, test, caused)}
    return scores


def chart_net(core: str, data: charts.Charts, seed: int, steps: int) -> ChartNet:
    torch.manual_seed(seed if steps else FIRST_RANDOM + seed)
    model = make_net(core, charts.COLUMNS, charts.STATICS, {"outcome": 1}, width=32)
    whole = batch_of(data, np.arange(len(data.outcome)))
    model.fit_scales(*whole)
    if not steps:
        return model.eval()
    outcome = torch.from_numpy(data.outcome).float()

    def sample(rng: np.random.Generator, n: int) -> tuple[Tensor, ...]:
        which = rng.integers(len(outcome), size=n)
        return (*batch_of(data, which), outcome[torch.from_numpy(which)])

    def loss(net: ChartNet, values: Tensor, mask: Tensor, since: Tensor, statics: Tensor, truth: Tensor) -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(net(values, mask, since, statics)["outcome"][:, 0], truth)

    learner = SupervisedLearner(model, sample, loss, seed=seed, device=torch.device("cpu"), steps=steps, learning_rate=4e-3)
    while learner.step_number < learner.planned_steps:
        learner.step()
    return model.eval()


def batch_of(data: charts.Charts, which: NDArray[np.int64]) -> cells.ChartBatch:
    values, mask, since, statics = (torch.from_numpy(np.asarray(part[which], np.float32)) for part in data[:4])
    return cells.ChartBatch(values, mask, since, statics)


def auroc_of(model: ChartNet, test: charts.Charts) -> float:
    with torch.no_grad():
        logits = model(*batch_of(test, np.arange(len(test.outcome))))["outcome"][:, 0]
    return auroc(test.outcome, logits.numpy())


def of_methods(model: ChartNet, core: str, test: charts.Charts, caused: NDArray[np.int64]) -> Scores:
    chart = batch_of(test, caused)
    return {
        method: of_cells(cells.explain_cells(model, "outcome", chart, method).double().numpy(), test, caused)
        for method in cells.METHODS
        if core == "retain" or method not in cells.RETAIN_ONLY
    }


def of_cells(found: NDArray[np.float64], test: charts.Charts, caused: NDArray[np.int64]) -> Scores:
    """Is the highest measured cell, column (summed over hours) and hour (summed over columns) a cause?"""
    cause, mask = test.cause[caused], test.mask[caused]
    lowest = found.min() - 1.0
    return {
        "cell": float(pointing(np.where(mask, found, lowest), cause).mean()),
        "column": float(pointing(found.sum(1), cause.any(1)).mean()),
        "hour": float(pointing(found.sum(2), cause.any(2)).mean()),
        "overlap": float(overlap_at_area(np.where(mask, found, lowest), cause).mean()),
    }


def chance_of(test: charts.Charts, caused: NDArray[np.int64]) -> Scores:
    cause, mask = test.cause[caused], test.mask[caused]
    share, area = pointing_by_chance(cause, mask), cause.sum((1, 2))
    return {
        "cell": float(share.mean()),
        "column": float(pointing_by_chance(cause.any(1)).mean()),
        "hour": float(pointing_by_chance(cause.any(2)).mean()),
        "overlap": float((share * area / (2 * area - share * area)).mean()),
    }


# pages


def chest_tables(records: list[Scores]) -> list[str]:
    lines: list[str] = []
    for finding in chest.FINDINGS:
        of = [r["chest"][finding] for r in records]
        chance = of[0]["chance"]
        shown = [(kind, measure) for kind in ("trained", "random") for measure in ("pointing", "overlap")]
        rows = [[method, *(with_interval([r[kind][method][m] for r in of], 2) for kind, m in shown)] for method in chest.METHODS]
        if finding != "oedema":  # is on both sides
            for row, method in zip(rows, chest.METHODS, strict=True):
                row.append(with_interval([r["trained"][method]["side"] for r in of], 2))
        header = ["method", "pointing", "overlap", "pointing, untrained", "overlap, untrained"] + ["side"] * (finding != "oedema")
        lines += [
            f"## {finding}", "",
            f"Chance: pointing {chance['pointing']:.3f} ({chance['pointing in the lungs']:.2f} for a random place in the lungs), overlap "
            f"{chance['overlap']:.3f}{', side 0.5' * (finding != 'oedema')}. Integrated gradients from black miss the answers' difference",
            f"by {with_interval([100 * r['incompleteness'] for r in of], 1)} % (16 places on the way).", "",
            *table(header, rows), "",
        ]  # fmt: skip
    return lines


def chart_tables(records: list[Scores]) -> list[str]:
    of = [r["charts"] for r in records]
    measures = ("cell", "column", "hour", "overlap")
    rows = [["random guess", "", *(f"{np.mean([r['chance'][m] for r in of]):.2f}" for m in measures)]]
    for net in (f"{core} {kind}" for kind in ("trained", "random") for core in CHART_NETS):
        for method in [name for name in of[0][net] if name != "auroc"]:
            rows.append([net, method, *(with_interval([r[net][method][m] for r in of], 2) for m in measures)])
    aurocs = ", ".join(f"{core} {with_interval([r[f'{core} trained']['auroc'] for r in of])}" for core in CHART_NETS)
    best = with_interval([r["auroc of the true risk"] for r in of])
    return [
        "## charts", "",
        "12 hours, 8 columns; leaps of three columns raise the risk, equal leaps of the other five do nothing. Is the highest cell, column",
        f"or hour one that truly raised it? {STAYS} test stays with a cause a seed. AUROC: {aurocs}; of the true risk {best}.", "",
        *table(["network", "method", *measures], rows), "",
    ]  # fmt: skip


def page(records: list[Scores]) -> list[str]:
    n = len(records)
    cost = float(np.mean([r["cpu_seconds"] for r in records]))
    return [
        "# Explanations against the truth", "",
        f"{n} trained networks each (seeds 0 to {n - 1}), mean (95 % interval over seeds). Chests: encoders of the recipe",
        f"`chest-lung-water`, {CASES} test patients a finding, view pa, scanner a. Pointing: is the highest place of the map in the",
        "finding's true mask? Overlap: intersection over union of the mask with as many of the highest places as it has pixels. Side:",
        "does more of the map lie on the side where more of the finding is? A twin is the same chest without the finding, which only a",
        "renderer has. The sanity check of Adebayo et al. 2018 stands beside: the same methods on networks with random weights, which",
        "should score as chance does.", "",
        *chest_tables(records), *chart_tables(records),
        "## What this says", "", *verdicts(records), "",
        f"Command: `python -m benchmarks.perception.explanation --seeds {n}`. Machine: {machine()};",
        f"{cost:.0f} CPU-seconds a seed, with the training of the chest encoder where it is not there yet.",
    ]  # fmt: skip


def verdicts(records: list[Scores]) -> list[str]:
    """Which methods do no better than chance, and which find the mask without having learnt anything: worked out, not written."""
    lines = []
    for finding in chest.FINDINGS:
        of = [r["chest"][finding] for r in records]
        chance = of[0]["chance"]["pointing"]

        def above(kind: str, method: str, of: list[Scores] = of, chance: float = chance) -> bool:
            return mean_interval([r[kind][method]["pointing"] for r in of]).low > chance

        asked = [method for method in chest.METHODS if "no model" not in method]
        null = [method for method in asked if not above("trained", method)]
        untrue = [method for method in asked if above("random", method)]
        lines.append(f"- {finding}: not surely above chance in pointing (a null result): {'; '.join(null) or 'none'}.")
        lines.append(f"- {finding}: surely above chance without any training (fails the sanity check): {'; '.join(untrue) or 'none'}.")
    return lines


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: {"chest": chests_of_seed(seed, chosen), "charts": charts_of_seed(seed)})
    scores = averaged([{part: record[part] for part in ("chest", "charts")} for record in records])
    write_json(chosen.out / f"{NAME}.json", {"scores": scores, "machine": machine()})
    write_page(chosen.out / f"{NAME}.md", page(records))


def averaged(records: list[Any]) -> Any:
    """Records of one shape as one whose numbers are means with intervals."""
    if isinstance(records[0], dict):
        return {name: averaged([r[name] for r in records]) for name in records[0]}
    return summary(records)


if __name__ == "__main__":
    main()
