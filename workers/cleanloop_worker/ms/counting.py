"""Flags, weights and values of all visibilities, counted by antenna, field, window and correlation."""

import dataclasses
from typing import Any

import numpy as np

from cleanloop_worker.ms.noise import PARALLEL_HANDS, has_spectrum, read_weights
from cleanloop_worker.ms.tables import data_descriptions, opened

# fmt: off
CORRELATIONS = dict(enumerate([
    "?", "I", "Q", "U", "V", "RR", "RL", "LR", "LL", "XX", "XY", "YX", "YY",
    "RX", "RY", "LX", "LY", "XR", "XL", "YR", "YL", "PP", "PQ", "QP", "QQ",
]))  # by casacore's numbers
# fmt: on
VALUES = 4_000_000  # visibilities read at once
SPEED_OF_LIGHT = 299_792_458.0
# The curvature of a point spread function at its centre is that of a Gaussian of this width, in 1 / (rms of u).
WIDTH = float(np.sqrt(2 * np.log(2)) / np.pi)

Setups = dict[int, tuple[list[int], np.ndarray]]
Groups = dict[int, np.ndarray]


def zeros() -> np.ndarray:
    """Numbers of visibilities: see Counts."""
    return np.zeros(4, np.int64)


@dataclasses.dataclass
class Counts:
    """Visibilities, without autocorrelations, as arrays of four numbers: all; those that are not flagged; of these,
    those that are finite and have a finite weight; of these, those with a positive weight."""

    antenna: Groups = dataclasses.field(default_factory=dict)
    field: Groups = dataclasses.field(default_factory=dict)
    description: Groups = dataclasses.field(default_factory=dict)
    correlation: Groups = dataclasses.field(default_factory=dict)  # by casacore's number
    rows: dict[int, int] = dataclasses.field(default_factory=dict)  # by data description
    shapes: dict[int, list[str]] = dataclasses.field(default_factory=dict)  # where cells have several
    weights: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)  # by field: w, w u², w v², w u v
    spectrum: bool = False
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)

    def of(self, group: str, key: int) -> dict[str, int]:
        """The numbers of one antenna or field."""
        return tally(getattr(self, group).get(key, zeros()))

    def of_descriptions(self, keys: list[int]) -> dict[str, int]:
        """Those of a window."""
        return tally(sum((self.description.get(k, zeros()) for k in keys), zeros()))

    def whole(self) -> dict[str, int]:
        """Those of the whole set."""
        return self.of_descriptions(list(self.description))

    def by_correlation(self) -> list[dict[str, Any]]:
        """Those of each correlation."""
        return [
            {"name": CORRELATIONS.get(kind, str(kind)), "visibilities": tally(numbers)}
            for kind, numbers in sorted(self.correlation.items())
        ]

    def moments(self, field: int | None) -> np.ndarray:
        """Sum of the weights of a field (or all), and their moments in u and v."""
        chosen = [m for key, m in self.weights.items() if field is None or key == field]
        return np.sum(chosen, axis=0) if chosen else np.zeros(4)

    def beam(self, field: int | None = None) -> dict[str, float] | None:
        """The beam of an image with natural weighting: the Gaussian with the curvature of the point spread function."""
        weight, uu, vv, uv = self.moments(field)
        if not weight > 0:
            return None
        values, vectors = np.linalg.eigh(np.array([[uu, uv], [uv, vv]]) / weight)
        if not values[0] > 0:
            return None
        major, minor = np.rad2deg(WIDTH / np.sqrt(values)) * 3600
        angle = np.rad2deg(np.arctan2(vectors[0, 0], vectors[1, 0])) % 180
        return {"major_arcsec": float(major), "minor_arcsec": float(minor), "angle_deg": float(angle)}

    def noise(self, field: int | None, scatter: float | None) -> dict[str, float | None] | None:
        """See TheoreticalNoise in src/programs/casa/requests/measurement_set.rs; the scatter is that of all fields."""
        total = self.moments(field)[0]
        return {"natural_jy": float(1 / np.sqrt(total)), "scatter": scatter} if total > 0 else None


def tally(numbers: np.ndarray) -> dict[str, int]:
    """The numbers by name."""
    return dict(zip(("all", "unflagged", "finite", "usable"), numbers.tolist(), strict=True))


def count(ms: str, column: str, values: bool, setups: Setups) -> Counts:
    """Counts all visibilities; without `values` all are taken to be finite, only flags and weights are read."""
    counts = Counts()
    for description in data_descriptions(ms):
        with opened(ms) as tb:
            part = tb.query(f"DATA_DESC_ID=={description}")
            try:
                counts.rows[description] = int(part.nrows())
                if description in setups:
                    count_description(counts, part, description, column, values, setups[description])
                else:
                    counts.unreadable["DATA_DESCRIPTION"] = (
                        f"DATA_DESC_ID is {description} in {part.nrows()} rows, which names no window and correlations"
                    )
            finally:
                part.close()
    return counts


def count_description(
    counts: Counts, part: Any, description: int, column: str, values: bool, setup: tuple[list[int], np.ndarray]
) -> None:
    """Counts the rows of one data description."""
    rows = part.nrows()
    reading = column
    try:
        several = shapes(part, column)
        if len(several) > 1:
            counts.shapes[description] = several
            return
        spectrum = has_spectrum(part)
        counts.spectrum |= spectrum
        part.getcell(column, rows - 1)
        step = max(1, VALUES // max(1, part.getcell("FLAG", 0).size))
        for start in range(0, rows, step):
            number = min(step, rows - start)
            reading = "FLAG"
            flag = part.getcol("FLAG", start, number)
            reading = "WEIGHT_SPECTRUM" if spectrum else "WEIGHT"
            weights = read_weights(part, start, number, spectrum)
            reading = column
            finite = np.isfinite(part.getcol(column, start, number)) if values else np.ones_like(flag)
            reading = "the main table"
            names = ("ANTENNA1", "ANTENNA2", "FIELD_ID", "FLAG_ROW", "UVW")
            first, second, field, flag_row, uvw = (part.getcol(name, start, number) for name in names)
            add(counts, description, Block(first, second, field, flag_row, uvw, flag, finite, weights), setup)
    except RuntimeError as problem:
        counts.unreadable[reading] = str(problem)


def shapes(part: Any, column: str) -> list[str]:
    """The shapes of the cells of a column."""
    found: set[str] = set()
    step = 100_000
    for start in range(0, part.nrows(), step):
        found.update(part.getcolshapestring(column, start, min(step, part.nrows() - start)))
    return sorted(found)


@dataclasses.dataclass
class Block:
    """Rows of a table: values of each [row], coordinates [3, row], and arrays [correlation, channel, row] (weights may
    have one channel)."""

    first: np.ndarray
    second: np.ndarray
    field: np.ndarray
    flag_row: np.ndarray
    uvw: np.ndarray
    flag: np.ndarray
    finite: np.ndarray
    weights: np.ndarray

    def cross(self) -> "Block":
        """The rows that are no autocorrelations."""
        kept = self.first != self.second
        return Block(**{name: values[..., kept] for name, values in vars(self).items()})


def add(counts: Counts, description: int, block: Block, setup: tuple[list[int], np.ndarray]) -> None:
    """Adds a block to the counts."""
    kinds, frequency = setup
    block = block.cross()
    good = ~block.flag & ~block.flag_row
    number = np.isfinite(block.weights)
    positive = number & (block.weights > 0)
    clean = good & number & block.finite
    usable = clean & positive
    by_row = [np.full(good.shape[2], good.shape[0] * good.shape[1])]
    by_row += [kept.sum(axis=(0, 1)) for kept in (good, clean, usable)]
    counts.description.setdefault(description, zeros())
    counts.description[description] += [int(n.sum()) for n in by_row]
    for antenna in (block.first, block.second):
        add_groups(counts.antenna, antenna, by_row)
    add_groups(counts.field, block.field, by_row)
    for k, kind in enumerate(kinds[: good.shape[0]]):
        numbers = counts.correlation.setdefault(kind, zeros())
        numbers += [good[k].size, *(int(kept[k].sum()) for kept in (good, clean, usable))]
    add_weights(counts, block, usable, kinds, frequency)


def add_groups(groups: Groups, keys: np.ndarray, by_row: list[np.ndarray]) -> None:
    """Adds numbers of rows to those of their groups."""
    for key in np.unique(keys).tolist():
        own = keys == key
        numbers = groups.setdefault(int(key), zeros())
        numbers += [int(n[own].sum()) for n in by_row]


def add_weights(counts: Counts, block: Block, usable: np.ndarray, kinds: list[int], frequency: np.ndarray) -> None:
    """Adds the weights of Stokes I, and their moments in u and v (wavelengths)."""
    hands = [k for k, kind in enumerate(kinds[: usable.shape[0]]) if kind in PARALLEL_HANDS]
    chosen = np.where(usable[hands], block.weights[hands], 0).astype(float).sum(axis=0)  # [channel, row]
    scale = (frequency[: chosen.shape[0], None] / SPEED_OF_LIGHT) ** 2
    total, scaled = chosen.sum(axis=0), (chosen * scale).sum(axis=0)
    u, v = np.where(np.isfinite(block.uvw[:2]), block.uvw[:2], 0)
    moments = np.stack([total, scaled * u * u, scaled * v * v, scaled * u * v])
    for key in np.unique(block.field).tolist():
        sums = counts.weights.setdefault(int(key), np.zeros(4))
        sums += moments[:, block.field == key].sum(axis=1)
