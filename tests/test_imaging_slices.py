"""CT and MRI slices: tissues in their units, tumours of the size and at the place asked for, smooth edges."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medsim.imaging import REGIONS, SliceImages, image_keys, render_brain, render_ct

KEYS = image_keys(4, 24)
ROOT = Path(__file__).parent.parent
RENDER = {"ct": render_ct, "brain": render_brain}


def digest(pictures: SliceImages) -> str:
    arrays = [pictures.image, *pictures.masks.values(), *pictures.factors.values()]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def mean_in(pictures: SliceImages, name: str) -> float:
    return float(pictures.image[:, 0][pictures.masks[name]].mean())


def test_organs_have_their_hounsfield_units() -> None:
    thorax, abdomen = (render_ct(KEYS, region=region, size=128) for region in REGIONS)
    assert -900.0 < mean_in(thorax, "lungs") < -700.0
    assert 30.0 < mean_in(thorax, "heart") < 200.0
    assert 40.0 < mean_in(abdomen, "liver") < 160.0
    assert mean_in(abdomen, "bone") > 200.0
    assert thorax.image[:, 0, :3, :3].mean() == pytest.approx(-1000.0)


def test_each_region_holds_its_own_organs() -> None:
    thorax, abdomen = (render_ct(KEYS, region=region) for region in REGIONS)
    assert thorax.masks["lungs"].any((1, 2)).all()
    assert not thorax.masks["liver"].any()
    assert abdomen.masks["liver"].any((1, 2)).all()
    assert not abdomen.masks["lungs"].any()
    either = render_ct(image_keys(4, 60)).factors["abdomen"]
    assert 0.25 < either.mean() < 0.75


def test_in_a_t1_weighted_slice_white_matter_is_brighter_than_grey_and_fluid_is_dark() -> None:
    pictures = render_brain(KEYS, size=128)
    signals = [mean_in(pictures, name) for name in ("ventricles", "grey_matter", "white_matter")]
    assert signals == sorted(signals)
    assert signals[2] - signals[1] > 0.1
    assert signals[1] - signals[0] > 0.15
    assert 0.6 < pictures.masks["grey_matter"].sum() / pictures.masks["white_matter"].sum() < 1.6
    assert pictures.image.min() >= 0.0
    assert pictures.image.max() <= 1.0


@pytest.mark.parametrize("kind", RENDER)
def test_a_tumour_has_the_diameter_and_the_place_asked_for(kind: str) -> None:
    diameter = np.linspace(20.0, 60.0, len(KEYS))
    place = np.stack([np.linspace(-30.0, 30.0, len(KEYS)), np.linspace(25.0, -25.0, len(KEYS))], axis=1)
    pictures = RENDER[kind](KEYS, tumour_mm=diameter, tumour_at_mm=place, size=128)
    pixel = pictures.factors["pixel_mm"][0]
    area = pictures.masks["tumour"].sum((1, 2)) * pixel**2
    assert np.abs(2.0 * np.sqrt(area / np.pi) - diameter).max() < 0.5 * pixel
    for mask, (x, y) in zip(pictures.masks["tumour"], place, strict=True):
        rows, columns = np.nonzero(mask)
        assert abs((columns.mean() - 63.5) * pixel - x) < 0.5 * pixel
        assert abs((rows.mean() - 63.5) * pixel - y) < 0.5 * pixel


@pytest.mark.parametrize("kind", RENDER)
def test_without_a_tumour_there_is_none_and_with_one_nothing_else_moves(kind: str) -> None:
    without, within = RENDER[kind](KEYS), RENDER[kind](KEYS, tumour_mm=25.0)
    assert not without.masks["tumour"].any()
    assert within.masks["tumour"].any((1, 2)).all()
    name = "bone" if kind == "ct" else "skull"
    away = ~within.masks["tumour"]
    assert np.array_equal(without.masks[name] & away, within.masks[name] & away)


@pytest.mark.parametrize("kind", RENDER)
def test_masks_share_no_pixel(kind: str) -> None:
    masks = np.stack(list(RENDER[kind](KEYS, tumour_mm=30.0).masks.values())).sum(0)
    assert masks.max() == 1


@pytest.mark.parametrize("kind", RENDER)
def test_a_patient_is_the_same_alone_and_in_any_batch_and_no_two_are_alike(kind: str) -> None:
    together = RENDER[kind](KEYS)
    alone = RENDER[kind](KEYS[7:8])
    assert np.array_equal(alone.image[0], together.image[7])
    assert all(np.array_equal(mask[0], together.masks[name][7]) for name, mask in alone.masks.items())
    flat = together.image.reshape(len(KEYS), -1)
    alike = np.corrcoef(flat) - np.eye(len(KEYS))
    assert alike.max() < 0.97


@pytest.mark.parametrize("kind", RENDER)
def test_edges_are_smooth(kind: str) -> None:
    """Pixels on an edge hold shares of both sides: a picture averaged down from twice the size is nearly the small one."""
    small, large = RENDER[kind](KEYS, size=64).image[:, 0], RENDER[kind](KEYS, size=128).image[:, 0]
    averaged = large.reshape(len(KEYS), 64, 2, 64, 2).mean((2, 4))
    assert np.abs(averaged - small).mean() < 0.02 * (small.max() - small.min())


def test_plain_python_paints_the_same_slices() -> None:
    program = (
        "from medsim.imaging import image_keys, render_brain, render_ct\n"
        "from tests.test_imaging_slices import digest\n"
        "keys = image_keys(9, 1)\n"
        "for region in ('thorax', 'abdomen'):\n"
        "    print(digest(render_ct(keys, 40.0, region=region, size=16)))\n"
        "print(digest(render_brain(keys, 40.0, size=16)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"MEDSIM_JIT": "0"}, capture_output=True, text=True, check=True, cwd=ROOT
    )
    keys = image_keys(9, 1)
    here = [digest(render_ct(keys, 40.0, region=region, size=16)) for region in REGIONS] + [digest(render_brain(keys, 40.0, size=16))]
    assert run.stdout.split() == here


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tumour_mm": -1.0}, "tumour_mm must lie within 0.0 .. 120.0 mm, not -1.0"),
        ({"tumour_mm": np.nan}, "tumour_mm must lie within 0.0 .. 120.0 mm, not nan"),
        ({"tumour_mm": np.zeros(3)}, r"tumour_mm must be numbers of shape \(24,\) or \(\)"),
        ({"tumour_mm": 10.0, "tumour_at_mm": np.array([500.0, 0.0])}, "tumour_at_mm must lie within"),
        ({"region": "pelvis"}, "region must be one of thorax, abdomen or None, not 'pelvis'"),
        ({"size": 400}, "size of a slice must be a whole number of pixels within 16 .. 256, not 400"),
    ],
)
def test_what_cannot_be_painted_is_refused_by_name(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render_ct(KEYS, **arguments)  # type: ignore[arg-type]
