"""Do made images help a classifier with a rare class? The remedies side by side, on real and on rendered chest X-rays.

    python -m benchmarks.perception.augmentation                    as in augmentation.md, about 40 minutes of one core
    python -m benchmarks.perception.augmentation --device cuda --gan-steps 50000 --gans 10 --out FOLDER

`real`: PneumoniaMNIST with 388 of its 1,214 normal training images (the rest held back: the upper bound) and all 3,494 of pneumonia;
validation and test images are untouched; normal is the rare class. `rendered`: 1,500 chests without and 100 with consolidation by
medsim.imaging at 32 x 32, 700 more with consolidation held back. Generators learn from the skewed training images only. Every arm of a
seed is the same net from the same weights.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.perception import augmentation_page
from benchmarks.perception.vision_runs import write_json
from medsim.imaging import image_keys, random_findings, render_chest
from medsim_perception.device import choose_device
from medsim_perception.gan.conditional import ConditionalLearner, GanSettings
from medsim_perception.gan.distances import distances, features_of
from medsim_perception.gan.diversity import diversity, memorisation
from medsim_perception.gan.gate import quality_gate
from medsim_perception.gan.nets import ConditionalGenerator
from medsim_perception.gan.protocol import ARMS, RareClass, score, told_apart, train_classifier
from medsim_perception.gan.stability import stability
from medsim_perception.real_data import pneumonia_mnist

KEPT_NORMAL = 388  # the naturally skewed set's
SPLIT_SEED = 0
WORLD_SEED = 20_112  # the renderer's, for the rendered task
PAIRS = (("made", "nothing"), ("made + balanced", "balanced sampling"))  # an arm with made images, and the same without


@dataclass(frozen=True, kw_only=True)
class Study:
    """A task with its validation and test images and how its classifier is trained."""

    task: RareClass
    validation: tuple[NDArray[np.uint8], NDArray[np.int64]]
    test: tuple[NDArray[np.uint8], NDArray[np.int64]]
    steps: int
    stem_stride: int


def real_study() -> Study:
    """The skewed PneumoniaMNIST; label 1 is normal, the rare class."""
    data = pneumonia_mnist()
    labels = 1 - data.train.labels
    normal = np.random.default_rng(SPLIT_SEED).permutation(np.flatnonzero(labels == 1))
    kept = np.sort(np.concatenate([normal[:KEPT_NORMAL], np.flatnonzero(labels == 0)]))
    task = RareClass(
        images=torch.from_numpy(data.train.images[kept]), labels=torch.from_numpy(labels[kept]),
        extra_real=torch.from_numpy(data.train.images[normal[KEPT_NORMAL:]]),
    )  # fmt: skip
    validation, test = ((part.images, 1 - part.labels) for part in (data.validation, data.test))
    return Study(task=task, validation=validation, test=test, steps=300, stem_stride=1)


def rendered_study() -> Study:
    """Consolidation of 10 to 40 % of the lungs or none; lung water 4 to 8.7 mL/kg, hearts and effusions of every size."""
    (images, labels), (extra, _) = _chests(0, 1500, 100), _chests(1, 0, 700)
    task = RareClass(images=torch.from_numpy(images), labels=torch.from_numpy(labels), extra_real=torch.from_numpy(extra))
    return Study(task=task, validation=_chests(2, 350, 150), test=_chests(3, 1000, 500), steps=400, stem_stride=2)


def _chests(part: int, without: int, with_: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    n = without + with_
    keys = image_keys(WORLD_SEED, n, first_patient=1_000_000 * part)
    labels = (np.arange(n) >= without).astype(np.int64)
    found = random_findings(keys)
    water = 4 + 0.15 * (np.asarray(found.lung_water_ml_per_kg) - 4)  # chosen: oedema would hide what is asked for
    share = np.random.default_rng([WORLD_SEED, part]).uniform(0.1, 0.4, n) * labels
    return render_chest(keys, replace(found, consolidation=share, lung_water_ml_per_kg=water), size=32).image, labels


STUDIES = {"real": real_study, "rendered": rendered_study}


def trained_generator(
    study: Study, seed: int, arguments: argparse.Namespace, name: str
) -> tuple[ConditionalGenerator, list[dict[str, float]]]:
    """A generator of the study's training images, resumed from a checkpoint where there is one."""
    settings = GanSettings(steps=arguments.gan_steps, batch=arguments.gan_batch)
    learner = ConditionalLearner(study.task.images, study.task.labels, seed, choose_device(arguments.device), settings)
    kept = arguments.work / f"{name}-gan{seed}-{arguments.gan_steps}.pt"
    if kept.exists():
        learner.load_state_dict(torch.load(kept, map_location="cpu", weights_only=True))
    with tqdm(total=learner.planned_steps, initial=learner.step_number, desc=f"{name} generator {seed}", mininterval=5) as bar:
        while learner.step_number < learner.planned_steps:
            learner.step()
            bar.update()
            if learner.step_number % 250 == 0 or learner.step_number == learner.planned_steps:
                kept.parent.mkdir(parents=True, exist_ok=True)
                torch.save(learner.state_dict(), kept.with_suffix(".part"))
                kept.with_suffix(".part").replace(kept)
    assert isinstance(learner.model, ConditionalGenerator)
    return learner.model, learner.history


def judged_generator(study: Study, seed: int, model: ConditionalGenerator, history: list[dict[str, float]]) -> dict[str, Any]:
    """How the training went and what the made images of the rare class are like, beside the held-back real ones."""
    encoder = train_classifier(study.task, ARMS["balanced sampling"], 1000, steps=study.steps, stem_stride=study.stem_stride).encoder
    rare = study.task.images[study.task.labels == 1]
    held_out = study.task.extra_real
    made = samples(model, len(held_out), seed)
    torch.manual_seed(seed)
    blank = ConditionalGenerator(2, model.side, model.latent, model.last.in_channels)
    looks = {
        name: features_of(encoder, images)
        for name, images in (("train", rare), ("held", held_out), ("made", made), ("blank", samples(blank, len(held_out), seed)))
    }
    pixels = [images.reshape(len(images), -1).numpy() / 255.0 for images in (rare, held_out, made)]
    return {
        "stability": stability(history),
        "history": history[:: max(1, len(history) // 50)],
        "distances": distances(looks["held"], looks["made"], looks["train"])._asdict(),
        "distances_untrained": distances(looks["held"], looks["blank"], looks["train"])._asdict(),
        "diversity": diversity(looks["train"], looks["held"], looks["made"]),
        "memorisation": memorisation(*pixels)._asdict(),
        "told_apart": {"by_a_net": told_apart(rare, held_out, made, stem_stride=study.stem_stride)},
    }


def samples(model: ConditionalGenerator, n: int, seed: int) -> torch.Tensor:
    """Made images of the rare class."""
    return model.sample(torch.ones(n, dtype=torch.int64), torch.Generator().manual_seed(seed)).cpu()


def one_seed(study: Study, seed: int, model: ConditionalGenerator, device: torch.device) -> dict[str, Any]:
    """Every arm of one seed: metrics on validation and test images, and what the gate says."""
    made = samples(model, len(study.task.extra_real), 10_000 + seed)
    found: dict[str, Any] = {"seed": seed, "arms": {}, "said": {}, "gate": {}}
    for name, arm in ARMS.items():
        net = train_classifier(
            study.task,
            arm,
            seed,
            made=made if arm.added == "made" else None,
            steps=study.steps,
            stem_stride=study.stem_stride,
            device=device,
        )
        chance, on_validation = score(net, *study.validation)
        found["arms"][name] = {"validation": on_validation, "test": score(net, *study.test)[1]}
        found["said"][name] = (chance > 0.5).astype(int).tolist()  # of validation images: the gate's evidence
    for with_made, without in PAIRS:
        verdict = quality_gate(study.validation[1], found["said"][without], found["said"][with_made])
        found["gate"][with_made] = verdict._asdict()
    return found


def read_json(path: Path, gan_steps: int) -> dict[str, Any] | None:
    """What a seed left behind, unless it was of generators of another length."""
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return found if found is not None and found["gan_steps"] == gan_steps else None


def parts_of(name: str, arguments: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Where the generators and the seeds of a task leave their figures."""
    folder = arguments.out / "augmentation"
    kinds = (("gan", arguments.gans), ("seed", arguments.seeds))
    generators, seeds = ([folder / f"{name}-{kind}{number}.json" for number in range(count)] for kind, count in kinds)
    return generators, seeds


def run_study(name: str, arguments: argparse.Namespace) -> None:
    """All generators and seeds of one task, each kept as it is done."""
    study, device = STUDIES[name](), choose_device(arguments.device)
    settings = {"gan_steps": arguments.gan_steps}
    models: list[ConditionalGenerator] = []
    generators, seeds = parts_of(name, arguments)
    for number, place in enumerate(generators):
        if arguments.only_gan not in (None, number):
            continue
        model, history = trained_generator(study, number, arguments, name)
        models.append(model.to(device))
        if read_json(place, arguments.gan_steps) is None:
            write_json(place, judged_generator(study, number, model.cpu(), history) | settings)
            model.to(device)
    if arguments.only_gan is not None:
        return
    for seed, place in enumerate(tqdm(seeds, desc=f"{name} classifiers")):
        if read_json(place, arguments.gan_steps) is None:
            number = seed % arguments.gans
            write_json(place, one_seed(study, seed, models[number], device) | settings | {"generator": number})


def gathered(name: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a task, if all of them are there."""
    generators, seeds = ([read_json(place, arguments.gan_steps) for place in places] for places in parts_of(name, arguments))
    if any(part is None for part in (*generators, *seeds)):
        return None
    return {"generators": generators, "seeds": seeds, "validation_labels": STUDIES[name]().validation[1].tolist()}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=10, help="classifiers of each arm")
    parser.add_argument("--gans", type=int, default=2, help="generators of each task; seeds take turns with them")
    parser.add_argument("--only-gan", type=int, help="train and judge this generator and stop: several processes, one each, side by side")
    parser.add_argument("--gan-steps", type=int, default=1500)
    parser.add_argument("--gan-batch", type=int, default=32)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--work", type=Path, default=Path("runs/perception/augmentation"), help="checkpoints of generators")
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    for name in arguments.tasks:
        run_study(name, arguments)
    if arguments.only_gan is not None:
        return
    found = {name: gathered(name, arguments) for name in STUDIES}  # also what an earlier call left
    results = {name: task for name, task in found.items() if task is not None}
    augmentation_page.write(results, arguments)


if __name__ == "__main__":
    main()
