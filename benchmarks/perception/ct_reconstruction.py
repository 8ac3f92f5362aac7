"""Low-dose CT, 64 x 64 pixels, 60 angles, 4,000 photons: what nets gain over filtered back-projection, on phantoms and on a real head.

    python -m benchmarks.perception.public_data          # first: the template to learn from, the head to test on
    python -m benchmarks.perception.ct_reconstruction    # about 15 minutes of one core; goes on where it stopped
    python -m benchmarks.perception.ct_reconstruction --arms unrolled --seeds 1 --steps 20000 --device cuda --runs FOLDER --out FOLDER

Arms: `unrolled` is the recipe `ct-reconstruction`; `u-net` cleans back-projections; `unrolled, phantoms only` learns from no brain. Runs
are in runs/perception/NAME/seedN; results are `ct_reconstruction/ARM-seedN.json`, `ct_reconstruction.json` and `ct_reconstruction.md`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.perception.vision_runs import RESULTS, RUNS, machine, summary, table, trained, with_interval, write_json, write_page
from medsim.imaging import image_keys, render_ct
from medsim_perception.device import choose_device
from medsim_perception.recipe import Recipe
from medsim_perception.reconstruction import ct
from medsim_perception.reconstruction.dose import from_hu
from medsim_perception.reconstruction.judging import in_batches
from medsim_perception.reconstruction.lesions import LesionRates, lesion_rates
from medsim_perception.reconstruction.nets import PostProcessedCt
from medsim_perception.reconstruction.real_slices import CT_HEAD, SOURCES, available
from medsim_perception.training import load_run

Records = dict[str, list[dict[str, Any]]]
SETS = {
    "phantoms": "random phantoms, others than in training",
    "rendered": "chests and bellies of medsim.imaging, which no training draws from",
    "real_head": "a real head, 45 slices",
    "real_spine": "a real chest, one slice that fills the circle",
}
PATIENTS = 200
TUMOURS = {"lungs": ("thorax", 15.0), "liver": ("abdomen", 40.0)}  # chosen: 2.5 pixels of high contrast, 7 of low
CLASSICAL: dict[str, Sequence[Callable[[Tensor], Tensor]]] = {
    "filtered back-projection": [ct.CT.reconstruct],
    "the same with Hann's window": [lambda sinograms: ct.CT.reconstruct(sinograms, "hann")],
}
NOTE = """Trained on random phantoms and heads made from MNI152 with random skulls; images are 0..1 over -1000 to 2000 HU, all are cut to
that before they are scored. Data range 1. Hann's window is the classical way to less noise."""


def arms() -> dict[str, Recipe]:
    """The trainings that are compared."""

    def unet(seed: int, device: torch.device) -> Any:
        torch.manual_seed(seed)
        return ct.begin_from(PostProcessedCt(ct.CT), seed, device)

    def phantoms_only(seed: int, device: torch.device) -> Any:
        torch.manual_seed(seed)
        return ct.begin_from(ct.build(), seed, device, source="phantoms")

    made = ct.recipe()
    return {
        "unrolled": made,
        "u-net": replace(made, name="ct-unet", build=lambda: PostProcessedCt(ct.CT), begin=unet),
        "unrolled, phantoms only": replace(made, name="ct-phantoms-only", begin=phantoms_only),
    }


def main() -> None:
    recipes = arms()
    chosen = arguments(__doc__.splitlines()[0], recipes)
    records = measured(recipes, chosen, "ct_reconstruction")
    missing = [] if available(CT_HEAD) else [f"Left out: {CT_HEAD} ({SOURCES[CT_HEAD]})."]
    lines = ["# Low-dose CT", "", *told(chosen, records, "ct_reconstruction"), NOTE, *missing, ""]
    for key, what in SETS.items():
        lines += section(records, key, what, {"filtered back-projection": "psnr_input", "the same with Hann's window": "psnr_hann"})
    found = lesions({arm: [model_of(recipes[arm], one["seed"], chosen) for one in ones] for arm, ones in records.items()})
    write_page(chosen.out / "ct_reconstruction.md", [*lines, *lesion_section(found)])
    write_json(chosen.out / "ct_reconstruction.json", {**recorded(records), "lesions": found})


def model_of(recipe: Recipe, seed: int, chosen: argparse.Namespace) -> nn.Module:
    """The finished model of a run."""
    return load_run(recipe, chosen.runs / recipe.name / f"seed{seed}")


def lesions(models: Mapping[str, Sequence[nn.Module]]) -> dict[str, dict[str, list[float]]]:
    """What becomes of tumours, by organ and method: kept, contrast and made up, each over seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for organ, (region, tumour_mm) in TUMOURS.items():
        keys = image_keys(ct.TEST_SEED, PATIENTS)
        healthy, ill = (render_ct(keys, size, region=region) for size in (None, tumour_mm))
        without, having = (ct.in_circle(from_hu(torch.from_numpy(one.image))) for one in (healthy, ill))
        masks = torch.from_numpy(ill.masks["tumour"]), torch.from_numpy(healthy.masks[organ])
        for method, ways in {**CLASSICAL, **models}.items():
            rates = [lesion_rates(scanned(way), without, having, *masks, tumour_mm / 2 / (380 / 64)) for way in ways]
            found[f"{organ}, {method}"] = {name: [getattr(one, name) for one in rates] for name in LesionRates._fields}
    return found


def scanned(way: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """From true images to those that a method makes of a scan of them."""

    def reconstruct(images: Tensor) -> Tensor:
        return in_batches(way, ct.CT.scan(images, torch.Generator().manual_seed(ct.TEST_SEED)))

    return reconstruct


def lesion_section(found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """The table of tumours."""
    what = (
        f"{PATIENTS} simulated patients each; tumours of {', '.join(f'{mm:.0f} mm in the {organ}' for organ, (_, mm) in TUMOURS.items())}"
    )
    rows = [[*key.split(", ", 1), *(with_interval(one[name], 2) for name in LesionRates._fields)] for key, one in found.items()]
    explained = "`kept`: nearer to the truth with the tumour than to that without; `made up`: a patient without one who seems to have one."
    return ["## Tumours", "", f"{what}. {explained}", "", *table(["where", "by", "kept", "contrast kept", "made up"], rows), ""]


def arguments(description: str, recipes: Mapping[str, Recipe]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="seeds of the trainings")
    parser.add_argument("--arms", nargs="+", choices=tuple(recipes), default=list(recipes))
    parser.add_argument("--steps", type=int, default=None, help="steps of a training, instead of the recipe's")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    torch.set_num_threads(1)
    return parser.parse_args()


def measured(recipes: Mapping[str, Recipe], chosen: argparse.Namespace, name: str) -> Records:
    """Train and judge what has not been; returns all records that there are, by arm."""
    for arm in chosen.arms:
        for seed in chosen.seeds:
            path = place(chosen, name, arm, seed)
            if path.is_file() and json.loads(path.read_text()).get("steps") == chosen.steps:
                continue
            began = time.process_time()
            model = trained(recipes[arm], seed, chosen)
            seconds = round(time.process_time() - began, 1)
            metrics = recipes[arm].judge(model, choose_device(chosen.device))
            made_by = {"arm": arm, "seed": seed, "steps": chosen.steps, "machine": machine(chosen.device), "training_cpu_seconds": seconds}
            write_json(path, {**made_by, "metrics": metrics})
    found: Records = {}
    for arm in recipes:
        files = sorted((chosen.out / name).glob(f"{slug(arm)}-seed*.json"))
        if files:
            found[arm] = [json.loads(path.read_text()) for path in files]
    return found


def place(chosen: argparse.Namespace, name: str, arm: str, seed: int) -> Path:
    path: Path = chosen.out / name / f"{slug(arm)}-seed{seed}.json"
    return path


def slug(arm: str) -> str:
    return arm.replace(", ", "-").replace(" ", "-")


def told(chosen: argparse.Namespace, records: Records, name: str) -> list[str]:
    """Command, machine, seeds."""
    seeds = {arm: [one["seed"] for one in ones] for arm, ones in records.items()}
    spent = {arm: sum(one["training_cpu_seconds"] for one in ones) / len(ones) for arm, ones in records.items()}
    each = "; ".join(f"{arm}: seeds {', '.join(map(str, seeds[arm]))}, {spent[arm]:.0f} CPU s a training" for arm in records)
    return [f"`python -m benchmarks.perception.{name}`, {machines(records)}. {each}.", "Means over seeds (95 % t-interval). PSNR in dB."]


def machines(records: Records) -> str:
    """What the trainings were done on."""
    return " and ".join(sorted({one["machine"] for ones in records.values() for one in ones}))


def section(records: Records, key: str, what: str, inputs: Mapping[str, str]) -> list[str]:
    """The table of one set of images, or why there is none."""
    arms_with = {arm: [one["metrics"] for one in ones] for arm, ones in records.items() if f"{key}_psnr" in ones[0]["metrics"]}
    if not arms_with:
        return [f"## {key}: left out, its images are absent", ""]
    first = next(iter(arms_with.values()))[0]
    best = max(inputs, key=lambda name: first[f"{key}_{inputs[name]}"])
    rows = []
    for name, metric in inputs.items():
        psnr, ssim = first[f"{key}_{metric}"], first[f"{key}_{metric.replace('psnr', 'ssim')}"]
        rows.append([name, f"{psnr:.2f}", "", f"{ssim:.3f}", "", ""])
    for arm, ones in arms_with.items():
        over = with_interval([one[f"{key}_psnr"] - one[f"{key}_{inputs[best]}"] for one in ones], 2)
        rows.append([arm, *(column(ones, f"{key}_{metric}", digits) for metric, digits in COLUMNS), over])
    header = ["from", "PSNR", f"gain over {next(iter(inputs))}", "SSIM", "gain", f"PSNR gain over the best classical ({best})"]
    several = len(inputs) > 1  # else the best is the only one
    shown = table(header, rows) if several else table(header[:-1], [row[:-1] for row in rows])
    return [f"## {what[0].upper()}{what[1:]}", "", *shown, ""]


COLUMNS: Sequence[tuple[str, int]] = (("psnr", 2), ("psnr_gain", 2), ("ssim", 3), ("ssim_gain", 3))


def column(ones: Sequence[Mapping[str, float]], metric: str, digits: int) -> str:
    return with_interval([one[metric] for one in ones], digits)


def recorded(records: Records) -> dict[str, Any]:
    """Every metric of every arm with its interval."""
    return {
        "machine": machines(records),
        "arms": {
            arm: {metric: summary([one["metrics"][metric] for one in ones]) for metric in ones[0]["metrics"]}
            for arm, ones in records.items()
        },
    }


if __name__ == "__main__":
    main()
