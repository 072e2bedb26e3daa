"""Simulated fields: a measurement set of a known sky seen through known, drifting antenna gains.

The observation (antenna positions, times, uvw) is laid out by casatools' simulator; the visibilities are a direct
Fourier sum over the components of the sky. The true sky and the true gains are saved beside the measurement set.
Everything random comes from one seed, in separate streams: the sky does not change when the gains do.
"""

import json
import os
import shutil

import numpy as np

from problems import BadInput

SPEED_OF_LIGHT = 299792458.0  # m/s
ARCSEC = np.pi / 180 / 3600
EPOCH = "2021/06/01/00:00:00"  # UTC; any date that the measures data know
GAIN_CORRELATION_TIME = 720.0  # s
MIN_AMPLITUDE = 0.1  # an antenna's gain never falls below this
BEAM_WIDTH = 1.09  # FWHM of a primary beam, wavelengths over diameters
BRIGHT_OFFSET = (60.0, -40.0)  # arcsec, of the brightest source

VLA = dict(config="vla.b.cfg", telescope="VLA", frequency_hz=1.4e9, channel_width_hz=8e6, channels=4,
           stokes="RR LL", direction=("12h00m00.0", "+40d00m00.0"), integration_s=30.0, duration_s=7200.0,
           noise_jy=0.15, phase_rms_deg=40.0, amplitude_rms=0.10, sources=20, flux_scale=0.02, flux_limit=1.5,
           field_arcsec=700.0, bright_jy=2.0, gaussians=[(0.8, 60.0, 35.0, 30.0, -210.0, 190.0)])
# Gaussians are (flux Jy, major arcsec, minor arcsec, position angle deg, east arcsec, north arcsec).
PRESETS = {
    "demo": {},
    "pointlike": dict(gaussians=[]),
    "crowded": dict(sources=60, flux_scale=0.015),
    "extended": dict(sources=10, bright_jy=1.0, gaussians=[
        (0.8, 60.0, 35.0, 30.0, -210.0, 190.0), (1.5, 110.0, 70.0, -50.0, 180.0, 230.0),
        (0.6, 80.0, 25.0, 80.0, 300.0, -280.0), (0.4, 45.0, 45.0, 0.0, -330.0, -260.0),
        (1.0, 90.0, 60.0, 10.0, -60.0, -390.0)]),
    "low-snr": dict(sources=8, flux_scale=0.01, flux_limit=0.06, bright_jy=0.25, phase_rms_deg=30.0,
                    gaussians=[(0.08, 40.0, 25.0, 30.0, -210.0, 190.0)]),
    "amplitude": dict(amplitude_rms=0.25),
    "bright": dict(bright_jy=15.0),
    "line-cube": dict(config="alma.cycle7.3.cfg", telescope="ALMA", frequency_hz=100e9, channel_width_hz=2e6,
                      channels=10, stokes="XX YY", direction=("12h00m00.0", "-23d00m00.0"), integration_s=60.0,
                      duration_s=3600.0, noise_jy=0.05, phase_rms_deg=0.0, amplitude_rms=0.0, sources=0,
                      bright_jy=0.0, gaussians=[], line=True),
}


def line_sky(channels):
    """Emission that moves and changes its extent over the middle channels, an absorption, empty ends."""
    x = np.arange(channels) - (channels - 1) / 2
    span = channels / 10
    components = []
    for k in range(channels):
        if abs(x[k]) > 3 * span:
            continue
        flux = np.zeros(channels)
        flux[k] = 0.6 * np.exp(-0.5 * (x[k] / (1.5 * span)) ** 2)
        size = 4.0 + 2.5 * (3 * span - abs(x[k])) / span
        components.append(component("gaussian", 2.5 * x[k] / span, 1.2 * x[k] / span, flux, size, 0.6 * size, 35.0))
    narrow = 0.15 * np.exp(-0.5 * (x / (0.8 * span)) ** 2)
    narrow[np.abs(x) > 3 * span] = 0.0
    components.append(component("point", -14.0, 11.0, narrow))
    absorption = np.zeros(channels)
    absorption[np.abs(x - 1.5 * span) < span] = -0.12
    components.append(component("point", 12.0, -13.0, absorption))
    return components


def component(kind, east, north, flux, major=0.0, minor=0.0, angle=0.0):
    """A component; offsets are direction cosines in arcsec, flux is one number a channel, Jy."""
    return {"kind": kind, "east_arcsec": float(east), "north_arcsec": float(north),
            "major_arcsec": float(major), "minor_arcsec": float(minor), "position_angle_deg": float(angle),
            "flux_jy": [float(f) for f in flux]}


def make_sky(o, rng):
    if o.get("line"):
        return line_sky(o["channels"])
    flat = np.ones(o["channels"])
    sky = []
    if o["bright_jy"] > 0:
        sky.append(component("point", *BRIGHT_OFFSET, o["bright_jy"] * flat))
    for flux, major, minor, angle, east, north in o["gaussians"]:
        sky.append(component("gaussian", east, north, flux * flat, major, minor, angle))
    for _ in range(o["sources"]):
        east, north = rng.uniform(-o["field_arcsec"], o["field_arcsec"], 2)
        flux = min(o["flux_scale"] * (rng.pareto(1.2) + 1), o["flux_limit"])
        sky.append(component("point", east, north, flux * flat))
    return sky


def axes_at(direction):
    """Unit vectors towards east, north and a direction (right ascension, declination in rad)."""
    a, d = direction
    return np.array([[-np.sin(a), np.cos(a), 0.0], [-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)],
                     [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]])


def seen_by_beam(sky, field, beam, frequencies, dish):
    """The field's sky about another phase centre, dimmed by the Gaussian primary beam of dishes of so many metres."""
    seen = []
    for source in sky:
        l, m = source["east_arcsec"] * ARCSEC, source["north_arcsec"] * ARCSEC
        l, m, n = axes_at(beam) @ (np.array([l, m, np.sqrt(1 - l * l - m * m)]) @ axes_at(field))
        distance = np.arccos(min(n, 1.0))
        width = BEAM_WIDTH * SPEED_OF_LIGHT / np.asarray(frequencies) / dish
        response = np.exp(-4 * np.log(2) * (distance / width) ** 2)
        seen.append({**source, "east_arcsec": float(l / ARCSEC), "north_arcsec": float(m / ARCSEC),
                     "flux_jy": [float(f) for f in np.asarray(source["flux_jy"]) * response]})
    return seen


def drifting_gains(antennas, times, interval, amplitude_rms, phase_rms_deg, rng):
    """Complex gains [antenna, time]: amplitude and phase are Ornstein-Uhlenbeck processes."""
    keep = np.exp(-interval / GAIN_CORRELATION_TIME)
    drift = np.empty((2, antennas, times))
    drift[:, :, 0] = rng.standard_normal((2, antennas))
    for t in range(1, times):
        drift[:, :, t] = keep * drift[:, :, t - 1] + np.sqrt(1 - keep**2) * rng.standard_normal((2, antennas))
    amplitude = np.maximum(1 + amplitude_rms * drift[0], MIN_AMPLITUDE)
    return amplitude * np.exp(1j * np.deg2rad(phase_rms_deg) * drift[1])


def visibilities(sky, uvw, frequency, channel):
    """Model visibilities of one channel; uvw [3, row] in metres."""
    u, v, w = uvw * (frequency / SPEED_OF_LIGHT)
    total = np.zeros(u.size, complex)
    for source in sky:
        flux = source["flux_jy"][channel]
        if flux == 0:
            continue
        l, m = source["east_arcsec"] * ARCSEC, source["north_arcsec"] * ARCSEC
        n = np.sqrt(1 - l * l - m * m)
        vis = flux * np.exp(2j * np.pi * (u * l + v * m + w * (n - 1)))
        if source["kind"] == "gaussian":
            angle = np.deg2rad(source["position_angle_deg"])
            along = u * np.sin(angle) + v * np.cos(angle)
            across = u * np.cos(angle) - v * np.sin(angle)
            squares = (along * source["major_arcsec"]) ** 2 + (across * source["minor_arcsec"]) ** 2
            vis = vis * np.exp(-(np.pi**2) * ARCSEC**2 * squares / (4 * np.log(2)))
        total += vis
    return total


def phase_centre(o):
    """The direction of the phase centre: the field's, or a beam's beside it."""
    from casatools import measures, quanta

    me, qa = measures(), quanta()
    field = me.direction("J2000", *o["direction"])
    if not o.get("pointing_arcsec"):
        return field
    ra, dec = field["m0"]["value"], field["m1"]["value"]
    east, north = (offset * ARCSEC for offset in o["pointing_arcsec"])
    return me.direction("J2000", qa.quantity(ra + east / np.cos(dec), "rad"), qa.quantity(dec + north, "rad"))


def lay_out(path, o):
    """Writes an empty observation."""
    from casatools import ctsys, measures, simulator
    from casatasks.private import simutil

    me, sm, util = measures(), simulator(), simutil.simutil()
    file = ctsys.resolve(os.path.join("alma/simmos", o["config"]))
    if not os.path.exists(file):
        raise FileNotFoundError(f"CASA's data hold no array configuration {o['config']!r}")
    x, y, z, dish, names, _, telescope, _ = util.readantenna(file)
    count = min(o["antennas"] or len(x), len(x))
    # Evenly through the list, so that a small array keeps short and long baselines.
    pick = np.unique(np.linspace(0, len(x) - 1, count).round().astype(int))
    take = lambda values: [values[k] for k in pick]
    # readantenna has turned local coordinates into geocentric ones.
    sm.open(path)
    sm.setconfig(telescopename=o["telescope"], x=take(x), y=take(y), z=take(z), dishdiameter=take(dish),
                 mount=["alt-az"], antname=take(names), padname=take(names), coordsystem="global",
                 referencelocation=me.observatory(o["telescope"]))
    sm.setspwindow(spwname="band", freq=f"{o['frequency_hz']}Hz", deltafreq=f"{o['channel_width_hz']}Hz",
                   freqresolution=f"{o['channel_width_hz']}Hz", nchannels=o["channels"], stokes=o["stokes"])
    sm.setfeed("perfect R L" if "R" in o["stokes"] else "perfect X Y", pol=[""])
    sm.setfield(sourcename="field", sourcedirection=phase_centre(o))
    sm.setlimits(shadowlimit=1e-6, elevationlimit="5deg")
    sm.setauto(0.0)
    sm.settimes(integrationtime=f"{o['integration_s']}s", usehourangle=True, referencetime=me.epoch("UTC", EPOCH))
    sm.observe("field", "band", starttime=f"{-o['duration_s'] / 2}s", stoptime=f"{o['duration_s'] / 2}s")
    sm.close()


def simulate(output, name="field", preset="demo", seed=1, event=None, **changes):
    """Makes OUTPUT/NAME.ms, NAME.sky.json, NAME.gains.npz and NAME.gains.json, and returns where they are."""
    from casatools import table

    if preset not in PRESETS:
        raise BadInput(f"no preset {preset!r}: there are {', '.join(PRESETS)}")
    o = {**VLA, "antennas": None, "line": False, **PRESETS[preset]}
    o.update({k: v for k, v in changes.items() if v is not None})
    # A smaller field is a smaller picture: the preset's large sources shrink and draw together with it.
    part = o["field_arcsec"] / {**VLA, **PRESETS[preset]}["field_arcsec"]
    o["gaussians"] = [(flux, part * major, part * minor, angle, part * east, part * north)
                      for flux, major, minor, angle, east, north in o["gaussians"]]
    if o["channels"] < 1 or o["duration_s"] < o["integration_s"] or o["integration_s"] <= 0:
        raise BadInput("at least one channel and one integration are needed")
    if o["antennas"] is not None and o["antennas"] < 2:
        raise BadInput("at least two antennas are needed")
    os.makedirs(output, exist_ok=True)
    final = os.path.join(output, f"{name}.ms")
    if os.path.exists(final):
        raise BadInput(f"{final} is there already")
    partial = os.path.join(output, f"{name}.ms.partial")
    shutil.rmtree(partial, ignore_errors=True)

    sky_seed, gain_seed, noise_seed = np.random.SeedSequence(seed).spawn(3)
    if o.get("pointing_arcsec"):
        # The sky is the field's; gains and noise are each beam's own.
        own = [seed, *(int(round(10 * offset)) + 2**30 for offset in o["pointing_arcsec"])]
        gain_seed, noise_seed = np.random.SeedSequence(own).spawn(2)
    lay_out(partial, o)
    tb = table()
    tb.open(partial, nomodify=False)
    for column in ("CORRECTED_DATA", "MODEL_DATA"):
        if column in tb.colnames():
            tb.removecols(column)
    uvw, time = tb.getcol("UVW"), tb.getcol("TIME")
    first, second = tb.getcol("ANTENNA1"), tb.getcol("ANTENNA2")
    stamps, when = np.unique(time, return_inverse=True)
    tb.close()
    tb.open(os.path.join(partial, "ANTENNA"))
    antennas = list(tb.getcol("NAME"))
    dish = float(np.median(tb.getcol("DISH_DIAMETER")))
    tb.close()
    tb.open(os.path.join(partial, "SPECTRAL_WINDOW"))
    frequencies = tb.getcell("CHAN_FREQ", 0)
    tb.close()

    sky = make_sky(o, np.random.default_rng(sky_seed))
    centre = phase_centre(o)
    centre = centre["m0"]["value"], centre["m1"]["value"]
    if o.get("pointing_arcsec"):
        field = phase_centre({**o, "pointing_arcsec": None})
        sky = seen_by_beam(sky, (field["m0"]["value"], field["m1"]["value"]), centre, frequencies, dish)
    gains = drifting_gains(len(antennas), stamps.size, o["integration_s"], o["amplitude_rms"], o["phase_rms_deg"],
                           np.random.default_rng(gain_seed))
    factor = gains[first, when] * gains[second, when].conj()
    correlations = len(o["stokes"].split())
    noise = np.random.default_rng(noise_seed)
    data = np.empty((correlations, len(frequencies), time.size), complex)
    for channel, frequency in enumerate(frequencies):
        model = visibilities(sky, uvw, frequency, channel) * factor
        error = noise.standard_normal((2, correlations, time.size)) * o["noise_jy"]
        data[:, channel] = model + error[0] + 1j * error[1]
        if event:
            event("progress", done=channel + 1, total=len(frequencies))
    tb.open(partial, nomodify=False)
    tb.putcol("DATA", data)
    variance = max(o["noise_jy"], 1e-6) ** 2
    tb.putcol("WEIGHT", np.full((correlations, time.size), 1 / variance))
    tb.putcol("SIGMA", np.full((correlations, time.size), np.sqrt(variance)))
    tb.putcol("FLAG", np.zeros(data.shape, bool))
    tb.putcol("FLAG_ROW", np.zeros(time.size, bool))
    tb.close()

    paths = {key: os.path.join(output, f"{name}.{end}")
             for key, end in [("sky", "sky.json"), ("gains", "gains.npz"), ("gains_json", "gains.json")]}
    truth = {"preset": preset, "seed": seed, "options": {k: v for k, v in o.items() if k != "gaussians"},
             "phase_centre": {"frame": "J2000", "ra": o["direction"][0], "dec": o["direction"][1]},
             "frequencies_hz": frequencies.tolist(), "components": sky}
    with open(paths["sky"], "w") as file:
        json.dump(truth, file, indent=1)
    np.savez_compressed(paths["gains"], gains=gains, time_s=stamps, antennas=np.array(antennas))
    with open(paths["gains_json"], "w") as file:
        json.dump({"antennas": antennas, "time_s": stamps.tolist(), "amplitude": np.abs(gains).tolist(),
                   "phase_deg": np.rad2deg(np.angle(gains)).tolist()}, file)
    os.rename(partial, final)
    return {"measurement_set": final, "rows": int(time.size), "antennas": len(antennas),
            "integrations": int(stamps.size), "channels": len(frequencies), **paths}


def fill_model(ms, sky):
    """Puts the true sky (a file written by simulate) into MODEL_DATA."""
    import measurement_set as mset

    with open(sky) as file:
        components = json.load(file)["components"]
    mset.add_column(ms, "MODEL_DATA")
    with mset.opened(os.path.join(ms, "SPECTRAL_WINDOW")) as tb:
        frequencies = tb.getcell("CHAN_FREQ", 0)
    for tb, start, rows in mset.pieces(ms, ["DATA"], write=True):
        uvw = tb.getcol("UVW", start, rows)
        model = [visibilities(components, uvw, frequency, k) for k, frequency in enumerate(frequencies)]
        correlations = tb.getcell("DATA", start).shape[0]
        tb.putcol("MODEL_DATA", np.repeat(np.array(model)[np.newaxis], correlations, axis=0), start, rows)
