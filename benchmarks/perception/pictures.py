"""The pictures of docs/perception.md.

    python -m benchmarks.perception.pictures                 # all of them, into docs/images
    python -m benchmarks.perception.pictures --only xrays chart

X-rays over severity, overlays of the segmentation, reconstructions side by side, synthetic beside real, attention over a chart.
A picture whose weights or real data are absent is left out, by name.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

OUT = Path(__file__).parents[2] / "docs" / "images"
RESULTS = Path(__file__).parent / "results"
INK = "#1b2a41"


def figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and its axes, (rows, columns)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)


def grey(axes: Any, image: np.ndarray, title: str = "", **limits: Any) -> None:
    """Show a grey image without ticks."""
    axes.imshow(image, cmap="gray", **({"vmin": 0, "vmax": 255} if image.dtype == np.uint8 else limits))
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=9, color=INK)


def xrays() -> Any:
    """Rows: lung water, consolidation, effusion, and the same patient as scanners and views show them."""
    from medsim.imaging import ChestFindings, image_keys, render_chest

    key, size = image_keys(4, 1), 128
    normal = {"lung_water_ml_per_kg": 7.4, "consolidation": 0.0, "effusion_ml": 0.0}
    waters, shares, volumes = (7.4, 12.0, 18.0, 25.0, 35.0), (0.02, 0.05, 0.1, 0.2, 0.4), (100.0, 300.0, 700.0, 1500.0, 2500.0)
    rows: list[tuple[str, list[tuple[str, dict[str, float], str, str]]]] = [
        ("lung water", [(f"{water:g} mL/kg", {"lung_water_ml_per_kg": water}, "a", "pa") for water in waters]),
        ("consolidation", [(f"{100 * share:g} % of the lung", {"consolidation": share}, "a", "pa") for share in shares]),
        ("effusion", [(f"{volume:g} mL", {"effusion_ml": volume}, "a", "pa") for volume in volumes]),
        ("view, scanner", [(f"{view.upper()}, scanner {scanner}", {}, scanner, view) for scanner in "ab" for view in ("pa", "ap")]),
    ]
    rows[3][1].append(("AP, b, 18 mL/kg", {"lung_water_ml_per_kg": 18.0}, "b", "ap"))
    drawn, axes = figure(len(rows), 5, 10, 8.6)
    for line, (name, cells) in zip(axes, rows, strict=True):
        line[0].set_ylabel(name, fontsize=10, color=INK)
        for place, (title, changes, scanner, view) in zip(line, cells, strict=True):
            findings = ChestFindings(**{**normal, **changes})
            grey(place, render_chest(key, findings, scanner=scanner, view=view, size=size, masks=False).image[0, 0], title)
    return drawn


def save(drawn: Any, file: Path) -> None:
    """Write a figure whole or not at all."""
    from matplotlib import pyplot as plt

    partial = file.with_name(f".{file.name}.{os.getpid()}.png")
    drawn.savefig(partial, dpi=110)
    plt.close(drawn)
    os.replace(partial, file)


PICTURES: dict[str, Callable[[], Any]] = {"xrays": xrays}


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in tqdm(args.only, desc="pictures", unit="picture"):
        try:
            drawn = PICTURES[name]()
        except (FileNotFoundError, ValueError) as error:
            tqdm.write(f"{name} is left out: {error}")
            continue
        save(drawn, args.out / f"perception_{name}.png")


if __name__ == "__main__":
    main()
