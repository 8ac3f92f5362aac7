"""Images from files: PNG and JPEG, DICOM and NIfTI become grey pixels in 0..1 with their spacing; what cannot be read is named.

DICOM needs pydicom and NIfTI nibabel (`pip install 'medsim[imaging]'`); both are imported when such a file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PLANES", "SUFFIXES", "GreyImage", "ReadFolder", "as_network_input", "read_folder", "read_image"]

Floats = NDArray[np.float32]
Window = tuple[float, float]  # lowest and highest value shown, in the file's units: HU for CT
PICTURES, DICOMS, NIFTIS = (".png", ".jpg", ".jpeg"), (".dcm", ".dicom"), (".nii", ".nii.gz")
SUFFIXES = (*PICTURES, *DICOMS, *NIFTIS)
PLANES = ("axial", "coronal", "sagittal")
DARKEST, BRIGHTEST = 0.005, 0.995  # chosen: quantiles of a NIfTI volume that become 0 and 1; its values have no fixed unit
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's conversion to grey


class GreyImage(NamedTuple):
    """A grey image, black 0 and white 1."""

    pixels: Floats  # (h, w)
    spacing_mm: tuple[float, float] | None  # between rows and between columns; None where the file does not say


class ReadFolder(NamedTuple):
    """What was read of a folder, and what was not."""

    images: list[tuple[Path, GreyImage]]
    failures: list[tuple[Path, str]]  # file, reason


def read_image(
    path: str | Path, *, window: Window | None = None, slice_number: int | None = None, plane: str = "axial", frame: int | None = None
) -> GreyImage:
    """The image in a PNG, JPEG, DICOM or NIfTI file.

    Colours become grey by luminance. DICOM: stored values are rescaled (to HU, in CT), MONOCHROME1 is inverted so that dense is bright, and
    values are shown from `window[0]` to `window[1]`, by default the file's own window, or all of its values; of several frames `frame` is
    taken, by default the middle one. NIfTI: the slice `slice_number` (default: the middle one) across `plane`, seen as radiologists do
    (front or top up; the patient's right on the left of axial and coronal slices), windowed by default by the volume's quantiles 0.005 and
    0.995; of a series the first volume.

    Raises ValueError naming the file where it is empty, damaged, truncated, no image, or of an unknown kind, and where it has no such frame
    or slice; TypeError for a frame or slice that is no whole number; FileNotFoundError where the file is missing; ImportError that says
    what to install.
    """
    place = Path(path)
    if plane not in PLANES:
        raise ValueError(f"plane must be one of {', '.join(PLANES)}, not {plane!r}")
    if window is not None and not window[0] < window[1]:
        raise ValueError(f"window must be a lowest and a higher highest value, not {window}")
    for name, number in (("slice_number", slice_number), ("frame", frame)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | np.integer)):
            raise TypeError(f"{name} must be a whole number or None, not {number!r}")
    kind = kind_of(place)
    if not place.is_file():
        raise FileNotFoundError(f"{place} is missing")
    if place.stat().st_size == 0:
        raise ValueError(f"{place} is empty")
    if kind == "picture":
        return read_picture(place)
    return read_dicom(place, window, frame) if kind == "dicom" else read_nifti(place, window, slice_number, plane)


def kind_of(path: Path) -> str:
    """What kind of file its suffix says; raises ValueError for an unknown one."""
    name = path.name.lower()
    for kind, suffixes in (("picture", PICTURES), ("dicom", DICOMS), ("nifti", NIFTIS)):
        if name.endswith(suffixes):
            return kind
    raise ValueError(f"{path} is of an unknown kind; known suffixes are {', '.join(SUFFIXES)}")


def read_folder(folder: str | Path, **options: Any) -> ReadFolder:
    """All images of a folder in order of their names, and the files that could not be read with the reason; options as of `read_image`.

    Files whose names begin with a dot are passed over. Raises ValueError where the folder holds no files, and NotADirectoryError where it
    is none; ImportError for a missing package is a reason like others.
    """
    place = Path(folder)
    if not place.is_dir():
        raise NotADirectoryError(f"{place} is no folder")
    paths = sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{place} holds no files")
    read = ReadFolder([], [])
    for path in paths:
        try:
            read.images.append((path, read_image(path, **options)))
        except (ValueError, OSError, ImportError) as error:
            read.failures.append((path, str(error)))
    return read


@contextmanager
def naming(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a reader raises on damaged bytes into a ValueError that names the file; ImportError passes."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # readers raise many kinds: struct, zlib, EOF, syntax, attribute and memory errors among them
        raise ValueError(f"{path} cannot be read as {what} ({type(error).__name__}: {error}); it may be damaged or truncated") from error


def checked(pixels: NDArray[Any], path: Path) -> Floats:
    """A plane of pixels as floats; raises ValueError where it is not (h, w), has no pixels or none that is finite."""
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(f"{path} holds pixels of the shape {pixels.shape}, not (h, w)")
    plane = pixels.astype(np.float32)
    finite = np.isfinite(plane)
    if not finite.any():
        raise ValueError(f"{path} holds no finite pixel")
    return plane if finite.all() else np.where(finite, plane, plane[finite].min())


def shown(pixels: Floats, window: Window) -> Floats:
    """Values as grey: the window's lowest 0, its highest 1; an empty window is black."""
    low, high = window
    return np.clip((pixels - low) / (high - low), 0.0, 1.0).astype(np.float32) if high > low else np.zeros_like(pixels)


# PNG and JPEG


def read_picture(path: Path) -> GreyImage:
    """The image in a PNG or JPEG file, by its own depth of 8 or 16 bits; transparent parts are black."""
    from PIL import Image

    with naming(path, "PNG or JPEG"), Image.open(path, formats=("PNG", "JPEG")) as file:
        picture: Image.Image = file
        deep = file.mode.startswith("I")
        if not deep and (file.mode in ("LA", "RGBA", "PA") or "transparency" in file.info):
            clear = file.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", clear.size, "black"), clear)
        pixels = np.asarray(picture if deep else picture.convert("L"))
    return GreyImage(checked(pixels, path) / np.float32(65535 if deep else 255), None)


# DICOM


def read_dicom(path: Path, window: Window | None, frame: int | None) -> GreyImage:
    """The image in a DICOM file."""
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut
    except ImportError as error:
        raise ImportError(f"{path} is DICOM, and pydicom is not installed: pip install 'medsim[imaging]'") from error
    with naming(path, "DICOM"):
        data = pydicom.dcmread(path)
        if "PixelData" not in data:
            raise ValueError("it holds no image")
        frames = int(data.get("NumberOfFrames") or 1)
    number = chosen_of(frame, frames, "frame", path)
    with naming(path, "DICOM"):
        stored = one_frame(data.pixel_array[number] if frames > 1 else data.pixel_array, data)
        values = apply_modality_lut(stored, data)
        spacing = data.get("PixelSpacing") or data.get("ImagerPixelSpacing")
        chosen = window or own_window(data)
        inverted = data.get("PhotometricInterpretation") == "MONOCHROME1"
    plane = checked(np.asarray(values), path)
    grey = shown(plane, chosen or (float(plane.min()), float(plane.max())))
    return GreyImage(1 - grey if inverted else grey, (float(spacing[0]), float(spacing[1])) if spacing else None)


def one_frame(pixels: NDArray[Any], data: Any) -> NDArray[Any]:
    """A frame as one plane of numbers, (h, w), whether it has colours last, a palette, or neither."""
    if data.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        table = apply_color_lut(pixels, data)
        return np.asarray(table[..., :3].astype(np.float32) @ LUMINANCE)
    return pixels.astype(np.float32) @ LUMINANCE if int(data.get("SamplesPerPixel") or 1) > 1 else pixels


def own_window(data: Any) -> Window | None:
    """The first window of a DICOM file, as lowest and highest value (DICOM PS3.3 C.11.2.1.2); None where it has none."""
    centre, width = data.get("WindowCenter"), data.get("WindowWidth")
    if centre is None or width is None or centre == "" or width == "":
        return None
    first = [float(one[0] if hasattr(one, "__len__") and not isinstance(one, str) else one) for one in (centre, width)]
    if first[1] <= 1:
        return None
    return first[0] - 0.5 - (first[1] - 1) / 2, first[0] - 0.5 + (first[1] - 1) / 2


# NIfTI


def read_nifti(path: Path, window: Window | None, slice_number: int | None, plane: str) -> GreyImage:
    """A slice of the volume in a NIfTI file."""
    try:
        import nibabel
    except ImportError as error:
        raise ImportError(f"{path} is NIfTI, and nibabel is not installed: pip install 'medsim[imaging]'") from error
    with naming(path, "NIfTI"):
        volume: Any = nibabel.funcs.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]  # axes to the right, front and top
        values = np.asarray(volume.dataobj, np.float32)
        if values.ndim < 3 or 0 in values.shape:
            raise ValueError(f"it holds values of the shape {values.shape}, not a volume (x, y, z)")
        values = values.reshape(*values.shape[:3], -1)[..., 0]
        zooms = [float(one) for one in volume.header.get_zooms()[:3]]
    axis = ("sagittal", "coronal", "axial").index(plane)
    picked = np.take(values, chosen_of(slice_number, values.shape[axis], "slice_number", path), axis)
    del zooms[axis]
    finite = values[np.isfinite(values)]
    if window is None and finite.size:
        low, high = np.quantile(finite, [DARKEST, BRIGHTEST])
        window = float(low), float(high)
    seen = checked(picked, path)[::-1, ::-1].T  # rows from the top or front, columns from the patient's right (or front) to the left
    return GreyImage(np.ascontiguousarray(shown(seen, window or (0.0, 1.0))), (zooms[1], zooms[0]))


def chosen_of(number: int | None, count: int, name: str, path: Path) -> int:
    """The number itself, or the middle one; raises ValueError naming the file where it has none such."""
    if number is None:
        return count // 2
    if not 0 <= number < count:
        raise ValueError(f"{path} has {count} of them: {name} must be 0 to {count - 1}, not {number}")
    return int(number)


# what networks take


def as_network_input(image: GreyImage | ArrayLike, size: int = 64) -> NDArray[np.uint8]:
    """An image, (h, w) in 0..1, as uint8 (1, size, size): made square by black margins, then averaged over areas.

    Raises ValueError for another shape, values outside 0..1 or not finite, or a size below 1.
    """
    pixels = np.asarray(image.pixels if isinstance(image, GreyImage) else image, np.float32)
    if size < 1:
        raise ValueError(f"size must be 1 or more, not {size}")
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(f"an image must have the shape (h, w), not {pixels.shape}")
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 1:
        raise ValueError(f"an image must hold values in 0..1, not {pixels.min():g} to {pixels.max():g}")
    height, width = pixels.shape
    side = max(height, width)
    small = area_weights(height, side, size) @ pixels @ area_weights(width, side, size).T
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)[None]


def area_weights(length: int, side: int, size: int) -> Floats:
    """How much each of `length` pixels, centred in a line of `side`, counts in each of `size` equal parts of the line, (size, length)."""
    starts = np.arange(length) + (side - length) // 2
    edges = np.arange(size + 1) * (side / size)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights: Floats = (np.maximum(overlap, 0.0) * (size / side)).astype(np.float32)
    return weights
