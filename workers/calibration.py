"""gaincal, applycal, and what the tables of solutions are worth.

DATA is never written: solutions are found from DATA against MODEL_DATA, and applied from DATA to CORRECTED_DATA.
"""

import os
import shutil

import numpy as np

import measurement_set as mset
from measurement_set import opened
from problems import BadInput

ANTENNAS_KEYWORD = "CLEANLOOP_ANTENNAS"  # antennas that had data when the table was made
THROUGH_KEYWORD = "CLEANLOOP_UNCORRECTED"  # antennas whose data pass uncorrected, though they had data
MAD_TO_SIGMA = 1.4826
SELECTIONS = ("uvrange", "spw", "field", "antenna", "timerange", "scan")


def channel_ranges(ms, nspw):
    """Equal ranges (the last may be shorter) of each window: (window, first, last)."""
    ranges = []
    for window, channels in enumerate(mset.spectral_windows(ms)):
        width = -(-channels // nspw)
        ranges += [(window, first, min(first + width, channels) - 1) for first in range(0, channels, width)]
    return ranges


def gaincal(ms, folder, name, refant=None, nspw=1, **options):
    """Solves; returns the tables in the order of application."""
    from casatasks import gaincal as task

    mset.check_column(ms, "DATA", "gains are solved from raw data")
    if mset.model_is_empty(ms):
        raise BadInput(f"{ms}: MODEL_DATA is empty, there is nothing to calibrate against: the last imaging found no "
                       "component inside its mask")
    facts = mset.summary(ms)
    with_data = [a["name"] for a in facts["antennas"] if a["unflagged_fraction"] > 0]
    if not with_data:
        raise BadInput(f"{ms}: all data are flagged")
    names = [a["name"] for a in facts["antennas"]]
    refant = refant or facts["reference_antenna"]
    for antenna in str(refant).split(","):
        known = antenna.strip() in names or antenna.strip().isdigit() and int(antenna) < len(names)
        if not known:
            raise BadInput(f"{ms} has no antenna {antenna.strip()!r} to refer to; it has {', '.join(names)}")
    os.makedirs(folder, exist_ok=True)
    tables = []
    ranges = channel_ranges(ms, nspw) if nspw > 1 else [None]
    for part in ranges:
        table = os.path.join(folder, name if part is None else f"{name}.spw{part[0]}.ch{part[1]}-{part[2]}")
        shutil.rmtree(table, ignore_errors=True)
        selection = dict(options)
        if part is not None:
            selection["spw"] = f"{part[0]}:{part[1]}~{part[2]}"
        try:
            task(vis=ms, caltable=table, refant=str(refant), **selection)
        except RuntimeError as problem:
            if "NullSelection" in str(problem):
                raise BadInput(f"{ms}: the selection leaves no data ({chosen(selection)})") from None
            raise
        if not os.path.isdir(table):
            continue
        with opened(table, write=True) as tb:
            tb.putkeyword(ANTENNAS_KEYWORD, with_data)
        tables.append({"path": table, "channels": None if part is None else part[1:],
                       "spectral_window": None if part is None else part[0]})
    if not tables:
        raise RuntimeError(f"gaincal made no table from {ms}: no data are left after flags and selections "
                           f"({chosen(options)})")
    return {"tables": tables, "refant": str(refant), "missing": len(ranges) - len(tables)}


def chosen(options):
    """The selections among the options, for messages."""
    return ", ".join(f"{k}={v!r}" for k, v in options.items() if v and k in SELECTIONS) or "none"


def applycal(ms, tables, applymode="calonly", interp="linear", calwt=False):
    """Applies all tables from DATA to CORRECTED_DATA; none: CORRECTED_DATA becomes a copy of DATA.

    Flags always start from those that the measurement set had before the first calibration that set any.
    """
    mset.check_column(ms, "DATA", "solutions are applied to raw data")
    for table in tables:
        if not os.path.isdir(table["path"]):
            raise BadInput(f"{table['path']}: no such table of solutions")
    if applymode != "calonly" and tables:
        mset.save_flags(ms, mset.FLAG_VERSION)
    if os.path.isdir(f"{ms}.flagversions"):
        mset.restore_flags(ms, mset.FLAG_VERSION, missing_ok=True)
    calls = application(ms, tables)
    if not tables or any(call["spw"] for call in calls):
        # Channels that no table covers keep their raw values.
        mset.copy_column(ms, "DATA", "CORRECTED_DATA")
    for call in calls:
        through = sorted({name for table in call["tables"] for name in keyword(table, THROUGH_KEYWORD)})
        if not through or applymode == "calonly":
            apply_once(ms, call, "", applymode, interp, calwt)
            continue
        # Flags for all but the antennas that are given up: their data stay, uncorrected.
        apply_once(ms, call, ";".join(f"!{name}" for name in through), applymode, interp, calwt)
        for name in through:
            apply_once(ms, call, name, "calonly", interp, calwt)
    return {"calls": len(calls)}


def keyword(table, name):
    with opened(table) as tb:
        return [str(value) for value in tb.getkeyword(name)] if name in tb.keywordnames() else []


def apply_once(ms, call, antenna, applymode, interp, calwt):
    from casatasks import applycal as task

    task(vis=ms, spw=call["spw"], antenna=antenna, gaintable=call["tables"], spwmap=call["spwmap"],
         applymode=applymode, interp=[interp] * len(call["tables"]), calwt=[calwt] * len(call["tables"]), parang=False,
         flagbackup=False)


def pass_through(tables, antennas):
    """Flags every solution of these antennas: applied without flagging, the tables leave their data as they are."""
    for table in tables:
        with opened(os.path.join(table["path"], "ANTENNA")) as tb:
            numbers = [k for k, name in enumerate(tb.getcol("NAME")) if name in antennas]
        with opened(table["path"], write=True) as tb:
            rows = np.isin(tb.getcol("ANTENNA1"), numbers)
            flag = tb.getcol("FLAG")
            flag[..., rows] = True
            tb.putcol("FLAG", flag)
            tb.putkeyword(THROUGH_KEYWORD, list(antennas))
    return {}


def application(ms, tables):
    """One call of applycal for each channel range over which the same tables are in force."""
    if not tables:
        return []
    windows = mset.spectral_windows(ms)
    paths = lambda chosen: {"tables": [t["path"] for t in chosen], "spwmap": [spwmap(t, len(windows)) for t in chosen]}
    if all(t.get("channels") is None for t in tables):
        return [{"spw": "", **paths(tables)}]
    calls = []
    for window, channels in enumerate(windows):
        mine = [t for t in tables if t.get("spectral_window") in (None, window)]
        limits = [(0, channels - 1) if t.get("channels") is None else tuple(t["channels"]) for t in mine]
        edges = sorted({0, channels} | {first for first, _ in limits} | {last + 1 for _, last in limits})
        for first, end in zip(edges, edges[1:]):
            covering = [t for t, (low, high) in zip(mine, limits) if low <= first and end - 1 <= high]
            if covering:
                calls.append({"spw": f"{window}:{first}~{end - 1}", **paths(covering)})
    return calls


def spwmap(table, windows):
    """A table that was solved across windows holds one; it serves them all."""
    if table.get("spectral_window") is not None:
        return []
    with opened(table["path"]) as tb:
        held = np.unique(tb.getcol("SPECTRAL_WINDOW_ID"))
    return [int(held[0])] * windows if held.size == 1 and windows > 1 else []


def spwmaps(tables):
    """The spwmap of each table, for other data with the windows of the data that it was solved on."""
    maps = []
    for table in tables:
        with opened(os.path.join(table["path"], "SPECTRAL_WINDOW")) as tb:
            windows = tb.nrows()
        maps.append(spwmap(table, windows))
    return maps


def statistics(tables):
    """See SolutionStats in src/quality/solutions.rs."""
    antennas, pooled = {}, {"solutions": 0, "flagged": 0, "snr": []}
    for index, table in enumerate(tables):
        if not os.path.isdir(table["path"]):
            raise BadInput(f"{table['path']}: no such table of solutions")
        read_table(table["path"], index, antennas, pooled)
    stats, scatter = [], {"phase": [], "amplitude": []}
    for name, a in antennas.items():
        snr = np.array(a["snr"])
        stats.append({"name": name, "flagged_fraction": a["flagged"] / max(a["solutions"], 1),
                      "median_snr": float(np.median(snr)) if snr.size else None, "series": a["series"]})
        for key in scatter:
            scatter[key] += a[key]
    median = lambda values: float(np.median(values)) if values else None
    return {"solutions": pooled["solutions"], "flagged_fraction": pooled["flagged"] / max(pooled["solutions"], 1),
            "median_snr": median(pooled["snr"]), "phase_scatter_deg": median(scatter["phase"]),
            "amplitude_scatter": median(scatter["amplitude"]), "antennas": stats}


def read_table(path, index, antennas, pooled):
    with opened(os.path.join(path, "ANTENNA")) as tb:
        names = list(tb.getcol("NAME"))
    with opened(path) as tb:
        columns = tb.colnames()
        delays = "CPARAM" not in columns
        gain = tb.getcol("FPARAM" if delays else "CPARAM")[:, 0]
        flag, snr = tb.getcol("FLAG")[:, 0], tb.getcol("SNR")[:, 0]
        time, antenna, window = tb.getcol("TIME"), tb.getcol("ANTENNA1"), tb.getcol("SPECTRAL_WINDOW_ID")
        with_data = set(tb.getkeyword(ANTENNAS_KEYWORD)) if ANTENNAS_KEYWORD in tb.keywordnames() else set(names)
    for k, name in enumerate(names):
        entry = antennas.setdefault(name, {"solutions": 0, "flagged": 0, "snr": [], "series": [], "phase": [],
                                           "amplitude": []})
        for spw in np.unique(window):
            rows = np.flatnonzero((antenna == k) & (window == spw))
            rows = rows[np.argsort(time[rows], kind="stable")]
            for pol in range(gain.shape[0]):
                g, bad = gain[pol, rows], flag[pol, rows]
                entry["solutions"] += rows.size
                entry["flagged"] += int(bad.sum())
                good_snr = [float(s) for s in snr[pol, rows][~bad]]
                entry["snr"] += good_snr
                # An antenna without any data says nothing about the solve.
                if name in with_data:
                    pooled["solutions"] += rows.size
                    pooled["flagged"] += int(bad.sum())
                    pooled["snr"] += good_snr
                if not delays and (~bad).any():
                    measure_scatter(g[~bad], entry)
                series = {"polarisation": str(pol), "table": index, "time_s": time[rows], "flagged": bad}
                if delays:
                    nothing = [None] * rows.size
                    series.update(phase_deg=nothing, amplitude=nothing, delay_ns=g)
                else:
                    series.update(phase_deg=np.rad2deg(np.angle(g)), amplitude=np.abs(g))
                entry["series"].append(series)


def measure_scatter(gains, entry):
    direction = np.sum(gains / np.maximum(np.abs(gains), 1e-30))
    phase = np.rad2deg(np.angle(gains * np.conj(direction)))
    entry["phase"].append(float(MAD_TO_SIGMA * np.median(np.abs(phase - np.median(phase)))))
    amplitude = np.abs(gains)
    middle = np.median(amplitude)
    entry["amplitude"].append(float(MAD_TO_SIGMA * np.median(np.abs(amplitude - middle)) / max(middle, 1e-30)))
