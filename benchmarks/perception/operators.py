"""Speed of projection and back-projection beside scikit-image, and of the nets in mixed precision and compiled: `operators.json`, `.md`.

    python -m benchmarks.perception.operators

One thread; scikit-image works on one image at a time, ours on one and on 16. Repetitions of all take turns, so that a busy moment hits them
alike; the median and the 10th and 90th percentile are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.perception.vision_runs import arguments, machine, table, write_json, write_page
from medsim_perception.device import autocast, choose_device, compiled
from medsim_perception.metrics import psnr
from medsim_perception.reconstruction.ct import CT
from medsim_perception.reconstruction.mri import measure
from medsim_perception.reconstruction.nets import PostProcessedCt, PostProcessedMri, UnrolledCt, UnrolledMri
from medsim_perception.reconstruction.phantoms import random_phantoms
from medsim_perception.reconstruction.tomography import ParallelBeam

SIZES = ((64, 60), (128, 120))  # pixels a side, angles
REPETITIONS, BATCH = 31, 16
Spread = dict[str, float]


def main() -> None:
    chosen = arguments(__doc__.splitlines()[0])
    device = choose_device(chosen.device)
    record = {
        "machine": machine(chosen.device),
        "projections": [projections(size, angles, device) for size, angles in SIZES],
        "nets": nets(device),
    }
    write_json(chosen.out / "operators.json", record)
    write_page(chosen.out / "operators.md", page(record))


def spread_of(work: Mapping[str, tuple[Callable[[], Any], int]], device: torch.device) -> dict[str, Spread]:
    """Milliseconds an image of each piece of work; they take turns."""
    spent: dict[str, list[float]] = {name: [] for name in work}
    for repetition in range(REPETITIONS + 2):
        for name, (do, images) in work.items():
            began = time.perf_counter()
            do()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repetition >= 2:  # the first ones build weights and warm caches
                spent[name].append((time.perf_counter() - began) * 1000 / images)
    return {
        name: dict(zip(("median", "low", "high"), np.percentile(times, (50, 10, 90)).tolist(), strict=True))
        for name, times in spent.items()
    }


def projections(size: int, angles: int, device: torch.device) -> dict[str, Any]:
    """Times and noiseless quality of one size."""
    from skimage.transform import iradon, radon

    beam, theta = ParallelBeam(size, angles), np.arange(angles) * 180 / angles
    images = random_phantoms(np.random.default_rng(0), BATCH, "ct", size).to(device)
    one, sinograms = images[:1], beam.project(images)
    slices = images[:, 0].cpu().double().numpy()
    theirs = [radon(image, theta, circle=True) for image in slices]
    times = spread_of(
        {
            "scikit-image radon": (lambda: radon(slices[0], theta, circle=True), 1),
            "project, one": (lambda: beam.project(one), 1),
            "project, 16": (lambda: beam.project(images), BATCH),
            "scikit-image iradon": (lambda: iradon(theirs[0], theta, circle=True), 1),
            "filtered back-projection, one": (lambda: beam.filtered_backprojection(sinograms[:1]), 1),
            "filtered back-projection, 16": (lambda: beam.filtered_backprojection(sinograms), BATCH),
        },
        device,
    )
    back = np.stack([iradon(sinogram, theta, circle=True) for sinogram in theirs])
    ours = beam.filtered_backprojection(sinograms)[:, 0].cpu().numpy()
    quality = {"ours": float(np.mean(psnr(slices, ours))), "scikit-image": float(np.mean(psnr(slices, back)))}
    return {"size": size, "angles": angles, "ms": times, "noiseless_psnr": quality}


def nets(device: torch.device) -> list[dict[str, Any]]:
    """Times of inference of a batch of 16."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    sinograms = CT.scan(random_phantoms(rng, BATCH, "ct"), generator).to(device)
    measured, masks, _ = measure(random_phantoms(rng, BATCH, "mri"), 4, generator)
    k_space = (measured.to(device), masks.to(device))
    given: dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]] = {
        "CT, U-Net": (PostProcessedCt(CT), (sinograms,)),
        "CT, unrolled": (UnrolledCt(CT), (sinograms,)),
        "MRI, U-Net": (PostProcessedMri(), k_space),
        "MRI, unrolled": (UnrolledMri(), k_space),
    }
    return [net_times(name, model.to(device).eval(), inputs, device) for name, (model, inputs) in given.items()]


def net_times(name: str, model: nn.Module, inputs: tuple[torch.Tensor, ...], device: torch.device) -> dict[str, Any]:
    """One net as it is, in mixed precision, compiled, and both."""
    quick = compiled(model, example=inputs)

    def through(net: nn.Module, mixed: bool) -> Callable[[], Any]:
        def do() -> Any:
            with torch.no_grad(), autocast(device, mixed):
                return net(*inputs)

        return do

    work = {"float32": through(model, False), "bfloat16": through(model, True)}
    if quick.is_compiled:
        work |= {"compiled": through(quick.model, False), "compiled, bfloat16": through(quick.model, True)}
    times = spread_of({kind: (do, BATCH) for kind, do in work.items()}, device)
    return {"net": name, "weights": sum(p.numel() for p in model.parameters()), "ms": times, "not_compiled": quick.reason}


def page(record: dict[str, Any]) -> list[str]:
    """The readable page."""
    lines = ["# Reconstruction: speed of operators and nets", "", f"`python -m benchmarks.perception.operators`, {record['machine']}.",
             "Milliseconds an image: median (10th to 90th percentile) of 31 repetitions that took turns.", ""]  # fmt: skip
    for one in record["projections"]:
        ms, quality = one["ms"], one["noiseless_psnr"]
        lines += [f"## {one['size']} x {one['size']} pixels, {one['angles']} angles", ""]
        rows = []
        for what, theirs, ours in (("projection", "radon", "project"), ("filtered back-projection", "iradon", "filtered back-projection")):
            base = ms[f"scikit-image {theirs}"]
            for name in (f"scikit-image {theirs}", f"{ours}, one", f"{ours}, 16"):
                rows.append([what, name, shown(ms[name]), f"{base['median'] / ms[name]['median']:.1f} x"])
        lines += table(["work", "by", "ms an image", "speed"], rows)
        lines += [
            "",
            f"Noiseless phantoms come back with {quality['ours']:.2f} dB (ours) and {quality['scikit-image']:.2f} dB (scikit-image).",
            "",
        ]
    kinds = ("float32", "bfloat16", "compiled", "compiled, bfloat16")
    lines += ["## Nets, a batch of 16", ""]
    lines += table(
        ["net", "weights", *kinds],
        [
            [one["net"], f"{one['weights']:,}", *(shown(one["ms"][kind]) if kind in one["ms"] else "-" for kind in kinds)]
            for one in record["nets"]
        ],
    )
    reasons = {one["not_compiled"] for one in record["nets"] if one["not_compiled"]}
    return lines + [line for reason in sorted(reasons) for line in ("", f"Not compiled: {reason}")]


def shown(spread: Spread) -> str:
    return f"{spread['median']:.3f} ({spread['low']:.3f} to {spread['high']:.3f})"


if __name__ == "__main__":
    main()
