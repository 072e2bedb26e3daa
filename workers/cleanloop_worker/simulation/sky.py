"""The true sky: components with a flux for each channel, and their visibilities."""

from typing import Any

import numpy as np

SPEED_OF_LIGHT = 299792458.0  # m/s
ARCSEC = np.pi / 180 / 3600
BEAM_WIDTH = 1.09  # FWHM of a primary beam, wavelengths over diameters
BRIGHT_OFFSET = (60.0, -40.0)  # arcsec, of the brightest source
DIRECTION_TRIES = 8  # more would put them into the corners
FAINTEST_DIRECTION = 0.25  # flux of the last direction's point, of the brightest source's
POINT = (0.0, 0.0, 0.0)  # the shape of a point source

Component = dict[str, Any]  # see `component`


def line_sky(channels: int) -> list[Component]:
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
        components.append(component("gaussian", (2.5 * x[k] / span, 1.2 * x[k] / span), flux, (size, 0.6 * size, 35.0)))
    narrow = 0.15 * np.exp(-0.5 * (x / (0.8 * span)) ** 2)
    narrow[np.abs(x) > 3 * span] = 0.0
    components.append(component("point", (-14.0, 11.0), narrow, POINT))
    absorption = np.zeros(channels)
    absorption[np.abs(x - 1.5 * span) < span] = -0.12
    components.append(component("point", (12.0, -13.0), absorption, POINT))
    return components


def component(kind: str, offset: tuple[float, float], flux: Any, shape: tuple[float, float, float]) -> Component:
    """A component: offset east and north (direction cosines in arcsec), flux of each channel (Jy), shape: major and
    minor axis (arcsec) and position angle (degrees) of a Gaussian."""
    (east, north), (major, minor, angle) = offset, shape
    return {
        "kind": kind,
        "east_arcsec": float(east),
        "north_arcsec": float(north),
        "major_arcsec": float(major),
        "minor_arcsec": float(minor),
        "position_angle_deg": float(angle),
        "flux_jy": [float(f) for f in flux],
    }


def make_sky(o: dict[str, Any], rng: np.random.Generator) -> list[Component]:
    """The components of a field, in an order that the seed decides."""
    channels = o["channels"] * o["windows"]
    if o.get("line"):
        return line_sky(channels)
    flat = np.ones(channels)
    sky = []
    if o["bright_jy"] > 0:
        sky.append(component("point", BRIGHT_OFFSET, o["bright_jy"] * flat, POINT))
    for flux, major, minor, angle, east, north in o["gaussians"]:
        sky.append(component("gaussian", (east, north), flux * flat, (major, minor, angle)))
    for _ in range(o["sources"]):
        east, north = rng.uniform(-o["field_arcsec"], o["field_arcsec"], 2)
        flux = min(o["flux_scale"] * (rng.pareto(1.2) + 1), o["flux_limit"])
        sky.append(component("point", (east, north), flux * flat, POINT))
    return sky


def add_directions(sky: list[Component], o: dict[str, Any], rng: np.random.Generator) -> list[Component]:
    """The sky with a bright point for each direction (the brightest source is the first of them, the last has a quarter
    of its flux), and with the number of the nearest of these in each component as `direction`. Each new one is, of
    `DIRECTION_TRIES` random places in the field, the one farthest from those before it."""
    count, half = o["directions"], o["field_arcsec"]
    if count == 0:
        return sky
    flat = np.ones(o["channels"] * o["windows"])
    centres = [np.array(BRIGHT_OFFSET)]
    bright = [] if o["bright_jy"] <= 0 else sky[:1]
    for k in range(1, count):
        places = rng.uniform(-half, half, (DIRECTION_TRIES, 2))
        apart = [min(np.hypot(*(place - centre)) for centre in centres) for place in places]
        centres.append(places[int(np.argmax(apart))])
        flux = o["bright_jy"] * (1 - (1 - FAINTEST_DIRECTION) * k / (count - 1))
        bright.append(component("point", (float(centres[-1][0]), float(centres[-1][1])), flux * flat, POINT))
    everything = bright + sky[min(len(sky), 1 if o["bright_jy"] > 0 else 0) :]

    def nearest(source: Component) -> int:
        here = np.array([source["east_arcsec"], source["north_arcsec"]])
        return int(np.argmin([np.hypot(*(here - centre)) for centre in centres]))

    return [{**source, "direction": nearest(source)} for source in everything]


def direction_centres(sky: list[Component], count: int) -> list[list[float]]:
    """Offsets east and north of the directions in arcsec: `add_directions` puts their points first."""
    return [[source["east_arcsec"], source["north_arcsec"]] for source in sky[:count]]


def beam_widths(frequencies: np.ndarray, dish: float) -> np.ndarray:
    """FWHM of the primary beam at each frequency (Hz), rad; diameter of the dish in m."""
    return BEAM_WIDTH * SPEED_OF_LIGHT / np.asarray(frequencies) / dish


def axes_at(direction: tuple[float, float]) -> np.ndarray:
    """Unit vectors towards east, north and a direction (right ascension, declination in rad)."""
    a, d = direction
    return np.array(
        [
            [-np.sin(a), np.cos(a), 0.0],
            [-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)],
            [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)],
        ]
    )


def direction_cosines(source: Component) -> np.ndarray:
    """Direction cosines l, m, n of a component."""
    l, m = source["east_arcsec"] * ARCSEC, source["north_arcsec"] * ARCSEC
    return np.array([l, m, np.sqrt(1 - l * l - m * m)])


def seen_by_beam(
    sky: list[Component], field: tuple[float, float], beam: tuple[float, float], widths: np.ndarray
) -> list[Component]:
    """The field's sky around another phase centre (right ascension, declination in rad), dimmed by a Gaussian primary
    beam of these widths (FWHM in rad, for each channel)."""
    seen = []
    for source in sky:
        l, m, n = axes_at(beam) @ (direction_cosines(source) @ axes_at(field))
        distance = np.arccos(min(n, 1.0))
        response = np.exp(-4 * np.log(2) * (distance / widths) ** 2)
        seen.append(
            {
                **source,
                "east_arcsec": float(l / ARCSEC),
                "north_arcsec": float(m / ARCSEC),
                "flux_jy": [float(f) for f in np.asarray(source["flux_jy"]) * response],
            }
        )
    return seen


def visibilities(sky: list[Component], uvw: np.ndarray, frequency: float, channel: int) -> np.ndarray:
    """Model visibilities of one channel; uvw [3, row] in metres."""
    u, v, w = uvw * (frequency / SPEED_OF_LIGHT)
    total = np.zeros(u.size, complex)
    for source in sky:
        flux = source["flux_jy"][channel]
        if flux == 0:
            continue
        l, m, n = direction_cosines(source)
        vis = flux * np.exp(2j * np.pi * (u * l + v * m + w * (n - 1)))
        if source["kind"] == "gaussian":
            angle = np.deg2rad(source["position_angle_deg"])
            along = u * np.sin(angle) + v * np.cos(angle)
            across = u * np.cos(angle) - v * np.sin(angle)
            squares = (along * source["major_arcsec"]) ** 2 + (across * source["minor_arcsec"]) ** 2
            vis = vis * np.exp(-(np.pi**2) * ARCSEC**2 * squares / (4 * np.log(2)))
        total += vis
    return total
