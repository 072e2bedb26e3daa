"""The observation: layout, gains, noise, and the files that come of it."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.columns import add_column
from cleanloop_worker.ms.tables import opened, pieces
from cleanloop_worker.problems import BadInput
from cleanloop_worker.protocol import event
from cleanloop_worker.simulation.presets import PRESETS, VLA
from cleanloop_worker.simulation.sky import ARCSEC, Component, beam_widths, make_sky, seen_by_beam, visibilities

EPOCH = "2021/06/01/00:00:00"  # UTC; any date that the measures data know
GAIN_CORRELATION_TIME = 720.0  # s
MIN_AMPLITUDE = 0.1  # an antenna's gain never falls below this

Options = dict[str, Any]  # of a preset, with the changes of a request


@dataclass(frozen=True)
class Layout:
    """What an empty observation has: uvw [3, row] in m, times in s, antennas of each row, frequencies in Hz."""

    uvw: np.ndarray
    time: np.ndarray
    first: np.ndarray
    second: np.ndarray
    antennas: list[str]
    dish: float
    frequencies: np.ndarray


def simulate(request: r.Simulate) -> dict[str, Any]:
    """Makes OUTPUT/NAME.ms, NAME.sky.json, NAME.gains.npz and NAME.gains.json, and returns where they are."""
    o = options_of(request)
    os.makedirs(request.output, exist_ok=True)
    final = os.path.join(request.output, f"{request.name}.ms")
    if os.path.exists(final):
        raise BadInput(f"{final} is there already")
    partial = f"{final}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    sky_seed, gain_seed, noise_seed = seeds(request.seed, o["pointing_arcsec"])
    lay_out(partial, o)
    layout = read_layout(partial)
    sky = sky_of(o, layout, np.random.default_rng(sky_seed))
    stamps, when = np.unique(layout.time, return_inverse=True)
    gains = drifting_gains(len(layout.antennas), stamps.size, o, np.random.default_rng(gain_seed))
    factor = gains[layout.first, when] * gains[layout.second, when].conj()
    write_data(partial, o, observe(layout, sky, factor, o, np.random.default_rng(noise_seed)))
    paths = {
        key: os.path.join(request.output, f"{request.name}.{end}")
        for key, end in [("sky", "sky.json"), ("gains", "gains.npz"), ("gains_json", "gains.json")]
    }
    write_sky(paths["sky"], request, o, layout, sky)
    write_gains(paths, gains, stamps, layout.antennas)
    os.rename(partial, final)
    return {
        "measurement_set": final,
        "rows": int(layout.time.size),
        "antennas": len(layout.antennas),
        "integrations": int(stamps.size),
        "channels": len(layout.frequencies),
        **paths,
    }


def options_of(request: r.Simulate) -> Options:
    """The preset's options with those of the request."""
    if request.preset not in PRESETS:
        raise BadInput(f"no preset {request.preset!r}: there are {', '.join(PRESETS)}")
    preset = {**VLA, **PRESETS[request.preset]}
    o = {"antennas": None, "line": False, "pointing_arcsec": None, **preset}
    changes = {k: v for k, v in asdict(request).items() if k not in ("output", "name", "preset", "seed")}
    o.update({k: v for k, v in changes.items() if v is not None})
    # A smaller field is a smaller picture: the preset's large sources shrink and draw together with it.
    part = o["field_arcsec"] / preset["field_arcsec"]
    o["gaussians"] = [
        (flux, part * major, part * minor, angle, part * east, part * north)
        for flux, major, minor, angle, east, north in o["gaussians"]
    ]
    if o["channels"] < 1 or o["duration_s"] < o["integration_s"] or o["integration_s"] <= 0:
        raise BadInput("at least one channel and one integration are needed")
    if o["antennas"] is not None and o["antennas"] < 2:
        raise BadInput("at least two antennas are needed")
    return o


def seeds(seed: int, pointing: list[float] | None) -> list[np.random.SeedSequence]:
    """Seeds of sky, gains and noise. The sky is the field's; gains and noise are each beam's own."""
    sky, gains, noise = np.random.SeedSequence(seed).spawn(3)
    if pointing:
        own = [seed, *(int(round(10 * offset)) + 2**30 for offset in pointing)]
        gains, noise = np.random.SeedSequence(own).spawn(2)
    return [sky, gains, noise]


def phase_centre(o: Options, pointing: list[float] | None) -> Any:
    """The direction of the phase centre: the field's, or that of a beam beside it."""
    from casatools import measures, quanta

    me, qa = measures(), quanta()
    field = me.direction("J2000", *o["direction"])
    if not pointing:
        return field
    ra, dec = field["m0"]["value"], field["m1"]["value"]
    east, north = (offset * ARCSEC for offset in pointing)
    return me.direction("J2000", qa.quantity(ra + east / np.cos(dec), "rad"), qa.quantity(dec + north, "rad"))


def lay_out(path: str, o: Options) -> None:
    """Writes an empty observation."""
    from casatasks.private import simutil
    from casatools import ctsys, measures, simulator

    me, sm, util = measures(), simulator(), simutil.simutil()
    file = ctsys.resolve(os.path.join("alma/simmos", o["config"]))
    if not os.path.exists(file):
        raise FileNotFoundError(f"CASA's data hold no array configuration {o['config']!r}")
    x, y, z, dish, names, _, _, _ = util.readantenna(file)
    count = min(o["antennas"] or len(x), len(x))
    # Evenly through the list, so that a small array keeps short and long baselines.
    pick = np.unique(np.linspace(0, len(x) - 1, count).round().astype(int))
    x, y, z, dish, names = ([values[k] for k in pick] for values in (x, y, z, dish, names))
    # readantenna has turned local coordinates into geocentric ones.
    sm.open(path)
    sm.setconfig(
        telescopename=o["telescope"],
        x=x,
        y=y,
        z=z,
        dishdiameter=dish,
        mount=["alt-az"],
        antname=names,
        padname=names,
        coordsystem="global",
        referencelocation=me.observatory(o["telescope"]),
    )
    width = f"{o['channel_width_hz']}Hz"
    sm.setspwindow(
        spwname="band",
        freq=f"{o['frequency_hz']}Hz",
        deltafreq=width,
        freqresolution=width,
        nchannels=o["channels"],
        stokes=o["stokes"],
    )
    sm.setfeed("perfect R L" if "R" in o["stokes"] else "perfect X Y", pol=[""])
    sm.setfield(sourcename="field", sourcedirection=phase_centre(o, o["pointing_arcsec"]))
    sm.setlimits(shadowlimit=1e-6, elevationlimit="5deg")
    sm.setauto(0.0)
    sm.settimes(integrationtime=f"{o['integration_s']}s", usehourangle=True, referencetime=me.epoch("UTC", EPOCH))
    sm.observe("field", "band", starttime=f"{-o['duration_s'] / 2}s", stoptime=f"{o['duration_s'] / 2}s")
    sm.close()


def read_layout(path: str) -> Layout:
    """Reads an empty observation, and removes the columns that calibration makes."""
    with opened(path, write=True) as tb:
        for column in ("CORRECTED_DATA", "MODEL_DATA"):
            if column in tb.colnames():
                tb.removecols(column)
        uvw, time = tb.getcol("UVW"), tb.getcol("TIME")
        first, second = tb.getcol("ANTENNA1"), tb.getcol("ANTENNA2")
    with opened(os.path.join(path, "ANTENNA")) as tb:
        antennas = list(tb.getcol("NAME"))
        dish = float(np.median(tb.getcol("DISH_DIAMETER")))
    return Layout(uvw, time, first, second, antennas, dish, channel_frequencies(path))


def channel_frequencies(path: str) -> np.ndarray:
    """Channel frequencies of the first spectral window, Hz."""
    with opened(os.path.join(path, "SPECTRAL_WINDOW")) as tb:
        return tb.getcell("CHAN_FREQ", 0)


def sky_of(o: Options, layout: Layout, rng: np.random.Generator) -> list[Component]:
    """The sky around the phase centre."""
    sky = make_sky(o, rng)
    if not o["pointing_arcsec"]:
        return sky
    centres = (phase_centre(o, None), phase_centre(o, o["pointing_arcsec"]))
    field, beam = ((centre["m0"]["value"], centre["m1"]["value"]) for centre in centres)
    return seen_by_beam(sky, field, beam, beam_widths(layout.frequencies, layout.dish))


def drifting_gains(antennas: int, times: int, o: Options, rng: np.random.Generator) -> np.ndarray:
    """Complex gains [antenna, time]: amplitude and phase are Ornstein-Uhlenbeck processes."""
    keep = np.exp(-o["integration_s"] / GAIN_CORRELATION_TIME)
    drift = np.empty((2, antennas, times))
    drift[:, :, 0] = rng.standard_normal((2, antennas))
    for t in range(1, times):
        drift[:, :, t] = keep * drift[:, :, t - 1] + np.sqrt(1 - keep**2) * rng.standard_normal((2, antennas))
    amplitude = np.maximum(1 + o["amplitude_rms"] * drift[0], MIN_AMPLITUDE)
    return amplitude * np.exp(1j * np.deg2rad(o["phase_rms_deg"]) * drift[1])


def observe(
    layout: Layout, sky: list[Component], factor: np.ndarray, o: Options, rng: np.random.Generator
) -> np.ndarray:
    """Visibilities [correlation, channel, row] with gains (`factor` of each row) and noise."""
    correlations, rows, channels = len(o["stokes"].split()), layout.time.size, len(layout.frequencies)
    data = np.empty((correlations, channels, rows), complex)
    for channel, frequency in enumerate(layout.frequencies):
        model = visibilities(sky, layout.uvw, frequency, channel) * factor
        error = rng.standard_normal((2, correlations, rows)) * o["noise_jy"]
        data[:, channel] = model + error[0] + 1j * error[1]
        event("progress", done=channel + 1, total=channels)
    return data


def write_data(path: str, o: Options, data: np.ndarray) -> None:
    """Writes visibilities, and weights that fit the noise."""
    correlations, _, rows = data.shape
    variance = max(o["noise_jy"], 1e-6) ** 2
    with opened(path, write=True) as tb:
        tb.putcol("DATA", data)
        tb.putcol("WEIGHT", np.full((correlations, rows), 1 / variance))
        tb.putcol("SIGMA", np.full((correlations, rows), np.sqrt(variance)))
        tb.putcol("FLAG", np.zeros(data.shape, bool))
        tb.putcol("FLAG_ROW", np.zeros(rows, bool))


def write_sky(path: str, request: r.Simulate, o: Options, layout: Layout, sky: list[Component]) -> None:
    """Writes the true sky."""
    truth = {
        "preset": request.preset,
        "seed": request.seed,
        "options": {k: v for k, v in o.items() if k != "gaussians"},
        "phase_centre": {"frame": "J2000", "ra": o["direction"][0], "dec": o["direction"][1]},
        "frequencies_hz": layout.frequencies.tolist(),
        "components": sky,
    }
    with open(path, "w") as file:
        json.dump(truth, file, indent=1)


def write_gains(paths: dict[str, str], gains: np.ndarray, stamps: np.ndarray, antennas: list[str]) -> None:
    """Writes the true gains as arrays and as text."""
    np.savez_compressed(paths["gains"], gains=gains, time_s=stamps, antennas=np.array(antennas))
    text = {
        "antennas": antennas,
        "time_s": stamps.tolist(),
        "amplitude": np.abs(gains).tolist(),
        "phase_deg": np.rad2deg(np.angle(gains)).tolist(),
    }
    with open(paths["gains_json"], "w") as file:
        json.dump(text, file)


def fill_model(request: r.FillModel) -> None:
    """Puts the true sky (a file written by simulate) into MODEL_DATA."""
    ms = request.ms
    with open(request.sky) as file:
        components = json.load(file)["components"]
    add_column(ms, "MODEL_DATA")
    frequencies = channel_frequencies(ms)
    for tb, start, rows in pieces(ms, "DATA", write=True):
        uvw = tb.getcol("UVW", start, rows)
        model = [visibilities(components, uvw, frequency, k) for k, frequency in enumerate(frequencies)]
        correlations = tb.getcell("DATA", start).shape[0]
        tb.putcol("MODEL_DATA", np.repeat(np.array(model)[np.newaxis], correlations, axis=0), start, rows)
