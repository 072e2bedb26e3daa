"""The worth of gains, and how tables are applied: the parts that need no measurement set."""

import numpy as np
import pytest

from cleanloop_worker import requests as r
from cleanloop_worker.gains import differences, measure_scatter, median, new_entry, quality, solve, tables
from cleanloop_worker.gains import onto as gains_onto
from cleanloop_worker.gains.apply import calls_for, covered
from cleanloop_worker.gains.onto import Window, calls_onto, unserved
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
    assert [(call.spw, [t.path for t in call.tables]) for call in calls] == [
        ("0:0~1", ["a"]),
        ("0:2~3", ["b"]),
        ("1:0~3", ["c"]),
    ]
    assert all(call.spwmap == [[]] for call in calls)


def rows(value: np.ndarray, antennas: int, snr: float = 10.0) -> dict[str, np.ndarray]:
    """Rows of a table [pol, time, antenna], one time after another."""
    pols, times, _ = value.shape
    return {
        "value": value.reshape(pols, -1),
        "flag": np.zeros((pols, times * antennas), bool),
        "snr": np.full((pols, times * antennas), snr),
        "time": np.repeat(30.0 * np.arange(times), antennas),
        "antenna": np.tile(np.arange(antennas), times),
    }


def test_polarisations_that_differ_by_noise_alone_are_told_from_others() -> None:
    noise = np.random.default_rng(1).normal(scale=0.1, size=(2, 50, 9))
    alike = differences.band_of(rows(np.exp(1j * noise), 9), 9)
    found = differences.polarisation_difference([alike])
    assert found is not None
    assert found["expected_deg"] == pytest.approx(np.rad2deg(0.6745 * np.sqrt(2) / 10))
    assert found["measured_deg"] == pytest.approx(found["expected_deg"], rel=0.15)
    # An offset of all antennas is the reference's; one of each antenna is a difference.
    noise[1] += 0.7
    shifted = differences.polarisation_difference([differences.band_of(rows(np.exp(1j * noise), 9), 9)])
    assert shifted is not None
    assert shifted["measured_deg"] == pytest.approx(found["measured_deg"], rel=0.01)
    noise[1] += np.linspace(-1, 1, 9)
    apart = differences.polarisation_difference([differences.band_of(rows(np.exp(1j * noise), 9), 9)])
    assert apart is not None
    assert apart["measured_deg"] > 4 * apart["expected_deg"]
    one = differences.band_of(rows(np.exp(1j * noise[:1]), 9), 9)
    assert differences.polarisation_difference([one]) is None


def test_windows_are_compared_at_the_nearest_times() -> None:
    one, other = np.array([0.0, 30.0, 60.0]), np.array([31.0, 59.0])
    here, there = differences.same_times(one, other)
    assert (here.tolist(), there.tolist()) == ([1, 2], [0, 1])
    gains = np.ones((1, 3, 5), complex)
    bands = [differences.band_of(rows(g, 5), 5) for g in (gains, gains * np.exp(1j * np.array([0, 1, 2, 3, 4])))]
    found = differences.window_difference(bands)
    assert found is not None
    assert found["measured_deg"] == pytest.approx(np.rad2deg(1.0), rel=0.3)
    assert differences.window_difference(bands[:1]) is None


def test_delays_have_an_error_from_the_two_polarisations() -> None:
    truth = np.linspace(-4, 4, 9)
    measured = truth + np.random.default_rng(2).normal(scale=0.1, size=(2, 40, 9))
    found = differences.delay_statistics([differences.band_of(rows(measured, 9, snr=0.0), 9)])
    assert found is not None
    assert found["median_abs_ns"] == pytest.approx(2.0, abs=0.1)
    assert found["error_ns"] == pytest.approx(0.1, rel=0.15)
    one = differences.delay_statistics([differences.band_of(rows(measured[:1], 9), 9)])
    assert one is not None
    assert one["error_ns"] is None


def test_a_bandpass_counts_as_one_solution_for_all_channels() -> None:
    value, snr = np.full((1, 4, 2), 2.0 + 0j), np.full((1, 4, 2), 8.0)
    flag = np.zeros((1, 4, 2), bool)
    flag[:, 3] = True  # No antenna has data there.
    flag[:, :2, 1] = True
    mean, flagged, middle = tables.over_channels(value, flag, snr)
    np.testing.assert_array_equal(flagged, [[False, True]])
    np.testing.assert_array_equal(mean, [[2.0, 2.0]])
    np.testing.assert_array_equal(middle, [[8.0, 8.0]])


def test_a_solve_gets_the_tables_that_cover_its_channels() -> None:
    low, high = table("l", [0, 4], 0), table("h", [5, 9], 0)
    assert solve.applied_before([], None, 1) == {}
    # Tables that are not there are refused, so these must not be looked at.
    with pytest.raises(BadInput, match="l: no such table"):
        solve.applied_before([low, high], (0, 0, 4), 1)
    with pytest.raises(BadInput, match="h: no such table"):
        solve.applied_before([low, high], (0, 6, 8), 1)


def onto(
    monkeypatch: pytest.MonkeyPatch, tables: list[r.AppliedTable], windows: list[Window], lengths: list[int]
) -> list[tuple[str, list[str], list[list[int]]]]:
    """Selection, tables and maps of each call; the name of a table is the list of windows that it holds."""
    monkeypatch.setattr(gains_onto, "held_windows", lambda path: [int(k) for k in path])
    return [(c.spw, [t.path for t in c.tables], c.spwmap) for c in calls_onto(tables, windows, lengths)]


def test_windows_of_a_copy_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [Window(0, 0, 7, 1), Window(1, 0, 7, 1)]
    own, common = table("01", None, None), table("0", None, None)
    assert onto(monkeypatch, [own], whole, [8, 8]) == [("", ["01"], [[]])]
    assert onto(monkeypatch, [own, common], whole, [8, 8]) == [("", ["01", "0"], [[], [0, 0]])]
    # Windows 1 and 3 of four were copied: with solutions of their own, and with common ones, which serve all.
    part = [Window(1, 0, 7, 1), Window(3, 2, 5, 2)]
    assert onto(monkeypatch, [own], part, [8] * 4) == [("1,3", ["01"], [[0, 0, 0, 1]])]
    assert onto(monkeypatch, [common], part, [8] * 4) == [("", ["0"], [[0, 0, 0, 0]])]
    assert unserved(calls_onto([own], part, [8] * 4), [8] * 4) == [0, 2]
    # One window was copied: its solutions say nothing about the others.
    assert onto(monkeypatch, [common], [Window(2, 0, 7, 1)], [8] * 3) == [("2", ["0"], [[0, 0, 0]])]
    assert onto(monkeypatch, [], part, [8] * 4) == []


def test_ranges_of_averages_are_ranges_of_channels_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # Channels 4 to 60 of 64 in bins of 8: seven, solved in ranges of four and three; edges go with their neighbours.
    window = Window(1, 4, 60, 8)
    assert window.channels() == 7
    low, high, whole = table("0", [0, 3], 0), table("0", [4, 6], 0), table("0", None, None)
    assert onto(monkeypatch, [low, high, whole], [window], [16, 64]) == [
        ("1:0~35", ["0", "0"], [[0, 0], [0, 0]]),
        ("1:36~63", ["0", "0"], [[0, 0], [0, 0]]),
    ]
    assert Window(0, 0, 2, 8).channels() == 1


def test_the_flux_scale_is_the_mean_product_of_two_antennas() -> None:
    # Two times; the second one's amplitudes are twice as large, and one solution there is flagged.
    amplitude = np.array([[[0.8, 1.2, 1.0, 1.6, 2.4, 99.0]]])
    flag = np.array([[[False, False, False, False, False, True]]])
    time = np.array([0.0, 0.0, 0.0, 10.0, 10.0, 10.0])
    assert solve.flux_scale(amplitude, flag, time) == pytest.approx(np.sqrt((1.0 + 4.0) / 2))
    assert solve.flux_scale(amplitude, np.ones_like(flag), time) == 1.0


class FakeTable:
    """One row an antenna, one window, one time."""

    def __init__(self, amplitude: list[float], tied: bool = False) -> None:
        self.keywords = {solve.TIED_KEYWORD: tied}
        self.columns = {
            "SPECTRAL_WINDOW_ID": np.zeros(len(amplitude), int),
            "TIME": np.zeros(len(amplitude)),
            "FLAG": np.zeros((1, 1, len(amplitude)), bool),
            "CPARAM": np.array(amplitude, complex)[None, None],
        }

    def __enter__(self) -> "FakeTable":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def colnames(self) -> list[str]:
        return list(self.columns)

    def getcol(self, name: str) -> np.ndarray:
        return self.columns[name].copy()

    def putcol(self, name: str, values: np.ndarray) -> None:
        self.columns[name] = values

    def keywordnames(self) -> list[str]:
        return list(self.keywords)

    def getkeyword(self, name: str) -> bool:
        return self.keywords[name]

    def putkeyword(self, name: str, value: bool) -> None:
        self.keywords[name] = value


@pytest.mark.parametrize(
    ("like", "mean", "tied"),
    [
        (None, 1.0, False),
        ([], 1.0, False),
        (["phases"], 1.0, False),
        (["phases", "first"], 2.0, True),
        (["second"], 1.5, True),
        (["second", "first"], 1.5, True),
    ],
)
def test_sets_that_are_imaged_together_take_the_flux_scale_of_their_model_once_and_keep_it(
    like: list[str] | None, mean: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {
        "new": FakeTable([1.0, 3.0]),
        "phases": FakeTable([1.0, 1.0]),
        "first": FakeTable([0.9, 1.1]),
        "second": FakeTable([1.4, 1.6], tied=True),
    }
    monkeypatch.setattr(solve, "opened", lambda name, write=False: tables[name])
    solve.keep_flux("new", like)
    assert np.abs(tables["new"].columns["CPARAM"]).mean() == pytest.approx(mean)
    assert tables["new"].columns["CPARAM"][0, 0, 1] == pytest.approx(3 * tables["new"].columns["CPARAM"][0, 0, 0])
    assert tables["new"].keywords[solve.TIED_KEYWORD] == tied


@pytest.mark.parametrize(
    ("solint", "times", "lengths", "expected"),
    [
        ("60s", [0, 60, 120], [60, 60, 60], "int"),
        ("60", [0, 60, 60, 3600], [60, 60, 60, 60], "int"),
        ("1min", [0, 60, 120], [60, 60, 60], "int"),
        ("1.0 min", [0, 60], [60, 60], "int"),
        ("120s", [0, 60, 120], [60, 60, 60], "120s"),  # two integrations
        ("59.9s", [0, 60, 120], [60, 60, 60], "59.9s"),
        ("60s", [0, 60, 119.9], [60, 60, 60], "60s"),  # an integration that begins before the last one ends
        ("60s", [0, 60, 120], [60, 60, 30], "60s"),  # a short one
        ("inf", [0, 60], [60, 60], "inf"),
        ("60s,2MHz", [0, 60], [60, 60], "60s,2MHz"),
        ("60s", [], [], "60s"),
    ],
)
def test_an_interval_of_one_integration_is_solved_by_integrations(
    solint: str, times: list, lengths: list, expected: str
) -> None:
    assert solve.by_integration(solint, np.array(times, float), np.array(lengths, float)) == expected
