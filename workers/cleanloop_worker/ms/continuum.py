"""Continuum and lines in the visibilities: the spectrum that shows lines, and the subtraction of a fit or a model."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.columns import add_column
from cleanloop_worker.ms.noise import parallel_hands
from cleanloop_worker.ms.select import COLUMNS, with_subtables
from cleanloop_worker.ms.tables import check_column, opened, pieces
from cleanloop_worker.problems import BadInput

SAMPLED_VALUES = 32_000_000  # visibilities that are looked at, of each data description
PIECE_VALUES = 4_000_000  # of these at once


def channel_amplitudes(request: r.ChannelAmplitudes) -> list[dict[str, Any]]:
    """Median amplitude of the unflagged parallel hands in each channel of each window, Jy; null without data.

    With line-free channels it is that of what remains without the polynomial that fits them, each visibility spectrum
    for itself, divided by what the fit does to noise: a channel of it loses noise, one beside it gains some.
    """
    check_column(request.ms, request.column, "name one of these")
    free = {window.window: window.channels for window in request.line_free}
    found = []
    for window, samples in by_window(request.ms, request.column, request.field):
        basis = polynomials(samples[0].shape[1], request.fitorder)
        chosen = None
        if request.line_free:
            chosen = np.zeros(basis.shape[1], dtype=bool)
            chosen[free.get(window, [])] = True
        parts = [part for array in samples for part in divided(array)]
        amplitudes = np.concatenate([amplitudes_of(part, basis, chosen) for part in parts], axis=2)
        found.append(
            {
                "window": window,
                "frequencies_hz": frequencies(request.ms, window),
                "amplitudes_jy": [median_of(amplitudes[:, channel]) for channel in range(amplitudes.shape[1])],
            }
        )
    return found


def by_window(ms: str, column: str, field: int | None) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Sampled visibilities [hand, channel, row] of each window, NaN where flagged; one array a data description."""
    hands = parallel_hands(ms)
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        windows = [int(window) for window in tb.getcol("SPECTRAL_WINDOW_ID")]
    for window in sorted(set(windows)):
        descriptions = [number for number, of in enumerate(windows) if of == window]
        found = [sampled(ms, column, field, number, hands[number]) for number in descriptions]
        samples = [values for values in found if values is not None]
        if samples:
            yield window, samples


def sampled(ms: str, column: str, field: int | None, description: int, hands: np.ndarray) -> np.ndarray | None:
    """Visibilities of rows that are spread over those of a data description, the same each time."""
    with opened(ms) as tb:
        use = (tb.getcol("DATA_DESC_ID") == description) & ~tb.getcol("FLAG_ROW")
        use &= tb.getcol("ANTENNA1") != tb.getcol("ANTENNA2")
        if field is not None:
            use &= tb.getcol("FIELD_ID") == field
        rows = np.flatnonzero(use)
        if rows.size == 0:
            return None
        most = max(1, SAMPLED_VALUES // max(1, int(tb.getcell(column, int(rows[0])).size)))
        if rows.size > most:
            rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
        part = tb.selectrows(rows.tolist())
        try:
            data, flag = part.getcol(column)[hands], part.getcol("FLAG")[hands]
        finally:
            part.close()
    return np.where(flag | ~np.isfinite(data) | (data == 0), np.nan, data)


def divided(samples: np.ndarray) -> list[np.ndarray]:
    """The rows in pieces of bounded size."""
    count = max(1, -(-samples.size // PIECE_VALUES))
    return np.array_split(samples, min(count, samples.shape[2]), axis=2)


def polynomials(channels: int, order: int) -> np.ndarray:
    """Legendre polynomials up to an order over a window [order, channel]."""
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, channels), order).T


def amplitudes_of(samples: np.ndarray, basis: np.ndarray, chosen: np.ndarray | None) -> np.ndarray:
    """Amplitudes of visibilities, or of what remains without a fit to the chosen channels; NaN where there is none."""
    if chosen is None:
        return np.abs(samples).astype(np.float32)
    good = np.isfinite(samples)
    fitted = good & chosen[None, :, None]
    products = np.einsum("kc,lc->klc", basis, basis)
    normal = np.einsum("klc,pcr->prkl", products, fitted.astype(float))
    right = np.einsum("kc,pcr->prk", basis, np.where(fitted, samples, 0))
    enough = fitted.sum(axis=1) > 2 * basis.shape[0]
    normal[~enough] = np.eye(basis.shape[0])
    fit = np.einsum("kc,prk->pcr", basis, np.linalg.solve(normal, right[..., None])[..., 0])
    residual = np.where(good & enough[:, None, :], samples - fit, np.nan)
    return (np.abs(residual) / noise_of_fit(basis, chosen)[None, :, None]).astype(np.float32)


def noise_of_fit(basis: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """What the fit does to the noise of each channel: below 1 where it is fitted, above 1 beside."""
    inside = basis[:, chosen]
    leverage = np.einsum("kc,kl,lc->c", basis, np.linalg.pinv(inside @ inside.T), basis)
    return np.sqrt(np.where(chosen, np.maximum(1 - leverage, 0.05), 1 + leverage))


def median_of(values: np.ndarray) -> float | None:
    """Median of the numbers among them."""
    numbers = values[np.isfinite(values)]
    return float(np.median(numbers)) if numbers.size else None


def frequencies(ms: str, window: int) -> list[float]:
    """Centre of each channel of a window, Hz."""
    with opened(os.path.join(ms, "SPECTRAL_WINDOW")) as tb:
        return [float(hz) for hz in tb.getcell("CHAN_FREQ", window)]


def uvcontsub(request: r.Uvcontsub) -> None:
    """CASA's uvcontsub into a new measurement set, whose DATA have no continuum."""
    from casatasks import uvcontsub as task

    ms, output = request.ms, request.output
    check_column(ms, request.column, "name one of these")
    field = "" if request.field is None else str(request.field)
    with with_subtables(ms, os.path.dirname(output)) as source:
        task(vis=source, outputvis=output, datacolumn=COLUMNS[request.column], field=field, **request.parameters)
    if not os.path.isdir(output):
        raise BadInput(f"{ms}: uvcontsub wrote nothing with {request.parameters}; its log says why")


def subtract_model(request: r.SubtractModel) -> None:
    """CORRECTED_DATA becomes a column without MODEL_DATA; only ever asked for on copies."""
    ms, source = request.ms, request.source
    check_column(ms, source, "name one of these")
    check_column(ms, "MODEL_DATA", "predict the model first")
    add_column(ms, "CORRECTED_DATA")
    for tb, start, rows in pieces(ms, source, write=True):
        difference = tb.getcol(source, start, rows) - tb.getcol("MODEL_DATA", start, rows)
        tb.putcol("CORRECTED_DATA", difference, start, rows)
