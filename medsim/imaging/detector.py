"""The machine: optical depth blurred, counted in quanta and shown as grey values."""

from typing import Any

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp, power
from medsim.core.streams import Key
from medsim.imaging.draws import noise_words, normal_noise
from medsim.imaging.scanners import Scanner

__all__ = ["TABLE", "blur", "develop", "fill_tables"]

TABLE = 256  # entries of the curves
DEEPEST = 2.0  # optical depth at the end of the curves
CURVE = 1.9  # grey value 1 - exp(-CURVE depth): clear lung 0.4, mediastinum 0.9. chosen after radiographs on display
# quanta fall by exp(-ATTENUATION depth): ten times fewer behind the mediastinum than behind lung; from memory, not verified
ATTENUATION = 3.1
CLEAR_LUNG = 0.3


@compiled_once
def fill_tables(scanner: Scanner, dose_noise: float, exposure: float, grey: Any, noise: Any) -> None:
    """Fill the curves of grey value (0..255) and of the noise's sd, both by optical depth, (TABLE,)."""
    for i in range(TABLE):
        depth = DEEPEST * i / (TABLE - 1)
        bright = 1.0 - exp(-CURVE * exposure * depth)
        shaped = power(max(bright, 1e-6), scanner.gamma)
        grey[i] = 255.0 * (scanner.contrast * (shaped - 0.5) + 0.5 + scanner.brightness * min(1.0, 8.0 * bright))
        noise[i] = dose_noise * exp(0.5 * ATTENUATION * (depth - CLEAR_LUNG))


@compiled_once
def blur(paper: Any, spare: Any, weights: Any) -> None:
    """Blur a picture (s, s) in place with the half kernel (r + 1,): its middle first; spare: (s, s)."""
    s, r = paper.shape[0], weights.shape[0] - 1
    if r == 0:
        return
    for i in range(s):
        for j in range(s):
            total = weights[0] * paper[i, j]
            for d in range(1, r + 1):
                total += weights[d] * (paper[i, max(j - d, 0)] + paper[i, min(j + d, s - 1)])
            spare[i, j] = total
    for i in range(s):
        for j in range(s):
            paper[i, j] = weights[0] * spare[i, j]
        for d in range(1, r + 1):
            above, below = max(i - d, 0), min(i + d, s - 1)
            for j in range(s):
                paper[i, j] += weights[d] * (spare[above, j] + spare[below, j])


@compiled_once
def develop(key: Key, paper: Any, grey: Any, noise: Any, image: Any) -> None:
    """Count quanta and write grey values, uint8 (s, s)."""
    s = paper.shape[0]
    for number in range((s * s + 3) >> 2):
        four = noise_words(key, number)
        for k in range(min(4, s * s - 4 * number)):
            at = 4 * number + k
            i, j = at // s, at % s
            depth = looked_up(noise, paper[i, j]) * normal_noise(four[k]) + paper[i, j]
            image[i, j] = int(min(max(looked_up(grey, depth), 0.0), 255.0) + 0.5)


def looked_up(table: Any, depth: float) -> float:
    """Return a curve's value at an optical depth."""
    at = min(max(depth, 0.0), DEEPEST * 0.9999) * ((TABLE - 1) / DEEPEST)
    i = int(at)
    value: float = table[i] + (at - i) * (table[i + 1] - table[i])
    return value
