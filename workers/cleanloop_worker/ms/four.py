"""Copies with four correlations and one spectral window, for programs that take nothing else."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import PIECE_VALUES, check_column, data_descriptions, opened
from cleanloop_worker.problems import BadInput

PARALLEL = {(5, 8): [5, 6, 7, 8], (9, 12): [9, 10, 11, 12]}  # casacore's RR RL LR LL and XX XY YX YY
FOUR = 4
HANDS = [0, 3]  # places of the parallel hands among four
PLAIN = (
    *("UVW", "TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "ANTENNA1", "ANTENNA2", "FEED1", "FEED2"),
    *("FIELD_ID", "SCAN_NUMBER", "ARRAY_ID", "OBSERVATION_ID", "PROCESSOR_ID", "STATE_ID"),
)
SPECTRUM = "WEIGHT_SPECTRUM"
OTHER = (SPECTRUM, "SIGMA_SPECTRUM", "CORRECTED_DATA", "MODEL_DATA")
BY_CHANNEL = ("CHAN_FREQ", "CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION")
SAME_TIME_S = 1e-3  # times that are nearer are the same integration
MOST_ALONE = 0.75  # windows whose rows leave more than this part of them are not observed together


@dataclass(frozen=True)
class Part:
    """A spectral window: its data description; the places of its channels in the copy; its rows among all of the
    measurement set; and for each row of the copy its number among the window's own, -1 where it has none."""

    description: int
    channels: np.ndarray
    rows: np.ndarray
    taken: np.ndarray


def four_correlations(request: r.FourCorrelations) -> None:
    """Copies a measurement set as one of four correlations, its spectral windows one after the other as one.

    The cross hands of data with the two parallel hands are 0, have the weight of the parallel hands and are not
    flagged: with flagged ones DP3's solutions are all NaN.
    """
    ms, column, output = request.ms, request.column, request.output
    check_column(ms, column, "name one of these")
    types = correlations(ms)
    windows = windows_of(ms)
    frequencies = np.concatenate([windows[k]["CHAN_FREQ"] for k in windows])
    order = np.argsort(frequencies, kind="stable") if len(windows) > 1 else np.arange(len(frequencies))
    parts = parts_of(ms, {k: len(window["CHAN_FREQ"]) for k, window in windows.items()}, np.argsort(order))
    with opened(ms) as tb:
        there = tb.colnames()
        empty = tb.copy(output, deep=True, valuecopy=True, norows=True)
        empty.close()
    for name in os.listdir(ms):
        # Without rows that table has subtables without rows.
        if os.path.exists(os.path.join(ms, name, "table.dat")):
            shutil.rmtree(os.path.join(output, name), ignore_errors=True)
            shutil.copytree(os.path.join(ms, name), os.path.join(output, name))
    spectrum = SPECTRUM if SPECTRUM in there else None
    by_channel = spectrum is not None or len(parts) > 1
    make_columns(output, [name for name in OTHER if name in there], by_channel)
    fill(ms, output, (column, spectrum), parts, by_channel)
    widen_setup(output, types)
    if len(parts) > 1:
        join_windows(output, windows, order)


def correlations(ms: str) -> list[int]:
    """The four correlations of the copy."""
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        setups = {int(tb.getcell("POLARIZATION_ID", k)) for k in data_descriptions(ms)}
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        found = {tuple(int(t) for t in tb.getcell("CORR_TYPE", k)) for k in setups}
    types = next(iter(found)) if len(found) == 1 else ()
    if types in PARALLEL:
        return PARALLEL[types]
    if list(types) in PARALLEL.values():
        return list(types)
    raise BadInput(
        f"{ms}: its correlations are {sorted(map(list, found))} (casacore's numbers); RR LL, XX YY or all four were "
        "expected, in all spectral windows"
    )


def windows_of(ms: str) -> dict[int, dict[str, np.ndarray]]:
    """By data description the values by channel of its spectral window."""
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        numbers = {k: int(tb.getcell("SPECTRAL_WINDOW_ID", k)) for k in data_descriptions(ms)}
    with opened(os.path.join(ms, "SPECTRAL_WINDOW")) as tb:
        return {k: {name: tb.getcell(name, w) for name in BY_CHANNEL} for k, w in numbers.items()}


def parts_of(ms: str, channels: dict[int, int], places: np.ndarray) -> list[Part]:
    """The spectral windows with these numbers of channels; `places` are those of all channels in the copy."""
    with opened(ms) as tb:
        description = tb.getcol("DATA_DESC_ID")
        names = ("FIELD_ID", "ARRAY_ID", "ANTENNA1", "ANTENNA2")
        keys = [np.round(tb.getcol("TIME") / SAME_TIME_S), *(tb.getcol(name) for name in names)]
    own = [np.flatnonzero(description == k) for k in channels]
    if len(own) == 1:
        taken = [np.arange(len(own[0]))]
    else:
        taken = matched(ms, [np.stack([key[rows] for key in keys], axis=1) for rows in own])
    ends = np.cumsum(list(channels.values()))
    cut = zip(channels, ends - list(channels.values()), ends, own, taken, strict=True)
    return [Part(k, places[start:end], rows, of) for k, start, end, rows, of in cut]


def matched(ms: str, keys: list[np.ndarray]) -> list[np.ndarray]:
    """For each window and each of all integrations and baselines [row, key], in the order of time, the window's row;
    -1: it has none."""
    all_keys, number = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    number = number.reshape(-1)
    if len(all_keys) > MOST_ALONE * len(number):
        raise BadInput(
            f"{ms}: its spectral windows have different integrations: solving by direction takes windows that were "
            "observed together; select them with `spw`"
        )
    taken, start = [], 0
    for key in keys:
        of = np.full(len(all_keys), -1)
        of[number[start : start + len(key)]] = np.arange(len(key))
        taken.append(of)
        start += len(key)
    return taken


def fill(ms: str, output: str, names: tuple[str, str | None], parts: list[Part], by_channel: bool) -> None:
    """Writes the rows of the copy, from this column and these weights by channel."""
    rows, channels = len(parts[0].taken), sum(len(part.channels) for part in parts)
    source = np.full(rows, -1)
    for part in reversed(parts):
        has = part.taken >= 0
        source[has] = part.rows[part.taken[has]]
    with opened(output, write=True) as out:
        out.addrows(rows)
        step = max(1, PIECE_VALUES // (FOUR * channels))
        for start in range(0, rows, step):
            count = min(step, rows - start)
            with opened(ms) as tb:
                for name in PLAIN:
                    out.putcol(name, rows_of(tb, name, source[start : start + count]), start, count)
            out.putcol("DATA_DESC_ID", np.zeros(count, np.int32), start, count)
            for name, values in gathered(ms, names, parts, start, count).items():
                if name != SPECTRUM or by_channel:
                    out.putcol(name, values, start, count)


def gathered(ms: str, names: tuple[str, str | None], parts: list[Part], start: int, count: int) -> dict[str, Any]:
    """The columns with a value for each correlation, of these rows of the copy; what no window has is flagged."""
    shape = (FOUR, sum(len(part.channels) for part in parts), count)
    data, flags = np.zeros(shape, np.complex64), np.ones(shape, np.bool_)
    weights = np.zeros(shape, np.float32)
    single = {name: np.zeros((FOUR, count)) for name in ("WEIGHT", "SIGMA")}
    for part, tb in tables(ms, parts):
        has = np.flatnonzero(part.taken[start : start + count] >= 0)
        if len(has) == 0:
            continue
        taken = part.taken[start : start + count][has]
        place = np.ix_(np.arange(FOUR), part.channels, has)
        data[place] = widened(rows_of(tb, names[0], taken), 0)
        flagged = rows_of(tb, "FLAG", taken).any(axis=0) | rows_of(tb, "FLAG_ROW", taken)
        flags[place] = np.repeat(flagged[np.newaxis], FOUR, axis=0)
        weights[place] = weights_of(tb, names[1], taken, len(part.channels))
        for name, of_rows in single.items():
            values = rows_of(tb, name, taken)
            of_rows[:, has] = widened(values, values.mean(axis=0))
    return {"DATA": data, "FLAG": flags, "FLAG_ROW": flags.all(axis=(0, 1)), SPECTRUM: weights, **single}


def tables(ms: str, parts: list[Part]) -> Iterator[tuple[Part, Any]]:
    """Each window with the table of its rows."""
    with opened(ms) as tb:
        for part in parts:
            own = tb.query(f"DATA_DESC_ID=={part.description}")
            try:
                yield part, own
            finally:
                own.close()


def rows_of(tb: Any, column: str, rows: np.ndarray) -> np.ndarray:
    """The values of these rows of a table, in this order."""
    low = int(rows.min())
    return tb.getcol(column, low, int(rows.max()) - low + 1)[..., rows - low]


def weights_of(tb: Any, spectrum: str | None, rows: np.ndarray, channels: int) -> np.ndarray:
    """Weights [correlation, channel, row] of these rows."""
    if spectrum is None:
        values = np.repeat(rows_of(tb, "WEIGHT", rows)[:, np.newaxis], channels, axis=1)
    else:
        values = rows_of(tb, spectrum, rows)
    return widened(values, values.mean(axis=0))


def widened(values: np.ndarray, cross: Any) -> np.ndarray:
    """Values [2, ...] of the parallel hands as [4, ...], with these of the cross hands; four stay as they are."""
    if len(values) == FOUR:
        return values
    wide = np.empty((FOUR, *values.shape[1:]), values.dtype)
    wide[:] = cross
    wide[HANDS] = values
    return wide


def make_columns(ms: str, other: list[str], by_channel: bool) -> None:
    """Makes the columns that have a value for each correlation anew, of any shape; weights by channel on request."""
    with opened(ms, write=True) as tb:
        if other:
            tb.removecols(other)
        if by_channel:
            tb.addcols({SPECTRUM: {**tb.getcoldesc("FLAG"), "valueType": "float", "comment": "weights by channel"}})
        columns = [("DATA", 2), ("FLAG", 2), ("WEIGHT", 1), ("SIGMA", 1), *([(SPECTRUM, 2)] if by_channel else [])]
        for name, rank in columns:
            description = tb.getcoldesc(name)
            for key in ("shape", "dataManagerGroup", "dataManagerType"):
                description.pop(key, None)
            description |= {"ndim": rank, "option": 0}
            tb.removecols(name)
            tile = [FOUR, 256] if rank == 1 else [FOUR, 64, 256]
            spec = {"DEFAULTTILESHAPE": np.array(tile)}
            manager = {"TYPE": "TiledShapeStMan", "NAME": f"Four{name}", "SPEC": spec, "COLUMNS": np.array([name])}
            tb.addcols({name: description}, {"*1": manager})


def widen_setup(ms: str, types: list[int]) -> None:
    """Enters four correlations into the table of setups."""
    with opened(os.path.join(ms, "POLARIZATION"), write=True) as tb:
        for row in range(tb.nrows()):
            tb.putcell("NUM_CORR", row, FOUR)
            tb.putcell("CORR_TYPE", row, np.array(types, np.int32))
            tb.putcell("CORR_PRODUCT", row, np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.int32))


def join_windows(ms: str, windows: dict[int, dict[str, np.ndarray]], order: np.ndarray) -> None:
    """Leaves one data description and one spectral window, which has the channels of all in the order of frequency."""
    with opened(os.path.join(ms, "DATA_DESCRIPTION"), write=True) as tb:
        tb.removerows(list(range(1, tb.nrows())))
        tb.putcell("SPECTRAL_WINDOW_ID", 0, 0)
    joined = {name: np.concatenate([window[name] for window in windows.values()])[order] for name in BY_CHANNEL}
    # Channels of a window that is written downwards have negative widths.
    joined |= {name: np.abs(values) for name, values in joined.items() if name != "CHAN_FREQ"}
    with opened(os.path.join(ms, "SPECTRAL_WINDOW"), write=True) as tb:
        tb.removerows(list(range(1, tb.nrows())))
        tb.putcell("NUM_CHAN", 0, len(order))
        for name, values in joined.items():
            tb.putcell(name, 0, values)
        tb.putcell("REF_FREQUENCY", 0, float(joined["CHAN_FREQ"][0]))
        tb.putcell("TOTAL_BANDWIDTH", 0, float(joined["CHAN_WIDTH"].sum()))
