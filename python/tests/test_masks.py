"""Masks by flint's pipeline against what flint wrote."""

import numpy as np
import pytest

import cleanloop
from golden import flint_cases, plane, planes


@pytest.mark.parametrize("case", flint_cases(), ids=lambda case: case.name)
def test_every_pixel_is_flints(case):
    masked = 0
    for channel in range(planes(case.image)):
        image, header = plane(case.image, channel)
        given = [("background", case.background), ("rms", case.rms)]
        maps = {name: plane(path, channel)[0] for name, path in given if path}
        made = cleanloop.mask(image, beam=cleanloop.beam_pixels(header), **maps, **case.options)
        expected = plane(case.mask, channel)[0].astype(np.int64)
        assert made.dtype == np.uint8 and made.shape == expected.shape
        np.testing.assert_array_equal(made, expected)
        masked += np.count_nonzero(made)
    assert masked == case.masked_pixels


def test_the_way_an_array_lies_in_memory_changes_nothing():
    case = next(case for case in flint_cases() if case.name == "mac_75")
    image, header = plane(case.image)
    expected = cleanloop.mask(image, **case.options)
    assert expected.any()
    others = {
        "big-endian": image.astype(">f4"),
        "double": image.astype(np.float64),
        "Fortran order": np.asfortranarray(image),
        "every second": np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)[::2, ::2],
        "upside down twice": image[::-1][::-1],
    }
    for name, other in others.items():
        np.testing.assert_array_equal(cleanloop.mask(other, **case.options), expected, err_msg=name)


def test_masked_values_and_nan_are_no_data():
    image = np.zeros((40, 40), np.float32)
    image[10:13, 10:13] = 9
    hidden = np.zeros(image.shape, bool)
    hidden[10, 10] = True
    made = cleanloop.mask(np.ma.MaskedArray(image, hidden), background=0 * image, rms=0 * image + 1)
    assert made.sum() == 8 and made[10, 10] == 0
    blank = image.copy()
    blank[10, 10] = np.nan
    np.testing.assert_array_equal(cleanloop.mask(blank, background=0 * image, rms=0 * image + 1), made)


def test_many_scales_need_wide_integers():
    image, header = plane(flint_cases()[0].image)
    scales = list(range(0, 20, 2))
    made = cleanloop.mask(
        image,
        beam=cleanloop.beam_pixels(header),
        flood_fill=True,
        flood_fill_use_mac=True,
        flood_fill_positive_seed_clip=1.2,
        beam_shape_erode=True,
        beam_shape_erode_scales=scales,
    )
    assert made.dtype == np.int32 and made.max() < 2 ** len(scales)


def test_what_flint_logs_is_a_warning():
    image = np.zeros((30, 30), np.float32)
    image[3, 3] = 2
    with pytest.warns(RuntimeWarning, match="no pixel reaches the seed clip of 4.5"):
        cleanloop.mask(image, background=0 * image, rms=0 * image + 1, flood_fill=True)


def test_signal():
    image = np.array([[1, 2], [3, 4]], np.float32)
    signal = cleanloop.signal(image, np.ones((2, 2)), np.array([[1, 2], [0, 1]]))
    np.testing.assert_array_equal(signal, np.array([[0, 0.5], [np.nan, 3]], np.float32))


def test_mistakes_are_named():
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(TypeError, match="unknown option `flood_fil`: did you mean `flood_fill`?"):
        cleanloop.mask(image, flood_fil=True)
    with pytest.raises(ValueError, match="base_snr_clip: invalid type"):
        cleanloop.mask(image, base_snr_clip="high")
    with pytest.raises(ValueError, match="base_snr_clip is -1; expected a number that is not negative"):
        cleanloop.mask(image, base_snr_clip=-1)
    with pytest.raises(ValueError, match="needs a background and an rms map"):
        cleanloop.mask(image)
    with pytest.raises(ValueError, match="the rms has 7 x 8 pixels, but the image has 8 x 8"):
        cleanloop.mask(image, background=image, rms=image[:, :7])
    with pytest.raises(ValueError, match=r"image has the shape \[1, 8, 8\]; an array \[y, x\] was expected"):
        cleanloop.mask(image[np.newaxis])
    with pytest.raises(TypeError, match="image is of type complex64; real numbers were expected"):
        cleanloop.mask(image.astype(np.complex64))
    with pytest.raises(ValueError, match="two positive widths"):
        cleanloop.mask(image, beam=(3, -1, 0), background=image, rms=image + 1)


def test_the_beam_of_a_header():
    header = {"BMAJ": 3e-3, "BMIN": 2e-3, "BPA": 10.0, "CDELT1": -1e-3, "CDELT2": 1e-3}
    np.testing.assert_allclose(cleanloop.beam_pixels(header), (3, 2, 10))
    assert cleanloop.beam_pixels({"CDELT1": 1}) is None
    with pytest.raises(ValueError, match="no CDELT1"):
        cleanloop.beam_pixels({"BMAJ": 1, "BMIN": 1})
    with pytest.raises(ValueError, match="square pixels"):
        cleanloop.beam_pixels({**header, "CDELT2": 2e-3})
