"""A scripted drift of scanners: how soon it is noticed, what an update wins back and forgets, and whether a poisoned one is refused.

    python -m benchmarks.perception.online

A small net learns lung water from scanner a; scanner b takes over. Compared: no update, fine-tuning without replay, fine-tuning with
replay, and the same through the gate of `ServedModel`. Recovered: (R2 on b after - before the update) / (R2 on a before - R2 on b before),
the share of the loss; forgotten: R2 on a before - after, in points of 0.01.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.perception.vision_runs import arguments, machine, per_seed, summary, table, with_interval, write_json, write_page
from medsim_perception.online.chest_drift import LungWaterNet, answers, chests, loss, r_squared, watched
from medsim_perception.online.drift import Detector, KolmogorovSmirnov, MeanDiscrepancy, PageHinkley
from medsim_perception.online.replay import Examples, FineTuning, Replay, fine_tuned
from medsim_perception.online.served import ServedModel

NAME = "online"
TRAINING, TRAINING_STEPS = 4000, 500
TEST, REFERENCE = 1000, 1000
LABELLED = 800  # images of scanner b that get labels, of which a quarter only judges
STREAM = 3000  # images without drift, for false alarms
WINDOW, FALSE_ALARMS = 50, 0.005  # a false alarm in 200 windows allowed
TUNING = FineTuning(loss=loss, steps=120, learning_rate=2e-3)


def turned(data: Examples) -> Examples:
    """The same images with black and white exchanged: what MONOCHROME1 looks like to a reader that ignores the header."""
    return Examples(255 - data.x, data.y)


DRIFTS = {"scanner b": lambda data: data, "scanner b, black and white exchanged": turned}


def work(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    training = chests("training", TRAINING, "a", seed)
    net = fine_tuned(LungWaterNet(), training, None, FineTuning(loss=loss, steps=TRAINING_STEPS, learning_rate=4e-3), seed)
    assert isinstance(net, LungWaterNet)
    old = chests("old test", TEST, "a", seed)
    tests, streams = chests("new test", TEST, "b", seed), chests("stream", LABELLED, "b", seed)
    drifts = {name: drifted(net, training, old, change(tests), change(streams), seed) for name, change in DRIFTS.items()}
    return {"drifts": drifts, "poison": poisoned(net, training, streams, seed), "detectors": detectors(net, seed)}


def drifted(net: LungWaterNet, training: Examples, old: Examples, new: Examples, stream: Examples, seed: int) -> dict[str, Any]:
    """What each way of updating gives after one drift."""
    before = {"old": r_squared(net, old), "new": r_squared(net, new)}
    served = service(net, training, seed)
    models = {
        "no update": net,
        "without replay": fine_tuned(net, stream, None, TUNING, seed),
        "with replay": fine_tuned(net, stream, served.replay.examples(), TUNING, seed),
    }
    event = observed(served, stream, seed)
    models["with replay, through the gate"] = served.versions[-1].model
    return {
        "before": before,
        "gate": event,
        "arms": {name: gains(before, r_squared(m, old), r_squared(m, new)) for name, m in models.items()},
    }


def service(net: LungWaterNet, training: Examples, seed: int) -> ServedModel:
    replay = Replay(2000, seed)
    replay.add(training)
    return ServedModel(net, tuning=TUNING, score=r_squared, old=chests("reference", 500, "a", seed, first=5000), replay=replay)


def observed(served: ServedModel, data: Examples, seed: int) -> str:
    served.observe(data.x, data.y)
    event = served.update(seed)
    return f"{event.what}: {event.reason}"


def poisoned(net: LungWaterNet, training: Examples, stream: Examples, seed: int) -> dict[str, str]:
    """A good update, then three bad ones: labels shuffled, turned round, and one constant."""
    served = service(net, training, seed)
    observed(served, stream, seed)
    data = chests("stream", 400, "b", seed, first=5000)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(data.n))
    return {
        "labels shuffled": observed(served, Examples(data.x, data.y[order]), seed),
        "labels turned round": observed(served, Examples(data.x, -data.y), seed),
        "one constant label": observed(served, Examples(data.x, torch.full_like(data.y, 2.0)), seed),
    }


def gains(before: dict[str, float], old: float, new: float) -> dict[str, float]:
    lost = before["old"] - before["new"]
    return {"new": new, "old": old, "recovered": (new - before["new"]) / lost, "forgotten points": 100 * (before["old"] - old)}


def detectors(net: LungWaterNet, seed: int) -> dict[str, dict[str, float]]:
    """False alarms per 1,000 images of an undrifted stream, and images until the alarm after an abrupt and a gradual change of scanner."""
    reference, quiet = chests("reference", REFERENCE, "a", seed), chests("stream", STREAM, "a", seed, first=10_000)
    a, b = chests("stream", 1000, "a", seed, first=20_000), chests("stream", 1000, "b", seed, first=20_000)
    late = torch.from_numpy(np.random.default_rng(seed).random(1000) < np.arange(1000) / 1000)
    gradual = Examples(torch.where(late[:, None, None, None], b.x, a.x), b.y)
    streams = {"quiet": quiet, "abrupt": b, "gradual": gradual}
    features = {name: watched(net, part.x) for name, part in streams.items()}
    errors = {name: (answers(net, part.x) - part.y).abs().numpy() for name, part in streams.items()}
    known, known_errors = watched(net, reference.x), (answers(net, reference.x) - reference.y).abs().numpy()
    kinds = {
        "Kolmogorov-Smirnov": (features, lambda: KolmogorovSmirnov(known, WINDOW, FALSE_ALARMS)),
        "mean discrepancy": (features, lambda: MeanDiscrepancy(known, WINDOW, FALSE_ALARMS, seed=seed)),
        "Page-Hinkley (needs labels)": (errors, lambda: PageHinkley(known_errors, seed=seed)),
    }
    return {name: watching(streams_of, make) for name, (streams_of, make) in kinds.items()}


def watching(streams: dict[str, Any], make: Any) -> dict[str, float]:
    return {
        "false alarms per 1000": 1000 * alarms(streams["quiet"], make) / len(streams["quiet"]),
        "delay, abrupt": delay(make(), streams["abrupt"]),
        "delay, gradual": delay(make(), streams["gradual"]),
    }


def alarms(stream: Any, make: Any) -> int:
    """Alarms on a stream, the detector begun anew after each."""
    count, at = 0, 0
    while at < len(stream):
        detector = make()
        detector.update(stream[at:])
        if detector.alarmed_at is None:
            return count
        count, at = count + 1, at + detector.alarmed_at
    return count


def delay(detector: Detector, stream: Any) -> float:
    """Images until the alarm; the stream's length where there is none."""
    detector.update(stream)
    return float(detector.alarmed_at or len(stream))


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, work)
    found = {
        name: {m: summary([r["detectors"][name][m] for r in records]) for m in records[0]["detectors"][name]}
        for name in records[0]["detectors"]
    }
    drifts = {name: drift_figures([r["drifts"][name] for r in records]) for name in DRIFTS}
    refused = {name: sum(r["poison"][name].startswith("refused") for r in records) for name in records[0]["poison"]}
    content = {"seeds": len(records), "machine": machine(), "drifts": drifts, "detectors": found, "poison refused": refused}
    write_json(chosen.out / f"{NAME}.json", content)
    write_page(chosen.out / f"{NAME}.md", page(records, content))


def drift_figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "before": {m: summary([r["before"][m] for r in records]) for m in ("old", "new")},
        "arms": {name: {m: summary([r["arms"][name][m] for r in records]) for m in arm} for name, arm in records[0]["arms"].items()},
        "promoted": sum(r["gate"].startswith("promoted") for r in records),
    }


def drift_section(name: str, drift: dict[str, Any], n: int) -> list[str]:
    before, served = drift["before"], drift["arms"]["with replay, through the gate"]
    met = served["recovered"]["mean"] >= 0.8 and served["forgotten points"]["mean"] <= 2
    rows = [
        [
            arm,
            *(
                with_interval(values[m]["seeds"], digits)
                for m, digits in (("new", 3), ("recovered", 2), ("old", 3), ("forgotten points", 2))
            ),
        ]
        for arm, values in drift["arms"].items()
    ]
    return [
        f"## {name[0].upper()}{name[1:]}",
        "",
        f"Before: R2 {with_interval(before['old']['seeds'])} on a, {with_interval(before['new']['seeds'])} after the change.",
        "",
        *table(["", "R2 after the change", "share of the loss recovered", "R2 on a", "points forgotten on a"], rows),
        "",
        f"Goal: 80 % recovered, 2 points forgotten at most: {'reached' if met else 'not reached'} (through the gate; promoted in "
        f"{drift['promoted']} of {n}).",
        "",
    ]


def page(records: list[dict[str, Any]], content: dict[str, Any]) -> list[str]:
    found, n = content["detectors"], content["seeds"]
    watched_rows = [[name, *(with_interval(one[m]["seeds"], 1) for m in one)] for name, one in found.items()]
    return [
        "# Updates while serving: scanner a is replaced by scanner b",
        "",
        f"Lung water from rendered chest X-rays, a net of 8 thousand weights. {LABELLED} labelled images after the change; replay of "
        "2,000 of a.",
        f"Mean over {n} seeds with the 95 % t interval; {TEST} test patients before and after the change, whom no training saw.",
        "",
        *(line for name, drift in content["drifts"].items() for line in drift_section(name, drift, n)),
        "## Poisoned updates",
        "",
        "Updates by 400 images of b with wrong labels, after the good one, refused: "
        f"{'; '.join(f'{name} {k} of {n}' for name, k in content['poison refused'].items())}.",
        "",
        "## Noticing it",
        "",
        f"Windows of {WINDOW} images and the net's 32 features, {FALSE_ALARMS} false alarms allowed a window (0.1 per 1,000 images); "
        "Page-Hinkley on the",
        "absolute error, 2 % allowed in 1,000 images. Gradual: the share of scanner b rises from 0 to 1 over 1,000 images.",
        "",
        *table(["detector", "false alarms per 1,000 images", "images until the alarm, abrupt", "gradual"], watched_rows),
        "",
        f"Command: `python -m benchmarks.perception.online --seeds {n}`; {machine()}; seeds 0-{n - 1}; "
        f"{np.mean([r['cpu_seconds'] for r in records]):.0f} CPU-s a seed.",
    ]


if __name__ == "__main__":
    main()
