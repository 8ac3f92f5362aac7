"""Every estimator beside the others, each with an interval and with how many episodes it rests on; or no ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.evaluation.off_policy.estimators import ESTIMATORS, NEED_A_MODEL, Evidence, values_of
from medsim.evaluation.off_policy.magic import magic

__all__ = ["OffPolicyEstimate", "OffPolicyReport", "evaluate_off_policy"]

FEWEST_EFFECTIVE = 50.0  # chosen: below as many effective episodes the interval of a mean of returns is wider than policies differ
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class OffPolicyEstimate:
    """One estimator's word on a policy's value, with its 95 % percentile interval over resampled episodes (None: not resampled)."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class OffPolicyReport:
    """What logged episodes tell of a policy.

    Attributes:
        estimates: by estimator; gains: the same less the mean return of what happened, both over the same resampled episodes.
        effective_sample_size: of the importance ratios of whole episodes; episodes: logged.
        enough: whether there are as many effective episodes as a ranking needs; where not, ``refusal`` says so.
        behaviour_value: the mean return of what happened.
    """

    estimates: Mapping[str, OffPolicyEstimate]
    gains: Mapping[str, OffPolicyEstimate]
    effective_sample_size: float
    episodes: int
    behaviour_value: float
    enough: bool
    refusal: str

    def record(self) -> dict[str, Any]:
        """Return the report as plain numbers."""
        return asdict(self)


def evaluate_off_policy(evidence: Evidence, names: Sequence[str] | None = None, *, seed: int = 0, resamples: int = RESAMPLES,
                        fewest_effective: float = FEWEST_EFFECTIVE) -> OffPolicyReport:  # fmt: skip
    """Return what every estimator (or those of ``names``; ``magic`` among them) says, with intervals from ``seed``.

    Raises:
        ValueError: there is no estimator of a name, or it needs a model that is not there.
    """
    with_model = evidence.q is not None
    wanted = tuple(names) if names is not None else tuple(
        name for name in (*ESTIMATORS, "magic") if with_model or name not in (*NEED_A_MODEL, "magic")
    )  # fmt: skip
    plain = [name for name in wanted if name != "magic"]
    counts = np.random.default_rng(seed).multinomial(evidence.n, np.full(evidence.n, 1.0 / evidence.n), size=resamples).astype(np.float64)
    point, drawn = values_of(evidence, plain, np.ones((1, evidence.n))), values_of(evidence, plain, counts)
    happened, resampled = float(evidence.returns.mean()), counts @ evidence.returns / evidence.n
    found, gains = {}, {}
    for name in wanted:
        if name == "magic":
            value = magic(evidence, seed=seed)
            found[name] = OffPolicyEstimate(value=value, low=None, high=None)
            gains[name] = OffPolicyEstimate(value=value - happened, low=None, high=None)
            continue
        value = float(point[name][0])
        found[name] = with_interval(value, drawn[name])
        gains[name] = with_interval(value - happened, drawn[name] - resampled)
    effective = evidence.effective_sample_size
    enough = effective >= fewest_effective
    refusal = "" if enough else (
        f"{evidence.n} episodes are worth {effective:.1f} of this policy's own, fewer than {fewest_effective:g}: they cannot rank it"
    )  # fmt: skip
    return OffPolicyReport(
        estimates=found, gains=gains, effective_sample_size=effective, episodes=evidence.n, behaviour_value=happened, enough=enough,
        refusal=refusal,
    )  # fmt: skip


def with_interval(value: float, drawn: npt.NDArray[np.float64]) -> OffPolicyEstimate:
    """Return an estimate with the interval of its resamples (n,)."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return OffPolicyEstimate(value=value, low=float(low), high=float(high))
