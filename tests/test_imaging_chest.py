"""Chest radiographs show the physiology that they are made from."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from medsim.imaging import LOBES, SCANNERS, VIEWS, ChestFindings, ChestImages, image_keys, provenance, random_findings, render_chest

KEYS = image_keys(11, 300)
ROOT = Path(__file__).parent.parent


def lung_grey(pictures: ChestImages) -> np.ndarray:
    return np.array([image[0][mask].mean() for image, mask in zip(pictures.image, pictures.masks["lungs"], strict=True)])


def share(pictures: ChestImages, name: str) -> np.ndarray:
    return pictures.masks[name].sum((1, 2)) / pictures.masks["lungs"].sum((1, 2))


def digest(pictures: ChestImages) -> str:
    arrays = [pictures.image, *pictures.masks.values(), *pictures.factors.values()]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_among_patients_the_wetter_lung_is_the_whiter_one() -> None:
    water = random_findings(KEYS).lung_water_ml_per_kg
    grey = lung_grey(render_chest(KEYS, ChestFindings(lung_water_ml_per_kg=water), masks=True))
    assert spearmanr(water, grey).statistic >= 0.95


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("view", VIEWS)
def test_within_a_patient_lungs_whiten_with_every_step_of_water(scanner: str, view: str) -> None:
    water = np.linspace(4.0, 35.0, 16)
    for patient in range(5):
        keys = np.repeat(image_keys(3, 1, patient), len(water), axis=0)
        pictures = render_chest(keys, ChestFindings(lung_water_ml_per_kg=water), scanner=scanner, view=view, masks=True)
        assert (np.diff(lung_grey(pictures)) > 0.0).all()


def test_oedema_is_seen_around_the_hila_before_the_rims_of_the_lungs() -> None:
    pictures = render_chest(KEYS, ChestFindings(lung_water_ml_per_kg=11.0), masks=True)
    _, _, columns = np.nonzero(pictures.masks["oedema"])
    _, _, lung_columns = np.nonzero(pictures.masks["lungs"])
    assert 0.05 < share(pictures, "oedema").mean() < 0.5
    assert np.abs(columns - 31.5).mean() < 0.8 * np.abs(lung_columns - 31.5).mean()


def test_normal_water_is_no_oedema_and_much_water_is_all_oedema() -> None:
    assert not render_chest(KEYS, ChestFindings(), masks=True).masks["oedema"].any()
    assert share(render_chest(KEYS, ChestFindings(lung_water_ml_per_kg=35.0), masks=True), "oedema").min() > 0.95


@pytest.mark.parametrize("asked", [0.05, 0.2, 0.35, 0.5])
def test_the_share_that_is_consolidated_is_the_share_asked_for(asked: float) -> None:
    drawn = share(render_chest(KEYS, ChestFindings(consolidation=asked), masks=True), "consolidation")
    assert drawn.mean() == pytest.approx(asked, abs=0.005)
    assert np.abs(drawn - asked).max() < 0.03


def test_consolidation_is_white_and_begins_in_the_lobe_named() -> None:
    keys = KEYS[:50]
    clear = render_chest(keys, ChestFindings(), masks=True)
    for lobe, name in enumerate(LOBES):
        pictures = render_chest(keys, ChestFindings(consolidation=0.08, lobe=lobe), masks=True)
        solid = pictures.masks["consolidation"]
        change = pictures.image[:, 0].astype(float) - clear.image[:, 0]
        assert change[solid].mean() > 35.0
        _, rows, columns = np.nonzero(solid)
        right = columns < 32  # the patient's right is on the left
        assert (right.mean() > 0.95) == name.startswith("right")
        _, lung_rows, _ = np.nonzero(clear.masks["lungs"])
        assert (rows.mean() < lung_rows.mean()) == name.endswith("upper")


def test_effusion_is_nothing_at_0_ml_and_grows_with_every_step() -> None:
    volumes = [0.0, 175.0, 500.0, 1000.0, 2000.0, 4000.0]
    areas = [share(render_chest(KEYS, ChestFindings(effusion_ml=ml), masks=True, size=96), "effusion") for ml in volumes]
    assert not areas[0].any()
    for less, more in pairwise(areas):
        assert (more >= less).all()
        assert more.mean() > less.mean()
    assert (areas[2] > 0.0).all()  # half a litre is seen in everybody


def test_175_ml_on_one_side_blunt_its_angle_and_half_a_litre_hides_more() -> None:
    keys = KEYS[:200]
    for ml, at_least, at_most in ((50.0, 0.0, 0.002), (175.0, 0.001, 0.03), (500.0, 0.02, 0.15)):
        pictures = render_chest(keys, ChestFindings(effusion_ml=ml), masks=True, size=128)
        one_sided = pictures.factors["effusion_right_ml"] == ml
        assert one_sided.sum() > 30
        assert at_least <= np.median(share(pictures, "effusion")[one_sided]) <= at_most


def test_fluid_lies_below_and_at_the_wall() -> None:
    pictures = render_chest(KEYS[:60], ChestFindings(effusion_ml=1200.0), masks=True)
    fluid, lungs = pictures.masks["effusion"], pictures.masks["lungs"]
    _, rows, columns = np.nonzero(fluid)
    _, lung_rows, lung_columns = np.nonzero(lungs)
    assert rows.mean() > lung_rows.mean() + 8.0
    assert np.abs(columns - 31.5).mean() > np.abs(lung_columns - 31.5).mean()


def test_findings_are_parts_of_the_lungs_and_share_no_pixel() -> None:
    masks = render_chest(KEYS, random_findings(KEYS), masks=True).masks
    together = masks["oedema"].astype(int) + masks["consolidation"] + masks["effusion"]
    assert together.max() == 1
    assert not ((together == 1) & ~masks["lungs"]).any()
    assert not (masks["heart"] & masks["lungs"]).any()


@pytest.mark.parametrize(("view", "magnified"), [("pa", 1.0), ("ap", 1.0 / 0.875)])
def test_the_heart_is_as_wide_as_its_ratio_says_and_ap_views_magnify_it(view: str, magnified: float) -> None:
    size = np.linspace(0.36, 0.6, 60)
    pictures = render_chest(KEYS[:60], ChestFindings(heart_size=size), view=view, masks=True, size=256)
    width = pictures.masks["heart"].any(1).sum(1) * 2.0 / 256 * pictures.factors["zoom"]
    assert np.abs(width / pictures.factors["thorax_width"] - magnified * size).max() < 0.015


def test_bone_and_fluid_are_white_and_air_is_dark() -> None:
    pictures = render_chest(KEYS, ChestFindings(), masks=True)
    image, masks = pictures.image[:, 0], pictures.masks
    assert image[masks["heart"]].mean() > image[masks["lungs"]].mean() + 60.0
    assert image[:, -4:, 28:36].mean() > 200.0  # spine and abdomen
    assert image[:, :2, :3].mean() < 120.0  # beside the neck


def test_a_patient_looks_the_same_alone_in_any_batch_and_in_any_order() -> None:
    together = render_chest(KEYS[:40], random_findings(KEYS[:40]), masks=True)
    order = np.random.default_rng(0).permutation(40)
    shuffled = render_chest(KEYS[order], random_findings(KEYS[order]), masks=True)
    assert np.array_equal(shuffled.image, together.image[order])
    for patient in (0, 17, 39):
        key = KEYS[patient : patient + 1]
        alone = render_chest(key, random_findings(key), masks=True)
        assert np.array_equal(alone.image[0], together.image[patient])
        for name, mask in alone.masks.items():
            assert np.array_equal(mask[0], together.masks[name][patient])
        for name, factor in alone.factors.items():
            assert factor[0] == together.factors[name][patient]


def test_another_picture_of_a_patient_has_other_noise_and_the_same_anatomy() -> None:
    first, second = (render_chest(image_keys(5, 30, image=image), ChestFindings(), masks=True) for image in (0, 1))
    for name in first.masks:
        assert np.array_equal(first.masks[name], second.masks[name])
    change = first.image.astype(int) - second.image
    assert np.diff(change[:, 0], axis=-1).std() > 1.5  # from pixel to pixel: noise, not exposure
    assert np.abs(change).mean() < 6.0


def test_masks_change_no_pixel_and_finding_arrays_do_as_numbers_do() -> None:
    with_masks = render_chest(KEYS[:5], ChestFindings(lung_water_ml_per_kg=12.0), masks=True)
    without = render_chest(KEYS[:5], ChestFindings(lung_water_ml_per_kg=np.full(5, 12.0)))
    assert without.masks == {}
    assert np.array_equal(with_masks.image, without.image)


def test_patients_differ_and_so_do_seeds() -> None:
    pictures = render_chest(KEYS[:20], ChestFindings()).image
    assert len({image.tobytes() for image in pictures}) == 20
    assert not np.array_equal(pictures, render_chest(image_keys(12, 20), ChestFindings()).image)


def test_scanner_b_is_noisier_and_blurrier() -> None:
    noise, sharpness = {}, {}
    for name in SCANNERS:
        pictures = [render_chest(image_keys(5, 40, image=k), ChestFindings(), scanner=name).image[:, 0, 8:-8, 8:-8] for k in range(8)]
        middle = np.stack(pictures).astype(float)
        level = middle - middle.mean((2, 3), keepdims=True)  # exposure differs from picture to picture
        noise[name] = np.diff(level, axis=0).std()
        quiet = level.mean(0)
        sharpness[name] = np.square(np.diff(quiet, axis=1)).mean() / quiet.var()
    assert noise["b"] > 1.3 * noise["a"]
    assert sharpness["b"] < 0.9 * sharpness["a"]


def test_edges_are_smooth_so_that_a_large_picture_averaged_down_is_the_small_one() -> None:
    large = render_chest(KEYS[:20], ChestFindings(), size=256).image[:, 0].astype(float)
    averaged = large.reshape(20, 64, 4, 64, 4).mean((2, 4))
    small = render_chest(KEYS[:20], ChestFindings(), size=64).image[:, 0]
    assert np.abs(averaged - small).mean() < 4.0


def test_random_findings_are_independent_and_within_limits() -> None:
    keys = image_keys(2, 4000)
    f = random_findings(keys)
    columns = np.stack([f.lung_water_ml_per_kg, f.consolidation, f.effusion_ml, f.heart_size, f.lobe])
    assert np.abs(np.corrcoef(columns) - np.eye(5)).max() < 0.06
    assert (np.asarray(f.consolidation) == 0.0).mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.asarray(f.lobe).tolist()) == set(range(len(LOBES)))


def test_plain_python_draws_the_same_pixels() -> None:
    program = (
        "from medsim.imaging import image_keys, random_findings, render_chest\n"
        "from tests.test_imaging_chest import digest\n"
        "keys = image_keys(3, 2, 5, 7)\n"
        "for scanner in 'ab':\n"
        "    for view in ('pa', 'ap'):\n"
        "        print(digest(render_chest(keys, random_findings(keys), scanner=scanner, view=view, size=20, masks=True)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"MEDSIM_JIT": "0"}, capture_output=True, text=True, check=True, cwd=ROOT
    )
    keys = image_keys(3, 2, 5, 7)
    here = [digest(render_chest(keys, random_findings(keys), scanner=s, view=v, size=20, masks=True)) for s in "ab" for v in ("pa", "ap")]
    assert run.stdout.split() == here


@pytest.mark.parametrize(
    ("findings", "says"),
    [
        ({"lung_water_ml_per_kg": -1.0}, "lung_water_ml_per_kg must lie within 0.0 .. 60.0, not -1.0"),
        ({"lung_water_ml_per_kg": np.array([7.0, np.nan, 8.0])}, "lung_water_ml_per_kg must lie within 0.0 .. 60.0, not nan"),
        ({"consolidation": 0.6}, "consolidation must lie within 0.0 .. 0.5, not 0.6"),
        ({"effusion_ml": np.zeros(4)}, r"effusion_ml must be a number or numbers of shape \(3,\)"),
        ({"heart_size": 0.9}, "heart_size must lie within 0.3 .. 0.75, not 0.9"),
        ({"lobe": 5}, "lobe must lie within 0 .. 4, not 5"),
        ({"lobe": 1.5}, "lobe must be whole numbers"),
        ({"effusion_ml": "much"}, "effusion_ml must be a number"),
    ],
)
def test_findings_that_cannot_be_are_refused_by_name(findings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render_chest(image_keys(1, 3), ChestFindings(**findings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"scanner": "c"}, "scanner must be one of a, b, not 'c'"),
        ({"view": "lateral"}, "view must be one of pa, ap, not 'lateral'"),
        ({"size": 8}, "size must be a whole number of pixels within 16 .. 512, not 8"),
        ({"size": 64.0}, "size must be a whole number of pixels"),
    ],
)
def test_unknown_machines_views_and_sizes_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render_chest(image_keys(1, 3), ChestFindings(), **arguments)  # type: ignore[arg-type]


def test_keys_that_are_none_are_refused() -> None:
    for keys in (np.zeros((3, 4), dtype=np.int64), np.zeros((3, 5)), -np.ones((3, 5), dtype=np.int64)):
        with pytest.raises(ValueError, match="keys must"):
            render_chest(keys, ChestFindings())
    with pytest.raises(ValueError, match="n must be a whole number"):
        image_keys(1, -1)


def test_every_parameter_has_a_unit_and_a_source() -> None:
    rows = provenance()
    assert len(rows) > 20
    assert all(row.name and row.unit and row.source for row in rows)
