"""The spectrum that lines are looked for in: the parts that need no measurement set."""

import numpy as np
import pytest

from cleanloop_worker.ms.continuum import amplitudes_of, median_of, noise_of_fit, polynomials

CHANNELS = 24
LINE = slice(10, 14)


def noise(rows: int, sigma: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(3)
    shape = (2, CHANNELS, rows)
    return sigma * (random.standard_normal(shape) + 1j * random.standard_normal(shape))


def medians(samples: np.ndarray, order: int, chosen: np.ndarray | None) -> np.ndarray:
    found = amplitudes_of(samples, polynomials(CHANNELS, order), chosen)
    return np.array([median_of(found[:, channel]) for channel in range(CHANNELS)], dtype=float)


def free() -> np.ndarray:
    chosen = np.ones(CHANNELS, dtype=bool)
    chosen[LINE] = False
    return chosen


@pytest.mark.parametrize("order", [0, 1, 2])
def test_noise_alone_is_flat_whatever_the_fit_does_to_it(order: int) -> None:
    found = medians(noise(4000), order, free())
    rayleigh = np.sqrt(2 * np.log(2))
    np.testing.assert_allclose(found, rayleigh, rtol=0.03)


def test_a_fit_takes_the_continuum_and_leaves_the_line() -> None:
    phases = np.exp(1j * np.random.default_rng(4).uniform(-np.pi, np.pi, (1, 1, 500)))
    slope = 5 + np.linspace(-1, 1, CHANNELS)[None, :, None]
    samples = slope * phases + noise(500, 0.01)
    samples[:, LINE] += 0.7
    found = medians(samples, 1, free())
    assert found[LINE] == pytest.approx(0.7, abs=0.03)
    assert found[free()].max() < 0.02
    bright = medians(samples, 0, None)
    assert bright[0] == pytest.approx(4.0, abs=0.01)


def test_flagged_channels_have_no_part_in_the_fit() -> None:
    samples = np.full((1, CHANNELS, 50), 3 + 4j)
    samples[:, 3] = np.nan
    samples[:, 5, ::2] = np.nan
    samples[:, 6:, 7] = np.nan
    found = amplitudes_of(samples, polynomials(CHANNELS, 1), free())
    assert np.isnan(found[:, 3]).all()
    assert np.isnan(found[:, 5, ::2]).all()
    assert np.nanmax(found) < 1e-6
    assert np.isfinite(found[0, 0, 7])
    samples[:, 4:, 7] = np.nan
    found = amplitudes_of(samples, polynomials(CHANNELS, 1), free())
    assert np.isnan(found[..., 7]).all(), "too few channels to fit"


def test_the_fit_lowers_noise_inside_and_raises_it_beside() -> None:
    factor = noise_of_fit(polynomials(CHANNELS, 0), free())
    np.testing.assert_allclose(factor[free()], np.sqrt(1 - 1 / 20))
    np.testing.assert_allclose(factor[LINE], np.sqrt(1 + 1 / 20))


def test_a_channel_without_data_has_no_median() -> None:
    assert median_of(np.array([np.nan, np.nan])) is None
    assert median_of(np.array([np.nan, 2.0])) == 2.0
