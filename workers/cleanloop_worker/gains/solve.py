"""gaincal and bandpass."""

import os
import re
import shutil
from dataclasses import asdict
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.gains.apply import call_of, check_table
from cleanloop_worker.ms.columns import model_is_empty
from cleanloop_worker.ms.summary import summarise
from cleanloop_worker.ms.tables import channel_counts, check_column, data_descriptions, opened
from cleanloop_worker.ms.weights import original_weights
from cleanloop_worker.problems import BadInput

ANTENNAS_KEYWORD = "CLEANLOOP_ANTENNAS"  # antennas that had data when the table was made
RECEPTORS_KEYWORD = "CLEANLOOP_RECEPTORS"  # how many receptors have solutions: the first, or both
HANDS = (5, 8, 9, 12)  # casacore's RR, LL, XX, YY
ONLY_GAINCAL = ("calmode", "gaintype", "normtype", "refantmode", "solmode")  # bandpass has no such parameters
FLUX = "flux"  # normtype of our own
TIED_KEYWORD = "CLEANLOOP_TIED"  # the flux scale of a table is that of the model of several sets
SECONDS = re.compile(r"(\d+(?:\.\d*)?) *(s|min|h)?")  # an interval, in seconds where it has no unit
UNITS = {None: 1, "s": 1, "min": 60, "h": 3600}  # seconds
SAME = 1e-6  # part by which intervals that are the same may differ
SELECTIONS = ("uvrange", "spw", "field", "antenna", "timerange", "scan")

ChannelRange = tuple[int, int, int]  # window, first and last channel


def gaincal(request: r.Gaincal) -> dict[str, Any]:
    """Solves; returns the tables in the order of application, the reference antenna and the number of empty ranges.

    gaincal makes no table where it finds no solution at all: too few baselines to each antenna, S/N below minsnr.
    """
    ms, folder = request.ms, request.folder
    check_column(ms, "DATA", "gains are solved from raw data")
    if model_is_empty(ms):
        raise BadInput(
            f"{ms}: MODEL_DATA is empty, there is nothing to calibrate against: the last imaging found no "
            "component inside its mask"
        )
    facts = summarise(ms)
    with_data = [a["name"] for a in facts["antennas"] if a["unflagged_fraction"] > 0]
    if not with_data:
        raise BadInput(f"{ms}: all data are flagged")
    refant = str(request.refant or facts["reference_antenna"])
    check_reference(ms, refant, [a["name"] for a in facts["antennas"]])
    os.makedirs(folder, exist_ok=True)
    options = {key: value for key, value in asdict(request.parameters).items() if value is not None}
    keeps_flux = False
    if options["normtype"] == FLUX:
        keeps_flux = options["solnorm"]
        options.update(solnorm=False, normtype="mean")
    if SECONDS.fullmatch(options["solint"].strip()):
        with opened(ms) as tb:
            options["solint"] = by_integration(options["solint"], tb.getcol("TIME"), tb.getcol("INTERVAL"))
    channels = channel_counts(ms)
    ranges: list[ChannelRange | None] = [*channel_ranges(channels, request.nspw)] or [None]
    tables = []
    with original_weights(ms):
        for part in ranges:
            path = os.path.join(folder, table_name(request.name, part))
            before = applied_before(request.applied, part, len(channels))
            if solve(ms, path, refant, {**selected(options, part), **before}):
                if keeps_flux:
                    keep_flux(path, request.flux_of)
                with opened(path, write=True) as tb:
                    tb.putkeyword(ANTENNAS_KEYWORD, with_data)
                    tb.putkeyword(RECEPTORS_KEYWORD, receptors(ms))
                tables.append(described(path, part))
    return {"tables": tables, "refant": refant, "missing": len(ranges) - len(tables)}


def by_integration(solint: str, times: np.ndarray, lengths: np.ndarray) -> str:
    """`int` for an interval of one integration, where all are of the same length and none is nearer to the next: CASA
    finds the same solutions, to the bit, and takes a third less time, as it averages nothing."""
    found = SECONDS.fullmatch(solint.strip())
    if not found or lengths.size == 0:
        return solint
    length = float(lengths.max())
    least = (1 - SAME) * length
    is_one = abs(float(found[1]) * UNITS[found[2]] - length) <= SAME * length
    even = lengths.min() >= least and (np.diff(np.unique(times)) >= least).all()
    return "int" if is_one and even else solint


def applied_before(tables: list[r.AppliedTable], part: ChannelRange | None, windows: int) -> dict[str, Any]:
    """The tables that cover a channel range (all channels), as parameters of the solve."""

    def covers(table: r.AppliedTable) -> bool:
        if table.channels is None or part is None:
            return table.channels is None
        first, last = table.channels
        return table.spectral_window == part[0] and first <= part[1] and part[2] <= last

    covering = [table for table in tables if covers(table)]
    for table in covering:
        check_table(table)
    return call_of("", covering, windows).options() if covering else {}


def receptors(ms: str) -> int:
    """How many receptors get solutions: data of one correlation, whichever it is, have those of the first alone."""
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        hands = [int(np.isin(tb.getcell("CORR_TYPE", k), HANDS).sum()) for k in range(tb.nrows())]
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        setups = tb.getcol("POLARIZATION_ID")
    return max((hands[setups[k]] for k in data_descriptions(ms)), default=0)


def check_reference(ms: str, refant: str, names: list[str]) -> None:
    """Refuses reference antennas that the measurement set does not have."""
    for antenna in (part.strip() for part in refant.split(",")):
        if antenna not in names and not (antenna.isdigit() and int(antenna) < len(names)):
            raise BadInput(f"{ms} has no antenna {antenna!r} to refer to; it has {', '.join(names)}")


def channel_ranges(channels: list[int], count: int) -> list[ChannelRange]:
    """Equal ranges (the last may be shorter) of windows with these numbers of channels; none for a count of 1."""
    ranges: list[ChannelRange] = []
    for window, length in enumerate(channels if count > 1 else []):
        width = -(-length // count)
        ranges += [(window, first, min(first + width, length) - 1) for first in range(0, length, width)]
    return ranges


def table_name(name: str, part: ChannelRange | None) -> str:
    """Name of the table of a channel range."""
    return name if part is None else f"{name}.spw{part[0]}.ch{part[1]}-{part[2]}"


def described(path: str, part: ChannelRange | None) -> dict[str, Any]:
    """A table as an answer says it."""
    if part is None:
        return {"path": path, "channels": None, "spectral_window": None}
    return {"path": path, "channels": part[1:], "spectral_window": part[0]}


def selected(options: dict[str, Any], part: ChannelRange | None) -> dict[str, Any]:
    """The options, for one channel range."""
    return options if part is None else {**options, "spw": f"{part[0]}:{part[1]}~{part[2]}"}


def solve(ms: str, table: str, refant: str, options: dict[str, Any]) -> bool:
    """One call of gaincal, or of bandpass for type B; returns whether it made a table."""
    from casatasks import bandpass, gaincal

    task = gaincal
    if options["gaintype"] == "B":
        task, options = bandpass, {key: value for key, value in options.items() if key not in ONLY_GAINCAL}
    shutil.rmtree(table, ignore_errors=True)
    try:
        task(vis=ms, caltable=table, refant=refant, **options)
    except RuntimeError as problem:
        if "NullSelection" in str(problem):
            raise BadInput(f"{ms}: the selection leaves no data ({chosen(options)})") from None
        raise
    return os.path.isdir(table)


def keep_flux(table: str, like: list[str] | None) -> None:
    """Scales the amplitudes of a table, window by window, so that those of two antennas have a mean product of 1.

    With `like`, the last tables of one of several sets that are imaged together, all windows alike: first amplitudes
    to 1; the second not at all, which ties the sets to their common model; later ones to the mean product of `like`.
    """
    earlier = [known for known in map(scale_of_table, like or []) if known is not None]
    tied = any(by_model for _, by_model in earlier)
    with opened(table, write=True) as tb:
        windows, time, flag = tb.getcol("SPECTRAL_WINDOW_ID"), tb.getcol("TIME"), tb.getcol("FLAG")
        gain = tb.getcol("CPARAM")
        if like is None:
            for window in np.unique(windows):
                own = windows == window
                gain[..., own] /= flux_scale(np.abs(gain[..., own]), flag[..., own], time[own])
        elif tied or not earlier:
            gain *= np.prod([scale for scale, _ in earlier]) / flux_scale(np.abs(gain), flag, time)
        tb.putcol("CPARAM", gain)
        tb.putkeyword(TIED_KEYWORD, bool(earlier))


def scale_of_table(table: str) -> tuple[float, bool] | None:
    """The flux scale of all of a table, and whether the common model set it; none of a table without amplitudes."""
    with opened(table) as tb:
        if "CPARAM" not in tb.colnames():
            return None
        amplitude, flag, time = np.abs(tb.getcol("CPARAM")), tb.getcol("FLAG"), tb.getcol("TIME")
        tied = TIED_KEYWORD in tb.keywordnames() and bool(tb.getkeyword(TIED_KEYWORD))
    if np.allclose(amplitude[~flag], 1.0, atol=1e-4):
        return None
    return flux_scale(amplitude, flag, time), tied


def flux_scale(amplitude: np.ndarray, flag: np.ndarray, time: np.ndarray) -> float:
    """The root of the mean product of two antennas' amplitudes ([receptor, channel, row]): the mean over times of the
    squared mean over antennas."""
    which = np.broadcast_to(np.unique(time, return_inverse=True)[1], amplitude.shape)
    count = np.bincount(which[~flag])
    total = np.bincount(which[~flag], amplitude[~flag])
    means = total[count > 0] / count[count > 0]
    scale = float(np.sqrt(np.mean(means**2))) if means.size else 1.0
    return scale if scale > 0 else 1.0


def chosen(options: dict[str, Any]) -> str:
    """The selections among the options, for messages."""
    return ", ".join(f"{k}={v!r}" for k, v in options.items() if v and k in SELECTIONS) or "none"
