"""Gains: solving and applying with CASA, and what solutions are worth.

DATA is never written: solutions are found from DATA against MODEL_DATA, and applied from DATA to CORRECTED_DATA.
"""

from typing import TypedDict

import numpy as np

MAD_TO_SIGMA = 1.4826


class Entry(TypedDict):
    """What is collected of one antenna: counts, S/N, curves, scatters in degrees and relative."""

    name: str
    solutions: int
    flagged: int
    snr: list[float]
    series: list[dict]
    phase: list[float]
    amplitude: list[float]


def new_entry(name: str) -> Entry:
    """An antenna of which nothing is known yet."""
    return {"name": name, "solutions": 0, "flagged": 0, "snr": [], "series": [], "phase": [], "amplitude": []}


def median(values: list[float]) -> float | None:
    """The median; None: there are no values."""
    return float(np.median(values)) if len(values) else None


def measure_scatter(gains: np.ndarray, entry: Entry) -> None:
    """Adds the robust scatter of phases (degrees) and amplitudes (relative) of one series of complex gains."""
    direction = np.sum(gains / np.maximum(np.abs(gains), 1e-30))
    phase = np.rad2deg(np.angle(gains * np.conj(direction)))
    entry["phase"].append(float(MAD_TO_SIGMA * np.median(np.abs(phase - np.median(phase)))))
    amplitude = np.abs(gains)
    middle = np.median(amplitude)
    entry["amplitude"].append(float(MAD_TO_SIGMA * np.median(np.abs(amplitude - middle)) / max(middle, 1e-30)))


def antenna_statistics(entries: list[Entry]) -> list[dict]:
    """Statistics of each antenna: see SolutionStats in src/quality/solutions.rs."""
    return [
        {
            "name": entry["name"],
            "flagged_fraction": entry["flagged"] / max(entry["solutions"], 1),
            "median_snr": median(entry["snr"]),
            "series": entry["series"],
        }
        for entry in entries
    ]
