"""The structural causal model of Oberst and Sontag (ICML 2019), enumerated exactly.

Vital signs take few levels, and each follows its own draws: given the treatments before and after and whether the patient has
diabetes, heart rate, blood pressure, oxygen and glucose move independently of each other. A row of the transition matrix is
therefore an outer product of four small distributions, and no simulation is needed to know it.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = [
    "ACTIONS", "ALIVE", "DEATH", "DISCHARGE", "HIDDEN", "LEVELS", "OBSERVED", "VARIABLES", "VERSIONS", "end_of", "index_of",
    "start_probabilities", "transition_matrix", "variables",
]  # fmt: skip

Array = npt.NDArray[np.float64]

VERSIONS = ("v2", "icml2019")
VARIABLES = ("heart_rate", "blood_pressure", "oxygen", "glucose", "antibiotics", "vasopressor", "ventilation", "diabetes")
LEVELS = (3, 3, 2, 5, 2, 2, 2, 2)  # of each; diabetes is the most significant digit of the hidden state's number
NORMAL = (1, 1, 1, 2)
OBSERVED, HIDDEN, ACTIONS = 720, 1440, 8  # action = 4 x antibiotics + 2 x ventilation + vasopressor
ALIVE, DEATH, DISCHARGE = 0, 1, 2
ABNORMAL_AT_DEATH = 3  # vital signs out of their normal level

START_HEART_RATE = START_BLOOD_PRESSURE = (0.25, 0.5, 0.25)
START_OXYGEN = (0.2, 0.8)
START_GLUCOSE = ((0.05, 0.15, 0.6, 0.15, 0.05), (0.01, 0.05, 0.15, 0.6, 0.19))  # without and with diabetes
ANTIBIOTICS_HELP, ANTIBIOTICS_WITHDRAWN = 0.5, 0.1
VENTILATION_HELPS, VENTILATION_WITHDRAWN = 0.7, 0.1
VASOPRESSOR_RAISES = 0.7
VASOPRESSOR_DIABETIC_FROM_LOW, VASOPRESSOR_DIABETIC_TO_HIGH, VASOPRESSOR_DIABETIC_FROM_NORMAL = 0.5, 0.4, 0.9
VASOPRESSOR_DIABETIC_GLUCOSE = 0.5
VASOPRESSOR_WITHDRAWN = (0.1, 0.05)  # without and with diabetes
FLUCTUATION = 0.1
GLUCOSE_FLUCTUATION = (0.1, 0.3)  # without and with diabetes


def variables(states: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the levels of ``VARIABLES`` (n, 8) of hidden states (n,)."""
    weights = digit_weights()
    return np.asarray((np.asarray(states)[..., None] // weights) % np.array(LEVELS), dtype=np.int64)


def index_of(levels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the numbers of hidden states (n,) from the levels of ``VARIABLES`` (n, 8)."""
    return np.asarray(np.asarray(levels) @ digit_weights(), dtype=np.int64)


def digit_weights() -> npt.NDArray[np.int64]:
    """Return the weight of each variable in a hidden state's number."""
    observed = [int(np.prod(LEVELS[k + 1 : 7], dtype=np.int64)) for k in range(7)]
    return np.array([*observed, OBSERVED], dtype=np.int64)


def end_of(states: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return ALIVE, DEATH (three or four vital signs abnormal) or DISCHARGE (all normal, no treatment) of states."""
    levels = variables(states)
    abnormal = (levels[..., :4] != np.array(NORMAL)).sum(axis=-1)
    untreated = (levels[..., 4:7] == 0).all(axis=-1)
    return np.where(abnormal >= ABNORMAL_AT_DEATH, DEATH, np.where((abnormal == 0) & untreated, DISCHARGE, ALIVE))


def moved(levels: int, moves: dict[tuple[int, int], float]) -> Array:
    """Return the matrix of a variable that moves from one level to another with the probabilities given, and else stays."""
    matrix = np.eye(levels)
    for (before, after), probability in moves.items():
        matrix[before, before] -= probability
        matrix[before, after] += probability
    return matrix


def fluctuation(levels: int, probability: float) -> Array:
    """Return the matrix of a variable that falls or rises by one with the probability given to each, within its levels."""
    matrix = np.eye(levels) * (1.0 - 2.0 * probability)
    for level in range(levels):
        matrix[level, max(level - 1, 0)] += probability
        matrix[level, min(level + 1, levels - 1)] += probability
    return matrix


def glucose_fluctuation(diabetes: bool, version: str) -> Array:
    """Return the matrix of glucose between steps.

    In the code of the paper (``version="icml2019"``) the rise of a patient without diabetes is capped at level 1, not at 4.
    """
    probability = GLUCOSE_FLUCTUATION[diabetes]
    matrix = fluctuation(5, probability)
    if version == "icml2019" and not diabetes:
        for level in range(5):
            matrix[level, min(level + 1, 4)] -= probability
            matrix[level, min(level + 1, 1)] += probability
    return matrix


def antibiotics_effect(before: int, now: int) -> Array | None:
    """Return what antibiotics, given or withdrawn, do to heart rate and to blood pressure; None: nothing."""
    if now:
        return moved(3, {(2, 1): ANTIBIOTICS_HELP})
    return moved(3, {(1, 2): ANTIBIOTICS_WITHDRAWN}) if before else None


def ventilation_effect(before: int, now: int) -> Array | None:
    """Return what ventilation, given or withdrawn, does to oxygen; None: nothing."""
    if now:
        return moved(2, {(0, 1): VENTILATION_HELPS})
    return moved(2, {(1, 0): VENTILATION_WITHDRAWN}) if before else None


def vasopressor_effect(before: int, now: int, diabetes: bool) -> Array | None:
    """Return what a vasopressor, given or withdrawn, does to blood pressure; None: nothing."""
    if not now:
        falls = VASOPRESSOR_WITHDRAWN[diabetes]
        return moved(3, {(1, 0): falls, (2, 1): falls}) if before else None
    if not diabetes:
        return moved(3, {(0, 1): VASOPRESSOR_RAISES, (1, 2): VASOPRESSOR_RAISES})
    from_low = {(0, 1): VASOPRESSOR_DIABETIC_FROM_LOW, (0, 2): VASOPRESSOR_DIABETIC_TO_HIGH}
    return moved(3, {**from_low, (1, 2): VASOPRESSOR_DIABETIC_FROM_NORMAL})


def matrices(action: int, treated: tuple[int, int, int], diabetes: bool, version: str) -> tuple[Array, Array, Array, Array]:
    """Return the matrices of heart rate, blood pressure, oxygen and glucose for one step.

    Antibiotics, ventilation and vasopressor act in this order, then what no treatment has touched fluctuates.

    Args:
        action: the treatments of the step; treated: antibiotics, vasopressor and ventilation of the step before.
    """
    antibiotics, ventilation, vasopressor = (action >> 2) & 1, (action >> 1) & 1, action & 1
    by_antibiotics = antibiotics_effect(treated[0], antibiotics)
    by_vasopressor = vasopressor_effect(treated[1], vasopressor, diabetes)
    by_ventilation = ventilation_effect(treated[2], ventilation)
    touched = [effect for effect in (by_antibiotics, by_vasopressor) if effect is not None]
    pressure = touched[0] @ touched[-1] if len(touched) == 2 else touched[0] if touched else fluctuation(3, FLUCTUATION)
    if vasopressor:
        rises = {(level, level + 1): VASOPRESSOR_DIABETIC_GLUCOSE for level in range(4)} if diabetes else {}
        glucose = moved(5, rises)
    else:
        glucose = glucose_fluctuation(diabetes, version)
    heart = fluctuation(3, FLUCTUATION) if by_antibiotics is None else by_antibiotics
    oxygen = fluctuation(2, FLUCTUATION) if by_ventilation is None else by_ventilation
    return heart, pressure, oxygen, glucose


@lru_cache(maxsize=4)
def transition_matrix(version: str, absorbing: bool = True) -> Array:
    """Return the probabilities (1440, 8, 1440) of the next hidden state; read it, do not write into it.

    Args:
        version: "v2", or "icml2019" with the capped glucose of the paper's code.
        absorbing: whether the dead and the discharged stay so. The planner of the paper's code has them go on.
    """
    matrix = np.zeros((HIDDEN, ACTIONS, HIDDEN))
    by_digits = matrix.reshape(2, 3, 3, 2, 5, 2, 2, 2, ACTIONS, 2, 3, 3, 2, 5, 2, 2, 2)
    for action in range(ACTIONS):
        after = ((action >> 2) & 1, action & 1, (action >> 1) & 1)  # antibiotics, vasopressor, ventilation
        for treated in np.ndindex(2, 2, 2):
            for diabetes in (False, True):
                heart, pressure, oxygen, glucose = matrices(action, treated, diabetes, version)
                product = np.einsum("ae,bf,cg,dh->abcdefgh", heart, pressure, oxygen, glucose)
                d = int(diabetes)
                by_digits[(d, slice(None), slice(None), slice(None), slice(None), *treated, action, d, ..., *after)] = product
    if absorbing:
        ended = np.flatnonzero(end_of(np.arange(HIDDEN)))
        matrix[ended] = 0.0
        matrix[ended, :, ended] = 1.0
    matrix.flags.writeable = False
    return matrix


def start_probabilities(diabetes: float) -> Array:
    """Return the probabilities (1440,) of the state of a new patient, drawn anew, diabetes too, until neither dead nor discharged.

    Args:
        diabetes: share of people with diabetes before the sickest are left out.
    """
    p = np.zeros((2, 3, 3, 2, 5, 2, 2, 2))
    for d, share in enumerate((1.0 - diabetes, diabetes)):
        levels = np.einsum("a,b,c,d->abcd", START_HEART_RATE, START_BLOOD_PRESSURE, START_OXYGEN, START_GLUCOSE[d])
        p[d, ..., 0, 0, 0] = share * levels
    flat = np.where(end_of(np.arange(HIDDEN)) == ALIVE, p.ravel(), 0.0)
    return np.asarray(flat / flat.sum())
