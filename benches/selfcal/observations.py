"""The simulated observations: kinds of field, kinds of gain errors, and the same data without gain errors."""

import os
import shutil

import images
import numpy as np
import work

COMMON = {"duration": 3600, "integration": 60, "channels": 2, "field": 330}
FIELDS = {
    "mixed": {"preset": "demo"},
    "points": {"preset": "pointlike"},
    "crowded": {"preset": "crowded"},
    "extended": {"preset": "extended"},
    "low S/N": {"preset": "low-snr", "noise": 0.3},
    "amplitudes": {"preset": "amplitude"},
    "bright": {"preset": "bright"},
    "faint": {"preset": "low-snr", "noise": 0.6},
}
STRONG_AMPLITUDES = 0.25  # of the field `amplitudes`, whatever the gains
GAINS = {
    "fast": {"gain-time": 120, "phase-rms": 40, "amp-rms": 0.10},
    "medium": {"gain-time": 720, "phase-rms": 60, "amp-rms": 0.05},
    "slow": {"gain-time": 3600, "phase-rms": 20, "amp-rms": 0.25},
    "delays": {"gain-time": 720, "phase-rms": 40, "amp-rms": 0.10, "delay-rms": 3, "channels": 16},
    "windows": {"gain-time": 720, "phase-rms": 40, "amp-rms": 0.10, "windows": 2, "window-phase": 30},
}
BANDS = {"delays": "wide", "windows": "windows"}  # gains that need a band of their own
GAIN_OPTIONS = ("gain-time", "phase-rms", "amp-rms", "delay-rms", "window-phase")
HELD_OUT = [21, 31, 41]  # nothing was tuned on these


def short(name):
    """The name of a folder."""
    return name.replace("/", "").replace(" ", "-")


def cases(seeds, fields, gains):
    """All (seed, field, gains): first one of each field and of each kind of gain errors, then the others. Delays and
    windows are tried on the first field alone."""
    drift = [g for g in gains if g not in BANDS]
    rest = [g for g in gains if g in BANDS]
    found = []
    for turn in range(max(len(drift), 1)):
        for s, seed in enumerate(seeds):
            found += [(seed, f, drift[(k + s + turn) % len(drift)]) for k, f in enumerate(fields) if drift]
            if turn == 0:
                found += [(seed, fields[0], g) for g in rest]
    return found


def options_of(field, gains):
    options = {**COMMON, **FIELDS[field], **GAINS[gains]}
    if field == "amplitudes":
        options["amp-rms"] = STRONG_AMPLITUDES
    return options


def simulated(program, folder, seed, options):
    """Makes field.ms and true.fits, a mask at the true positions, unless they are there; returns the true sky."""
    with work.alone(folder):
        sky = os.path.join(folder, "field.sky.json")
        if work.load(os.path.join(folder, "field.json")) != options:
            shutil.rmtree(os.path.join(folder, "field.ms"), ignore_errors=True)
            words = [program, "simulate", "--quiet", "--output", folder, "--seed", str(seed)]
            for key, value in options.items():
                words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
            work.call(words, os.path.join(folder, "log"))
            mask = images.truth(work.load(sky)["components"], images.MASK_RADIUS)
            images.write_mask(os.path.join(folder, "true.fits"), mask)
            work.write_json(os.path.join(folder, "field.json"), options)
        return work.load(sky)


def field_of(options, seed, field, gains):
    """Folder and true sky of a field with gain errors."""
    folder = os.path.join(options.folder, f"seed-{seed}", short(field), gains)
    return folder, simulated(options.program, folder, seed, options_of(field, gains))


def flux_scale(folder):
    """The mean product of two antennas' true amplitudes: what the data with gain errors hold of the sky's flux. No
    self-calibration can tell it from the sky."""
    amplitudes = np.abs(np.load(os.path.join(folder, "field.gains.npz"))["gains"])
    antennas = len(amplitudes)
    products = amplitudes.sum(axis=0) ** 2 - (amplitudes**2).sum(axis=0)
    return float(products.mean() / (antennas * (antennas - 1)))


def perfect_of(options, seed, field, gains, name="perfect", **changes):
    """Folder and true sky of the same field and noise without gain errors, with these changes."""
    band = BANDS.get(gains, "narrow")
    folder = os.path.join(options.folder, f"seed-{seed}", short(field), f"{name}-{band}")
    same = {k: v for k, v in options_of(field, gains).items() if k not in GAIN_OPTIONS}
    return folder, simulated(options.program, folder, seed, {**same, "no-gain-errors": True, **changes})
