"""Images from files, whole and broken."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from medsim_perception.images import GreyImage, as_network_input, read_folder, read_image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def png(path: Path, pixels: np.ndarray = GREY) -> Path:
    from PIL import Image

    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def dicoms() -> Path:
    """Files that pydicom brings."""
    pydicom = pytest.importorskip("pydicom")
    return Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(scope="module")
def niftis() -> Path:
    """Files that nibabel brings."""
    nibabel = pytest.importorskip("nibabel")
    folder = Path(nibabel.__file__).parent / "tests" / "data"
    if not folder.is_dir():
        pytest.skip("nibabel was installed without its test data")
    return folder


# PNG and JPEG


def test_a_png_is_read_as_it_was_written(tmp_path: Path) -> None:
    image = read_image(png(tmp_path / "a.png"))
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixels, GREY / 255, atol=1e-7)
    assert image.spacing_mm is None


def test_sixteen_bits_of_a_png_are_kept(tmp_path: Path) -> None:
    deep = (np.arange(48, dtype=np.uint16) * 1000).reshape(6, 8)
    np.testing.assert_allclose(read_image(png(tmp_path / "a.png", deep)).pixels, deep / 65535, atol=1e-7)


def test_colours_become_luminance_and_a_jpeg_is_near_its_pixels(tmp_path: Path) -> None:
    green = np.zeros((16, 16, 3), np.uint8)
    green[..., 1] = 255
    assert read_image(png(tmp_path / "a.png", green)).pixels == pytest.approx(0.587, abs=0.003)
    assert read_image(png(tmp_path / "a.JPG", np.full((16, 16), 100, np.uint8))).pixels == pytest.approx(100 / 255, abs=0.01)


def test_transparent_parts_are_black(tmp_path: Path) -> None:
    clear = np.full((4, 4, 4), 255, np.uint8)
    clear[:2, :, 3] = 0
    pixels = read_image(png(tmp_path / "a.png", clear)).pixels
    assert pixels[:2].max() == 0.0
    assert pixels[2:].min() == 1.0


# DICOM


def test_a_ct_slice_is_read_in_hounsfield_units_through_a_window(dicoms: Path) -> None:
    import pydicom

    path = dicoms / "CT_small.dcm"
    data = pydicom.dcmread(path)
    units = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    image = read_image(path, window=(-200, 300))
    np.testing.assert_allclose(image.pixels, np.clip((units + 200) / 500, 0, 1), atol=1e-6)
    assert image.spacing_mm == tuple(map(float, data.PixelSpacing))


def test_monochrome1_is_inverted_and_nothing_else_changes(dicoms: Path, tmp_path: Path) -> None:
    import pydicom

    data = pydicom.dcmread(dicoms / "MR_small.dcm")
    usual = read_image(dicoms / "MR_small.dcm").pixels
    data.PhotometricInterpretation = "MONOCHROME1"
    data.save_as(tmp_path / "a.dcm")
    np.testing.assert_allclose(read_image(tmp_path / "a.dcm").pixels, 1 - usual, atol=1e-6)


def test_the_files_own_window_is_the_standards(dicoms: Path, tmp_path: Path) -> None:
    import pydicom
    from pydicom.pixels import apply_windowing

    data = pydicom.dcmread(dicoms / "MR_small.dcm")
    data.WindowCenter, data.WindowWidth = 600, 1200
    data.save_as(tmp_path / "a.dcm")
    theirs = apply_windowing(data.pixel_array, data)
    theirs = (theirs - theirs.min()) / (theirs.max() - theirs.min())
    ours = read_image(tmp_path / "a.dcm").pixels
    np.testing.assert_allclose((ours - ours.min()) / (ours.max() - ours.min()), theirs, atol=1e-3)
    assert (ours[data.pixel_array >= 1200] == 1.0).all()


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "examples_rgb_color.dcm", "examples_palette.dcm",
             "examples_ybr_color.dcm", "rtdose.dcm", "liver_1frame.dcm", "SC_rgb_rle_2frame.dcm"],
)  # fmt: skip
def test_dicoms_of_many_kinds_become_grey(dicoms: Path, name: str) -> None:
    if name == "examples_ybr_color.dcm" and find_spec("PIL") is None:
        pytest.skip("JPEG in DICOM needs Pillow")
    pixels = read_image(dicoms / name).pixels
    assert pixels.ndim == 2
    assert pixels.dtype == np.float32
    assert 0.0 <= pixels.min() < pixels.max() <= 1.0


def test_frames_are_chosen_and_a_frame_that_is_not_there_is_refused(dicoms: Path) -> None:
    path = dicoms / "rtdose.dcm"
    assert (read_image(path, frame=0).pixels != read_image(path, frame=7).pixels).any()
    with pytest.raises(ValueError, match=r"rtdose\.dcm.*frame must be 0 to 14, not 15") as caught:
        read_image(path, frame=15)
    assert "damaged" not in str(caught.value)
    with pytest.raises(ValueError, match=r"CT_small\.dcm.*frame must be 0 to 0, not 1") as caught:
        read_image(dicoms / "CT_small.dcm", frame=1)
    assert "damaged" not in str(caught.value)


# NIfTI


def nifti(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    import nibabel

    nibabel.Nifti1Image(values.astype(np.float32), affine).to_filename(path)
    return path


def test_slices_are_seen_as_radiologists_see_them_however_they_are_stored(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    values = np.zeros((8, 10, 12))  # to the right, front and top
    values[6, 7, 9] = 1.0
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    stored = nifti(tmp_path / "a.nii", values, affine)
    turned = nifti(tmp_path / "b.nii.gz", values[::-1, :, ::-1], affine @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    places = {"axial": (9, (2, 1), (3.0, 2.0)), "coronal": (7, (2, 1), (4.0, 2.0)), "sagittal": (6, (2, 2), (4.0, 3.0))}
    for plane, (number, place, spacing) in places.items():
        image = read_image(stored, plane=plane, slice_number=number, window=(0, 1))
        assert np.argwhere(image.pixels == 1.0).tolist() == [list(place)]
        assert image.spacing_mm == spacing
        np.testing.assert_array_equal(read_image(turned, plane=plane, slice_number=number, window=(0, 1)).pixels, image.pixels)


@pytest.mark.parametrize("name", ["anatomical.nii", "functional.nii", "example4d.nii.gz", "standard.nii.gz", "example_nifti2.nii.gz"])
def test_niftis_of_many_kinds_become_grey(niftis: Path, name: str) -> None:
    pixels = read_image(niftis / name).pixels
    assert pixels.ndim == 2
    assert 0.0 <= pixels.min() <= pixels.max() <= 1.0


def test_values_that_are_not_finite_are_dark(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    values = np.linspace(1, 2, 64).reshape(4, 4, 4)
    values[0] = np.nan
    pixels = read_image(nifti(tmp_path / "a.nii", values, np.eye(4))).pixels
    assert np.isfinite(pixels).all()
    with pytest.raises(ValueError, match=r"b\.nii holds no finite pixel"):
        read_image(nifti(tmp_path / "b.nii", np.full((4, 4, 4), np.nan), np.eye(4)))


# broken files


def test_every_way_of_being_broken_names_the_file(tmp_path: Path) -> None:
    whole = png(tmp_path / "whole.png", np.random.default_rng(0).integers(255, size=(64, 64)).astype(np.uint8)).read_bytes()
    broken = {
        "empty.png": b"", "text.png": b"not an image", "truncated.png": whole[: len(whole) // 2],
        "corrupt.png": whole[:60] + bytes(40) + whole[100:], "empty.dcm": b"", "text.dcm": b"not DICOM " * 100, "text.nii": b"nifti" * 100,
        "text.nii.gz": b"nifti" * 100, "a.bmp": b"BM", "none": b"x",
    }  # fmt: skip
    for name, content in broken.items():
        if (name.endswith(".dcm") and find_spec("pydicom") is None) or (".nii" in name and find_spec("nibabel") is None):
            continue
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png is missing"):
        read_image(tmp_path / "nowhere.png")


def test_a_truncated_dicom_and_one_without_an_image_name_themselves(dicoms: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"MR_truncated\.dcm cannot be read as DICOM"):
        read_image(dicoms / "MR_truncated.dcm")
    with pytest.raises(ValueError, match=r"rtplan\.dcm cannot be read as DICOM .*holds no image"):
        read_image(dicoms / "rtplan.dcm")
    short = tmp_path / "short.dcm"
    short.write_bytes((dicoms / "CT_small.dcm").read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"short\.dcm"):
        read_image(short)


def test_a_truncated_nifti_and_a_plane_alone_name_themselves(tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    whole = nifti(tmp_path / "whole.nii", np.ones((8, 8, 8)), np.eye(4)).read_bytes()
    (tmp_path / "short.nii").write_bytes(whole[:1000])
    with pytest.raises(ValueError, match=r"short\.nii cannot be read as NIfTI"):
        read_image(tmp_path / "short.nii")
    with pytest.raises(ValueError, match=r"plane\.nii .*not a volume"):
        read_image(nifti(tmp_path / "plane.nii", np.ones((8, 8)), np.eye(4)))
    with pytest.raises(ValueError, match=r"whole\.nii .*slice_number must be 0 to 7, not 8") as caught:
        read_image(tmp_path / "whole.nii", slice_number=8)
    assert "damaged" not in str(caught.value)


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module, name in (("pydicom", "a.dcm"), ("nibabel", "a.nii")):
        (tmp_path / name).write_bytes(b"something")
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf"{name}.*pip install 'medsim\[imaging\]'"):
            read_image(tmp_path / name)


def test_a_folder_gives_what_could_be_read_and_why_the_rest_could_not(tmp_path: Path) -> None:
    png(tmp_path / "b.png")
    png(tmp_path / "a.png", GREY[::-1].copy())
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").write_text("passed over")
    read = read_folder(tmp_path)
    assert [path.name for path, _ in read.images] == ["a.png", "b.png"]
    assert [path.name for path, _ in read.failures] == ["c.png", "notes.txt"]
    assert all(str(path) in reason for path, reason in read.failures)


def test_an_empty_folder_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no files"):
        read_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="is no folder"):
        read_folder(tmp_path / "nowhere")


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png")
    with pytest.raises(ValueError, match="plane must be one of axial, coronal, sagittal, not 'oblique'"):
        read_image(path, plane="oblique")
    with pytest.raises(ValueError, match="window must be"):
        read_image(path, window=(3, 3))
    for name, number in (("slice_number", 1.5), ("slice_number", True), ("frame", "2")):
        with pytest.raises(TypeError, match=f"{name} must be a whole number or None, not {number!r}"):
            read_image(path, **{name: number})


# what networks take


def test_areas_are_averaged_and_the_mean_is_kept() -> None:
    pixels = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    small = as_network_input(pixels, 64)
    assert small.shape == (1, 64, 64)
    assert small.dtype == np.uint8
    np.testing.assert_allclose(small[0] / 255, pixels.reshape(64, 2, 64, 2).mean((1, 3)), atol=0.5 / 255 + 1e-6)
    odd = as_network_input(pixels[:100, :100], 64)
    assert odd.mean() / 255 == pytest.approx(pixels[:100, :100].mean(), abs=1e-3)


def test_an_oblong_image_is_centred_between_black_margins() -> None:
    small = as_network_input(GreyImage(np.ones((32, 64), np.float32), None), 64)[0]
    assert (small[16:48] == 255).all()
    assert small[:16].max() == small[48:].max() == 0


def test_a_small_image_grows_without_new_values() -> None:
    assert set(np.unique(as_network_input(np.array([[0.0, 1.0], [1.0, 0.0]]), 8))) == {0, 255}


@pytest.mark.parametrize(
    ("pixels", "size", "message"),
    [
        (np.zeros((2, 4, 4)), 8, r"must have the shape \(h, w\), not \(2, 4, 4\)"),
        (np.full((4, 4), 2.0), 8, "values in 0..1, not 2 to 2"),
        (np.full((4, 4), np.nan), 8, "values in 0..1"),
        (np.zeros((4, 4)), 0, "size must be 1 or more, not 0"),
    ],
)
def test_what_no_network_takes_is_refused(pixels: np.ndarray, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_network_input(pixels, size)
