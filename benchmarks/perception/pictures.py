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


def segmentation() -> Any:
    """Chests of unseen patients: the picture, what is true, what the net finds."""
    from medsim_perception.segmentation.chest import STRUCTURES, predicted, test_chests
    from medsim_perception.segmentation.overlay import overlay
    from medsim_perception.weights import load_model

    model, data = load_model("chest-segmentation"), test_chests("a")
    has = {name: data.masks[:, STRUCTURES.index(name)].any((1, 2)) for name in ("consolidation", "effusion")}
    chosen = np.flatnonzero(has["consolidation"] & has["effusion"])[:6]
    found = predicted(model, data.images[chosen])
    drawn, axes = figure(3, len(chosen), 10, 5.4)
    for column, place in enumerate(chosen):
        image = data.images[place, 0].numpy()
        grey(axes[0, column], image)
        for row, masks in ((1, data.masks[place]), (2, found[column])):
            named = dict(zip(STRUCTURES, masks, strict=True))
            grey(axes[row, column], overlay(image, named))
    for row, name in enumerate(("picture", "true", "found")):
        axes[row, 0].set_ylabel(name, fontsize=10, color=INK)
    drawn.suptitle("lungs blue, heart red, consolidation yellow, effusion pink; the first six sick test patients", fontsize=9, color=INK)
    return drawn


def reconstruction() -> Any:
    """A CT and an MRI slice of test phantoms, and one of a real brain: the truth, the classical image, the net's."""
    from medsim_perception.reconstruction import ct, mri, pictures
    from medsim_perception.weights import load_model

    rows = [
        pictures.ct_side_by_side(ct.test_phantoms()[0, 0], {"unrolled net": load_model("ct-reconstruction")}),
        pictures.mri_side_by_side(mri.test_phantoms()[0, 0], {"unrolled net": load_model("mri-reconstruction")}),
        pictures.mri_side_by_side(mri.test_brains()[25, 0], {"unrolled net": load_model("mri-reconstruction")}),
    ]
    drawn, axes = figure(3, 3, 7.5, 8.1)
    for line, row in zip(axes, rows, strict=True):
        for place, title, image, score in zip(line, row.titles, row.images, row.scores, strict=True):
            text = title if score is None else f"{title}\n{score.psnr:.1f} dB, SSIM {score.ssim:.2f}"
            grey(place, image.numpy(), text, vmin=0.0, vmax=1.0)
    for place, name in zip(axes[:, 0], ("CT, phantom", "MRI, phantom", "MRI, a real brain (Colin27)"), strict=True):
        place.set_ylabel(name, fontsize=9, color=INK)
    return drawn


def synthetic() -> Any:
    """Made X-rays of children, below each the nearest real one, and real ones by chance; patients translated from scanner to scanner."""
    from medsim_perception.gan import pictures
    from medsim_perception.gan.scanner_translation import FIRST_TEST, same_patients
    from medsim_perception.real_data import pneumonia_mnist
    from medsim_perception.weights import load_model

    real = pneumonia_mnist()
    made = pictures.beside_real(load_model("chest-gan"), real.train.images, real.train.labels, ("normal", "pneumonia"))
    translated = pictures.scanners_side_by_side(load_model("chest-cyclegan"), *same_patients(8, FIRST_TEST))
    heights = [8.6 * board.picture.shape[0] / board.picture.shape[1] for board in (made, translated)]
    from matplotlib import pyplot as plt

    drawn, axes = plt.subplots(2, 1, figsize=(11.6, sum(heights) + 0.6), height_ratios=heights, layout="constrained")
    titles = "made from noise, beside real X-rays of children (28 x 28)", "rendered patients, translated from scanner to scanner (64 x 64)"
    for place, board, title in zip(axes, (made, translated), titles, strict=True):
        grey(place, board.picture, title)
        each = board.picture.shape[0] / len(board.rows)
        place.set_yticks([(number + 0.5) * each for number in range(len(board.rows))], board.rows, color=INK, fontsize=8)
        place.tick_params(length=0)
    return drawn


def chart() -> Any:
    """Attention over the chart of one test patient, by a net trained for this: each hour's, and what each cell adds to the state."""
    import torch

    from medsim_perception.ehr import multitask
    from medsim_perception.ehr.encoder import INPUTS

    torch.set_num_threads(1)
    learner = multitask.begin(0, torch.device("cpu"), core="retain", patients=1500, steps=500)
    while learner.step_number < learner.planned_steps:
        learner.step()
    model = learner.model.eval()
    test = multitask.cohort(60, multitask.TEST_SEED, "test")
    ill = int(np.argmax(test.courses.hidden[:, 30, 1]))  # the most damaged at 30 h
    seen, _ = test.batch(np.array([ill]), np.array([30]))
    inputs = model.inputs({name: torch.from_numpy(array) for name, array in seen.items()})
    with torch.no_grad():
        weights = model.net.attention(*inputs)[0].numpy()
        added = model.net.contributions(*inputs)[0].norm(dim=-1).numpy()  # (hours, columns): length of what is added
    drawn, axes = figure(2, 1, 9, 6.5)
    axes[0, 0].bar(np.arange(-len(weights) + 1, 1), weights, color="#2a6f97")
    axes[0, 0].set_ylabel("attention", color=INK)
    axes[0, 0].set_xlim(-23.5, 0.5)
    shown = axes[1, 0].imshow(added.T, cmap="Blues", aspect="auto", extent=(-23.5, 0.5, len(INPUTS) - 0.5, -0.5))
    axes[1, 0].set_yticks(range(len(INPUTS)), INPUTS, fontsize=7)
    axes[1, 0].set_xlabel("hours before now")
    drawn.colorbar(shown, ax=axes[:, 0], label="what a cell adds to the state, length")
    return drawn


def save(drawn: Any, file: Path) -> None:
    """Write a figure whole or not at all."""
    from matplotlib import pyplot as plt

    partial = file.with_name(f".{file.name}.{os.getpid()}.png")
    drawn.savefig(partial, dpi=110)
    plt.close(drawn)
    os.replace(partial, file)


PICTURES: dict[str, Callable[[], Any]] = {
    "xrays": xrays,
    "segmentation": segmentation,
    "reconstruction": reconstruction,
    "synthetic": synthetic,
    "chart": chart,
}


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
