"""Does translating a strange scanner's pictures help a segmenter that knows the other? With the simpler remedies beside it.

    python -m benchmarks.perception.cyclegan                                  as in cyclegan.md, about 15 minutes of one core
    python -m benchmarks.perception.cyclegan --device cuda --cycle-steps 20000 --segmenter-steps 2000 --out FOLDER

Segmenters learn from rendered chests of scanner "a" only and are judged on the same 500 test patients in two views under both scanners.
Pictures of "b" come as they are, matched in histogram to pictures of "a", or translated by a CycleGAN that has never seen a test patient,
a pair or a mask.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.perception.vision_runs import machine, summary, table, with_interval, write_json, write_page
from medsim_perception.device import choose_device
from medsim_perception.gan import scanner_translation
from medsim_perception.gan.cycle import CycleLearner, translate
from medsim_perception.gan.histograms import matched_each, matched_together
from medsim_perception.gan.scanner_translation import FIRST_TEST, SIDE, TRAIN_EACH, likeness, same_patients, unpaired
from medsim_perception.gan.stability import stability
from medsim_perception.recipe import Learner
from medsim_perception.segmentation.chest import ANY_GREY, STRUCTURES, begin_with, masked_chests, overlap, predicted
from medsim_perception.training import read_run, run

Grey = NDArray[np.uint8]
REFERENCE = "plain, on scanner a"
BASE = "plain, b as it is"
ARMS = (
    REFERENCE, BASE, "plain, b matched in histogram, each picture", "plain, b matched in histogram, all by one map", "plain, b translated",
    "augmented, on scanner a", "augmented, b as it is", "augmented, b translated",
)  # fmt: skip
METRICS = (*(f"dice_{name}" for name in STRUCTURES), "false_area_error_consolidation")
INTRODUCTION = """# A strange scanner's pictures, translated

Segmenters learn from rendered chests of scanner a; test patients (500, two views, 64 x 64) are seen by a and by b. `augmented` changes
grey, sharpness and noise at random in training. Histograms and translators come from 2,000 other patients of each scanner, unpaired.
Means over seeds of segmenters, which share three translators, with 95 % t-intervals; masks are not tidied afterwards. `false area error
consolidation` is the share of the lungs that is called consolidated where nothing is."""
LIKENESS_TEXT = """Likeness of 400 unseen patients in dB (peak signal to noise), over translators: to their true picture by the other
scanner, which only a renderer can know, untranslated and translated, and to themselves after there and back."""
LIKENESS = ("psnr_untranslated", "psnr_b_to_a", "psnr_a_to_b", "psnr_a_b_a", "psnr_b_a_b")


def trained_translator(seed: int, arguments: argparse.Namespace) -> tuple[torch.nn.Module, list[dict[str, float]]]:
    """Translators of the recipe `chest-cyclegan`, in a run folder that can be shipped, and what was written down in this call."""
    begun: list[CycleLearner] = []

    def begin(number: int, device: torch.device) -> Learner:
        begun.append(scanner_translation.begin(number, device))
        return begun[-1]

    recipe = replace(scanner_translation.recipe(), begin=begin)
    steps = arguments.cycle_steps if arguments.cycle_steps != scanner_translation.SETTINGS.steps else None
    with tqdm(desc=f"translators {seed}", unit="step", mininterval=5) as bar:

        def progress(done: int, planned: int, loss: float) -> None:
            bar.total = planned
            bar.update(done - bar.n)

        model = run(recipe, seed, folder_of(seed, arguments), steps=steps, device=arguments.device, progress=progress)
    return model, begun[-1].history if begun else []


def kept(path: Path, settings: dict[str, int], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was worked out with these settings, read or made."""
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        if all(found.get(name) == value for name, value in settings.items()):
            return found
    start = time.process_time()
    record = {**settings, **work()}
    record["cpu_seconds"] = round(time.process_time() - start, 1)
    write_json(path, record)
    return record


def trained_segmenter(augmented: bool, seed: int, arguments: argparse.Namespace) -> torch.nn.Module:
    learner = begin_with(ANY_GREY if augmented else None, seed, choose_device(arguments.device), arguments.segmenter_steps)
    for _ in tqdm(range(arguments.segmenter_steps), desc=f"segmenter {seed}, {'augmented' if augmented else 'plain'}", mininterval=5):
        learner.step()
    return learner.model


def one_seed(seed: int, translated: Grey, matched: dict[str, Grey], arguments: argparse.Namespace) -> dict[str, Any]:
    """Dice of every arm of one seed."""
    a, b = masked_chests("test", "a"), masked_chests("test", "b")
    plain, augmented = (trained_segmenter(augment, seed, arguments) for augment in (False, True))
    shown: dict[str, tuple[torch.nn.Module, Any]] = {
        ARMS[0]: (plain, a.images),
        ARMS[1]: (plain, b.images),
        ARMS[2]: (plain, matched["each"]),
        ARMS[3]: (plain, matched["together"]),
        ARMS[4]: (plain, translated),
        ARMS[5]: (augmented, a.images),
        ARMS[6]: (augmented, b.images),
        ARMS[7]: (augmented, translated),
    }
    return {name: overlap(a.masks, predicted(net, torch.as_tensor(images), tidy=False)) for name, (net, images) in shown.items()}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="segmenters of each kind")
    parser.add_argument("--translators", type=int, default=3, help="CycleGANs; seeds take turns with them")
    parser.add_argument("--only-translator", type=int, help="train and judge this one and stop: several processes, one each, side by side")
    parser.add_argument("--cycle-steps", type=int, default=600)
    parser.add_argument("--segmenter-steps", type=int, default=400)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--work", type=Path, default=Path("runs/perception/chest-cyclegan"), help="run folders of translators")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    settings = {"cycle_steps": arguments.cycle_steps}
    b = masked_chests("test", "b").images.numpy()
    known_a, known_b = unpaired(TRAIN_EACH)
    matched = {"each": matched_each(b, known_a), "together": matched_together(b, known_b, known_a)}
    pair = same_patients(400, FIRST_TEST, SIDE)
    models, translators = [], []
    for seed in range(arguments.translators) if arguments.only_translator is None else [arguments.only_translator]:
        model, history = trained_translator(seed, arguments)
        models.append(model)

        def judged(model: torch.nn.Module = model, history: list[dict[str, float]] = history) -> dict[str, Any]:
            return {
                **likeness(model, pair),
                "stability": stability(history) if history else {},
                "history": history[:: max(1, len(history) // 50)],
            }

        translators.append(kept(arguments.out / "cyclegan" / f"translators{seed}.json", settings, judged))
    if arguments.only_translator is not None:
        return
    seeds = []
    for seed in range(arguments.seeds):
        translated = translate(models[seed % len(models)], b, "a")
        path = arguments.out / "cyclegan" / f"seed{seed}.json"
        own = {**settings, "segmenter_steps": arguments.segmenter_steps, "translator": seed % len(models), "seed": seed}
        seeds.append(kept(path, own, lambda seed=seed, shown=translated: one_seed(seed, shown, matched, arguments)))  # type: ignore[misc]
    write(translators, seeds, arguments)


def trained_on(arguments: argparse.Namespace) -> str:
    """What the translators were trained on, by their run folders, and for how long."""
    runs = [read_run(folder_of(seed, arguments)) for seed in range(arguments.translators)]
    kinds = sorted({f"{one['device']}, torch {one['versions']['torch'].partition('+')[0]}" for one in runs})
    return f"{' and '.join(kinds)}; {np.mean([one['seconds'] for one in runs]):.0f} s each"


def folder_of(seed: int, arguments: argparse.Namespace) -> Path:
    place: Path = arguments.work / f"steps{arguments.cycle_steps}-seed{seed}"
    return place


def column(seeds: Sequence[dict[str, Any]], arm: str, metric: str) -> list[float]:
    return [float(one[arm][metric]) for one in seeds]


def write(translators: list[dict[str, Any]], seeds: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    command = (
        f"python -m benchmarks.perception.cyclegan --seeds {arguments.seeds} --translators {arguments.translators} "
        f"--cycle-steps {arguments.cycle_steps} --segmenter-steps {arguments.segmenter_steps}"
    )
    scores = [[arm, *(with_interval(column(seeds, arm, metric)) for metric in METRICS)] for arm in ARMS]
    likes = [[name.replace("_", " "), with_interval([one[name] for one in translators], 2)] for name in LIKENESS]
    lines = [*INTRODUCTION.splitlines(), "", f"Command: `{command}` on {machine(arguments.device)}."]
    lines += [f"Segmenter seeds 0 to {arguments.seeds - 1}; seed s uses translator s mod {arguments.translators}."]
    lines += [f"Translators: {trained_on(arguments)}.", ""]
    lines += [*table(["arm", *(m.replace("_", " ") for m in METRICS)], scores), "", "Paired differences of Dice, in points:", ""]
    lines += [*difference_table(seeds), "", LIKENESS_TEXT, "", *table(["measure", "mean"], likes)]
    write_page(arguments.out / "cyclegan.md", lines)
    record = {
        "machine": machine(arguments.device), "command": command,
        "arms": {arm: {metric: summary(column(seeds, arm, metric)) for metric in METRICS} for arm in ARMS},
        "likeness": {name: summary([one[name] for one in translators]) for name in LIKENESS},
        "stability": [one["stability"] for one in translators],
    }  # fmt: skip
    write_json(arguments.out / "cyclegan.json", record)


def difference_table(seeds: Sequence[dict[str, Any]]) -> list[str]:
    pairs = [(ARMS[k], ARMS[1]) for k in (0, 2, 3, 4)] + [(ARMS[4], ARMS[3]), (ARMS[6], ARMS[4]), (ARMS[7], ARMS[6])]
    rows = []
    for first, second in pairs:
        gaps = [np.subtract(column(seeds, first, f"dice_{name}"), column(seeds, second, f"dice_{name}")) * 100 for name in STRUCTURES]
        rows.append([f"{first} less {second}", *(with_interval(gap.tolist(), 1) for gap in gaps)])
    return table(["", *STRUCTURES], rows)


if __name__ == "__main__":
    main()
