"""Pictures a second and core: radiographs with and without masks, CT and MRI slices, one at a time; beside them what NumPy alone costs.

    python -m benchmarks.perception.rendering

There is no other renderer of radiographs from physiology to compare with. Beside ours stand two costs of array code, in the same process:
a *smaller* task in NumPy (lungs, heart, spine and body of similar anatomy, blurred and with noise; no vessels, ribs, findings, texture or
masks), and scikit-image's Radon transform of one 64 x 64 slice at 60 angles, the next step of a simulated CT: yardsticks, no rivals.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medsim.imaging import ChestFindings, image_keys, random_findings, render_brain, render_chest, render_ct

RESULTS = Path(__file__).parent / "results"
SIZES = (28, 64, 128)


def numpy_chests(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return simpler radiographs (n, size, size) uint8 by array operations."""
    from scipy.ndimage import gaussian_filter

    axis = (np.arange(size) + 0.5) * 2.0 / size - 1.0
    x, y = axis[None, None, :], axis[None, :, None]
    u = rng.random((8, n, 1, 1))
    off, width, apex, base = np.abs(x), 0.76 + 0.14 * u[0], -0.92 + 0.14 * u[1], 0.58 + 0.2 * u[2]
    t = np.clip((y - apex) / (base - apex), 0.0, 1.0)
    outer = width * (0.42 + 0.58 * np.maximum(1.0 - (1.0 - t) ** 2, 1e-9) ** (0.32 + 0.23 * u[3]))
    inner = 0.11 + 0.05 * u[4] + 0.3 * np.maximum(1.0 - t / 0.17, 0.0) ** 2
    floor = base - 0.25 + 0.25 * ((off - 0.5 * width) / (0.5 * width)) ** 2
    heart = ((x - 0.12) / 0.36) ** 2 + ((y - 0.15) / (0.34 + 0.05 * u[5])) ** 2
    deep = np.minimum(np.minimum(outer - off, off - inner), floor - y)
    cover = np.clip(0.5 + deep * size / 2.0, 0.0, 1.0) * (heart > 1.0)
    depth = 0.4 + 0.58 * np.sqrt(np.maximum(1.0 - (off / 1.02) ** 2, 0.0)) - 0.62 * cover * np.exp(-u[6])
    depth = depth + 0.15 * (heart < 1.0) + 0.12 * np.maximum(1.0 - (off / 0.1) ** 2, 0.0) + 0.14 * (y > floor)
    depth = gaussian_filter(depth, (0.0, 0.45 * size / 64.0, 0.45 * size / 64.0))
    depth += 0.007 * np.exp(1.55 * (depth - 0.3)) * rng.standard_normal(depth.shape)
    return (255.0 * np.clip(1.0 - np.exp(-1.9 * depth), 0.0, 1.0)).astype(np.uint8)


def tasks(n: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return what is timed: name -> (pictures made by a call, call)."""
    keys, few = image_keys(0, n), max(n // 8, 1)
    findings, one = random_findings(keys), random_findings(keys[:1])
    made: dict[str, tuple[int, Callable[[], object]]] = {}
    for size in SIZES:
        for masks in (False, True):
            name = f"radiographs {size} x {size}{', with masks' if masks else ''}"
            made[name] = (n, lambda size=size, masks=masks: render_chest(keys, findings, size=size, masks=masks))  # type: ignore[misc]
    made["radiographs 64 x 64, normal chests"] = (n, lambda: render_chest(keys, ChestFindings()))
    made["radiographs 64 x 64, one at a time"] = (1, lambda: render_chest(keys[:1], one))
    made["CT slices 64 x 64, with masks"] = (few, lambda: render_ct(keys[:few], tumour_mm=20.0))
    made["brain slices 64 x 64, with masks"] = (few, lambda: render_brain(keys[:few], tumour_mm=20.0))
    rng = np.random.default_rng(0)
    made["NumPy, a smaller task, 64 x 64"] = (n, lambda: numpy_chests(rng, n, 64))
    try:
        from skimage.transform import radon
    except ImportError:
        print("skipped: scikit-image is not installed", file=sys.stderr)
        return made
    slices = render_ct(keys[:4], size=64).image[:, 0]
    angles = np.linspace(0.0, 180.0, 60, endpoint=False)
    made["scikit-image, one Radon transform of 64 x 64"] = (4, lambda: [radon(one + 1000.0, angles, circle=False) for one in slices])
    return made


def rates(n: int, rounds: int) -> dict[str, list[float]]:
    """Return pictures per CPU second, each round's; every task is called once before, and the tasks take turns."""
    from tqdm import tqdm

    timed = tasks(n)
    for _, call in timed.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in tqdm(range(rounds), desc="rendering", file=sys.stderr):
        for name, (pictures, call) in timed.items():
            calls = 1 if pictures > 1 else 50
            begun = time.process_time()
            for _ in range(calls):
                call()
            found[name].append(pictures * calls / (time.process_time() - begun))
    return found


def page(result: dict[str, Any]) -> str:
    """Return the results as a page."""
    lines = [
        "# Pictures rendered per second and core", "",
        f"`{result['command']}`, {result['machine']}, one thread, pictures per second of CPU time:",
        f"median of {result['rounds']} rounds (lowest .. highest).", "",
        "| what | per second | lowest .. highest | ms each |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, row in result["rates"].items():
        each = 1000.0 / row["median"]
        lines.append(f"| {name} | {row['median']:,.0f} | {row['lowest']:,.0f} .. {row['highest']:,.0f} | {each:.2f} |")
    lines += [
        "", "Radiographs show random findings (lung water, and half each consolidation and effusion). NumPy's task is smaller than ours",
        "(no vessels, ribs, findings, texture or masks); the Radon transform is another task: both are yardsticks, no rivals.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Write a file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=200, help="in a batch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = rates(arguments.pictures, arguments.rounds)
    result = {
        "command": f"python -m benchmarks.perception.rendering --pictures {arguments.pictures} --rounds {arguments.rounds}",
        "machine": f"{os.cpu_count()} cores, CPU",
        "rounds": arguments.rounds,
        "rates": {name: {"median": statistics.median(r), "lowest": min(r), "highest": max(r)} for name, r in found.items()},
    }
    write(arguments.out / "rendering.json", json.dumps(result, indent=1) + "\n")
    write(arguments.out / "rendering.md", page(result))
    print(page(result))


if __name__ == "__main__":
    main()
