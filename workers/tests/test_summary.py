"""Facts about measurement sets that are more than a column."""

import numpy as np
import pytest

from cleanloop_worker.ms.summary import integration, short_baselines, unmistakable


@pytest.mark.parametrize(
    ("times", "interval", "expected"),
    [
        # Regular data.
        (np.arange(20) * 30.0, 30.0, 30.0),
        # Thinned out: the interval of the raw data stayed.
        (np.arange(15) * 10.0, 0.04, 10.0),
        # No interval at all.
        (np.arange(15) * 10.0, 320.0, 10.0),
        # A gap within the scan.
        (np.array([0.0, 10.0, 20.0, 30.0, 4500.0, 4510.0]), 10.0, 10.0),
        # One time.
        (np.array([5.0]), 8.0, 8.0),
    ],
)
def test_the_integration_time(times: np.ndarray, interval: float, expected: float) -> None:
    several = np.repeat(times, 3)
    baseline = np.tile([0, 1, 2], times.size)
    scan = np.ones(several.size, int)
    # Baselines whose averages have times of their own.
    several = several + baseline * 0.5
    assert integration(several, np.full(several.size, interval), scan, baseline) == pytest.approx(expected)


def test_gaps_between_scans_do_not_count() -> None:
    times = np.array([0.0, 1000.0, 2000.0])
    assert integration(times, np.full(3, 10.0), np.arange(3), np.zeros(3, int)) == 10.0


def test_an_antenna_without_a_name_of_its_own_goes_by_its_number() -> None:
    names = ["ea01", "", "ea03", "ea03", "2"]
    assert [unmistakable(names, number) for number in range(5)] == ["ea01", "1", None, "3", "2"]


def test_a_tenth_of_the_visibilities_may_be_left_out_unless_an_antenna_needs_them() -> None:
    first, second = np.array([(a, b) for a in range(20) for b in range(a + 1, 20)]).T
    distance = (second - first) * 100.0  # antennas in a line
    limit = short_baselines(first, second, distance)
    assert limit == 100.0
    assert (distance <= limit).mean() == pytest.approx(0.1, abs=0.005)
    # The greater number may come first.
    assert short_baselines(second, first, distance) == limit
    # The last antenna sees the others on the shortest baselines alone.
    assert short_baselines(first, second, np.where(second == 19, 1.0, distance)) == 0.0
    assert short_baselines(first[:0], second[:0], distance[:0]) == 0.0
