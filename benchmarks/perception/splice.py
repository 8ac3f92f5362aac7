"""Splice junctions, StatLog DNA: accuracy on the 1,186 test windows, beside logistic regression on the same letters.

    python -m benchmarks.perception.splice --fetch     # once: takes DNA.rda from Debian's r-cran-mlbench into MEDSIM_DATA_CACHE or
    ~/.cache/medsim python -m benchmarks.perception.splice

Everything was chosen on validation windows cut from the 2,000 training windows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
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
from medsim_perception.sequences.splice import read_splice_windows, splice_file
from medsim_perception.sequences.splice_recipe import encoded, judge, recipe
from medsim_perception.weights import halved

NAME = "splice"
GOAL, PUBLISHED_LOGISTIC = 0.96, 0.957
PACKAGE, MEMBER = "r-cran-mlbench", "usr/lib/R/site-library/mlbench/data/DNA.rda"


def main() -> None:
    if "--fetch" in sys.argv:
        fetch()
        return
    chosen = arguments(__doc__ or "")
    if not splice_file().is_file():
        print(f"skipped: {splice_file()} is missing; python -m benchmarks.perception.splice --fetch")
        return

    def work(seed: int) -> dict[str, Any]:
        return judge(halved(trained(recipe(), seed, chosen)), torch.device("cpu"))

    records = per_seed(NAME, chosen, work)
    report(records, chosen)


def fetch() -> None:
    """Take the table out of Debian's package; the package itself is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
        package = next(Path(folder).glob(f"{PACKAGE}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        splice_file().parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(folder) / MEMBER, splice_file())
    print(splice_file())


def baselines() -> dict[str, float]:
    """Logistic regression and boosted trees on the one-hot letters, with the penalty chosen by cross-validation on the training windows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegressionCV

    (x, y), (test_x, test_y) = (encoded(part) for part in read_splice_windows())
    flat, test = x.flatten(1).numpy(), test_x.flatten(1).numpy()
    logistic = LogisticRegressionCV(Cs=np.logspace(-2, 0, 5), cv=5, max_iter=500).fit(flat, y.numpy())
    trees = HistGradientBoostingClassifier(random_state=0).fit(flat, y.numpy())
    return {"logistic regression": float(logistic.score(test, test_y.numpy())), "boosted trees": float(trees.score(test, test_y.numpy()))}


def shared_windows() -> int:
    """How many test windows also occur among the training windows: StatLog's split has such pairs."""
    train, test = read_splice_windows()
    return len([s for s in test.sequences if s in set(train.sequences)])


def report(records: list[dict[str, Any]], chosen: Any) -> None:
    beside = baselines()
    names = [name for name in records[0] if name not in ("seed", "cpu_seconds", "made_with")]
    figures = {name: summary([record[name] for record in records]) for name in names}
    numbers = size_of(trained(recipe(), 0, chosen))[0]
    content = {
        "seeds": len(records),
        "machine": machine(),
        "figures": figures,
        "baselines": beside,
        "test windows that are also in training": shared_windows(),
    }
    write_json(chosen.out / f"{NAME}.json", content)
    rows = [[f"net, {numbers:,} weights, {name}", with_interval(figures[name]["seeds"])] for name in names]
    rows += [[f"{name} (measured here)", f"{value:.3f}"] for name, value in beside.items()]
    mean = figures["accuracy"]["mean"]
    lines = [
        "# Splice junctions (StatLog DNA)",
        "",
        "Accuracy on StatLog's 1,186 test windows after training on its 2,000, mean over seeds with the 95 % t interval; weights in "
        "half precision.",
        "",
        *table(["what", "figure"], rows),
        "",
        f"Goal: mean accuracy of {GOAL} or more, logistic regression {PUBLISHED_LOGISTIC}: {'reached' if mean >= GOAL else 'not reached'}.",
        f"{content['test windows that are also in training']} of the test windows occur among the training windows too: that is "
        "StatLog's split, kept as it is.",
        "Architecture, steps and penalties were chosen on validation windows cut from the training windows.",
        "",
        f"Command: `python -m benchmarks.perception.splice --seeds {len(records)}`; {machine()}; seeds 0-{len(records) - 1}; "
        f"{np.mean([r['cpu_seconds'] for r in records]):.0f} CPU-s a seed.",
    ]
    write_page(chosen.out / f"{NAME}.md", lines)


if __name__ == "__main__":
    main()
