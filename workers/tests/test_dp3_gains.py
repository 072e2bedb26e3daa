"""DP3's solutions: no bad value is left, and fluxes stay."""

import numpy as np
import pytest

from cleanloop_worker import dp3_gains

SHAPE = (6, 1, 4, 2, 1)  # times, frequencies, antennas, directions, polarisations


def solutions(**terms: float) -> dict:
    return {name: (np.full(SHAPE, value), np.ones(SHAPE)) for name, value in terms.items()}


def test_bad_solutions_get_those_of_the_nearest_time() -> None:
    values = np.arange(6.0).reshape(-1, 1)
    bad = np.array([True, False, True, True, True, False]).reshape(-1, 1)
    filled = dp3_gains.fill_in_time(values, bad, 9.0)
    assert filled[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 5.0, 5.0], "of two the earlier"
    assert dp3_gains.fill_in_time(values, np.ones_like(bad), 9.0)[:, 0].tolist() == [9.0] * 6


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_bad_value_is_left_in_any_term(value: float) -> None:
    found = solutions(amplitude000=1.0, phase000=0.5)
    found["phase000"][0][2, 0, 1, 0] = value
    found["amplitude000"][1][3, 0, 2, 1] = 0.0
    found["amplitude000"][0][:, 0, 3, 1] = -1.0
    good, bad = dp3_gains.mended(found)
    assert int(bad.sum()) == 8
    assert all(np.isfinite(values).all() for values in good.values())
    assert good["phase000"][2, 0, 1, 0] == 0.5
    assert (good["phase000"][:, 0, 3, 1] == 0.0).all(), "never solved: identity"


def test_amplitudes_far_from_those_of_their_direction_are_not_believed() -> None:
    found = solutions(amplitude000=0.4, phase000=0.5)
    found["amplitude000"][0][2, 0, 1, 0] = 0.02
    found["amplitude000"][0][4, 0, 2, 1] = 2.1
    found["amplitude000"][0][1, 0, 3, 1] = 1.9
    found["phase000"][0][2, 0, 1, 0] = 3.0
    good, bad = dp3_gains.mended(found)
    assert np.argwhere(bad).tolist() == [[2, 0, 1, 0, 0], [4, 0, 2, 1, 0]]
    assert good["amplitude000"].min() > 0.8 and good["phase000"][2, 0, 1, 0] == 0.5
    # An amplitude of nothing but bad values says nothing.
    found["amplitude000"][0][:, :, :, 0] = np.nan
    assert dp3_gains.mended(found)[1][:, :, :, 0].all()


def test_amplitudes_leave_the_fluxes_as_they_are() -> None:
    rng = np.random.default_rng(1)
    amplitudes = 1.2 + 0.1 * rng.standard_normal(SHAPE)
    good, _ = dp3_gains.mended({"amplitude000": (amplitudes, np.ones(SHAPE))})
    for direction in range(2):
        g = good["amplitude000"][:, 0, :, direction, 0]
        pairs = [g[:, a] * g[:, b] for a in range(4) for b in range(a)]
        assert np.mean(pairs) == pytest.approx(1.0)
    ratio = good["amplitude000"] / amplitudes
    assert np.ptp(ratio[:, :, :, 0]) < 1e-12, "one factor for each direction"


def test_slow_amplitudes_are_means_around_each_time() -> None:
    times = 30.0 * np.arange(40)
    rng = np.random.default_rng(2)
    slow = 1 + 0.05 * np.sin(times / 400)[:, None]
    noisy = slow * np.exp(0.1 * rng.standard_normal((40, 50)))
    weights = np.ones_like(noisy)
    means = dp3_gains.averaged(noisy, weights, times, 300.0)
    assert np.std(means / slow) < 0.045 < 0.09 < np.std(noisy / slow), "ten of them are a third as noisy"
    assert np.allclose(dp3_gains.averaged(noisy, weights, times, 30.0), noisy), "its own interval changes nothing"
    assert np.allclose(dp3_gains.averaged(noisy, weights, times, np.inf), np.exp(np.log(noisy).mean(axis=0)))
    weights[5:9], noisy[5:9] = 0.0, 77.0
    assert dp3_gains.averaged(noisy, weights, times, 300.0).max() < 1.3, "what has no weight does not count"
    assert (dp3_gains.averaged(noisy, 0 * weights, times, 300.0) == noisy).all()


def test_phases_stay_fast() -> None:
    found = solutions(amplitude000=1.0, phase000=0.5)
    found["phase000"][0][3] = -0.5
    found["amplitude000"][0][3, 0, 1] = 2.0
    good, _ = dp3_gains.mended(found, 30.0 * np.arange(6), np.inf)
    assert (good["phase000"] == found["phase000"][0]).all()
    assert np.ptp(good["amplitude000"][:, 0, 1], axis=0).max() < 1e-12


def test_steps_are_those_between_antennas() -> None:
    phases = np.zeros(SHAPE)
    phases += np.linspace(0, 3, 6)[:, None, None, None, None]  # in common: nothing is to be seen of it
    phases[:, :, 1:, 1] += np.deg2rad(10.0) * np.arange(6)[:, None, None, None]
    assert dp3_gains.steps_deg(phases) == pytest.approx([0.0, 10.0])
    assert dp3_gains.steps_deg(phases[:1]) == [None, None]


def test_steps_are_those_of_each_directions_own_interval() -> None:
    phases = np.zeros(SHAPE)
    phases[:, :, 1:] = np.deg2rad(10.0) * np.arange(6)[:, None, None, None, None]
    phases[:, :, 1:, 1] = np.deg2rad(30.0) * (np.arange(6) // 2)[:, None, None, None]
    assert dp3_gains.steps_deg(phases, [1, 2]) == pytest.approx([10.0, 30.0])
    assert dp3_gains.steps_deg(phases[:2], [1, 2]) == [pytest.approx(10.0), None]


def test_directions_are_found_across_right_ascension_zero() -> None:
    places = np.deg2rad([[359.99, 40.0], [1.0, 40.0], [180.0, -40.0]])
    assert dp3_gains.nearest_direction(places, np.deg2rad([0.01, 40.0])) == 0
    assert dp3_gains.nearest_direction(places, np.deg2rad([-179.9, -40.0])) == 2


def test_earlier_solutions_are_taken_at_the_nearest_time() -> None:
    assert dp3_gains.nearest_times([10.0, 20.0], [1.0, 14.0, 16.0, 99.0]).tolist() == [0, 0, 1, 1]
