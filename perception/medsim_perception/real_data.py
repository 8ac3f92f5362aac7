"""Real data for tests and benchmarks: found through the environment variable MEDSIM_DATA, read in place, never copied nor fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ICU_TASKS", "LabelledImages", "PneumoniaMNIST", "RawTables", "data_folder", "icu_demo", "pneumonia_mnist"]

VARIABLE = "MEDSIM_DATA"
ICU_TASKS = ("mortality24", "sepsis")
SIDE = 28


class LabelledImages(NamedTuple):
    """Grey images with an answer for each."""

    images: NDArray[np.uint8]  # (n, 1, h, w)
    labels: NDArray[np.int64]  # (n,)


class PneumoniaMNIST(NamedTuple):
    """Children's chest X-rays, 28 x 28, labels 0 normal and 1 pneumonia, in the published split: 4708, 524 and 624 images.

    MedMNIST v2 (Yang et al. 2023), from Kermany et al. 2018; CC BY 4.0.
    """

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages


class RawTables(NamedTuple):
    """Tables of one task as they lie in the files: hourly rows, one row of facts a stay, and what is to be predicted."""

    dynamic: pd.DataFrame  # stay_id, time (timedelta), 48 measurements, NaN where not measured
    static: pd.DataFrame  # stay_id, age, sex, height, weight
    outcome: pd.DataFrame  # stay_id, (time,) label


def data_folder() -> Path | None:
    """The folder that MEDSIM_DATA names, or None where it is not set; raises FileNotFoundError where it names no folder."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise FileNotFoundError(f"the environment variable {VARIABLE} names {named}, which is no folder")
    return folder


def data_file(relative: str) -> Path:
    """A file in the data folder; raises FileNotFoundError that says which variable to set, or which file is missing."""
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(f"real data is needed: set the environment variable {VARIABLE} to the folder that holds {relative}")
    path = folder / relative
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the environment variable {VARIABLE} must name a folder that holds {relative}")
    return path


def pneumonia_mnist() -> PneumoniaMNIST:
    """PneumoniaMNIST; raises FileNotFoundError where it is absent, ValueError naming the file where it is damaged."""
    path = data_file("pneumoniamnist.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = [_labelled(file[f"{part}_images"], file[f"{part}_labels"]) for part in ("train", "val", "test")]
    except Exception as error:  # zip, zlib, key and value errors, by what is broken
        raise ValueError(f"{path} cannot be read as PneumoniaMNIST ({error}); put a whole copy in its place") from error
    return PneumoniaMNIST(*parts)


def _labelled(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> LabelledImages:
    labels = labels.reshape(-1)
    if images.shape != (labels.size, SIDE, SIDE) or images.dtype != np.uint8:
        raise ValueError(f"images {images.shape} {images.dtype} and labels {labels.shape} do not fit")
    return LabelledImages(images[:, None], labels.astype(np.int64))


def icu_demo(task: str) -> RawTables:
    """The eICU demo's tables for a task, `mortality24` (label: dies, after 24 h) or `sepsis` (label: every hour).

    Harmonised by YAIB (van de Water et al. 2024); ODbL 1.0. Raises FileNotFoundError where they are absent, ValueError for another task or
    a damaged file, ModuleNotFoundError without pyarrow.
    """
    if task not in ICU_TASKS:
        raise ValueError(f"task must be one of {', '.join(ICU_TASKS)}, not {task!r}")
    return RawTables(*(_table(data_file(f"icu_demo/{task}/eicu_demo/{name}.parquet")) for name in ("dyn", "sta", "outc")))


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs the package pyarrow: pip install 'medsim[tables]'") from error
    except Exception as error:  # pyarrow's own errors, which this module does not import
        raise ValueError(f"{path} cannot be read as a table ({error}); put a whole copy in its place") from error
