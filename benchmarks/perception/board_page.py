"""The perception board as a page and a picture, from the results of its trainings."""

import json
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 10_000
GOAL = 0.2  # of the perception gap
WHAT = {
    "true": "the true state of the patient",
    "true-findings": "chart through its encoder; of the X-ray the truth",
    "frozen": "chart and X-ray through frozen encoders",
    "fine-tuned": "the frozen arm's agent, whose encoders learn on",
    "raw": "chart and X-ray as they are, `CombinedExtractor`",
    "blind": "chart through its frozen encoder, no X-ray",
    "protocol": "vital signs and labs: the Surviving Sepsis protocol's fluid; learns nothing",
    "random": "nothing; doses by chance",
}


INTRODUCTION = """`python -m benchmarks.perception.board`, two cores, CPU. The same PPO for every arm: it gives fluid every 4 h, nurses
titrate norepinephrine, a chest X-ray is taken every 12 h, lungs differ (`lungs="varied"`). {patients} test patients, the same for all, with
expected deaths; 95 % intervals by resampling seeds (their deviations widened by sqrt(n / (n - 1))) and patients.

The gap is the share of what the truth is worth over blindness that an arm loses: 0 is as good as the truth, 1 is no better than blind.
`true-findings` knows what the X-ray shows and reads the chart as the others do, so the gap to it is that of reading images; the gap to
`true` is also that of all else that a chart does not tell."""
HEAD = (
    "| arm | what the agent sees | steps | return (95 %) | dead by day 28 | over blind (95 %) | gap to true-findings (95 %) "
    "| gap to true (95 %) | CPU s a seed |"
)


def read(folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the results by arm and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for file in sorted(folder.glob("*-*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        found.setdefault(result["arm"], {})[result["seed"]] = result
    for arm, by_seed in found.items():
        steps = sorted({one["steps"] for one in by_seed.values()})
        if len(steps) > 1:
            raise ValueError(f"{folder} holds {arm} of {steps} steps: they cannot stand in one row")
    return {arm: found[arm] for arm in WHAT if arm in found}


def resampled(found: dict[str, dict[int, dict[str, Any]]]) -> dict[str, np.ndarray]:
    """Return mean returns of every arm, (RESAMPLES,): seeds drawn with replacement for each arm, patients the same for all."""
    rng = np.random.default_rng(0)
    patients = len(next(iter(next(iter(found.values())).values()))["returns"])
    shares = rng.multinomial(patients, np.full(patients, 1.0 / patients), size=RESAMPLES) / patients  # (RESAMPLES, patients)
    means = {}
    for arm, by_seed in found.items():
        rows = np.stack([one["returns"] for one in by_seed.values()])  # (seeds, patients)
        drawn = rng.multinomial(len(rows), np.full(len(rows), 1.0 / len(rows)), size=RESAMPLES) / len(rows)
        each = shares @ rows.T  # (RESAMPLES, seeds)
        middle = each.mean(axis=1)
        # a mean of n seeds drawn with replacement has (n - 1) / n of the variance that the mean of n new ones has
        wider = np.sqrt(len(rows) / (len(rows) - 1)) if len(rows) > 1 else 1.0
        means[arm] = middle + wider * (np.einsum("rs,rs->r", drawn, each) - middle)
    return means


def ends(values: np.ndarray) -> list[float]:
    """Return the 95 % interval of resampled values."""
    return [float(end) for end in np.percentile(values, [2.5, 97.5])]


def summary(folder: Path) -> dict[str, Any]:
    """Return the board's figures."""
    found = read(folder)
    draws = resampled(found)
    point = {arm: float(np.mean([one["return_mean"] for one in by_seed.values()])) for arm, by_seed in found.items()}
    rows: dict[str, Any] = {}
    for arm, by_seed in found.items():
        ones = list(by_seed.values())
        row: dict[str, Any] = {
            "what": WHAT[arm], "seeds": sorted(by_seed), "steps": ones[0]["steps"], "return": point[arm], "return_95": ends(draws[arm]),
            "return_by_seed": [one["return_mean"] for one in ones],
            "death_probability": float(np.mean([one["death_probability"] for one in ones])),
            "train_cpu_s": float(np.mean([one["train_cpu_s"] for one in ones])),
        }  # fmt: skip
        for truth in ("true", "true-findings"):
            if truth in point and "blind" in point and arm != truth:
                gap = (point[truth] - point[arm]) / (point[truth] - point["blind"])
                row[f"gap_to_{truth}"] = gap
                row[f"gap_to_{truth}_95"] = ends((draws[truth] - draws[arm]) / (draws[truth] - draws["blind"]))
        if "blind" in point and arm != "blind":
            row["over_blind"] = point[arm] - point["blind"]
            row["over_blind_95"] = ends(draws[arm] - draws["blind"])
        rows[arm] = row
    return {"patients": len(next(iter(found["blind"].values()))["returns"]) if "blind" in found else 0, "arms": rows}


def interval(values: list[float]) -> str:
    """Return an interval as text."""
    return f"{values[0]:.3f} to {values[1]:.3f}"


def page(board: dict[str, Any]) -> str:
    """Return the board as a page."""
    lines = ["# The perception board: septic shock", "", INTRODUCTION.format(patients=board["patients"]), "", HEAD, "|---" * 9 + "|"]
    for arm, row in board["arms"].items():
        gaps = [
            f"{row[f'gap_to_{truth}']:.2f} ({interval(row[f'gap_to_{truth}_95'])})" if f"gap_to_{truth}" in row else ""
            for truth in ("true-findings", "true")
        ]
        over = f"{row['over_blind']:+.3f} ({interval(row['over_blind_95'])})" if "over_blind" in row else ""
        of = f", {len(row['seeds'])} seeds" if row["steps"] else ""
        lines.append(
            f"| {arm} | {row['what']} | {row['steps']:,} | {row['return']:.3f} ({interval(row['return_95'])}){of}"
            f" | {100 * row['death_probability']:.1f} % | {over} | {gaps[0]} | {gaps[1]} | {row['train_cpu_s']:.0f} |"
        )
    seeds = [f"{arm} {', '.join(f'{value:.3f}' for value in row['return_by_seed'])}" for arm, row in board["arms"].items()]
    most = max((row["seeds"] for row in board["arms"].values()), key=len)
    fewer = [
        f"`--arms {arm} --seeds {' '.join(map(str, row['seeds']))}`"
        for arm, row in board["arms"].items()
        if row["steps"] and row["seeds"] != most
    ]
    lines += [
        "",
        *verdicts(board["arms"]),
        "",
        f"Seeds {', '.join(map(str, most))}{'; ' if fewer else ''}{' and '.join(fewer)}. Returns by seed: {'; '.join(seeds)}.",
    ]
    return "\n".join(lines) + "\n"


def verdicts(arms: dict[str, Any]) -> list[str]:
    """Return whether each arm that perceives is as near to the truth as is wanted."""
    said = []
    for arm in ("frozen", "fine-tuned"):
        for truth in ("true", "true-findings"):
            if f"gap_to_{truth}" in arms.get(arm, {}):
                gap, ends_at = arms[arm][f"gap_to_{truth}"], arms[arm][f"gap_to_{truth}_95"]
                reached = (
                    "NOT reached" if gap > GOAL else "reached, and the interval with it" if ends_at[1] <= GOAL else "reached in the mean"
                )
                said.append(f"- {arm}, gap to {truth} {gap:.2f} ({interval(ends_at)}), goal at most {GOAL}: {reached}.")
    return said


def draw(board: dict[str, Any], file: Path) -> None:
    """Draw every arm's return with its interval, and each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    arms = [arm for arm in board["arms"] if arm != "random"][::-1]  # so far below that it would hide the others' differences
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for y, arm in enumerate(arms):
        row = board["arms"][arm]
        axes.plot(row["return_95"], [y, y], color="#2a6f97", linewidth=3, solid_capstyle="butt")
        axes.plot(row["return_by_seed"], [y] * len(row["return_by_seed"]), "o", color="white", markeredgecolor="#2a6f97", markersize=5)
        axes.plot(row["return"], y, "o", color="#012a4a", markersize=7)
    axes.set_yticks(range(len(arms)), [f"{arm}" for arm in arms])
    axes.set_xlabel("return on the test patients: mean, 95 % interval, each seed")
    axes.set_title("What is lost by perceiving instead of knowing", loc="left", fontsize=11)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def write_page(folder: Path) -> None:
    """Write ``board.json``, ``board.md`` and ``board.png`` beside the folder of results."""
    board = summary(folder)
    place = folder.parent
    (place / "board.json").write_text(json.dumps(board, indent=1) + "\n", encoding="utf-8")
    (place / "board.md").write_text(page(board), encoding="utf-8")
    draw(board, place / "board.png")
