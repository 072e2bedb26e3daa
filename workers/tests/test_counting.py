"""The counting of flags, weights and values, and what follows from them."""

import numpy as np
import pytest

from cleanloop_worker.ms.counting import Block, Counts, add

WINDOW = ([5, 8], np.array([1.0e9, 1.1e9, 1.2e9]))  # RR and LL, three channels


def block(rows: int = 4) -> Block:
    """Rows of the baselines 0-1, 0-2, 1-2 and an autocorrelation, with weights of 2."""
    first, second = (np.resize(k, rows) for k in ([0, 0, 1, 2], [1, 2, 2, 2]))
    shape = (2, 3, rows)
    return Block(
        first=first,
        second=second,
        field=np.zeros(rows, int),
        flag_row=np.zeros(rows, bool),
        uvw=np.zeros((3, rows)),
        flag=np.zeros(shape, bool),
        finite=np.ones(shape, bool),
        weights=np.full((2, 1, rows), 2.0),
    )


def test_each_visibility_is_counted_with_both_antennas_and_once_with_the_rest() -> None:
    counts, rows = Counts(), block()
    rows.flag[0, :, 0] = True
    rows.finite[1, 0, 1] = False
    rows.weights[1, 0, 2] = 0
    add(counts, 7, rows, WINDOW)
    assert counts.whole() == {"all": 18, "unflagged": 15, "finite": 14, "usable": 11}
    assert counts.of("antenna", 0) == {"all": 12, "unflagged": 9, "finite": 8, "usable": 8}
    assert counts.of("antenna", 2) == {"all": 12, "unflagged": 12, "finite": 11, "usable": 8}
    assert counts.of("antenna", 3) == {"all": 0, "unflagged": 0, "finite": 0, "usable": 0}
    assert counts.of("field", 0) == counts.of_descriptions([7]) == counts.whole()
    assert [c["name"] for c in counts.by_correlation()] == ["RR", "LL"]
    assert counts.by_correlation()[1]["visibilities"] == {"all": 9, "unflagged": 9, "finite": 8, "usable": 5}


def test_flagged_rows_and_weights_that_are_no_numbers_do_not_count() -> None:
    counts, rows = Counts(), block()
    rows.flag_row[0] = True
    rows.weights[:, 0, 1] = np.inf
    add(counts, 0, rows, WINDOW)
    assert counts.whole() == {"all": 18, "unflagged": 12, "finite": 6, "usable": 6}


def test_the_noise_is_that_of_all_weights() -> None:
    counts = Counts()
    add(counts, 0, block(), WINDOW)
    found = counts.noise(None, None)
    assert found is not None
    assert found["natural_jy"] == pytest.approx(1 / np.sqrt(18 * 2.0))
    assert counts.noise(1, None) is None


def test_the_beam_has_the_width_of_a_gaussian_coverage() -> None:
    # A coverage that is a Gaussian of these rms widths has a Gaussian beam of width sqrt(2 ln 2) / pi / rms.
    random, rows = np.random.default_rng(1), 20_000
    many = block(rows)
    many.first[:], many.second[:] = 0, 1
    metres = 299_792_458.0 / 1e9
    many.uvw[0] = random.normal(0, 1000 * metres, rows)
    many.uvw[1] = random.normal(0, 2000 * metres, rows)
    counts = Counts()
    add(counts, 0, many, ([5, 8], np.full(3, 1e9)))
    beam = counts.beam(0)
    assert beam is not None
    width = np.rad2deg(np.sqrt(2 * np.log(2)) / np.pi / 1000) * 3600
    assert beam["major_arcsec"] == pytest.approx(width, rel=0.02)
    assert beam["minor_arcsec"] == pytest.approx(width / 2, rel=0.02)
    assert abs(beam["angle_deg"] - 90) < 2, "wide where the baselines are short: east to west"
    assert counts.beam(1) is None
