"""Real slices that reconstruction is trained on (MNI152) or only tested on (a head CT, Colin27, a slice of pydicom's).

None of them is shipped: `python -m benchmarks.perception.public_data` puts them into a folder, the environment variable MEDSIM_DATA_CACHE
or `~/.cache/medsim`, out of packages that pip and apt have. Here they are read, cut to squares and averaged down to few pixels.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "CT_HEAD",
    "CT_SLICE",
    "MRI_TEMPLATE",
    "MRI_TEST",
    "SOURCES",
    "available",
    "cache_folder",
    "ct_slice",
    "head_ct",
    "shrink",
    "volume",
]

CT_HEAD, MRI_TEST = "Cranium.inv3", "ch2.nii.gz"
MRI_TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
CT_SLICE = "CT_small.dcm"
SOURCES = {
    CT_HEAD: "a real head CT, 108 slices of 256 x 256: Debian package invesalius-examples, GPL-2; for tests only",
    MRI_TEST: "Colin27, a real brain and head, T1, 1 mm: Debian package mricron-data, BSD-3-Clause; for tests only",
    MRI_TEMPLATE: "MNI152 2009a, the mean of 152 real brains, T1, 1 mm: nilearn 0.14.1 on PyPI, BSD-3-Clause; trained on",
    CT_SLICE: "one real CT slice of 128 x 128: pydicom on PyPI, MIT; for tests only",
}
HEAD_SLICES, HEAD_SIDE = 108, 256
Floats = np.ndarray[Any, np.dtype[np.float32]]


def cache_folder() -> Path:
    """The folder of the public files: MEDSIM_DATA_CACHE, or ~/.cache/medsim."""
    return Path(os.environ.get("MEDSIM_DATA_CACHE") or Path.home() / ".cache" / "medsim")


def available(name: str) -> bool:
    """Whether that file is there."""
    return (cache_folder() / name).is_file()


def public_file(name: str) -> Path:
    """A file of the cache; raises FileNotFoundError that says what it is and how to get it."""
    path = cache_folder() / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing ({SOURCES[name]}): run python -m benchmarks.perception.public_data")
    return path


def head_ct() -> Floats:
    """The head CT in Hounsfield units, (108, 256, 256), 0.957 mm a pixel, 1.5 mm apart; raises FileNotFoundError, ValueError."""
    path = public_file(CT_HEAD)
    try:
        with tarfile.open(path) as archive:
            member = next(one for one in archive.getmembers() if one.name.endswith("matrix.dat"))
            content = archive.extractfile(member)
            assert content is not None
            values = np.frombuffer(content.read(), np.int16)
        return values[-HEAD_SLICES * HEAD_SIDE**2 :].reshape(HEAD_SLICES, HEAD_SIDE, HEAD_SIDE).astype(np.float32)
    except (tarfile.TarError, StopIteration, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a head CT ({error}): delete it and fetch it again") from error


def volume(name: str) -> Floats:
    """A brain, (x, y, z) with x to the right, y to the front, z up, 1 mm, 0..1 with 1 at its 99.8th percentile; errors as of `head_ct`."""
    import nibabel

    path = public_file(name)
    try:
        loaded: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
        values = np.asarray(loaded.dataobj, np.float32)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise ValueError(f"{path} cannot be read as NIfTI ({error}): delete it and fetch it again") from error
    return np.asarray(np.clip(values / np.percentile(values[values > 0], 99.8), 0, 1), np.float32)


def ct_slice() -> Floats:
    """Pydicom's test slice in Hounsfield units, (128, 128); raises FileNotFoundError, ModuleNotFoundError."""
    import pydicom

    data = pydicom.dcmread(public_file(CT_SLICE))
    return np.asarray(data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept), np.float32)


def shrink(slices: Floats, size: int, fill: float = 0.0, side: int | None = None) -> Floats:
    """Slices (n, h, w) padded or cut to squares around their middle and averaged to (n, size, size) by area.

    `side` is that of the squares, by default the longer one; raises ValueError where it is smaller than size.
    """
    from medsim_perception.images import area_weights

    side = max(slices.shape[1:]) if side is None else side
    if side < size:
        raise ValueError(f"slices of {side} pixels a side cannot be averaged to {size}")
    square = np.full((len(slices), side, side), fill, np.float32)
    source, target = zip(*(_overlap(length, side) for length in slices.shape[1:]), strict=True)
    square[:, target[0], target[1]] = slices[:, source[0], source[1]]
    weights = area_weights(side, side, size).astype(np.float32)
    return np.asarray(weights @ square @ weights.T, np.float32)


def _overlap(length: int, side: int) -> tuple[slice, slice]:
    common = min(length, side)
    source, target = (length - common) // 2, (side - common) // 2
    return slice(source, source + common), slice(target, target + common)
