"""Squared gains by which weights are multiplied."""

import numpy as np

from cleanloop_worker.ms.weights import squared_gains


class Rows:
    """The columns of some rows."""

    def __init__(self, **columns: np.ndarray) -> None:
        self.columns = columns

    def getcol(self, name: str, start: int, rows: int) -> np.ndarray:
        return self.columns[name][..., start : start + rows]


def test_they_are_those_that_were_divided_by() -> None:
    shape = (1, 3, 4)
    corrected = np.full(shape, 2 + 0j)
    data = corrected * np.array([1.0, 0.5, 2.0, 1 + 1e-7])
    flag = np.zeros(shape, bool)
    flag[0, 1, 1] = True
    data[0, 1, 1] = 77
    data[0, :, 2] = [4, 4, 0]
    squared = squared_gains(Rows(DATA=data, CORRECTED_DATA=corrected, FLAG=flag), 0, 4)
    np.testing.assert_allclose(squared[0, :, 0], 1)
    np.testing.assert_allclose(squared[0, :, 1], 0.25)  # the flagged channel has the mean of the others
    np.testing.assert_allclose(squared[0, :, 2], 4)  # so has one that is zero
    assert (squared[0, :, 3] == 1).all()  # rounding is no gain


def test_without_good_data_the_weight_stays() -> None:
    one = np.ones((2, 2, 1), complex)
    assert (squared_gains(Rows(DATA=one, CORRECTED_DATA=3 * one, FLAG=np.ones((2, 2, 1), bool)), 0, 1) == 1).all()
