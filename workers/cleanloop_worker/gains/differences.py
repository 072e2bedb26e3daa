"""Whether polarisations and windows agree: differences of phases against what noise alone gives; delays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

MEDIAN_OF_NORMAL = 0.6745  # median of |x| of a normal distribution, in sigma
SAME_TIME_S = 0.01  # times that differ by less are one


@dataclass(frozen=True)
class Band:
    """The solutions of one table and window: gains (or delays, ns), which are good, S/N: all [pol, time, antenna]."""

    time: np.ndarray
    value: np.ndarray
    good: np.ndarray
    snr: np.ndarray


def band_of(rows: dict[str, np.ndarray], antennas: int) -> Band:
    """A band from the rows of a table: `value`, `flag` and `snr` [pol, row], `time` and `antenna` [row]."""
    ticks, where = np.unique(np.round(rows["time"] / SAME_TIME_S), return_inverse=True)
    shape = (rows["value"].shape[0], ticks.size, antennas)
    value, snr = np.zeros(shape, rows["value"].dtype), np.zeros(shape)
    good = np.zeros(shape, bool)
    at = (slice(None), where, rows["antenna"])
    value[at], snr[at], good[at] = rows["value"], rows["snr"], ~rows["flag"]
    return Band(ticks * SAME_TIME_S, value, good, snr)


def polarisation_difference(bands: list[Band]) -> dict[str, float] | None:
    """Difference of the phases of the two polarisations."""
    both = [band for band in bands if band.value.shape[0] > 1]
    return difference([(picked(band, 0), picked(band, -1)) for band in both])


def window_difference(bands: list[Band]) -> dict[str, float] | None:
    """Difference of the phases of neighbouring bands."""
    pairs = []
    for one, next_one in zip(bands, bands[1:], strict=False):
        here, there = same_times(one.time, next_one.time)
        for p in range(min(one.value.shape[0], next_one.value.shape[0])):
            pairs.append((picked(one, p, here), picked(next_one, p, there)))
    return difference(pairs)


def same_times(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the times of two bands that belong together: the nearest, no further than half an interval. A flag in
    one window moves the mean time of its solution."""
    nearest = np.abs(one[:, None] - other[None, :]).argmin(axis=1)
    interval = min((np.diff(times).min() for times in (one, other) if times.size > 1), default=np.inf)
    near = np.abs(one - other[nearest]) <= interval / 2
    return np.flatnonzero(near), nearest[near]


Picked = tuple[np.ndarray, np.ndarray, np.ndarray]  # value, good, S/N: [time, antenna]


def picked(band: Band, pol: int, times: Any = slice(None)) -> Picked:
    """One polarisation at some times."""
    return band.value[pol][times], band.good[pol][times], band.snr[pol][times]


def difference(pairs: list[tuple[Picked, Picked]]) -> dict[str, float] | None:
    """See Difference in src/quality/solutions.rs; None: no solution has a partner."""
    sizes, noise = [np.zeros(0)], [np.zeros(0)]
    for (a, good_a, snr_a), (b, good_b, snr_b) in pairs:
        good = good_a & good_b
        turn = np.where(good, a * np.conj(b), 0)
        turn = turn / np.maximum(np.abs(turn), 1e-30)
        # Another reference antenna, or an offset between hands, is the same for all antennas.
        common = turn.sum(axis=1, keepdims=True)
        sizes.append(np.abs(np.angle(turn * np.conj(common)))[good])
        noise.append(np.hypot(1 / np.maximum(snr_a, 1e-30), 1 / np.maximum(snr_b, 1e-30))[good])
    measured, expected = np.concatenate(sizes), np.concatenate(noise)
    if not measured.size:
        return None
    return {
        "measured_deg": float(np.rad2deg(np.median(measured))),
        "expected_deg": float(np.rad2deg(MEDIAN_OF_NORMAL * np.median(expected))),
    }


def delay_statistics(bands: list[Band]) -> dict[str, float | None] | None:
    """See DelayStats in src/quality/solutions.rs; None: there is no good delay."""
    delays = [without_mean(band.value, band.good)[band.good] for band in bands]
    sizes = np.abs(np.concatenate([np.zeros(0), *delays]))
    if not sizes.size:
        return None
    # gaincal gives delays no S/N. The same delay was measured by both polarisations, or else by neighbouring windows.
    twice = [(picked(band, 0), picked(band, -1)) for band in bands if band.value.shape[0] > 1]
    twice = twice or [(picked(a, 0), picked(b, 0)) for a, b in zip(bands, bands[1:], strict=False) if same_shape(a, b)]
    changes = []
    for (a, good_a, _), (b, good_b, _) in twice:
        good = good_a & good_b
        changes.append(np.abs(without_mean(a - b, good)[good]))
    change = np.concatenate([np.zeros(0), *changes])
    error = float(np.median(change) / MEDIAN_OF_NORMAL / np.sqrt(2)) if change.size else None
    return {"median_abs_ns": float(np.median(sizes)), "error_ns": error}


def same_shape(one: Band, other: Band) -> bool:
    """Both have the same times."""
    return one.value.shape == other.value.shape


def without_mean(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Values [..., antenna] without the mean of the good ones over all antennas."""
    count = np.maximum(good.sum(axis=-1, keepdims=True), 1)
    return values - np.where(good, values, 0).sum(axis=-1, keepdims=True) / count
