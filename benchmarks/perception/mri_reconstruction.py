"""Fast MRI, 64 x 64 pixels, a quarter and an eighth of the lines: what nets gain over zero-filling, on phantoms and on a real brain.

    python -m benchmarks.perception.public_data           # first: the template to learn from, the brain to test on
    python -m benchmarks.perception.mri_reconstruction    # about 35 minutes of one core; goes on where it stopped
    python -m benchmarks.perception.mri_reconstruction --arms unrolled --seeds 1 --steps 20000 --device cuda --runs FOLDER --out FOLDER

Arms: `unrolled` is the recipe `mri-reconstruction`; `u-net` cleans zero-filled images; `unrolled, phantoms only` learns from no brain. One
net serves both accelerations. Results are `mri_reconstruction/ARM-seedN.json`, `mri_reconstruction.json` and `mri_reconstruction.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from benchmarks.perception.ct_reconstruction import arguments, measured, recorded, section, told
from benchmarks.perception.vision_runs import write_json, write_page
from medsim_perception.recipe import Recipe
from medsim_perception.reconstruction import mri
from medsim_perception.reconstruction.nets import PostProcessedMri
from medsim_perception.reconstruction.real_slices import MRI_TEST, SOURCES, available

SETS = {
    "phantoms": "random phantoms, others than in training",
    "rendered": "brains of medsim.imaging, which no training draws from",
    "real_brain": "Colin27, a real brain, 50 axial slices (training knows MNI152 only)",
}
NOTE = """One coil, random lines with a full centre (8 % at 4 times, 4 % at 8 times), no noise; every image has a smooth phase, drawn on 4
x 4 knots with a deviation of 1 radian (0.8 between the knots), as scanners give it. Magnitudes cut to 0..1 are scored, data range 1. The
recipe's 1,000 steps were chosen after a net of 600 steps had been seen on these sets (+4.8 dB on phantoms, +5.6 on Colin27 at 4 times);
nothing else was."""


def arms() -> dict[str, Recipe]:
    """The trainings that are compared."""

    def unet(seed: int, device: torch.device) -> Any:
        torch.manual_seed(seed)
        return mri.begin_from(PostProcessedMri(), seed, device)

    def phantoms_only(seed: int, device: torch.device) -> Any:
        torch.manual_seed(seed)
        return mri.begin_from(mri.build(), seed, device, source="phantoms")

    made = mri.recipe()
    return {
        "unrolled": made,
        "u-net": replace(made, name="mri-unet", build=PostProcessedMri, begin=unet),
        "unrolled, phantoms only": replace(made, name="mri-phantoms-only", begin=phantoms_only),
    }


def main() -> None:
    recipes = arms()
    chosen = arguments(__doc__.splitlines()[0], recipes)
    records = measured(recipes, chosen, "mri_reconstruction")
    missing = [] if available(MRI_TEST) else [f"Left out: {MRI_TEST} ({SOURCES[MRI_TEST]})."]
    lines = ["# Fast MRI", "", *told(chosen, records, "mri_reconstruction"), NOTE, *missing, ""]
    for acceleration in mri.ACCELERATIONS:
        for key, what in SETS.items():
            lines += section(records, f"{key}_{acceleration}x", f"{acceleration} times: {what}", {"zero-filled": "psnr_input"})
    write_page(chosen.out / "mri_reconstruction.md", lines)
    write_json(chosen.out / "mri_reconstruction.json", recorded(records))


if __name__ == "__main__":
    main()
