"""HIV mutations and resistance from sequenced populations, beside the rule that reports use.

    python -m benchmarks.perception.hiv_resistance

The rule counts a mutation from 14 % of the reads on (the cut that made the labels, before sequencing noise) and applies HIVDB's own
scores, which also made the labels: it is what a net can at best equal, except where sequencing hid something. Unseen: combinations that no
training met.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.perception.vision_runs import (
    arguments,
    machine,
    per_seed,
    size_of,
    summary,
    table,
    trained,
    with_interval,
    write_json,
    write_page,
)  # fmt: skip
from medsim_perception.sequences.hiv_recipe import judge, judged_viruses, net_calls, recipe, rule_calls, scored
from medsim_perception.sequences.viruses import Sequencing
from medsim_perception.weights import halved

NAME = "hiv_resistance"
GOAL = 0.95  # chosen: of F1, for mutations and for drugs, as the issue names no figure
NOISY = Sequencing(depth=(20, 40), error=0.03, unread=0.05)


def work_on(seed: int, chosen: Any) -> dict[str, Any]:
    model, cpu = halved(trained(recipe(), seed, chosen)), torch.device("cpu")
    noisy = judged_viruses(False, sequencing=NOISY)
    return {"judge": judge(model, cpu), "noisy": scored(net_calls(model, noisy, cpu), noisy)}


def rules() -> dict[str, dict[str, float]]:
    groups = {"": judged_viruses(False), " unseen": judged_viruses(True)}
    known = {
        f"{name}{suffix}": value for suffix, group in groups.items() for name, value in scored(rule_calls(group.fractions), group).items()
    }
    noisy = judged_viruses(False, sequencing=NOISY)
    return {"judge": known, "noisy": scored(rule_calls(noisy.fractions), noisy)}


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: work_on(seed, chosen))
    beside = rules()
    numbers, kb = size_of(trained(recipe(), 0, chosen))
    figures = {part: {m: summary([r[part][m] for r in records]) for m in records[0][part]} for part in ("judge", "noisy")}
    write_json(chosen.out / f"{NAME}.json", {"seeds": len(records), "machine": machine(), "net": figures, "rule": beside})
    rows = [
        [f"{m}{', poor sequencing' if part == 'noisy' else ''}", with_interval(figures[part][m]["seeds"], 4), f"{beside[part][m]:.4f}"]
        for part in figures
        for m in figures[part]
    ]
    short = [m for m, value in figures["judge"].items() if value["mean"] < GOAL]
    lines = [
        "# HIV drug resistance from sequenced protease and reverse transcriptase",
        "",
        "1,500 simulated patients a row: 119 mutations, ten drugs, mixtures from 20 %, minorities below 8 % that must not be reported, "
        "sequencing errors and gaps.",
        f"F1 and accuracy are pooled over mutations or drugs. Net of {numbers:,} weights, {kb:.0f} kB.",
        "",
        *table(["figure", "net", "rule (HIVDB's scores of what the reads show)"], rows),
        "",
        f"Goal (ours): {GOAL} or more in every row but poor sequencing: "
        f"{'reached' if not short else 'not reached by ' + ', '.join(short)}.",
        "Where the sequences are aligned and the scores are known, the rule is as good or better: the net is worth having as an "
        "encoder that an agent can be",
        "trained through. Resistance to darunavir is rare in the combinations used (below 1 % of patients): no figure stands for it alone.",
        "Poor sequencing: 20-40 reads a place, 3 % errors, 5 % of places unread.",
        "",
        f"Command: `python -m benchmarks.perception.hiv_resistance --seeds {len(records)}`; {machine()}; seeds 0-{len(records) - 1}; "
        f"{np.mean([r['cpu_seconds'] for r in records]):.0f} CPU-s a seed.",
    ]
    write_page(chosen.out / f"{NAME}.md", lines)


if __name__ == "__main__":
    main()
