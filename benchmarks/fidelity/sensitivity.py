"""Which conclusions about policies depend on which constant: one at a time, and all at once by Morris' method.

One at a time, each constant of v0 is lowered and raised by 30 % (on its own scale, whatever its bounds). By Morris' method (Technometrics
1991;33:161-174; SALib) all constants move at once within their bounds: of each the mean absolute effect on a figure, scaled to the whole
of its range, and the spread of that effect. Every run meets the same patients.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.fidelity.figures import Study, estimates, every_figure
from benchmarks.fidelity.targets import TARGETS
from medsim.cli.progress import Progress
from medsim.treatments.sepsis.constants import Constants, constant_sets, constant_table

__all__ = ["CONCLUSIONS", "OUTPUTS", "broken", "morris", "one_at_a_time"]

Array = npt.NDArray[np.float64]
SHARE = 0.3
PUBLISHED = ("norepinephrine_volume_l",)  # not chosen, so not varied; c50 is varied, for its unit is not certain
WIDE = {"c50_ng_per_ml": (49.3, 91.5), "day28_per_point": (0.131, 0.464)}  # Morris' bounds: 30 %; the published interval 1.14-1.59
OUTPUTS = (
    "protocol", "random_worse", "none_worse", "none_v_protocol", "maximum_worse", "target_45_worse", "clovers", "sepsispam", "delay",
    "adaptive_gain", "auroc_48", "per_point_48", "auroc_saps",
)  # fmt: skip
CONCLUSIONS: dict[str, Callable[[Mapping[str, float]], bool]] = {
    "random is worse than the protocol": lambda f: f["random_worse"] > 0.0,
    "no treatment is worse than the protocol": lambda f: f["none_v_protocol"] > 0.0,
    "no treatment is worse than random": lambda f: f["none_worse"] > 0.0,
    "always-maximum is worse than the protocol": lambda f: f["maximum_worse"] > 0.0,
    "a MAP target of 45 is worse than 65": lambda f: f["target_45_worse"] > 0.0,
    "each hour of antibiotic delay harms": lambda f: f["delay"] > 1.0,
    "the adaptive rule is better than the protocol": lambda f: f["adaptive_gain"] > 0.0,
    "a MAP target of 80 is no better than 65 (odds ratio 1 or more)": lambda f: f["sepsispam"] >= 1.0,
    "restrictive fluids are no worse than liberal (0 points or less)": lambda f: f["clovers"] <= 0.0,
}


def varied() -> list[str]:
    """Return the names of the constants that are varied."""
    return [name for name in Constants._fields if name not in PUBLISHED]


def measured(c: Constants, study: Study) -> dict[str, float]:
    """Return the figures of one set of constants."""
    figures = estimates(every_figure(c, study))
    figures["none_v_protocol"] = figures["none"] - figures["protocol"]
    return {name: float(f"{value:.5g}") for name, value in figures.items()}


def one_at_a_time(study: Study, share: float = SHARE) -> dict[str, Any]:
    """Return the figures of v0 and of every constant lowered and raised."""
    centre = constant_sets()["v0"]
    runs: dict[str, Any] = {"v0": measured(centre, study)}
    with Progress(2 * len(varied()), "runs", "one at a time") as progress:
        for name in varied():
            value = getattr(centre, name)
            ends = [capped(name, value * factor) for factor in (1.0 - share, 1.0 + share)]
            runs[name] = {"values": ends, "figures": []}
            for end in ends:
                runs[name]["figures"].append(measured(centre._replace(**{name: end}), study))
                progress.update()
    return {"share": share, "patients": study.patients, "runs": runs}


def capped(name: str, value: float) -> float:
    """Return a value that the model can take: a correlation stays below 1."""
    return min(value, 0.98) if name == "severity_share" else value


def bounds_of(name: str) -> tuple[float, float]:
    """Return within what Morris' method moves a constant."""
    row = constant_table()[name]
    return WIDE.get(name, (float(row["lowest"]), float(row["highest"])))


def morris(study: Study, trajectories: int, seed: int) -> dict[str, Any]:
    """Return the mean absolute elementary effect and its spread, constants by outputs, and the figures of every run."""
    try:
        from SALib.analyze import morris as analysis
        from SALib.sample import morris as sampling
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('the global sensitivity needs SALib: pip install -c constraints.txt -e ".[fidelity]"') from error
    names, centre = varied(), constant_sets()["v0"]
    problem = {"num_vars": len(names), "names": names, "bounds": [list(bounds_of(name)) for name in names]}
    places: Array = sampling.sample(problem, trajectories, num_levels=4, seed=seed)
    figures = []
    with Progress(len(places), "runs", "Morris") as progress:
        for place in places:
            figures.append(measured(centre._replace(**dict(zip(names, map(float, place), strict=True))), study))
            progress.update()
    effects = {}
    for output in OUTPUTS:
        found = analysis.analyze(problem, places, np.array([figure[output] for figure in figures]), num_levels=4, seed=seed)
        effects[output] = {"mu_star": rounded(found["mu_star"]), "mu": rounded(found["mu"]), "sigma": rounded(found["sigma"])}
    return {"patients": study.patients, "trajectories": trajectories, "names": names, "effects": effects,
            "figures": [{name: figure[name] for name in OUTPUTS} for figure in figures]}  # fmt: skip


def rounded(values: Any) -> list[float]:
    """Return numbers to four digits."""
    return [float(f"{value:.4g}") for value in values]


def broken(figures: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Return which conclusions do not hold and which targets are missed."""
    conclusions = [name for name, holds in CONCLUSIONS.items() if not holds(figures)]
    return conclusions, [t.figure for t in TARGETS if not t.low <= figures[t.figure] <= t.high]
