"""The theoretical noise: the parts that need no measurement set."""

import numpy as np
import pytest

from cleanloop_worker.ms.noise import chosen_rows, relative, robust, runs, scatter_of, second_differences


def visibilities(signal: np.ndarray, noise: float) -> np.ndarray:
    """A signal [channel, time] with noise, as one correlation."""
    random = np.random.default_rng(1)
    return (signal + noise * (random.standard_normal(signal.shape) + 1j * random.standard_normal(signal.shape)))[None]


@pytest.mark.parametrize(("axis", "step"), [(1, 1), (1, 2), (2, 1)])
def test_second_differences_scatter_as_the_weights_say(axis: int, step: int) -> None:
    slope = np.arange(40)[:, None] * 3.0 + np.arange(60)[None] * 1j
    data = visibilities(slope, 0.5)
    weights = np.full(data.shape, 4.0)
    assert scatter_of([relative(data, weights, axis, step)]) == pytest.approx(1.0, abs=0.05)
    assert scatter_of([relative(data, weights * 100, axis, step)]) == pytest.approx(10.0, abs=0.5)


def test_amplitudes_of_bright_sources_do_not_feel_phases_that_change() -> None:
    phases = np.random.default_rng(2).uniform(-np.pi, np.pi, (1, 4000))
    data = visibilities(20 * np.exp(1j * phases), 0.5)
    assert scatter_of([relative(data, np.full(data.shape, 4.0), 2)]) == pytest.approx(1.0, abs=0.05)


def test_flagged_neighbours_do_not_count() -> None:
    weights = np.ones((1, 1, 5))
    weights[..., 3] = 0
    _, heavy = second_differences(np.zeros((1, 1, 5), complex), weights, 2)
    np.testing.assert_allclose(heavy[0, 0], [1 / 6, 0, 0])
    assert scatter_of([relative(np.zeros((1, 1, 5), complex), weights, 2)]) is None


def test_runs_end_at_gaps() -> None:
    assert runs(np.array([0.0, 1, 2, 10, 11, 12, 13])) == [slice(0, 3), slice(3, 7)]
    assert runs(np.array([0.0, 1])) == []


def test_rows_are_spread_over_baselines() -> None:
    first, second = np.triu_indices(12, 1)
    rows = chosen_rows(np.zeros(660, int), np.tile(first, 10), np.tile(second, 10), np.ones(660, bool), 4)
    assert len(rows) == 40
    assert all(r.size == 4 and np.unique(r % 66).size == 1 for r in rows)
    assert chosen_rows(np.zeros(1, int), first[:1], second[:1], np.zeros(1, bool), 4) == []


def test_the_robust_standard_deviation_of_normal_numbers() -> None:
    assert robust(np.random.default_rng(3).standard_normal(100_000)) == pytest.approx(1.0, abs=0.02)
