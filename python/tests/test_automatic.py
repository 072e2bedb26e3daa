"""Automatic masks, combined masks and metrics against the command's."""

import json

import numpy as np
import pytest
from astropy.io import fits

import cleanloop
from test_package import run

SIDE = 240


def source(at, peak, fwhm=3.0):
    y, x = np.mgrid[:SIDE, :SIDE]
    return peak * np.exp(-4 * np.log(2) * ((y - at[0]) ** 2 + (x - at[1]) ** 2) / fwhm**2)


def field(seed, peak=1000.0):
    image = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    image += source((120, 120), peak) + source((120, 150), 0.06 * peak) - source((120, 90), 0.05 * peak)
    image += source((30, 200), 90) + source((180, 60), 3.5, 40.0)
    return image.astype(np.float32)


def write(path, array):
    header = fits.Header({"CDELT1": -1e-3, "CDELT2": 1e-3, "BMAJ": 3e-3, "BMIN": 3e-3, "BPA": 0.0})
    fits.writeto(path, array, header)
    return cleanloop.beam_pixels(header)


def command(folder, *words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_automatic_masks_are_the_commands(tmp_path):
    one, two = field(1), field(2)
    beam = write(tmp_path / "one.fits", one)
    write(tmp_path / "two.fits", two)
    told = command(tmp_path, "mask", "one.fits", "--auto", "-o", "a.fits")
    made = cleanloop.automatic_mask(one, beam=beam)
    np.testing.assert_array_equal(made.mask, fits.getdata(tmp_path / "a.fits"))
    assert made.mask.dtype == np.uint8 and 0 < made.fraction < 0.2 and made.raised == 0
    assert made.options["flood_fill_use_mac"] and made.artefacts > 0.5 and made.why[0] in told
    assert any(island.pixel == (150, 120) and island.why in told for island in made.removed)
    command(
        tmp_path, "mask", "two.fits", "--auto", "--previous-image", "one.fits", "--previous-mask", "a.fits",
        "--caution", "1.3", "-o", "b.fits",
    )  # fmt: skip
    again = cleanloop.automatic_mask(two, beam=beam, previous_image=one, previous_mask=made.mask, caution=1.3)
    np.testing.assert_array_equal(again.mask, fits.getdata(tmp_path / "b.fits"))


def test_residuals_know_their_psf_and_the_dirty_image(tmp_path):
    dirty, residual = field(1), field(1, 60.0)
    psf = (source((120, 120), 1.0) + source((60, 60), 0.02)).astype(np.float32)
    beam = write(tmp_path / "r.fits", residual)
    write(tmp_path / "psf.fits", psf)
    write(tmp_path / "dirty.fits", dirty)
    command(tmp_path, "mask", "r.fits", "--auto", "--psf", "psf.fits", "--dirty", "dirty.fits", "-o", "m.fits")
    made = cleanloop.automatic_mask(residual, beam=beam, psf=psf, uncleaned=dirty)
    np.testing.assert_array_equal(made.mask, fits.getdata(tmp_path / "m.fits"))


def test_mistakes_of_automatic_masks_are_named():
    image = field(1)
    with pytest.raises(TypeError, match="did you mean `prominent_seed`"):
        cleanloop.automatic_mask(image, prominent_sed=3)
    with pytest.raises(ValueError, match="belong together"):
        cleanloop.automatic_mask(image, previous_image=image)
    with pytest.raises(ValueError, match=r"uncleaned has shape \(3, 3\)"):
        cleanloop.automatic_mask(image, uncleaned=image[:3, :3])
    with pytest.raises(ValueError, match="no positive pixel or no noise"):
        cleanloop.automatic_mask(-np.ones((50, 50)))


def test_combined_masks_are_the_commands(tmp_path):
    random = np.random.default_rng(3)
    a, b, c = (np.uint8(random.uniform(size=(60, 70)) < 0.2) for _ in range(3))
    for name, mask in zip("abc", (a, b, c)):
        fits.writeto(tmp_path / f"{name}.fits", mask)
    command(
        tmp_path, "combine", "a.fits", "b.fits", "--operation", "union", "--drop-touching", "c.fits", "--fill-holes",
        "--minimum-size", "3", "-o", "m.fits",
    )  # fmt: skip
    made = cleanloop.combine([a, b], drop_touching=[c], fill_holes=True, minimum_size=3)
    assert made.dtype == np.uint8 and made.any()
    np.testing.assert_array_equal(made, fits.getdata(tmp_path / "m.fits"))
    np.testing.assert_array_equal(cleanloop.combine([a, b], operation="difference"), a & ~b & 1)
    with pytest.raises(ValueError, match="operation"):
        cleanloop.combine([a, b], operation="sum")
    with pytest.raises(ValueError, match="masks is empty"):
        cleanloop.combine([])
    with pytest.raises(ValueError, match="remove has shape"):
        cleanloop.combine([a], remove=[b.T])


def test_metrics_are_the_commands(tmp_path):
    image, mask = field(1), np.uint8(field(1) > 5)
    beam = write(tmp_path / "i.fits", image)
    write(tmp_path / "m.fits", mask)
    theirs = json.loads(command(tmp_path, "metrics", "i.fits", "--mask", "m.fits", "--json"))[0]["metrics"]
    ours = cleanloop.metrics(image, mask=mask, beam=beam, pixel_deg=1e-3)
    assert (ours.rms, ours.peak, ours.masked_pixels) == (theirs["rms"], theirs["peak"], theirs["masked_pixels"])
    assert list(ours.peak_pixel) == theirs["peak_pixel"] and ours.near_field_rms == theirs["near_field_rms"]
    assert ours.beam_area_arcsec2 == pytest.approx(theirs["beam_area_arcsec2"]) and ours.model is None
    model = cleanloop.metrics(image, model=np.where(mask, image, 0), islands=mask).model
    assert model.components == np.count_nonzero(mask) and model.outside_flux == 0
    with pytest.raises(ValueError, match="belong together"):
        cleanloop.metrics(image, beam=beam)
