"""What is in a measurement set and what is wrong with it, whatever state it is in.

A damaged part is noted, and the others are looked at all the same. Everything is read in pieces of bounded size.
"""

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms import noise
from cleanloop_worker.ms.counting import CORRELATIONS, Counts, count
from cleanloop_worker.ms.rows import Rows, read_rows
from cleanloop_worker.ms.tables import check, opened

# Those that the definition of measurement sets (version 2.0) asks for; CASA's tasks open them all.
# fmt: off
SUBTABLES = (
    "ANTENNA", "DATA_DESCRIPTION", "FEED", "FIELD", "FLAG_CMD", "HISTORY", "OBSERVATION", "POINTING", "POLARIZATION",
    "PROCESSOR", "SPECTRAL_WINDOW", "STATE",
)
# fmt: on
AVERAGED_BY_BASELINE = "BDA_TIME_AXIS"  # the subtable of data that were averaged more on shorter baselines
DATA_COLUMNS = ("DATA", "CORRECTED_DATA", "FLOAT_DATA")
FOREIGN_MANAGER = re.compile(r"(?:Data Manager class|Shared library) (\w+) (?:is not registered|not found)")
MOST_WORDS = 300  # of an error of CASA

Unreadable = list[dict[str, str]]


def inspect(request: r.Inspect) -> dict[str, Any]:
    """See MsFacts in src/programs/casa/requests/inspection.rs."""
    ms = request.ms
    check(ms)
    unreadable: Unreadable = []
    main = guarded(unreadable, "the main table", lambda: main_table(ms), lambda: {"rows": 0, "columns": []})
    names = [column["name"] for column in main["columns"]]
    column = request.column or next((name for name in DATA_COLUMNS if name in names), "DATA")
    tables = Subtables(ms, unreadable)
    rows = guarded(unreadable, "the main table", lambda: read_rows(ms), Rows) if main["rows"] else Rows()
    counts = Counts()
    if main["rows"] and not unreadable and column in names:
        counts = count(ms, column, request.values, tables.counted())
        unreadable += [{"what": what, "why": short(why)} for what, why in counts.unreadable.items()]
    spread = scatter(ms, column) if counts.weights else None
    return {
        "writable": all(os.access(path, os.W_OK) for path in (ms, os.path.join(ms, "table.dat"))),
        **main,
        "column": column,
        "missing_subtables": [name for name in SUBTABLES if not os.path.isdir(os.path.join(ms, name))],
        "averaged_by_baseline": os.path.isdir(os.path.join(ms, AVERAGED_BY_BASELINE)),
        "foreign_manager": foreign_manager(unreadable),
        "unreadable": unreadable,
        "telescope": tables.telescope,
        "antennas": tables.antenna_facts(counts),
        "fields": tables.field_facts(counts, rows, spread),
        "windows": tables.window_facts(counts),
        "correlations": counts.by_correlation(),
        "visibilities": counts.whole(),
        "weight_spectrum": counts.spectrum,
        **rows.facts(),
        **tables.wavelengths(rows),
        "beam": counts.beam(),
        "noise": counts.noise(None, spread),
    }


def guarded(unreadable: Unreadable, what: str, read: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """What `read` gives; where that fails the failure is noted, and `otherwise` stands for it."""
    try:
        return read()
    except (RuntimeError, IndexError, KeyError, ValueError) as problem:  # table tools on damaged contents
        unreadable.append({"what": what, "why": short(problem)})
        return otherwise()


def short(problem: object) -> str:
    """An error of CASA in one line."""
    return " ".join(str(problem).split())[:MOST_WORDS]


def main_table(ms: str) -> dict[str, Any]:
    """Size and columns."""
    with opened(ms) as tb:
        managers = {str(c): str(m["TYPE"]) for m in tb.getdminfo().values() for c in m["COLUMNS"]}
        columns = [{"name": c, "manager": managers.get(c, "")} for c in tb.colnames()]
        return {"rows": int(tb.nrows()), "columns": columns}


def foreign_manager(unreadable: Unreadable) -> str | None:
    """The type of a storage manager that this CASA does not have: then the main table cannot even be opened."""
    found = (FOREIGN_MANAGER.search(part["why"]) for part in unreadable)
    return next((match[1] for match in found if match), None)


def scatter(ms: str, column: str) -> float | None:
    """See noise.scatter; it is no reason to give up."""
    try:
        return noise.scatter(ms, column, None)
    except (RuntimeError, IndexError, ValueError):
        return None


class Subtables:
    """The subtables; what cannot be read is empty."""

    def __init__(self, ms: str, unreadable: Unreadable) -> None:
        self.ms = ms
        self.unreadable = unreadable
        self.telescope = str((self.read("OBSERVATION", "TELESCOPE_NAME") or [""])[0])
        self.antennas = self.read("ANTENNA", "NAME")
        self.diameters = self.read("ANTENNA", "DISH_DIAMETER")
        self.fields = self.read("FIELD", "NAME")
        self.centres = self.read("FIELD", "PHASE_DIR")
        self.modes = self.read("STATE", "OBS_MODE")
        self.windows = self.read("SPECTRAL_WINDOW", "NAME")
        self.frequencies = self.read("SPECTRAL_WINDOW", "CHAN_FREQ")
        self.widths = self.read("SPECTRAL_WINDOW", "CHAN_WIDTH")
        self.hands = self.read("POLARIZATION", "CORR_TYPE")
        self.window_of = [int(k) for k in self.read("DATA_DESCRIPTION", "SPECTRAL_WINDOW_ID")]
        self.setup_of = [int(k) for k in self.read("DATA_DESCRIPTION", "POLARIZATION_ID")]

    def read(self, table: str, column: str) -> list[Any]:
        """The cells of a column; nothing where the subtable is absent."""
        path = os.path.join(self.ms, table)

        def cells() -> list[Any]:
            with opened(path) as tb:
                return [tb.getcell(column, k) for k in range(tb.nrows())]

        return guarded(self.unreadable, f"{table}/{column}", cells, list) if os.path.isdir(path) else []

    def counted(self) -> dict[int, tuple[list[int], np.ndarray]]:
        """Of each data description the types of its correlations, and the frequencies of its channels, Hz."""
        return {
            k: ([int(c) for c in np.atleast_1d(self.hands[setup])], np.asarray(self.frequencies[window]))
            for k, (window, setup) in enumerate(zip(self.window_of, self.setup_of, strict=False))
            if 0 <= window < len(self.frequencies) and 0 <= setup < len(self.hands)
        }

    def antenna_facts(self, counts: Counts) -> list[dict[str, Any]]:
        """All rows of ANTENNA; those without visibilities were not used."""
        return [
            {
                "name": str(name),
                "diameter_m": float(self.diameters[k]) if k < len(self.diameters) else 0.0,
                "visibilities": counts.of("antenna", k),
            }
            for k, name in enumerate(self.antennas)
        ]

    def field_facts(self, counts: Counts, rows: Rows, spread: float | None) -> list[dict[str, Any]]:
        """All rows of FIELD; those without rows in the main table were not observed."""
        facts = []
        for k, name in enumerate(self.fields):
            centre = np.rad2deg(self.centres[k][:, 0]) if k < len(self.centres) else np.full(2, np.nan)
            states = [self.modes[s] for s in rows.states_of(k) if 0 <= s < len(self.modes)]
            facts.append(
                {
                    "name": str(name),
                    "ra_deg": float(centre[0] % 360),
                    "dec_deg": float(centre[1]),
                    "intents": sorted({intent for mode in states for intent in str(mode).split(",") if intent}),
                    **rows.of_field(k),
                    "visibilities": counts.of("field", k),
                    "beam": counts.beam(k),
                    "noise": counts.noise(k, spread),
                }
            )
        return facts

    def window_facts(self, counts: Counts) -> list[dict[str, Any]]:
        """All rows of SPECTRAL_WINDOW; those without rows in the main table have no data."""
        facts = []
        for k, name in enumerate(self.windows):
            frequency = np.asarray(self.frequencies[k]) if k < len(self.frequencies) else np.empty(0)
            width = np.abs(self.widths[k]) if k < len(self.widths) else np.empty(0)
            descriptions = [d for d, window in enumerate(self.window_of) if window == k]
            edges = width / 2 if width.size == frequency.size else np.zeros(frequency.size)
            setups = [self.setup_of[d] for d in descriptions if d < len(self.setup_of)]
            kinds = [int(c) for s in setups[:1] if s < len(self.hands) for c in np.atleast_1d(self.hands[s])]
            facts.append(
                {
                    "name": str(name),
                    "described": bool(descriptions),
                    "rows": sum(counts.rows.get(d, 0) for d in descriptions),
                    "channels": int(frequency.size),
                    "lowest_hz": float((frequency - edges).min()) if frequency.size else 0.0,
                    "highest_hz": float((frequency + edges).max()) if frequency.size else 0.0,
                    "channel_width_hz": float(np.median(width)) if width.size else 0.0,
                    "descending": bool(frequency.size > 1 and frequency[-1] < frequency[0]),
                    "correlations": [CORRELATIONS.get(kind, str(kind)) for kind in kinds],
                    "shapes": sorted({shape for d in descriptions for shape in counts.shapes.get(d, ())}),
                    "visibilities": counts.of_descriptions(descriptions),
                }
            )
        return facts

    def wavelengths(self, rows: Rows) -> dict[str, float]:
        """The shortest and longest baseline, wavelengths, at the lowest and highest frequency that have data."""
        used = [self.frequencies[self.window_of[d]] for d in rows.descriptions if d < len(self.window_of)]
        channels = np.concatenate([np.asarray(f) for f in used]) if used else np.empty(0)
        light = 299_792_458.0
        low, high = (float(channels.min()), float(channels.max())) if channels.size else (0.0, 0.0)
        return {
            "shortest_baseline_wavelengths": rows.shortest * low / light,
            "longest_baseline_wavelengths": rows.longest * high / light,
        }
