"""The sky, the seeds and the gains of simulated fields."""

from dataclasses import fields, replace

import numpy as np
import pytest

from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadInput
from cleanloop_worker.simulation import gains, observe, sky

NUMBERS = [field.name for field in fields(r.Simulate) if "None" in str(field.type)]
REQUEST = r.Simulate("out", "field", "demo", 1, random_phases=False, gain_errors=True, **dict.fromkeys(NUMBERS))


def test_presets_are_changed_by_the_request() -> None:
    assert observe.options_of(REQUEST)["sources"] == 20
    assert observe.options_of(replace(REQUEST, sources=3))["sources"] == 3


def test_large_sources_shrink_with_the_field() -> None:
    (_, major, *_), half = observe.options_of(REQUEST)["gaussians"][0], replace(REQUEST, field_arcsec=350.0)
    assert observe.options_of(half)["gaussians"][0][1] == major / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "moon"}, "no preset 'moon'"),
        ({"channels": 0}, "at least one channel"),
        ({"duration_s": 1.0}, "one integration"),
        ({"antennas": 1}, "at least two antennas"),
        ({"windows": 0}, "one spectral window"),
        ({"gain_time_s": 0.0}, "must be above 0 s"),
        ({"flagged_fraction": 1.5}, "between 0 and 1"),
    ],
)
def test_fields_that_cannot_be_observed_are_refused(change: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        observe.options_of(replace(REQUEST, **change))


def states(pointing: list[float] | None, night: int = 0) -> list[int]:
    """A number from each seed."""
    return [int(np.random.default_rng(seed).integers(1 << 40)) for seed in observe.seeds(5, pointing, night)]


def test_beams_and_nights_share_the_sky_and_have_their_own_gains_and_noise() -> None:
    field, left, right = states(None), states([-300.0, 0.0]), states([300.0, 0.0])
    all_of_them = [field, left, right, states(None, 1), states(None, 2), states([300.0, 0.0], 1)]
    assert len({states[0] for states in all_of_them}) == 1
    for own in range(1, 7):
        assert len({states[own] for states in all_of_them}) == len(all_of_them)
    assert len({states[7] for states in all_of_them}) == 1, "the places of the directions are the field's"
    assert len(set(field)) == 8, "every stream is its own"


def test_a_point_at_the_centre_has_the_same_visibility_everywhere() -> None:
    source = sky.component("point", (0.0, 0.0), [2.0], sky.POINT)
    uvw = np.array([[0.0, 100.0], [50.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(sky.visibilities([source], uvw, 1.4e9, 0), [2.0, 2.0])


def test_a_gaussian_falls_with_the_baseline() -> None:
    source = sky.component("gaussian", (0.0, 0.0), [1.0], (60.0, 60.0, 0.0))
    uvw = np.array([[0.0, 500.0, 5000.0], [0.0] * 3, [0.0] * 3])
    amplitude = np.abs(sky.visibilities([source], uvw, 1.4e9, 0))
    assert amplitude[0] == 1.0
    assert amplitude[0] > amplitude[1] > amplitude[2]


def test_the_beam_dims_what_is_far_from_its_centre() -> None:
    source = sky.component("point", (0.0, 0.0), [1.0], sky.POINT)
    half_width = np.array([2 * 600.0 * sky.ARCSEC])
    field, beam = (1.0, 0.5), (1.0, 0.5 + 600.0 * sky.ARCSEC)
    (seen,) = sky.seen_by_beam([source], field, beam, half_width)
    assert seen["flux_jy"] == [pytest.approx(0.5, rel=1e-6)]
    assert seen["north_arcsec"] == pytest.approx(-600.0, rel=1e-4)


GAINS = {
    "integration_s": 30.0,
    "gain_time_s": 720.0,
    "amplitude_rms": 0.1,
    "phase_rms_deg": 10.0,
    "delay_rms_ns": 2.0,
    "hand_phase_deg": 30.0,
    "window_phase_deg": 20.0,
    "windows": 2,
    "directions": 0,
    "direction_phase_rms_deg": 25.0,
    "direction_amplitude_rms": 0.05,
    "direction_gain_time_s": None,
    "gain_errors": True,
    "random_phases": False,
}


def test_gains_drift_around_their_mean() -> None:
    drift = gains.drifting_gains(50, 200, GAINS, np.random.default_rng(1))
    assert drift.shape == (50, 200)
    assert np.abs(drift).mean() == pytest.approx(1.0, abs=0.03)
    assert np.rad2deg(np.angle(drift)).std() == pytest.approx(10.0, rel=0.2)


@pytest.mark.parametrize("time", [120.0, 720.0, 3600.0])
def test_gains_are_alike_within_their_correlation_time(time: float) -> None:
    drift = gains.drifting_gains(200, 400, {**GAINS, "gain_time_s": time}, np.random.default_rng(1))
    phase = np.angle(drift)
    alike = [np.mean(phase[:, lag:] * phase[:, :-lag]) / np.mean(phase**2) for lag in (1, 4)]
    np.testing.assert_allclose(alike, np.exp([-30.0 / time, -120.0 / time]), atol=0.05)


def test_constant_errors_scatter_as_asked() -> None:
    made = gains.make_gains(400, 3, GAINS, 1, 2)
    assert made.delay.std() == pytest.approx(2e-9, rel=0.1)
    assert np.rad2deg(made.hand_phase).std() == pytest.approx(30.0, rel=0.1)
    assert not made.window_phase[0].any()
    assert np.rad2deg(made.window_phase[1]).std() == pytest.approx(20.0, rel=0.1)


def test_a_delay_is_a_slope_along_the_band_and_a_hand_an_offset() -> None:
    made = gains.make_gains(4, 3, GAINS, 1, 2)
    right, left = made.phases(1, "R", 5e6), made.phases(1, "L", 5e6)
    np.testing.assert_allclose(right - made.phases(1, "R", 0.0), 2 * np.pi * 5e6 * made.delay)
    np.testing.assert_allclose(left - right, made.hand_phase)
    np.testing.assert_allclose(right - made.phases(0, "R", 5e6), made.window_phase[1])


def test_constant_errors_leave_the_drift_alone() -> None:
    plain = {**GAINS, "delay_rms_ns": 0.0, "hand_phase_deg": 0.0, "window_phase_deg": 0.0, "windows": 1}
    np.testing.assert_array_equal(gains.make_gains(4, 3, plain, 1, 2).drift, gains.make_gains(4, 3, GAINS, 1, 2).drift)


def test_without_gain_errors_nothing_is_wrong() -> None:
    made = gains.make_gains(4, 3, {**GAINS, "gain_errors": False}, 1, 2)
    assert (made.drift == 1).all()
    assert not made.phases(1, "L", 1e7).any()
    assert (gains.row_phases(9, {**GAINS, "gain_errors": False, "random_phases": True}, 1) == 1).all()


DIRECTIONS = replace(REQUEST, directions=3, direction_phase_rms_deg=20.0)


def test_each_direction_has_a_bright_point_and_what_is_nearest_to_it() -> None:
    o = observe.options_of(DIRECTIONS)
    plain = sky.make_sky(o, np.random.default_rng(1))
    made = sky.add_directions(plain, o, np.random.default_rng(2))
    assert [source["flux_jy"][0] for source in made[:3]] == [2.0, 1.25, 0.5]
    assert [source["direction"] for source in made[:3]] == [0, 1, 2]
    assert [{k: v for k, v in source.items() if k != "direction"} for source in made[3:]] == plain[1:]
    centres = np.array(sky.direction_centres(made, 3))
    for source in made:
        apart = np.hypot(*(centres - [source["east_arcsec"], source["north_arcsec"]]).T)
        assert source["direction"] == int(np.argmin(apart))
    assert sky.add_directions(plain, {**o, "directions": 0}, np.random.default_rng(2)) is plain


def test_directions_drift_each_by_itself_and_leave_the_gains_in_common_alone() -> None:
    o = {**GAINS, "directions": 3, "direction_phase_rms_deg": 20.0, "direction_amplitude_rms": 0.0}
    made, alone = gains.make_gains(60, 200, o, 1, 2, 3), gains.make_gains(60, 200, GAINS, 1, 2, 3)
    np.testing.assert_array_equal(made.drift, alone.drift)
    assert made.by_direction.shape == (3, 60, 200)
    assert alone.by_direction.shape == (0, 60, 200)
    np.testing.assert_allclose(np.abs(made.by_direction), 1.0)
    np.testing.assert_allclose(np.rad2deg(np.angle(made.by_direction)).std((1, 2)), 20.0, rtol=0.2)
    assert np.abs(np.corrcoef(np.angle(made.by_direction).reshape(3, -1))[0, 1]) < 0.1
    assert (gains.make_gains(4, 3, {**o, "gain_errors": False}, 1, 2, 3).by_direction == 1).all()


def test_a_source_has_the_gains_of_its_direction() -> None:
    places = [(0.0, 0.0), (300.0, 0.0)]
    both = [{**sky.component("point", at, [1.0], sky.POINT), "direction": k} for k, at in enumerate(places)]
    turned = np.ones((2, 3, 1), complex)
    turned[1, 0] = 1j
    made = gains.Gains(np.ones((3, 1), complex), turned, np.zeros(3), np.zeros(3), np.zeros((1, 3)))
    uvw = np.arange(9.0).reshape(3, 3)
    rows = (np.array([0, 0, 1]), np.array([1, 2, 2]), np.zeros(3, int))
    seen, true = observe.model_of(both, uvw, (1.4e9, 0), made, rows)
    one, other = (sky.visibilities([source], uvw, 1.4e9, 0) for source in both)
    np.testing.assert_allclose(true, one + other)
    np.testing.assert_allclose(seen, one + other * [1j, 1j, 1])


@pytest.mark.parametrize("change", [{"bright_jy": 0.0}, {"preset": "line-cube"}, {"direction_gain_time_s": 0.0}])
def test_directions_that_cannot_be_simulated_are_refused(change: dict) -> None:
    with pytest.raises(BadInput, match="bright source|above 0 s"):
        observe.options_of(replace(DIRECTIONS, **change))


def test_random_phases_have_no_mean() -> None:
    factor = gains.row_phases(4000, {**GAINS, "random_phases": True}, 1)
    np.testing.assert_allclose(np.abs(factor), 1.0)
    assert np.abs(factor.mean()) < 0.05


def small(**change: object) -> tuple[np.ndarray, np.ndarray]:
    """What three antennas see of a point in two windows of two channels, without noise, and its power."""
    o = {**GAINS, "stokes": "RR LL", "noise_jy": 0.0, **change}
    rows = 6  # three baselines in each window
    layout = observe.Layout(
        uvw=np.arange(3.0 * rows).reshape(3, rows),
        time=np.zeros(rows),
        first=np.array([0, 0, 1] * 2),
        second=np.array([1, 2, 2] * 2),
        window=np.repeat([0, 1], 3),
        antennas=["a", "b", "c"],
        dish=25.0,
        frequencies=np.array([[1.40e9, 1.41e9], [1.42e9, 1.43e9]]),
    )
    point = sky.component("point", (0.0, 0.0), [1.0] * 4, sky.POINT)
    made = gains.make_gains(3, 1, o, 1, 2)
    return observe.observe(layout, [point], made, np.ones(rows, complex), o, np.random.default_rng(3))


def test_closure_phases_do_not_see_the_gains_of_antennas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "event", lambda *_, **__: None)
    data, power = small()
    np.testing.assert_allclose(power, 4.0, err_msg="two baselines and two channels of a source of 1 Jy")
    assert np.abs(np.angle(data)).max() > 0.1
    for rows in (slice(0, 3), slice(3, 6)):
        ab, ac, bc = np.moveaxis(data[:, :, rows], -1, 0)
        np.testing.assert_allclose(np.angle(ab * bc * ac.conj()), 0.0, atol=1e-12)


def test_the_signal_to_noise_is_that_of_an_integration() -> None:
    assert observe.antenna_snr(np.full((5, 7), 16.0), {"noise_jy": 0.5}) == 8.0
    assert observe.antenna_snr(np.full((5, 7), 16.0), {"noise_jy": 0.0}) is None


def test_the_noise_is_the_same_without_gain_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "event", lambda *_, **__: None)
    noise = [small(noise_jy=0.5, gain_errors=errors)[0] - small(gain_errors=errors)[0] for errors in (True, False)]
    assert np.abs(noise[0]).std() > 0.1
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-12)
