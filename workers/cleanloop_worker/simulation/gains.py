"""The true gains: what drifts, what is constant, and what is wrong with every row by itself.

Each kind of error has a stream of random numbers of its own, so that one can change while the others stay.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

MIN_AMPLITUDE = 0.1  # an antenna's gain never falls below this
FIRST_HANDS = "RX"  # the polarisation that constant offsets leave alone

Options = dict[str, Any]  # see `observe.options_of`


@dataclass(frozen=True)
class Gains:
    """The gains of an observation: what drifts [antenna, time], and on top of that by direction [direction, antenna,
    time]; the antennas' delays in s; and their constant phases in rad, of the second polarisation [antenna] and of each
    spectral window [window, antenna]."""

    drift: np.ndarray
    by_direction: np.ndarray
    delay: np.ndarray
    hand_phase: np.ndarray
    window_phase: np.ndarray

    def phases(self, window: int, hand: str, offset: float) -> np.ndarray:
        """Constant phases [antenna] in rad: of a window and a polarisation, `offset` Hz from the middle of the band."""
        phases = self.window_phase[window] + 2 * np.pi * offset * self.delay
        return phases if hand in FIRST_HANDS else phases + self.hand_phase


def make_gains(antennas: int, times: int, o: Options, drift: Any, constant: Any, directions: Any = 0) -> Gains:
    """Gains of the options, from the seeds of what drifts, of what is constant, and of what drifts by direction."""
    errors = 1.0 if o["gain_errors"] else 0.0
    delay, hand, *window = np.random.default_rng(constant).standard_normal((1 + o["windows"], antennas))
    return Gains(
        drifting_gains(antennas, times, o, np.random.default_rng(drift)),
        direction_gains(antennas, times, o, np.random.default_rng(directions)),
        errors * 1e-9 * o["delay_rms_ns"] * delay,
        errors * np.deg2rad(o["hand_phase_deg"]) * hand,
        errors * np.deg2rad(o["window_phase_deg"]) * np.array([np.zeros(antennas), *window]),
    )


def drifting_gains(antennas: int, times: int, o: Options, rng: np.random.Generator) -> np.ndarray:
    """Complex gains [antenna, time]: amplitude and phase are Ornstein-Uhlenbeck processes."""
    if not o["gain_errors"]:
        return np.ones((antennas, times), complex)
    keep = np.exp(-o["integration_s"] / o["gain_time_s"])
    drift = np.empty((2, antennas, times))
    drift[:, :, 0] = rng.standard_normal((2, antennas))
    for t in range(1, times):
        drift[:, :, t] = keep * drift[:, :, t - 1] + np.sqrt(1 - keep**2) * rng.standard_normal((2, antennas))
    amplitude = np.maximum(1 + o["amplitude_rms"] * drift[0], MIN_AMPLITUDE)
    return amplitude * np.exp(1j * np.deg2rad(o["phase_rms_deg"]) * drift[1])


def direction_gains(antennas: int, times: int, o: Options, rng: np.random.Generator) -> np.ndarray:
    """Complex gains [direction, antenna, time] on top of those in common; no directions: an empty array."""
    own = {
        **o,
        "phase_rms_deg": o["direction_phase_rms_deg"],
        "amplitude_rms": o["direction_amplitude_rms"],
        "gain_time_s": o["direction_gain_time_s"] or o["gain_time_s"],
    }
    gains = [drifting_gains(antennas, times, own, rng) for _ in range(o["directions"])]
    return np.array(gains, complex).reshape(o["directions"], antennas, times)


def row_phases(rows: int, o: Options, seed: Any) -> np.ndarray:
    """Phase factors [row] that no gains of antennas can make: random, or 1."""
    if not (o["random_phases"] and o["gain_errors"]):
        return np.ones(rows, complex)
    return np.exp(2j * np.pi * np.random.default_rng(seed).random(rows))


def write_gains(
    paths: dict[str, str], gains: Gains, stamps: np.ndarray, antennas: list[str], centres: list[list[float]]
) -> None:
    """Writes the true gains as arrays and as text; `centres` are the directions' offsets east and north in arcsec."""
    constant = {
        "delay_ns": 1e9 * gains.delay,
        "hand_phase_deg": np.rad2deg(gains.hand_phase),
        "window_phase_deg": np.rad2deg(gains.window_phase),
    }
    directions: dict[str, Any] = {
        "direction_gains": gains.by_direction,
        "direction_offsets_arcsec": np.array(centres).reshape(-1, 2),
    }
    arrays: dict[str, Any] = {"gains": gains.drift, "time_s": stamps, "antennas": np.array(antennas), **constant}
    np.savez_compressed(paths["gains"], **arrays, **directions)
    text = {
        "antennas": antennas,
        "time_s": stamps.tolist(),
        "amplitude": np.abs(gains.drift).tolist(),
        "phase_deg": np.rad2deg(np.angle(gains.drift)).tolist(),
        **{key: values.tolist() for key, values in constant.items()},
        "directions": [
            {
                "offset_arcsec": offset,
                "amplitude": np.abs(gains_of).tolist(),
                "phase_deg": np.rad2deg(np.angle(gains_of)).tolist(),
            }
            for offset, gains_of in zip(centres, gains.by_direction, strict=True)
        ],
    }
    with open(paths["gains_json"], "w") as file:
        json.dump(text, file)
