"""Times, scans and baselines of the main table: the parts that need no measurement set."""

import numpy as np

from cleanloop_worker.ms.rows import Rows, lengths, numbered


def test_scans_and_fields_have_their_times() -> None:
    # Scan, field, state, time.
    moments = np.array([[2, 1, 0, 30.0], [2, 1, 0, 40.0], [1, 0, 3, 0.0], [1, 0, 4, 10.0], [1, 0, 4, 20.0]])
    rows = Rows(moments=moments, counts={0: 9, 1: 4})
    assert rows.scans() == [
        {"number": 1, "field": 0, "start_s": 0.0, "end_s": 20.0, "integrations": 3},
        {"number": 2, "field": 1, "start_s": 30.0, "end_s": 40.0, "integrations": 2},
    ]
    assert rows.states_of(0) == [3, 4]
    assert rows.of_field(1) == {"rows": 4, "integrations": 2}
    assert rows.of_field(7) == {"rows": 0, "integrations": 0}
    assert rows.facts()["integrations"] == 5


def test_coordinates_that_are_none_are_counted() -> None:
    rows = Rows()
    uvw = np.array([[3.0, 0.0, np.nan, 30.0], [4.0, 0.0, 1.0, 40.0], [0.0, 0.0, 1.0, 0.0]])
    assert lengths(rows, uvw) == 5.0
    assert (rows.longest, rows.uvw_not_finite, rows.uvw_zero) == (50.0, 1, 1)
    assert lengths(rows, np.zeros((3, 2))) == 0.0
    assert (rows.longest, rows.uvw_zero) == (50.0, 3)


def test_each_pair_of_antennas_has_a_number_of_its_own() -> None:
    first, second = np.triu_indices(300)
    assert np.unique(numbered(first, second)).size == first.size
