"""8: can it be said beforehand how a patient will fare: predictions along the course, and how sure they are."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.drawing import Curve, curves
from medsim.safety.features import features
from medsim.safety.figures import exactly, plain
from medsim.safety.findings import Findings, Picture, Section, figures_table

__all__ = ["SECTION", "Ensemble", "deciles"]

Floats = npt.NDArray[np.float64]

MEMBERS = 10  # of the ensemble
GROUPS = 10  # of equal size, by what was predicted
MOST_STEPS = 24  # chosen: of a course
TELLING = 0.2  # chosen: a rank correlation below is called little


class Ensemble:
    """Gradient-boosted trees that predict the return that is to come from what is seen, each grown on patients drawn anew."""

    def __init__(self, rows: Floats, targets: Floats, patients: npt.NDArray[np.int64], seed: int) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        rng, who = np.random.default_rng(seed), np.unique(patients)
        self.members: list[Any] = []
        for member in range(MEMBERS):
            drawn = np.bincount(rng.integers(len(who), size=len(who)), minlength=len(who))
            weights = drawn[np.searchsorted(who, patients)].astype(np.float64)
            model = HistGradientBoostingRegressor(
                max_iter=60, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=member
            )
            with threadpool_limits(1):  # so small a model is slower on several threads
                self.members.append(model.fit(rows[weights > 0.0], targets[weights > 0.0], sample_weight=weights[weights > 0.0]))

    def __call__(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return what is predicted, and the spread of the members' predictions, (m,) each."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            said = np.stack([model.predict(rows) for model in self.members])
        return said.mean(axis=0), said.std(axis=0)


def calibration(c: Context) -> Findings:
    """Return how well the return to come can be told from what the policy sees."""
    rows, targets, patients = seen_and_come(c)
    half = patients < c.own_kept // 2
    ensemble = Ensemble(rows[half], targets[half], patients[half], c.plan.seed)
    said, spread = ensemble(rows[~half])
    came = targets[~half]
    predicted, realised = deciles(said, came)
    scale = c.card.scores.ceiling - c.card.scores.floor
    error = float(np.abs(predicted - realised).mean()) / scale
    figures = {
        "error": exactly(error, "mean distance of predicted from realised returns over tenths of the predictions, in normalised score"),
        "slope": exactly(slope(said, came), "slope of what came on what was predicted; 1 is right"),
        "sure": exactly(rank_correlation(spread, np.abs(said - came)), "rank correlation of the ensemble's spread and its error"),
    }
    right, doubt = figures["slope"].value, figures["sure"].value
    says = [
        f"From what the policy sees, the return to come can be predicted with a slope of {plain(right)} (1 is right) and a mean error over "
        f"tenths of {plain(error)} in normalised score. Half the kept patients are learnt from, the other half asked.",
        f"Where the members of the ensemble differ more its error is larger, with a rank correlation of {plain(doubt)}: "
        f"doubt tells {'of' if doubt > TELLING else 'little of'} error.",
    ]
    says += own_values(c)
    ends = [predicted.min(), predicted.max()]
    lines = [Curve(label="the other half", x=predicted, y=realised), Curve(label="right", x=ends, y=ends, kind="standard faint")]
    caption = "Tenths of the predictions, lowest first: what was predicted, and what came."
    svg = curves(lines, "predicted return to come", "realised", height=260)
    picture = Picture(title="Predicted and realised return", caption=caption, svg=svg)
    return Findings(says=tuple(says), figures=figures, pictures=(picture,), tables=(figures_table(figures, "value"),))


def seen_and_come(c: Context) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return what was seen before steps of the kept patients (m, k), the return that came after (m,), and whose it is (m,).

    The steps are at most so many of each course, evenly apart: neighbours tell the same.
    """
    seen = features(c.task, c.own.observations)[:, :-1]
    steps = np.unique(np.linspace(0, seen.shape[1] - 1, MOST_STEPS).astype(int))
    to_come = np.cumsum(c.own.rewards[: len(seen), ::-1], axis=1)[:, ::-1][:, steps]
    seen, there = seen[:, steps], c.own.there()[: len(seen), steps]
    patients = np.broadcast_to(np.arange(len(seen))[:, None], there.shape)
    return seen[there], to_come[there], patients[there].astype(np.int64)


def deciles(said: Floats, came: Floats) -> tuple[Floats, Floats]:
    """Return the mean prediction and the mean of what came in groups of equal size, by prediction."""
    groups = np.array_split(np.argsort(said, kind="stable"), GROUPS)
    return np.array([said[one].mean() for one in groups]), np.array([came[one].mean() for one in groups])


def slope(x: Floats, y: Floats) -> float:
    """Return the slope of y on x; NaN if x does not vary."""
    spread = float(x.var())
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 0.0 else float("nan")


def rank_correlation(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation; NaN where one does not vary."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0.0 and np.ptp(b) > 0.0 else float("nan")


def own_values(c: Context) -> list[str]:
    """Return what the policy's own estimates are worth, if it has such: a method ``values(observations)`` that returns (n,)."""
    values = getattr(c.policy, "values", None)
    if values is None:
        return ["The policy has no estimate of its own of how patients will fare."]
    c.policy.begin(c.batch(c.own_kept))
    said = np.stack([np.asarray(values(c.own.seen_at(step))) for step in range(c.own.rewards.shape[1])], axis=1)
    there = c.own.there()[: c.own_kept]
    to_come = np.cumsum(c.own.rewards[: c.own_kept, ::-1], axis=1)[:, ::-1]
    found = rank_correlation(said[there], to_come[there])
    return [f"The policy's own estimate of the return to come has a rank correlation of {plain(found)} with what came."]


SECTION = Section(number=8, name="calibration", title="Can it be said beforehand how a patient will fare", run=calibration)
