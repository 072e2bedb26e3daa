"""Noise maps against BANE's, and confetti that was put into a cube."""

import numpy as np
import pytest

import cleanloop
from golden import REPOSITORY, plane


def test_the_noise_maps_are_close_to_banes():
    image, header = plane(REPOSITORY / "tests/data/flint/inputs/sim_a.fits.gz")
    every = REPOSITORY / "tests/data/bane"
    background, rms = cleanloop.noise(image, beam=cleanloop.beam_pixels(header), method="bane")
    assert background.shape == rms.shape == image.shape and rms.dtype == np.float32
    for ours, name in ((background, "bkg"), (rms, "rms")):
        golden = plane(every / f"sim_a_{name}_every8.fits.gz")[0]
        ours = ours[::8, ::8]
        assert golden.shape == ours.shape
        # Of the rms: the background is small against it.
        scale = np.median(plane(every / "sim_a_rms_every8.fits.gz")[0])
        assert np.median(np.abs(ours - golden)) < 0.02 * scale


def test_noise_by_two_numbers_and_by_boxes():
    random = np.random.default_rng(1)
    image = random.normal(5, 2, (200, 200)).astype(np.float32)
    image[0, 0] = np.nan
    background, rms = cleanloop.noise(image, method="global", background="median")
    assert np.isnan(rms[0, 0]) and abs(rms[1, 1] - 2) < 0.05 and abs(background[1, 1] - 5) < 0.05
    _, rms = cleanloop.noise(image, method="box", box=51)
    assert abs(np.nanmedian(rms) - 2) < 0.1
    with pytest.raises(ValueError, match="method: unknown variant `banes`"):
        cleanloop.noise(image, method="banes")
    with pytest.raises(ValueError, match="noise.box is 1; expected at least 2 pixels"):
        cleanloop.noise(image, box=1)
    with pytest.raises(ValueError, match="no finite pixel"):
        cleanloop.noise(np.full((9, 9), np.nan))


def test_confetti_is_told_from_a_source():
    model = np.zeros((5, 40, 40), np.float32)
    model[:, 10, 10] = 20  # a source in every channel
    model[2, 28:33, 28:33] = -0.8  # a pedestal ...
    model[2, 30, 30] = 20  # ... and the pixel that hides it
    found = cleanloop.confetti(model, 1.0, 4.0)
    assert [c.pixel for c in found if c.verdict == "confetti"] == [(30, 30)]
    assert {c.channel for c in found if c.verdict == "real" and c.pixel == (10, 10)} == set(range(5))
    assert cleanloop.confetti(model, np.ones(5), 4.0) == found
    with pytest.raises(ValueError, match="noise has 3 values, but the model has 5 channels"):
        cleanloop.confetti(model, [1, 1, 1], 4.0)
    with pytest.raises(ValueError, match=r"dirty has shape \(4, 40, 40\)"):
        cleanloop.confetti(model, 1.0, 4.0, dirty=model[:4])
    with pytest.raises(ValueError, match="isolation"):
        cleanloop.confetti(model, 1.0, 4.0, isolation=0.5)
