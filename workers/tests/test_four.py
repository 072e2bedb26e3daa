"""Copies for programs that take four correlations and one spectral window: the parts that need no measurement set."""

import numpy as np
import pytest

from cleanloop_worker.ms import four
from cleanloop_worker.problems import BadInput


def test_cross_hands_are_added_and_four_stay() -> None:
    hands = np.arange(12.0).reshape(2, 3, 2)
    wide = four.widened(hands, 0)
    assert wide.shape == (4, 3, 2)
    assert (wide[[0, 3]] == hands).all()
    assert not wide[1:3].any()
    assert four.widened(wide, 7) is wide


def rows(times: list[int], baselines: int = 3) -> np.ndarray:
    return np.array([[time, 0, 0, 0, b + 1] for time in times for b in range(baselines)], float)


def test_windows_are_matched_by_time_and_baseline() -> None:
    first, second = rows([10, 20, 30]), rows([10, 20, 30])[::-1]
    taken = four.matched("a.ms", [first, second])
    assert taken[0].tolist() == list(range(9))
    assert (second[taken[1]] == first).all()


def test_a_row_that_a_window_does_not_have_is_marked() -> None:
    taken = four.matched("a.ms", [rows([10, 20]), rows([10, 20])[1:]])
    assert taken[1].tolist() == [-1, 0, 1, 2, 3, 4]


def test_windows_that_were_not_observed_together_are_refused() -> None:
    with pytest.raises(BadInput, match=r"a\.ms: its spectral windows have different integrations"):
        four.matched("a.ms", [rows([10, 20]), rows([15, 25])])


class Table:
    """Rows of one window, by data description, as casatools gives them."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns = columns

    def getcol(self, name: str, start: int, count: int) -> np.ndarray:
        return self.columns[name][..., start : start + count]


def test_what_no_window_has_is_flagged_and_cross_hands_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def table(rows_there: int, value: float) -> Table:
        shape = (2, 2, rows_there)
        flags = np.zeros(shape, bool)
        flags[0, 1, 0] = True  # one hand of one channel
        return Table(
            {
                "DATA": np.full(shape, value, complex),
                "FLAG": flags,
                "FLAG_ROW": np.zeros(rows_there, bool),
                "WEIGHT": np.full((2, rows_there), 4.0),
                "SIGMA": np.full((2, rows_there), 0.5),
            }
        )

    everywhere, late = np.array([0, 1, 2]), np.array([-1, 0, 1])
    parts = [
        four.Part(0, np.array([2, 3]), np.array([0, 1, 2]), everywhere),
        four.Part(1, np.array([0, 1]), np.array([3, 4]), late),
    ]
    monkeypatch.setattr(four, "tables", lambda ms, parts: zip(parts, [table(3, 1.0), table(2, 2.0)], strict=True))
    made = four.gathered("a.ms", ("DATA", None), parts, 0, 3)
    assert made["DATA"][0].real.tolist() == [[0, 2, 2], [0, 2, 2], [1, 1, 1], [1, 1, 1]], "in the order of frequency"
    flagged = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    assert (made["FLAG"] == flagged).all(), "all four correlations alike"
    assert not made["DATA"][1:3].any()
    assert (made["WEIGHT_SPECTRUM"][:, :2, 0] == 0).all() and (made["WEIGHT_SPECTRUM"][:, 2:] == 4).all()
