"""The search for the adaptive rule's numbers: cross-entropy method on training patients, all candidates on the same ones."""

import dataclasses

import numpy as np

from benchmarks.fidelity.figures import Study
from medsim.cli.progress import Progress
from medsim.policies.sepsis import Adaptive, Resuscitation
from medsim.treatments.sepsis.constants import constant_sets

__all__ = ["search_rule"]

# what is searched: where it starts, its first spread, and its bounds
SEARCHED = {
    "bolus_ml_per_kg": (40.0, 12.0, 0.0, 80.0), "map_target_mmhg": (66.0, 6.0, 50.0, 90.0), "hypertension_mmhg": (6.0, 6.0, -5.0, 25.0),
    "oliguria_mmhg": (6.0, 5.0, -5.0, 25.0), "concentration_mmhg": (4.0, 5.0, -10.0, 40.0), "lowest_mmhg": (54.0, 6.0, 40.0, 75.0),
    "upkeep_ml_per_kg_per_h": (0.6, 0.6, 0.0, 4.0), "later_ml_per_kg_per_h": (0.2, 0.4, 0.0, 3.0),
    "most_balance_ml_per_kg": (40.0, 20.0, 0.0, 120.0), "trigger_lactate": (5.0, 2.0, 1.5, 20.0),
}  # fmt: skip
CANDIDATES, ELITE = 22, 6


def search_rule(rounds: int, patients: int, seed: int) -> dict[str, float]:
    """Return the numbers found, and print how deaths fell, round by round, and on other training patients at the end."""
    c, study = constant_sets()["v0"], Study(patients=patients, seed=77)
    mean, sd, low, high = (np.array([bounds[k] for bounds in SEARCHED.values()]) for k in range(4))
    rng = np.random.default_rng(seed)
    with Progress(rounds, "rounds", "rule") as progress:
        for number in range(rounds):
            places = np.clip(mean + sd * rng.standard_normal((CANDIDATES, len(mean))), low, high)
            deaths = np.array([study.arms(c, [rule(place)])[0].death.mean() for place in places])
            best = places[np.argsort(deaths)[:ELITE]]
            mean, sd = 0.7 * best.mean(axis=0) + 0.3 * mean, 0.8 * best.std(axis=0) + 0.15 * sd
            print(f"round {number + 1}: {100.0 * deaths.min():.2f} % at best")
            progress.update()
    others = dataclasses.replace(study, seed=991, patients=4 * patients)
    protocol, found, stored = others.arms(c, [Resuscitation(), rule(mean), Adaptive()])
    print(f"other patients: protocol {100 * protocol.death.mean():.2f} %, found {100 * found.death.mean():.2f} %, "
          f"as in medsim.policies.sepsis.Adaptive {100 * stored.death.mean():.2f} %")  # fmt: skip
    return dict(zip(SEARCHED, mean.round(2).tolist(), strict=True))


def rule(place: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Adaptive:
    """Return the rule with the numbers at a place."""
    return Adaptive(**dict(zip(SEARCHED, place.tolist(), strict=True)))
