"""Fields whose errors depend on direction: rounds by direction against rounds without, and against the same data without
gain errors."""

import os
from datetime import datetime

import campaigns
import images
import observations
import work

# Number of directions, and what differs from 40 degrees and 10 % in common with 25 degrees and 5 % by direction.
FIELDS = {
    "five": (5, {}),
    "five-mild": (5, {"direction-phase-rms": 15, "direction-amp-rms": 0}),
    "five-alone": (5, {"phase-rms": 0, "amp-rms": 0, "direction-phase-rms": 40, "direction-amp-rms": 0.10}),
    "five-extended": (5, {"preset": "demo"}),
    "twelve": (12, {}),
    "none": (0, {}),
}
OBSERVATION = {"preset": "pointlike", "gain-time": 720, "phase-rms": 40, "amp-rms": 0.10, "field": 700}
SIZE, CELL = 1280, 1.2  # pixels, arcsec
STAGE = "  facets: auto\n"


def cases(seeds, names):
    return [[seed, name] for seed in seeds for name in names]


def of_case(options, case):
    """Dynamic ranges: without directions, with them, and without gain errors; and the seconds of a round of each kind."""
    seed, name = case
    place = os.path.join(options.folder, "facets", str(seed), name)
    directions, more = FIELDS[name]
    asked = {**OBSERVATION, **({"directions": directions} if directions else {}), **more}
    if not directions:
        asked = {key: value for key, value in asked.items() if not key.startswith("direction")}
    sky = observations.simulated(options.program, os.path.join(place, "with"), seed, asked)["components"]
    observations.simulated(options.program, os.path.join(place, "without"), seed, {**asked, "no-gain-errors": True})

    def campaign(kind, text):
        dataset, _ = campaigns.run(options, os.path.join(place, kind), text, f"facets, {seed}, {name}, {kind}")
        best = campaigns.product(dataset) or campaigns.attempts(dataset)[0]
        image, residual = (images.plane(path) for path in campaigns.products(best)[:2])
        empty = residual[~images.truth(sky, images.MASK_RADIUS, size=SIZE, cell=CELL)]
        return dataset, float(image.max() / empty.std())

    def defaults(kind, more="", rounds=10):
        return campaigns.defaults(f"../{kind}/field.ms", rounds, more, size=SIZE, scale=f"{CELL}asec")

    plain, without_directions = campaign("plain", defaults("with"))
    by_direction, with_directions = campaign("by-direction", defaults("with", STAGE))
    perfect = campaign("perfect", defaults("without", rounds=0))[1]
    rounds = [a for a in campaigns.attempts(by_direction) if a.get("facets")]
    return {"case": case, "plain": without_directions, "by_direction": with_directions, "perfect": perfect,
            "rounds": len(rounds), "directions": len(rounds[-1]["facets"]["directions"]) if rounds else 0,
            "seconds_by_direction": median([seconds(a) for a in rounds]),
            "seconds_plain": median([seconds(a) for a in campaigns.attempts(plain)])}


def seconds(attempt):
    """Wall time of an attempt."""
    begun, ended = (datetime.fromisoformat(attempt[key].replace("Z", "+00:00")) for key in ("started", "finished"))
    return (ended - begun).total_seconds()


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None


def report(results):
    rows = [["seed, field", "without directions", "with", "without gain errors", "with / without directions",
             "of no gain errors", "directions", "rounds", "seconds of a round, over those of others"]]
    for r in results:
        ratio = "" if r["seconds_by_direction"] is None else f"{r['seconds_by_direction'] / r['seconds_plain']:.1f}"
        rows.append([f"{r['case'][0]} {r['case'][1]}", f"{r['plain']:.0f}", f"{r['by_direction']:.0f}",
                     f"{r['perfect']:.0f}", f"{r['by_direction'] / r['plain']:.2f}",
                     f"{r['by_direction'] / r['perfect']:.3f}", str(r["directions"]), str(r["rounds"]), ratio])
    work.table("Rounds by direction", rows)
