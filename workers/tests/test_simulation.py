"""The sky, the seeds and the gains of simulated fields."""

from dataclasses import replace

import numpy as np
import pytest

from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadInput
from cleanloop_worker.simulation import observe, sky

REQUEST = r.Simulate("out", "field", "demo", 1, *[None] * 11)


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
    ],
)
def test_fields_that_cannot_be_observed_are_refused(change: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        observe.options_of(replace(REQUEST, **change))


def states(pointing: list[float] | None) -> list[int]:
    """A number from each seed."""
    return [int(np.random.default_rng(seed).integers(1 << 40)) for seed in observe.seeds(5, pointing)]


def test_beams_share_the_sky_and_have_their_own_gains_and_noise() -> None:
    field, left, right = states(None), states([-300.0, 0.0]), states([300.0, 0.0])
    assert field[0] == left[0] == right[0]
    assert len({field[1], left[1], right[1]}) == len({field[2], left[2], right[2]}) == 3


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


def test_gains_drift_around_their_mean() -> None:
    o = {"integration_s": 30.0, "amplitude_rms": 0.1, "phase_rms_deg": 10.0}
    gains = observe.drifting_gains(50, 200, o, np.random.default_rng(1))
    assert gains.shape == (50, 200)
    assert np.abs(gains).mean() == pytest.approx(1.0, abs=0.03)
    assert np.rad2deg(np.angle(gains)).std() == pytest.approx(10.0, rel=0.2)
    assert np.abs(np.diff(np.angle(gains))).mean() < np.angle(gains).std() / 2, "neighbours are alike"
