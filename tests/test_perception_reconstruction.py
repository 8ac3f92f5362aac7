"""Reconstruction: the physics is right and differentiable, noise is what it must be, nets respect what was measured and learn quickly."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.metrics import psnr  # noqa: E402
from medsim_perception.reconstruction import (  # noqa: E402
    LowDoseCt,
    ParallelBeam,
    PostProcessedCt,
    PostProcessedMri,
    UnrolledCt,
    UnrolledMri,
    coarse_phase,
    consistent,
    from_hu,
    line_masks,
    random_phantoms,
    random_phase,
    to_hu,
    to_image,
    to_kspace,
)  # fmt: skip
from medsim_perception.reconstruction import ct as ct_module  # noqa: E402
from medsim_perception.reconstruction import mri as mri_module  # noqa: E402
from medsim_perception.reconstruction.heads import random_heads  # noqa: E402
from medsim_perception.reconstruction.judging import decibel_loss, training_images  # noqa: E402
from medsim_perception.reconstruction.lesions import lesion_rates  # noqa: E402
from medsim_perception.reconstruction.phantoms import Canvas  # noqa: E402
from medsim_perception.reconstruction.pictures import ct_side_by_side, mri_side_by_side  # noqa: E402
from medsim_perception.reconstruction.real_slices import CT_HEAD, CT_SLICE, MRI_TEMPLATE, MRI_TEST, available, ct_slice, shrink  # noqa: E402

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def phantoms(n, modality="ct", seed=1):
    return random_phantoms(np.random.default_rng(seed), n, modality)


# tomography


@pytest.mark.parametrize(("size", "angles"), [(64, 60), (31, 17)])
def test_backproject_is_the_adjoint_of_project(size, angles):
    beam = ParallelBeam(size, angles)
    x, y = torch.randn(3, size, size, generator=generator()), torch.randn(3, angles, size, generator=generator(1))
    left, right = (beam.project(x) * y).sum(), (x * beam.backproject(y)).sum()
    assert abs(left - right) / (beam.project(x).norm() * y.norm()) < 1e-5


def test_gradients_of_all_operators_are_their_transposes():
    beam = ParallelBeam(16, 9)
    for operator, shape in ((beam.project, (2, 16, 16)), (beam.backproject, (2, 9, 16)), (beam.filtered_backprojection, (2, 9, 16))):
        x = torch.randn(shape, generator=generator(), requires_grad=True)
        step, out = torch.randn(shape, generator=generator(1)), operator(x)
        weights = torch.randn(out.shape, generator=generator(2))
        (gradient,) = torch.autograd.grad((out * weights).sum(), x)
        assert float((gradient * step).sum()) == pytest.approx(float((operator(step) * weights).sum()), rel=1e-3, abs=1e-3)


def test_gradients_of_gradients_flow_through_a_projection():
    beam = ParallelBeam(16, 9)
    x = torch.rand(16, 16, generator=generator(), requires_grad=True)
    (slope,) = torch.autograd.grad(beam.project(x).square().sum() / 2, x, create_graph=True)
    (twice,) = torch.autograd.grad(slope.square().sum() / 2, x)
    assert torch.allclose(twice, beam.backproject(beam.project(slope.detach())), rtol=1e-4)


def test_the_shadow_of_a_disc_is_its_chord():
    size, radius = 128, 40.0
    line = (torch.arange(8 * size) + 0.5) / 8 - size // 2 - 0.5
    fine = (line[:, None] ** 2 + line**2 <= radius**2).float()
    image = fine.reshape(size, 8, size, 8).mean((1, 3))
    t = torch.arange(size) - size // 2
    chord = 2 * (radius**2 - t.float() ** 2).clamp(min=0).sqrt()
    sinogram = ParallelBeam(size, 30).project(image)
    inner = t.abs() < 35
    assert (sinogram[:, inner] / chord[inner] - 1).abs().max() < 0.01
    assert torch.allclose(sinogram.sum(1), torch.full((30,), math.pi * radius**2), rtol=2e-3)


def test_the_shadow_of_a_pixel_seen_across_its_corners_is_a_triangle():
    image = torch.zeros(16, 16)
    image[8, 8] = 1
    shadow = ParallelBeam(16, 4).project(image)[1]  # at 45 degrees
    side = (math.sqrt(0.5) - 0.5) ** 2  # area of the triangle beyond half a pixel
    assert shadow[7:10].tolist() == pytest.approx([side, 1 - 2 * side, side], abs=1e-5)


def test_projection_agrees_with_scikit_image_and_sinograms_can_be_exchanged():
    transform = pytest.importorskip("skimage.transform")
    image, beam = phantoms(1)[0, 0], ParallelBeam(64, 60)
    theirs = transform.radon(image.double().numpy(), np.arange(60) * 3.0, circle=True)
    ours = beam.project(image).numpy().T
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 0.01
    back = transform.iradon(theirs, np.arange(60) * 3.0, circle=True)
    assert np.linalg.norm(beam.filtered_backprojection(torch.from_numpy(theirs.T.copy())).numpy() - back) / np.linalg.norm(back) < 0.01


@pytest.mark.parametrize(("size", "angles"), [(64, 60), (128, 120)])
def test_noiseless_back_projection_is_no_worse_than_scikit_images(size, angles):
    transform = pytest.importorskip("skimage.transform")
    image, beam, theta = (
        random_phantoms(np.random.default_rng(2), 1, "ct", size)[0, 0],
        ParallelBeam(size, angles),
        np.arange(angles) * 180 / angles,
    )
    truth = image.double().numpy()
    theirs = psnr(truth, transform.iradon(transform.radon(truth, theta, circle=True), theta, circle=True))
    assert psnr(truth, beam.filtered_backprojection(beam.project(image)).numpy()) >= theirs - 0.2


def test_a_batch_gives_each_image_its_own_sinogram():
    beam, images = ParallelBeam(64, 60), phantoms(4)
    assert torch.allclose(beam.project(images)[2, 0], beam.project(images[2, 0]), atol=1e-4)


@pytest.mark.parametrize("wrong", [(2, 60), (64, 0), (4096, 720)])
def test_a_beam_of_impossible_size_is_refused(wrong):
    with pytest.raises(ValueError, match="size must be"):
        ParallelBeam(*wrong)


def test_operators_name_the_shape_that_they_want():
    beam = ParallelBeam(64, 60)
    with pytest.raises(ValueError, match=r"images must have the shape \(\.\.\., 64, 64\)"):
        beam.project(torch.zeros(1, 32, 32))
    with pytest.raises(ValueError, match="sinograms must have"):
        beam.backproject(torch.zeros(64, 64))
    with pytest.raises(ValueError, match="window must be one of ramp, hann"):
        beam.filtered_backprojection(torch.zeros(60, 64), "cosine")


# dose


def test_hounsfield_units_come_back():
    hu = torch.tensor([-1000.0, 0.0, 40.0, 1999.0])
    assert torch.allclose(to_hu(from_hu(hu)), hu, atol=1e-3)
    assert float(from_hu(torch.tensor(5000.0))) == 1.0


def test_water_attenuates_as_water_does():
    ct = LowDoseCt()
    water_10_cm = from_hu(torch.tensor(0.0)) * 100 / (ct.field_mm / ct.beam.size)
    assert float(ct.attenuation * water_10_cm) == pytest.approx(2.0)  # 0.02 per mm


def test_noise_is_that_of_counted_photons():
    ct = LowDoseCt(beam=ParallelBeam(64, 60), photons=4000.0)
    image = phantoms(1)
    clean = ct.scan(image, None)
    noisy = ct.scan(image.expand(300, 1, 64, 64), generator())
    expected = 1 / torch.sqrt(ct.photons * ct.reliability(clean)) / ct.attenuation  # of a logarithm of many photons
    many = ct.photons * ct.reliability(clean) > 100
    assert float((noisy.std(0, keepdim=True) / expected)[many].mean()) == pytest.approx(1.0, abs=0.02)
    assert float((noisy.mean(0, keepdim=True) - clean)[many].mean().abs()) < 0.02


def test_noise_follows_its_generator():
    ct, image = LowDoseCt(), phantoms(2)
    assert torch.equal(ct.scan(image, generator(3)), ct.scan(image, generator(3)))
    assert not torch.equal(ct.scan(image, generator(3)), ct.scan(image, generator(4)))


def test_a_dose_of_nothing_is_refused():
    with pytest.raises(ValueError, match="photons and field_mm must be above 0, not 0"):
        LowDoseCt(photons=0)


# k-space


def test_the_fourier_transform_keeps_energy_and_comes_back():
    image = torch.randn(2, 1, 64, 64, dtype=torch.complex64, generator=generator())
    kspace = to_kspace(image)
    assert torch.allclose(to_image(kspace), image, atol=1e-5)
    assert float(kspace.abs().square().sum()) == pytest.approx(float(image.abs().square().sum()), rel=1e-4)
    constant = to_kspace(torch.ones(64, 64))
    assert float(constant[32, 32].abs()) == pytest.approx(64.0)


@pytest.mark.parametrize(("acceleration", "lines", "centre"), [(4, 16, 5), (8, 8, 3)])
def test_masks_have_their_lines_and_the_whole_centre(acceleration, lines, centre):
    masks = line_masks(50, 64, acceleration, generator())
    first = 32 - centre // 2
    assert masks.shape == (50, 1, 1, 64)
    assert bool((masks.sum(-1) == lines).all())
    assert bool(masks[..., first : first + centre].all())
    assert float(masks.float().mean(0).std()) > 0.05  # other lines differ
    assert torch.equal(masks, line_masks(50, 64, acceleration, generator()))


def test_masks_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="acceleration must be within"):
        line_masks(1, 64, 0, generator())
    with pytest.raises(ValueError, match="centre must hold"):
        line_masks(1, 64, 8, generator(), centre_fraction=0.5)


def test_consistency_puts_the_measurement_back_and_leaves_the_rest():
    image, other = (torch.randn(2, 1, 64, 64, dtype=torch.complex64, generator=generator(seed)) for seed in (0, 1))
    masks = line_masks(2, 64, 4, generator())
    mixed = to_kspace(consistent(other, to_kspace(image) * masks, masks))
    assert torch.allclose(mixed * masks, to_kspace(image) * masks, atol=1e-4)
    assert torch.allclose(mixed * ~masks, to_kspace(other) * ~masks, atol=1e-4)
    half = to_kspace(consistent(other, to_kspace(image) * masks, masks, torch.tensor(0.5)))
    assert torch.allclose(half * masks, (to_kspace(image) + to_kspace(other)) / 2 * masks, atol=1e-4)


def test_the_coarse_phase_makes_an_image_nearly_real():
    image = random_phase(phantoms(8, "mri"), generator())
    measured = to_kspace(image) * line_masks(8, 64, 4, generator())
    turned = image * coarse_phase(measured).conj()
    assert float(turned.imag.square().sum() / turned.abs().square().sum()) < 0.1
    assert float(image.imag.square().sum() / image.abs().square().sum()) > 0.2


# phantoms


@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_phantoms_are_various_lie_in_the_circle_and_follow_their_seed(modality):
    images = phantoms(16, modality)
    line = torch.arange(64) - 32
    outside = line[:, None] ** 2 + line**2 > 32**2
    assert images.shape == (16, 1, 64, 64)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert float(images[..., outside].max()) == 0
    assert float(torch.pdist(images.flatten(1)).min()) > 1
    assert torch.equal(images, phantoms(16, modality))
    assert not torch.equal(images, phantoms(16, modality, seed=2))


def test_a_shape_covers_as_much_of_each_pixel_as_its_area_does():
    canvas = Canvas(np.random.default_rng(0), 1, 64)
    turn, centre = torch.full((1, 1, 1), 0.5), (torch.full((1, 1, 1), 0.1), torch.full((1, 1, 1), -0.05))
    ellipse = canvas.radius(centre, (torch.full((1, 1, 1), 0.6), torch.full((1, 1, 1), 0.4)), turn) - 1
    fine = Canvas(np.random.default_rng(0), 1, 512)
    inside = fine.radius(centre, (torch.full((1, 1, 1), 0.6), torch.full((1, 1, 1), 0.4)), turn) < 1
    area = inside.float().reshape(64, 8, 64, 8).mean((1, 3))
    assert float((canvas.cover(ellipse)[0] - area).abs().max()) < 0.12
    assert float((canvas.cover(ellipse)[0] - area).abs().sum() / area.sum()) < 0.004


def test_no_test_phantom_is_one_that_training_draws():
    trained = torch.cat([mri_module.MriBatches("phantoms").draw(np.random.default_rng((0, step)), 16, 64) for step in range(4)])
    assert float(torch.cdist(trained.flatten(1), mri_module.test_phantoms().flatten(1)).min()) > 0.5


def test_unknown_sources_and_modalities_are_refused():
    with pytest.raises(ValueError, match="modality must be one of ct, mri, not 'pet'"):
        phantoms(1, "pet")
    with pytest.raises(ValueError, match="source must be one of"):
        training_images("patients", "ct")


# nets


@pytest.mark.parametrize("make", [lambda: PostProcessedCt(ct_module.CT), lambda: UnrolledCt(ct_module.CT)])
def test_untrained_ct_nets_do_no_harm(make):
    images = phantoms(8)
    sinograms = ct_module.CT.scan(images, generator())
    net = make()
    out = net(sinograms)
    assert out.shape == images.shape
    hann = ct_module.CT.beam.filtered_backprojection(sinograms, "hann")
    assert float(decibel_loss(out.detach(), images)) <= float(decibel_loss(hann, images)) + 1e-6


def test_unrolled_mri_keeps_every_measured_line_whatever_its_weights():
    measured, masks, _ = mri_module.measure(phantoms(4, "mri"), 4, generator())
    net = UnrolledMri()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.05, generator=generator())
        out = net(measured, masks)
    assert torch.allclose(to_kspace(out) * masks, measured, atol=1e-4)
    assert float((to_kspace(out) * ~masks).abs().max()) > 1e-2


def test_untrained_mri_nets_return_the_zero_filled_image():
    measured, masks, _ = mri_module.measure(phantoms(4, "mri"), 8, generator())
    for net in (UnrolledMri(), PostProcessedMri()):
        assert torch.allclose(net(measured, masks), to_image(measured), atol=1e-5)


def test_shipped_nets_are_small():
    for build in (ct_module.build, mri_module.build):
        assert 2 * sum(weight.numel() for weight in build().parameters()) <= 500_000  # bytes in half precision


@pytest.mark.parametrize(
    ("module", "make", "least"),
    [(ct_module, lambda: UnrolledCt(ct_module.CT, 2, (16, 16)), 0.5), (mri_module, lambda: UnrolledMri(2, (16, 16)), 0.5)],
)
def test_a_few_steps_of_training_gain_decibels_on_phantoms_never_seen(module, make, least):
    torch.manual_seed(0)
    learner = module.begin_from(make(), 0, CPU, source="phantoms", steps=40)
    learner.batch_size = 8
    batch = learner.sample(np.random.default_rng((5, 5)), 32)
    before = float(learner.loss(learner.network.eval(), *batch).detach())
    for _ in range(40):
        learner.step()
    after = float(learner.loss(learner.network.eval(), *batch).detach())
    assert 10 * (before - after) > least


def test_recipes_are_catalogued_under_their_names():
    from medsim_perception.catalogue import recipe

    for name in ("ct-reconstruction", "mri-reconstruction"):
        assert recipe(name).name == name


@pytest.mark.parametrize("module", [ct_module, mri_module])
def test_judging_tells_psnr_and_ssim_beside_each_other_for_input_and_net(module, monkeypatch):
    monkeypatch.setattr(module, "TEST_IMAGES", 4)
    metrics = module.judge(module.build(), CPU)
    sets = {name.rpartition("_psnr")[0] for name in metrics if name.endswith("_psnr")}
    assert {"phantoms", "rendered"} <= {name.removesuffix("_4x").removesuffix("_8x") for name in sets}
    for name in sets:
        assert metrics[f"{name}_psnr_gain"] == pytest.approx(metrics[f"{name}_psnr"] - metrics[f"{name}_psnr_input"])
        assert metrics[f"{name}_ssim_gain"] == pytest.approx(metrics[f"{name}_ssim"] - metrics[f"{name}_ssim_input"])


# what a decision needs


def test_lesion_rates_of_a_perfect_a_blind_and_a_dreaming_method():
    without = torch.full((3, 1, 32, 32), 0.4)
    tumours = torch.zeros(3, 32, 32, dtype=torch.bool)
    tumours[:, 10:15, 10:15] = True
    having = without + 0.1 * tumours[:, None]
    organs = torch.ones(3, 32, 32, dtype=torch.bool)
    perfect = lesion_rates(lambda x: x, without, having, tumours, organs, 2.5)
    blind = lesion_rates(lambda x: without, without, having, tumours, organs, 2.5)
    dreaming = lesion_rates(lambda x: having, without, having, tumours, organs, 2.5)
    assert perfect == pytest.approx((1.0, 1.0, 0.0), abs=1e-5)
    assert blind == pytest.approx((0.0, 0.0, 0.0), abs=1e-5)
    assert dreaming == pytest.approx((1.0, 1.0, 1.0), abs=1e-5)
    with pytest.raises(ValueError, match="no patient has a tumour"):
        lesion_rates(lambda x: x, without, having, tumours & False, organs, 2.5)


def test_pictures_stand_side_by_side_with_their_scores():
    ct = ct_side_by_side(phantoms(1)[0, 0], {"unrolled": ct_module.build()})
    mri = mri_side_by_side(phantoms(1, "mri")[0, 0], {"unrolled": mri_module.build()}, acceleration=8)
    for shown in (ct, mri):
        assert [tuple(image.shape) for image in shown.images] == [(64, 64)] * 3
        assert shown.captions()[0] == "truth"
        assert all("dB, SSIM" in caption for caption in shown.captions()[1:])


# real slices


def test_averaging_by_area_keeps_the_mean_and_pads_with_air():
    slices = np.random.default_rng(0).random((2, 30, 40)).astype(np.float32)
    small = shrink(slices, 10, fill=-1.0)
    assert small.shape == (2, 10, 10)
    assert small.mean() == pytest.approx((slices.mean() * 30 - 10) / 40, abs=1e-5)
    with pytest.raises(ValueError, match="cannot be averaged to 64"):
        shrink(slices, 64)


def test_absent_files_say_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSIM_DATA_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"Cranium.inv3 is missing.*benchmarks.perception.public_data"):
        ct_module.test_heads()
    (tmp_path / CT_HEAD).write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be read as a head CT"):
        ct_module.test_heads()


def test_a_damaged_volume_is_named(monkeypatch, tmp_path):
    pytest.importorskip("nibabel")
    monkeypatch.setenv("MEDSIM_DATA_CACHE", str(tmp_path))
    (tmp_path / MRI_TEST).write_bytes(b"no volume")
    with pytest.raises(ValueError, match=r"ch2.nii.gz cannot be read as NIfTI"):
        mri_module.test_brains()


@pytest.mark.skipif(not available(CT_HEAD), reason=f"{CT_HEAD} is absent")
def test_the_real_head_has_bone_brain_and_air():
    heads = ct_module.test_heads()
    assert heads.shape == (45, 1, 64, 64)
    assert float((heads > 0.5).float().mean()) > 0.02
    assert 0.1 < float(((heads > 0.32) & (heads < 0.36)).float().mean()) < 0.5


@pytest.mark.skipif(not available(MRI_TEST), reason=f"{MRI_TEST} is absent")
def test_colin_has_fifty_slices():
    brains = mri_module.test_brains()
    assert brains.shape == (50, 1, 64, 64)
    assert float(brains.max()) <= 1


@pytest.mark.skipif(not available(CT_SLICE), reason=f"{CT_SLICE} is absent")
def test_pydicoms_slice_is_in_hounsfield_units():
    pytest.importorskip("pydicom")
    assert -1024 <= ct_slice().min() < -800


@pytest.mark.skipif(not available(MRI_TEMPLATE), reason=f"{MRI_TEMPLATE} is absent")
@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_heads_to_learn_from_are_various_and_follow_their_seed(modality):
    heads = random_heads(np.random.default_rng(0), 8, modality)
    assert heads.shape == (8, 1, 64, 64)
    assert bool((heads.flatten(1).amax(1) > 0.3).all())
    assert float(torch.pdist(heads.flatten(1)).min()) > 1
    assert torch.equal(heads, random_heads(np.random.default_rng(0), 8, modality))
