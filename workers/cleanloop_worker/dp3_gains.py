"""Reads and mends DP3's solutions by direction (h5parm), in the Python that DP3 is installed in.

    dp3_gains.py mend FILE OUT.json [S [N,N]]
                                            solutions that are no number or have no weight are replaced, amplitudes are
                                            averaged over S seconds around each time and normalised; what was found goes
                                            to OUT.json. A direction's interval has N times of the file: its solutions
                                            are the same at all of them
    dp3_gains.py put FILE NUMBER [EARLIER]  the solutions of a direction (0 first) become those of EARLIER's direction
                                            nearest to it, or identity

A file holds `sol000` with a table for each term: `val` and `weight` [time, frequency, antenna, direction, polarisation]
(the attribute AXES names them; the last may be missing), and `source`, the directions in radians.

wsclean images NaN, without a word, where a solution is NaN or has no weight: no such value may be left.
"""

import json
import sys
import warnings
from typing import Any

SET = "sol000"
# Amplitudes of a direction that can be believed differ by less than this factor from their median: on simulated fields
# with 5 and 10 % of scatter they were between 0.24 and 2.1.
FAR = 5.0
ORDER = ("time", "freq", "ant", "dir", "pol")


class Table:
    """The solutions of one term, [time, frequency, antenna, direction, polarisation]."""

    def __init__(self, group: Any) -> None:
        axes = group["val"].attrs["AXES"]
        self.group = group
        self.axes = (axes.decode() if isinstance(axes, bytes) else str(axes)).split(",")
        self.values = self.ordered(group["val"][:])
        self.weights = self.ordered(group["weight"][:])

    def ordered(self, values: Any) -> Any:
        """The array with its axes in our order; one of length 1 where there is none."""
        import numpy as np

        there = [self.axes.index(axis) for axis in ORDER if axis in self.axes]
        values = np.transpose(values, there)
        missing = [k for k, axis in enumerate(ORDER) if axis not in self.axes]
        return np.expand_dims(values, tuple(missing))

    def save(self) -> None:
        """Writes values and weights back."""
        import numpy as np

        missing = tuple(k for k, axis in enumerate(ORDER) if axis not in self.axes)
        there = [axis for axis in ORDER if axis in self.axes]
        back = [there.index(axis) for axis in self.axes]
        for name, values in (("val", self.values), ("weight", self.weights)):
            self.group[name][...] = np.transpose(np.squeeze(values, missing), back)


def tables(file: Any) -> dict[str, Table]:
    """The terms of a file, `amplitude000` and `phase000`."""
    return {name: Table(file[SET][name]) for name in sorted(file[SET]) if name.startswith(("amplitude", "phase"))}


def neutral(name: str) -> float:
    """The value of a term that changes nothing."""
    return 1.0 if name.startswith("amplitude") else 0.0


def fill_in_time(values: Any, bad: Any, otherwise: float) -> Any:
    """Values [time, ...] with the bad ones replaced by the nearest good one in time (of two the earlier); where there
    is none at all, by `otherwise`."""
    import numpy as np

    times = len(values)
    number = np.arange(times).reshape(-1, *[1] * (values.ndim - 1))
    before = np.maximum.accumulate(np.where(bad, -1, number), axis=0)
    after = np.minimum.accumulate(np.where(bad, times, number)[::-1], axis=0)[::-1]
    nearer = np.where((after == times) | ((before >= 0) & (number - before <= after - number)), before, after)
    taken = np.take_along_axis(values, np.clip(nearer, 0, times - 1), axis=0)
    return np.where(bad.all(axis=0), otherwise, taken)


def far_off(amplitudes: Any, bad: Any) -> Any:
    """Amplitudes [time, frequency, antenna, direction, polarisation] beyond a factor of FAR of the median of their
    direction, from those that are not bad. An imager divides by them: one of 0.02 puts noise 2,500 times as strong as
    that of others around its direction."""
    import numpy as np

    with warnings.catch_warnings():
        # Where all of a direction is bad there is no median, and nothing is far from it.
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(np.where(bad, np.nan, amplitudes), axis=(0, 1, 2, 4), keepdims=True)
    return (amplitudes > FAR * middle) | (amplitudes * FAR < middle)


def scales(amplitudes: Any) -> Any:
    """By direction the factor of amplitudes [time, frequency, antenna, direction, polarisation] that leaves fluxes as
    they are: the root of the mean product of two antennas' amplitudes."""
    import numpy as np

    antennas = amplitudes.shape[2]
    if antennas < 2:
        return np.ones(amplitudes.shape[3])
    total, squares = amplitudes.sum(axis=2), (amplitudes**2).sum(axis=2)
    products = (total**2 - squares) / (antennas * (antennas - 1))
    return np.sqrt(products.mean(axis=(0, 1, 3)))


def averaged(amplitudes: Any, weights: Any, times: Any, width: float) -> Any:
    """Amplitudes [time, ...] above 0, each the mean in the logarithm of those within a time of `width` s around its
    own; one stays as it is where all of these have no weight.

    An interval counts by the part of it that is inside. In steps of such means the last one would hold for a time that
    is further away from it than any that it was made from.
    """
    import numpy as np

    times = np.asarray(times, float)
    if len(times) < 2:
        return amplitudes
    own = float(np.median(np.diff(times)))
    away = np.abs(times[:, None] - times[None, :])
    share = np.clip(((max(width, own) + own) / 2 - away) / own, 0.0, 1.0)
    total = np.tensordot(share, weights, axes=1)
    means = np.tensordot(share, weights * np.log(amplitudes), axes=1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, np.exp(means), amplitudes)


def mended(found: dict[str, tuple[Any, Any]], times: Any = (), width: float = 0.0) -> tuple[dict[str, Any], Any]:
    """Values of each term without bad ones and with normal amplitudes, from values and weights; and which were bad.
    With a width, s, amplitudes are averaged."""
    import numpy as np

    bad = np.zeros(next(iter(found.values()))[0].shape, bool)
    for name, (values, weights) in found.items():
        bad = bad | ~np.isfinite(values) | ~np.isfinite(weights) | (weights <= 0)
        if name.startswith("amplitude"):
            bad = bad | (values <= 0)
            bad = bad | far_off(values, bad)
    good = {name: fill_in_time(values, bad, neutral(name)) for name, (values, _) in found.items()}
    for name in good:
        if name.startswith("amplitude"):
            if width > 0:
                good[name] = averaged(good[name], np.where(bad, 0.0, found[name][1]), times, width)
            good[name] = good[name] / scales(good[name])[:, None]
    return good, bad


def steps_deg(phases: Any, intervals: Any = ()) -> list[float | None]:
    """By direction the median step of the phases [time, frequency, antenna, direction, polarisation] from one of its
    intervals (in times; none: each time) to the next, degrees, less that of the first antenna; None with one interval.
    """
    import numpy as np

    relative = phases - phases[:, :, :1]

    def step(direction: int, times: int) -> float | None:
        steps = np.angle(np.exp(1j * np.diff(relative[::times, :, 1:, direction], axis=0)))
        return float(np.rad2deg(np.median(np.abs(steps)))) if steps.size else None

    count = phases.shape[3]
    return [step(k, times) for k, times in zip(range(count), intervals or [1] * count, strict=True)]


def series(values: Any) -> Any:
    """Values for plots [direction, antenna, time], of the first frequency and polarisation."""
    return values[:, 0, :, :, 0].transpose(2, 1, 0)


def report(file: Any, good: dict[str, Any], bad: Any, intervals: Any = ()) -> dict[str, Any]:
    """What is in a file: times, antennas, and for each direction its position, part of bad solutions, step of the
    phases, scatter of the amplitudes, and the series for plots."""
    import numpy as np

    names, places = directions(file)
    first = next(iter(tables(file).values()))
    phases = next((values for name, values in good.items() if name.startswith("phase")), None)
    amplitudes = next((values for name, values in good.items() if name.startswith("amplitude")), None)
    steps = [None] * len(names) if phases is None else steps_deg(phases, intervals)
    entries = []
    for k, (name, place) in enumerate(zip(names, places, strict=True)):
        entry: dict[str, Any] = {
            "name": name,
            "ra_deg": float(np.rad2deg(place[0])),
            "dec_deg": float(np.rad2deg(place[1])),
            "bad_fraction": float(bad[:, :, :, k].mean()),
            "phase_step_deg": steps[k],
            "amplitude_scatter": None,
            "phase_deg": [],
            "amplitude": [],
        }
        if phases is not None:
            relative = phases - phases[:, :, :1]
            entry["phase_deg"] = np.rad2deg(np.angle(np.exp(1j * series(relative)[k]))).round(2).tolist()
        if amplitudes is not None:
            entry["amplitude_scatter"] = float(amplitudes[:, :, :, k].std())
            entry["amplitude"] = series(amplitudes)[k].round(4).tolist()
        entries.append(entry)
    antennas = [name.decode() if isinstance(name, bytes) else str(name) for name in first.group["ant"][:]]
    return {"time_s": first.group["time"][:].tolist(), "antennas": antennas, "directions": entries}


def directions(file: Any) -> tuple[list[str], Any]:
    """Names of the directions and their positions [direction, (right ascension, declination)], rad, in the order of the
    solutions."""
    import numpy as np

    source = file[SET]["source"][:]
    known = {text(row["name"]): row["dir"] for row in source}
    names = [text(name) for name in next(iter(tables(file).values())).group["dir"][:]]
    return names, np.array([known[name] for name in names], float)


def text(name: Any) -> str:
    """A name in a file as text."""
    return name.decode() if isinstance(name, bytes) else str(name)


def mend(path: str, output: str, width_s: str = "0", intervals: str = "") -> None:
    """Mends a file, averages its amplitudes over a time, and writes down what was found."""
    import h5py
    import numpy as np

    with h5py.File(path, "r+") as file:
        terms = tables(file)
        times = next(iter(terms.values())).group["time"][:]
        found_there = {name: (table.values, table.weights) for name, table in terms.items()}
        good, bad = mended(found_there, times, float(width_s))
        for name, table in terms.items():
            table.values, table.weights = good[name], np.ones_like(table.weights)
            table.save()
        found = report(file, good, bad, [int(times) for times in intervals.split(",") if times])
    with open(output, "w") as out:
        json.dump(found, out)


def put(path: str, number: str, earlier: str | None = None) -> None:
    """Replaces the solutions of a direction."""
    import h5py
    import numpy as np

    with h5py.File(path, "r+") as file:
        own = int(number)
        before = h5py.File(earlier, "r") if earlier else None
        for name, table in tables(file).items():
            old = tables(before).get(name) if before is not None else None
            if before is None or old is None:
                table.values[:, :, :, own] = neutral(name)
            else:
                place = directions(file)[1][own]
                there = nearest_direction(directions(before)[1], place)
                when = nearest_times(old.group["time"][:], table.group["time"][:])
                where = nearest_times(grid(old), grid(table))
                table.values[:, :, :, own] = old.values[when][:, where][:, :, :, there][..., : table.values.shape[-1]]
            table.weights = np.ones_like(table.weights)
            table.save()
        if before is not None:
            before.close()


def grid(table: Table) -> Any:
    """Frequencies of the solutions, Hz; one without any meaning where there is no such axis."""
    import numpy as np

    return table.group["freq"][:] if "freq" in table.axes else np.zeros(1)


def nearest_direction(places: Any, place: Any) -> int:
    """Number of the position nearest to one, all in rad."""
    import numpy as np

    def vector(at: Any) -> Any:
        a, d = np.moveaxis(np.asarray(at), -1, 0)
        return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)

    return int(np.argmax(vector(places) @ vector(place)))


def nearest_times(of: Any, at: Any) -> Any:
    """Index of the value nearest to each of some others."""
    import numpy as np

    return np.abs(np.asarray(of)[None, :] - np.asarray(at)[:, None]).argmin(axis=1)


if __name__ == "__main__":
    # The modules beside this file must not be found under their bare names.
    del sys.path[0]
    command, *arguments = sys.argv[1:]
    {"mend": lambda a: mend(*a), "put": lambda a: put(*a)}[command](arguments)
