"""Times, scans, fields and baselines of the main table, without its visibilities."""

import dataclasses
from typing import Any

import numpy as np

from cleanloop_worker.ms.summary import BASELINES, integration
from cleanloop_worker.ms.tables import opened

ROWS = 500_000  # read at once


@dataclasses.dataclass
class Rows:
    """What the rows say of themselves; as it is, that of a table without rows."""

    moments: np.ndarray = dataclasses.field(default_factory=lambda: np.empty((0, 4)))  # scan, field, state, time
    counts: dict[int, int] = dataclasses.field(default_factory=dict)  # rows of each field
    descriptions: list[int] = dataclasses.field(default_factory=list)
    start: float = 0.0
    end: float = 0.0
    interval: float = 0.0
    spacing: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0
    baselines: int = 0
    uvw_not_finite: int = 0
    uvw_zero: int = 0

    def facts(self) -> dict[str, Any]:
        """Those of the whole set."""
        return {
            "scans": self.scans(),
            "time_start_s": self.start,
            "time_end_s": self.end,
            "integrations": int(np.unique(self.moments[:, 3]).size),
            "spacing_s": self.spacing,
            "interval_s": self.interval,
            "baselines": self.baselines,
            "shortest_baseline_m": self.shortest,
            "longest_baseline_m": self.longest,
            "uvw_not_finite": self.uvw_not_finite,
            "uvw_zero": self.uvw_zero,
        }

    def scans(self) -> list[dict[str, Any]]:
        """The scans, each with one field."""
        facts = []
        for scan, field in np.unique(self.moments[:, :2], axis=0).astype(int).tolist():
            times = np.unique(self.moments[(self.moments[:, 0] == scan) & (self.moments[:, 1] == field), 3])
            facts.append(
                {
                    "number": scan,
                    "field": field,
                    "start_s": float(times[0]),
                    "end_s": float(times[-1]),
                    "integrations": int(times.size),
                }
            )
        return sorted(facts, key=lambda s: s["start_s"])

    def states_of(self, field: int) -> list[int]:
        """The rows of STATE that a field's data refer to."""
        return np.unique(self.moments[self.moments[:, 1] == field, 2]).astype(int).tolist()

    def of_field(self, field: int) -> dict[str, Any]:
        """Rows and times of a field."""
        integrations = int(np.unique(self.moments[self.moments[:, 1] == field, 3]).size)
        return {"rows": self.counts.get(field, 0), "integrations": integrations}


def read_rows(ms: str) -> Rows:
    """Reads them in blocks."""
    rows = Rows()
    with opened(ms) as tb:
        total = int(tb.nrows())
        blocks = [(start, min(ROWS, total - start)) for start in range(0, total, ROWS)]
        chosen = busiest(tb, blocks)
        moments, sampled, descriptions = [], [], set()
        ends, shortest = [], []
        for block in blocks:
            time, interval = tb.getcol("TIME", *block), tb.getcol("INTERVAL", *block)
            columns = [tb.getcol(name, *block) for name in ("SCAN_NUMBER", "FIELD_ID", "STATE_ID")]
            moments.append(np.unique(np.stack([*columns, time], axis=1), axis=0))
            for field, number in zip(*np.unique(columns[1], return_counts=True), strict=True):
                rows.counts[int(field)] = rows.counts.get(int(field), 0) + int(number)
            descriptions.update(np.unique(tb.getcol("DATA_DESC_ID", *block)).tolist())
            first, second = tb.getcol("ANTENNA1", *block), tb.getcol("ANTENNA2", *block)
            baseline = numbered(first, second)
            own = np.isin(baseline, chosen)
            sampled.append(np.stack([time, interval, columns[0], baseline], axis=1)[own])
            ends.append((time.min(), time.max()))
            shortest.append(lengths(rows, tb.getcol("UVW", *block)[:, first != second]))
        rows.moments = np.unique(np.concatenate(moments), axis=0)
    rows.descriptions = sorted(int(d) for d in descriptions)
    found = [s for s in shortest if s > 0]
    rows.shortest = min(found) if found else 0.0
    time, interval, scan, baseline = np.concatenate(sampled).T
    rows.interval = float(np.median(interval))
    rows.spacing = integration(time, interval, scan.astype(int), baseline.astype(np.int64))
    rows.start = float(min(e[0] for e in ends)) - rows.spacing / 2
    rows.end = float(max(e[1] for e in ends)) + rows.spacing / 2
    with opened(ms) as tb:
        rows.baselines = len(baseline_rows(tb, blocks))
    return rows


def numbered(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A number for each pair of antennas."""
    return (first.astype(np.int64) << 20) + second


def baseline_rows(tb: Any, blocks: list[tuple[int, int]]) -> dict[int, int]:
    """Rows of each baseline, without autocorrelations."""
    rows: dict[int, int] = {}
    for block in blocks:
        first, second = tb.getcol("ANTENNA1", *block), tb.getcol("ANTENNA2", *block)
        for name, number in zip(*np.unique(numbered(first, second)[first != second], return_counts=True), strict=True):
            rows[int(name)] = rows.get(int(name), 0) + int(number)
    return rows


def busiest(tb: Any, blocks: list[tuple[int, int]]) -> np.ndarray:
    """The baselines with most rows; antennas with themselves where there is nothing else."""
    rows = baseline_rows(tb, blocks) or {(antenna << 20) + antenna: 0 for antenna in range(BASELINES)}
    return np.array(sorted(rows, key=lambda name: -rows[name])[:BASELINES], dtype=np.int64)


def lengths(rows: Rows, uvw: np.ndarray) -> float:
    """Counts what is wrong with coordinates; returns the shortest length above 0, m, and notes the longest."""
    good = np.isfinite(uvw).all(axis=0)
    length = np.linalg.norm(uvw[:, good], axis=0)
    rows.uvw_not_finite += int((~good).sum())
    rows.uvw_zero += int((length == 0).sum())
    rows.longest = max(rows.longest, float(length.max(initial=0.0)))
    return float(length[length > 0].min(initial=np.inf)) if (length > 0).any() else 0.0
