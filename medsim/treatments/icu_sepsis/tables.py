"""The tables of the ``icu-sepsis`` package, found and read without importing it (it would import the old ``gym``)."""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DEATH", "SURVIVAL", "IcuSepsisTables", "installed", "read_tables", "tables_folder"]

Array = npt.NDArray[np.float64]

DEATH, SURVIVAL = 713, 714  # states; the patients' are 0 to 712, and 715 follows the two ends
NEEDED = "medsim/ICUSepsis-v0 reads its tables from the package icu-sepsis, which is not installed: pip install 'medsim[icu]'"


@dataclass(frozen=True, kw_only=True, eq=False)
class IcuSepsisTables:
    """What the package ships."""

    transitions: Any  # (716 x 25, 716), CSR
    start: Array  # (716,)
    expert: Array  # (716, 25) action probabilities
    centres: Array  # (716, 47)
    sofa: Array  # (716,)
    admissible: npt.NDArray[np.bool_]  # (716, 25)


def tables_folder() -> Path | None:
    """Return the folder of the installed package's tables, or None where it is not installed."""
    spec = importlib.util.find_spec("icu_sepsis")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        folder = Path(place) / "envs" / "assets"
        if (folder / "dynamics.npz").is_file():
            return folder
    return None


def installed() -> bool:
    """Return whether the tables are there."""
    return tables_folder() is not None


@lru_cache(maxsize=1)
def read_tables() -> IcuSepsisTables:
    """Return the tables.

    Raises:
        ModuleNotFoundError: the package is not installed; the message says how to get it.
    """
    from scipy import sparse

    folder = tables_folder()
    if folder is None:
        raise ModuleNotFoundError(NEEDED, name="icu_sepsis")
    with np.load(folder / "dynamics.npz") as files:
        moves = files["tx_mat"]
        states, actions, _ = moves.shape
        return IcuSepsisTables(
            transitions=sparse.csr_matrix(moves.reshape(states * actions, states)), start=files["d_0"], expert=files["expert_policy"],
            centres=files["state_cluster_centers"], sofa=files["sofa_scores"],
            admissible=read_admissible(folder / "admissible_actions.txt", states, actions),
        )  # fmt: skip


def read_admissible(path: Path, states: int, actions: int) -> npt.NDArray[np.bool_]:
    """Return which actions are admissible in each state: the file counts them in its first line, then lists a state a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    counts = [int(word) for word in lines[0].split()]
    found = np.zeros((states, actions), dtype=np.bool_)
    for state, count in enumerate(counts):
        listed = [int(word) for word in lines[state + 1].split()]
        if len(listed) != count:
            raise ValueError(f"{path}: state {state} should have {count} admissible actions, and has {len(listed)}")
        found[state, listed] = True
    return found
