"""The observation: layout, gains, noise, and the files that come of it."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.columns import add_column
from cleanloop_worker.ms.tables import opened, pieces
from cleanloop_worker.problems import BadInput
from cleanloop_worker.protocol import event
from cleanloop_worker.simulation.gains import Gains, make_gains, row_phases, write_gains
from cleanloop_worker.simulation.presets import PRESETS, VLA
from cleanloop_worker.simulation.sky import (
    ARCSEC,
    Component,
    add_directions,
    beam_widths,
    direction_centres,
    make_sky,
    seen_by_beam,
    visibilities,
)

EPOCH = ("2021/06/01/00:00:00", 59366.0)  # UTC, and as MJD; any date that the measures data know
HOUR_S = 3600.0

Options = dict[str, Any]  # of a preset, with the changes of a request


@dataclass(frozen=True)
class Layout:
    """What an empty observation has: uvw [3, row] in m, times in s, antennas and spectral window of each row, names and
    diameter (m) of the antennas, frequencies [window, channel] in Hz."""

    uvw: np.ndarray
    time: np.ndarray
    first: np.ndarray
    second: np.ndarray
    window: np.ndarray
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
    seed = seeds(request.seed, o["pointing_arcsec"], o["night"])
    lay_out(partial, o)
    layout = read_layout(partial)
    sky = sky_of(o, layout, np.random.default_rng(seed.sky), np.random.default_rng(seed.places))
    stamps = np.unique(layout.time)
    gains = make_gains(len(layout.antennas), stamps.size, o, seed.gains, seed.constant, seed.directions)
    factor = row_phases(layout.time.size, o, seed.rows)
    data, power = observe(layout, sky, gains, factor, o, np.random.default_rng(seed.noise))
    write_data(partial, o, data, np.random.default_rng(seed.flags))
    paths = {
        key: os.path.join(request.output, f"{request.name}.{end}")
        for key, end in [("sky", "sky.json"), ("gains", "gains.npz"), ("gains_json", "gains.json")]
    }
    write_sky(paths["sky"], request, o, layout, sky, antenna_snr(power, o))
    write_gains(paths, gains, stamps, layout.antennas, direction_centres(sky, o["directions"]))
    os.rename(partial, final)
    return {
        "measurement_set": final,
        "rows": int(layout.time.size),
        "antennas": len(layout.antennas),
        "integrations": int(stamps.size),
        "channels": layout.frequencies.size,
        **paths,
    }


def options_of(request: r.Simulate) -> Options:
    """The preset's options with those of the request."""
    if request.preset not in PRESETS:
        raise BadInput(f"no preset {request.preset!r}: there are {', '.join(PRESETS)}")
    preset = {**VLA, **PRESETS[request.preset]}
    nothing = {"antennas": None, "line": False, "pointing_arcsec": None, "direction_gain_time_s": None}
    o = {**nothing, "night": 0, "hour_angle_h": 0.0, "flagged_fraction": 0.0, **preset}
    changes = {k: v for k, v in asdict(request).items() if k not in ("output", "name", "preset", "seed")}
    o.update({k: v for k, v in changes.items() if v is not None})
    # A smaller field is a smaller picture: the preset's large sources shrink and draw together with it.
    part = o["field_arcsec"] / preset["field_arcsec"]
    o["gaussians"] = [
        (flux, part * major, part * minor, angle, part * east, part * north)
        for flux, major, minor, angle, east, north in o["gaussians"]
    ]
    if min(o["channels"], o["windows"]) < 1 or o["duration_s"] < o["integration_s"] or o["integration_s"] <= 0:
        raise BadInput("at least one channel, one spectral window and one integration are needed")
    own = o["direction_gain_time_s"]
    if o["gain_time_s"] <= 0 or (own is not None and own <= 0):
        raise BadInput("the correlation time of the gains must be above 0 s")
    if o["directions"] < 0 or (o["directions"] and (o["line"] or o["bright_jy"] <= 0)):
        raise BadInput("directions need a bright source each: a preset with one, or a flux above 0 for it, and no line")
    if not 0 <= o["flagged_fraction"] <= 1:
        raise BadInput("the flagged fraction must be between 0 and 1")
    if request.config is not None and o["telescope"].lower() != request.config.split(".")[0]:
        raise BadInput(
            f"the preset {request.preset!r} observes with {o['telescope']}, which has no array {request.config!r}"
        )
    if o["antennas"] is not None and o["antennas"] < 2:
        raise BadInput("at least two antennas are needed")
    return o


class Seeds(NamedTuple):
    """Seeds of what is random: the sky, gains that drift, noise, constant gain errors, phases of single rows, flags,
    gains by direction, places of the directions."""

    sky: np.random.SeedSequence
    gains: np.random.SeedSequence
    noise: np.random.SeedSequence
    constant: np.random.SeedSequence
    rows: np.random.SeedSequence
    flags: np.random.SeedSequence
    directions: np.random.SeedSequence
    places: np.random.SeedSequence


def seeds(seed: int, pointing: list[float] | None, night: int) -> Seeds:
    """The seeds of an observation. The sky is the field's; gains and noise are each beam's and each night's own."""
    sky, *own = np.random.SeedSequence(seed).spawn(8)
    if pointing or night:
        beam = [int(round(10 * offset)) + 2**30 for offset in pointing or []]
        own[:6] = np.random.SeedSequence([seed, *beam, *([night] if night else [])]).spawn(6)
    return Seeds(sky, *own)


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
    windows = [f"band{k}" for k in range(o["windows"])]
    for k, window in enumerate(windows):
        sm.setspwindow(
            spwname=window,
            freq=f"{o['frequency_hz'] + k * o['channels'] * o['channel_width_hz']}Hz",
            deltafreq=width,
            freqresolution=width,
            nchannels=o["channels"],
            stokes=o["stokes"],
        )
    sm.setfeed("perfect R L" if "R" in o["stokes"] else "perfect X Y", pol=[""])
    sm.setfield(sourcename="field", sourcedirection=phase_centre(o, o["pointing_arcsec"]))
    sm.setlimits(shadowlimit=1e-6, elevationlimit="5deg")
    sm.setauto(0.0)
    day = me.epoch("UTC", EPOCH[0]) if o["night"] == 0 else me.epoch("UTC", f"{EPOCH[1] + o['night']}d")
    sm.settimes(integrationtime=f"{o['integration_s']}s", usehourangle=True, referencetime=day)
    start, stop = (o["hour_angle_h"] * HOUR_S + part * o["duration_s"] for part in (-0.5, 0.5))
    for window in windows:
        sm.observe("field", window, starttime=f"{start}s", stoptime=f"{stop}s")
    sm.close()


def read_layout(path: str) -> Layout:
    """Reads an empty observation, and removes the columns that calibration makes."""
    with opened(path, write=True) as tb:
        for column in ("CORRECTED_DATA", "MODEL_DATA"):
            if column in tb.colnames():
                tb.removecols(column)
        uvw, time = tb.getcol("UVW"), tb.getcol("TIME")
        first, second = tb.getcol("ANTENNA1"), tb.getcol("ANTENNA2")
        window = tb.getcol("DATA_DESC_ID")
        # The simulator counts a scan for each window; they are observed together.
        tb.putcol("SCAN_NUMBER", np.ones(time.size, np.int32))
    with opened(os.path.join(path, "ANTENNA")) as tb:
        antennas = list(tb.getcol("NAME"))
        dish = float(np.median(tb.getcol("DISH_DIAMETER")))
    return Layout(uvw, time, first, second, window, antennas, dish, channel_frequencies(path))


def channel_frequencies(path: str) -> np.ndarray:
    """Channel frequencies [window, channel], Hz; window k is data description k."""
    with opened(os.path.join(path, "SPECTRAL_WINDOW")) as tb:
        return tb.getcol("CHAN_FREQ").T


def sky_of(o: Options, layout: Layout, rng: np.random.Generator, places: np.random.Generator) -> list[Component]:
    """The sky around the phase centre, its directions first."""
    sky = add_directions(make_sky(o, rng), o, places)
    if not o["pointing_arcsec"]:
        return sky
    centres = (phase_centre(o, None), phase_centre(o, o["pointing_arcsec"]))
    field, beam = ((centre["m0"]["value"], centre["m1"]["value"]) for centre in centres)
    return seen_by_beam(sky, field, beam, beam_widths(layout.frequencies.ravel(), layout.dish))


def observe(
    layout: Layout, sky: list[Component], gains: Gains, factor: np.ndarray, o: Options, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Visibilities [correlation, channel, row] with gains, a factor of each row, and noise; and the squares of the
    model's amplitudes [antenna, time], summed over the baselines and the channels of the first window."""
    hands, channels = o["stokes"].split(), layout.frequencies.shape[1]
    data = np.empty((len(hands), channels, layout.time.size), complex)
    middle, (stamps, when) = layout.frequencies.mean(), np.unique(layout.time, return_inverse=True)
    power = np.zeros((len(layout.antennas), stamps.size))
    for number, frequency in enumerate(layout.frequencies.ravel()):
        window, channel = divmod(number, channels)
        rows = np.flatnonzero(layout.window == window)
        first, second = layout.first[rows], layout.second[rows]
        part, true = model_of(sky, layout.uvw[:, rows], (frequency, number), gains, (first, second, when[rows]))
        if window == 0:
            for antennas in (first, second):
                np.add.at(power, (antennas, when[rows]), np.abs(true) ** 2)
        model = part * factor[rows] * gains.drift[first, when[rows]] * gains.drift[second, when[rows]].conj()
        error = rng.standard_normal((2, len(hands), rows.size)) * o["noise_jy"]
        for k, (left, right) in enumerate(hands):
            phase = gains.phases(window, left, frequency - middle)[first]
            phase -= gains.phases(window, right, frequency - middle)[second]
            data[k, channel, rows] = model * np.exp(1j * phase) + error[0, k] + 1j * error[1, k]
        event("progress", done=number + 1, total=layout.frequencies.size)
    return data, power


def model_of(
    sky: list[Component],
    uvw: np.ndarray,
    channel: tuple[float, int],
    gains: Gains,
    where: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Visibilities [row] of a channel (frequency and number) with the gains by direction, and without them; `where` are
    the rows' antennas and number of time."""
    if not len(gains.by_direction):
        true = visibilities(sky, uvw, *channel)
        return true, true
    first, second, when = where
    true, seen = np.zeros(first.size, complex), np.zeros(first.size, complex)
    for direction, own in enumerate(gains.by_direction):
        model = visibilities([source for source in sky if source["direction"] == direction], uvw, *channel)
        true += model
        seen += model * own[first, when] * own[second, when].conj()
    return seen, true


def antenna_snr(power: np.ndarray, o: Options) -> float | None:
    """S/N of an antenna's gain in one integration, with the true sky as model: median over antennas and times, for one
    polarisation and one spectral window. None: no noise."""
    return float(np.median(np.sqrt(power)) / o["noise_jy"]) if o["noise_jy"] > 0 else None


def write_data(path: str, o: Options, data: np.ndarray, rng: np.random.Generator) -> None:
    """Writes visibilities, weights that fit the noise, and flags of rows at random."""
    correlations, _, rows = data.shape
    flagged = rng.random(rows) < o["flagged_fraction"]
    variance = max(o["noise_jy"], 1e-6) ** 2
    with opened(path, write=True) as tb:
        tb.putcol("DATA", data)
        tb.putcol("WEIGHT", np.full((correlations, rows), 1 / variance))
        tb.putcol("SIGMA", np.full((correlations, rows), np.sqrt(variance)))
        tb.putcol("FLAG", np.broadcast_to(flagged, data.shape).copy())
        tb.putcol("FLAG_ROW", flagged)


def write_sky(
    path: str, request: r.Simulate, o: Options, layout: Layout, sky: list[Component], snr: float | None
) -> None:
    """Writes the true sky, and what an integration knows of it."""
    truth = {
        "preset": request.preset,
        "seed": request.seed,
        "options": {k: v for k, v in o.items() if k != "gaussians"},
        "phase_centre": {"frame": "J2000", "ra": o["direction"][0], "dec": o["direction"][1]},
        "antenna_snr": snr,
        "frequencies_hz": layout.frequencies.ravel().tolist(),
        "components": sky,
    }
    with open(path, "w") as file:
        json.dump(truth, file, indent=1)


def fill_model(request: r.FillModel) -> None:
    """Puts the true sky (a file written by simulate) into MODEL_DATA."""
    ms = request.ms
    with open(request.sky) as file:
        components = json.load(file)["components"]
    add_column(ms, "MODEL_DATA")
    frequencies = channel_frequencies(ms)
    for tb, start, rows in pieces(ms, "DATA", write=True):
        uvw, window = tb.getcol("UVW", start, rows), tb.getcell("DATA_DESC_ID", start)
        before = window * frequencies.shape[1]
        model = [visibilities(components, uvw, f, before + k) for k, f in enumerate(frequencies[window])]
        correlations = tb.getcell("DATA", start).shape[0]
        tb.putcol("MODEL_DATA", np.repeat(np.array(model)[np.newaxis], correlations, axis=0), start, rows)
