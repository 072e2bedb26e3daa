"""The worth of gains, and how tables are applied: the parts that need no measurement set."""

import numpy as np
import pytest

from cleanloop_worker import requests as r
from cleanloop_worker.gains import measure_scatter, median, new_entry, quality, solve, tables
from cleanloop_worker.gains.apply import calls_for, covered
from cleanloop_worker.problems import BadInput


def table(path: str, channels: list[int] | None, window: int | None) -> r.AppliedTable:
    """A table for channels of a window."""
    return r.AppliedTable(path, channels, window, "linear", False)


def test_scatter_is_relative_to_the_mean_direction() -> None:
    entry = new_entry("a")
    offsets = np.deg2rad([-3.0, -1.0, 0.0, 1.0, 3.0])
    measure_scatter(2.0 * np.exp(1j * (np.pi + offsets)), entry)
    assert entry["phase"] == [pytest.approx(1.4826, rel=1e-6)]
    assert entry["amplitude"] == [pytest.approx(0.0, abs=1e-12)]


def test_the_median_of_nothing_is_unknown() -> None:
    assert median([]) is None
    assert median([1.0, 2.0, 9.0]) == 2.0


def test_the_nearest_cell_is_found() -> None:
    grid = np.array([0.0, 10.0, 20.0])
    np.testing.assert_array_equal(quality.closest(grid, np.array([-5.0, 4.0, 5.0, 16.0, 99.0])), [0, 0, 0, 2, 2])


def test_terms_are_multiplied_at_each_row_and_channel() -> None:
    first = {"time": np.array([0.0, 10.0]), "frequency": np.array([1.0]), "gain": np.full((2, 1, 2, 1), 2.0)}
    first["gain"][1, 0, 1] = 3.0
    second = {"time": np.array([0.0]), "frequency": np.array([1.0, 2.0]), "gain": np.ones((1, 2, 2, 1))}
    second["gain"][0, 1] = 5.0
    total = quality.net([first, second], np.array([0.0, 9.0]), np.array([1.0, 2.0]), np.array([0, 1]))
    np.testing.assert_array_equal(total[..., 0], [[2.0, 10.0], [3.0, 15.0]])


def test_one_antenna_of_noise_does_not_spoil_the_others() -> None:
    count = np.full((4, 4, 1), 50.0)
    count[np.arange(4), np.arange(4)] = 0
    residual = 2 * count
    residual[3], residual[:, 3] = 100 * count[3], 100 * count[:, 3]
    noise = quality.antenna_noise(residual, count)[:, 0]
    np.testing.assert_allclose(noise[:3], 1.0)
    assert noise[3] > 5


def gains_of(amplitude: float, **more: object) -> dict:
    """One term on two times, one frequency and two antennas."""
    part = {
        "term": "G",
        "key": "G.0",
        "type": "diag_complex",
        "number": 0,
        "correlations": ["RR", "LL"],
        "gain": np.full((2, 1, 2, 2), amplitude, complex),
        "flag": np.zeros((2, 1, 2), bool),
        "snr": np.full((2, 1, 2, 2), 10.0),
        "cell_time": np.array([0.0, 1.0]),
        "cell_frequency": np.array([1.0]),
    }
    return {**part, **more}


def test_amplitudes_are_scaled_over_all_parts_of_a_term() -> None:
    parts = [gains_of(1.0), gains_of(3.0, key="G.1", number=1), gains_of(9.0, key="P.0", term="P", type="phase")]
    found = quality.scales(parts, "mean")
    assert set(found) == {"G.0.scale", "G.1.scale"}
    np.testing.assert_allclose(found["G.0.scale"], [2.0, 2.0])


def test_an_antenna_without_data_does_not_count() -> None:
    flag = np.zeros((2, 1, 2), bool)
    flag[:, :, 1] = True
    stats = quality.summary([gains_of(1.0, flag=flag)], ["a", "b"], np.array([True, False]))
    assert (stats["solutions"], stats["flagged_fraction"], stats["median_snr"]) == (4, 0.0, 10.0)
    assert [a["flagged_fraction"] for a in stats["antennas"]] == [0.0, 1.0]
    assert [s["polarisation"] for s in stats["antennas"][0]["series"]] == ["R", "L"]
    np.testing.assert_array_equal(stats["antennas"][0]["series"][0]["time_s"], [0.0, 1.0])


def test_delays_have_neither_phase_nor_amplitude() -> None:
    values = tables.values_of(np.array([1.0, 2.0]), delays=True)
    assert values["phase_deg"] == values["amplitude"] == [None, None]
    np.testing.assert_array_equal(values["delay_ns"], [1.0, 2.0])


def test_channel_ranges_are_equal_but_for_the_last() -> None:
    assert solve.channel_ranges([10, 4], 1) == []
    assert solve.channel_ranges([10, 4], 3) == [(0, 0, 3), (0, 4, 7), (0, 8, 9), (1, 0, 1), (1, 2, 3)]
    assert solve.table_name("gains", (1, 2, 3)) == "gains.spw1.ch2-3"
    assert solve.selected({"spw": ""}, (1, 2, 3)) == {"spw": "1:2~3"}


def test_the_reference_antenna_must_be_there() -> None:
    solve.check_reference("a.ms", "ea01, 1", ["ea01", "ea02"])
    with pytest.raises(BadInput, match="has no antenna '2' to refer to; it has ea01, ea02"):
        solve.check_reference("a.ms", "2", ["ea01", "ea02"])


def test_ranges_of_channels_get_all_tables_that_cover_them() -> None:
    whole, low, high = table("w", None, None), table("l", [0, 4], 0), table("h", [5, 9], 0)
    ranges = covered([whole, low, high], 10)
    assert [(first, last, [t.path for t in found]) for first, last, found in ranges] == [
        (0, 4, ["w", "l"]),
        (5, 9, ["w", "h"]),
    ]
    assert covered([low], 10) == [(0, 4, [low])], "channels without a table are left out"


def test_each_range_of_each_window_is_one_call() -> None:
    calls = calls_for([table("a", [0, 1], 0), table("b", [2, 3], 0), table("c", [0, 3], 1)], [4, 4])
    assert [(call.spw, [t.path for t in call.tables]) for call in calls] == [("0:0~1", ["a"]), ("0:2~3", ["b"]), ("1:0~3", ["c"])]
    assert all(call.spwmap == [[]] for call in calls)
