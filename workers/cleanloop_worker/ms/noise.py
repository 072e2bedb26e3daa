"""The theoretical noise of an image: what the weights say, held against the scatter of the visibilities themselves."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check_column, opened, pieces

PARALLEL_HANDS = (1, 5, 8, 9, 12)  # casacore's Stokes I, RR, LL, XX, YY
SAMPLED_BASELINES = 40
SAMPLED_ROWS = 200  # most of each baseline
SAMPLED_VALUES = 4_000_000  # visibilities read for the scatter
FEWEST = 100  # numbers that make a median
MEDIAN_OF_NORMAL = 0.6745  # median of |x| of a normal distribution
FAINT_AMPLITUDE = 0.655  # scatter of the amplitude of pure noise, in that of its real part (Rayleigh distribution)
BRIGHT = 5.0  # from this S/N on, the scatter of an amplitude is that of the real part
UNEVEN = 0.1  # neighbouring steps in time that differ by more are a gap


def theoretical_noise(request: r.MeasureNoise) -> dict[str, Any]:
    """See TheoreticalNoise in src/measurement_set/noise.rs: `natural_jy` from the weights of the unflagged data, and
    `scatter`, the measured noise of a visibility over that of its weight."""
    ms, column = request.ms, request.column
    check_column(ms, column, "name one of these")
    total = sum_of_weights(ms, request.field)
    return {
        "natural_jy": float(1 / np.sqrt(total)) if total > 0 else None,
        "scatter": scatter(ms, column, request.field) if total > 0 else None,
    }


def parallel_hands(ms: str) -> list[np.ndarray]:
    """Indices of the correlations that make Stokes I, of each data description."""
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        types = [np.atleast_1d(tb.getcell("CORR_TYPE", k)) for k in range(tb.nrows())]
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        setups = tb.getcol("POLARIZATION_ID")
    return [np.flatnonzero(np.isin(types[k], PARALLEL_HANDS)) for k in setups]


def has_spectrum(tb: Any) -> bool:
    """Whether the first cell has a weight of each channel."""
    return "WEIGHT_SPECTRUM" in tb.colnames() and bool(tb.iscelldefined("WEIGHT_SPECTRUM", 0))


def read_weights(tb: Any, start: int, rows: int, spectrum: bool) -> np.ndarray:
    """Weights [correlation, channel (or 1), row]."""
    if spectrum:
        return tb.getcol("WEIGHT_SPECTRUM", start, rows)
    return tb.getcol("WEIGHT", start, rows)[:, None, :]


def sum_of_weights(ms: str, field: int | None) -> float:
    """Weights of the unflagged parallel hands, without autocorrelations."""
    hands = parallel_hands(ms)
    total = 0.0
    for tb, start, rows in pieces(ms, "FLAG"):
        wanted = hands[int(tb.getcell("DATA_DESC_ID", start))]
        good = ~tb.getcol("FLAG", start, rows)[wanted]
        kept = ~tb.getcol("FLAG_ROW", start, rows)
        kept &= tb.getcol("ANTENNA1", start, rows) != tb.getcol("ANTENNA2", start, rows)
        if field is not None:
            kept &= tb.getcol("FIELD_ID", start, rows) == field
        weights = read_weights(tb, start, rows, has_spectrum(tb))[wanted]
        weights = np.where(np.isfinite(weights) & (weights > 0), weights, 0)
        if weights.shape[1] == good.shape[1]:
            total += float((weights * good)[..., kept].sum(dtype=float))
        else:
            total += float((weights[:, 0] * good.sum(axis=1))[:, kept].sum(dtype=float))
    return total


def scatter(ms: str, column: str, field: int | None) -> float | None:
    """Noise of a visibility over that of its weight, from second differences between neighbouring channels, between
    neighbouring times, and between both; `None`: there are too few. Whatever else differs between neighbours only adds
    to the scatter, so the lowest is nearest to the noise."""
    channels, times, both = [], [], []
    for data, weights, at in samples(ms, column, field):
        step = 2 if data.shape[1] >= 8 else 1  # beyond neighbours that Hanning smoothing has mixed
        channels.append(relative(data, weights, 1, step))
        across = second_differences(data, weights, 1, step)
        for part in runs(at):
            times.append(relative(data[..., part], weights[..., part], 2))
            both.append(relative(across[0][..., part], across[1][..., part], 2))
    known = [s for s in map(scatter_of, (channels, times, both)) if s is not None]
    return min(known) if known else None


def samples(ms: str, column: str, field: int | None) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields visibilities [correlation, channel, row], their weights (0: flagged) and times, a baseline at a time."""
    hands = parallel_hands(ms)
    with opened(ms) as tb:
        description, first, second = (tb.getcol(name) for name in ("DATA_DESC_ID", "ANTENNA1", "ANTENNA2"))
        use = (first != second) & ~tb.getcol("FLAG_ROW")
        if field is not None:
            use &= tb.getcol("FIELD_ID") == field
        spectrum = has_spectrum(tb)
        values = max(1, tb.getcell(column, 0).size)
        most = max(3, min(SAMPLED_ROWS, SAMPLED_VALUES // (SAMPLED_BASELINES * values)))
        for rows in chosen_rows(description, first, second, use, most):
            wanted = hands[int(description[rows[0]])]
            part = tb.selectrows(rows.tolist())
            try:
                data, flag = part.getcol(column)[wanted], part.getcol("FLAG")[wanted]
                weights = np.broadcast_to(read_weights(part, 0, rows.size, spectrum)[wanted], data.shape)
                good = ~flag & np.isfinite(data) & np.isfinite(weights) & (weights > 0)
                yield np.where(good, data, 0), np.where(good, weights, 0), part.getcol("TIME")
            finally:
                part.close()


def chosen_rows(
    description: np.ndarray, first: np.ndarray, second: np.ndarray, use: np.ndarray, most: int
) -> list[np.ndarray]:
    """Up to `most` rows in a piece of each of some baselines, spread over all of them and all data descriptions."""
    rows = np.flatnonzero(use)
    if rows.size == 0:
        return []
    antennas = int(max(first.max(), second.max())) + 1
    key = (description[rows].astype(np.int64) * antennas + first[rows]) * antennas + second[rows]
    order = np.argsort(key, kind="stable")
    groups = np.split(rows[order], np.flatnonzero(np.diff(key[order])) + 1)
    picked = np.unique(np.linspace(0, len(groups) - 1, min(len(groups), SAMPLED_BASELINES)).astype(int))
    return [g[max(0, (g.size - most) // 2) :][:most] for g in (groups[k] for k in picked)]


def runs(times: np.ndarray) -> list[slice]:
    """Parts of equal steps in time."""
    if times.size < 3:
        return []
    steps = np.diff(times)
    broken = np.flatnonzero(np.abs(np.diff(steps)) > UNEVEN * np.abs(steps[:-1])) + 1
    edges = [0, *broken.tolist(), times.size - 1]
    return [slice(a, b + 1) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a >= 2]


def neighbours(values: np.ndarray, axis: int, step: int) -> list[np.ndarray]:
    """The values on either side and in the middle, for second differences along an axis."""
    length = values.shape[axis]
    return [np.take(values, np.arange(k * step, max(k * step, length - (2 - k) * step)), axis=axis) for k in range(3)]


def second_differences(
    data: np.ndarray, weights: np.ndarray, axis: int, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Second differences along an axis, and their weights: 0 where one of the three has none."""
    a, b, c = neighbours(data, axis, step)
    wa, wb, wc = neighbours(weights, axis, step)
    good = (wa > 0) & (wb > 0) & (wc > 0)
    ones = np.ones_like(wa, dtype=float)
    variance = sum(factor / np.where(good, w, ones) for factor, w in ((1, wa), (4, wb), (1, wc)))
    return a - 2 * b + c, np.where(good, 1 / variance, 0)


def relative(data: np.ndarray, weights: np.ndarray, axis: int, step: int = 1) -> np.ndarray:
    """Second differences over the noise that the weights say: columns of [real part, imaginary part, that of the
    amplitudes, S/N]."""
    whole, heavy = second_differences(data, weights, axis, step)
    amplitude, _ = second_differences(np.abs(data), weights, axis, step)
    middle, middle_weight = (neighbours(values, axis, step)[1] for values in (data, weights))
    good = heavy > 0
    scale = np.sqrt(heavy[good])
    snr = np.abs(middle[good]) * np.sqrt(middle_weight[good])
    return np.stack([whole[good].real * scale, whole[good].imag * scale, amplitude[good] * scale, snr])


def scatter_of(parts: list[np.ndarray]) -> float | None:
    """The scatter of second differences. Where sources are bright, that of the amplitudes, which phases that change
    from one time to the next leave alone."""
    real, imaginary, amplitude, brightness = np.concatenate([np.empty((4, 0)), *parts], axis=1)
    if real.size < FEWEST:
        return None
    found = robust(np.concatenate([real, imaginary]))
    bright = amplitude[brightness > BRIGHT * robust(amplitude) / FAINT_AMPLITUDE]
    return min(found, robust(bright)) if bright.size >= FEWEST else found


def robust(values: np.ndarray) -> float:
    """Robust standard deviation about zero."""
    return float(np.median(np.abs(values)) / MEDIAN_OF_NORMAL)
