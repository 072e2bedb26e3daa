"""Three nights of one target, imaged together and each by itself, against the same data without gain errors."""

import os

import campaigns
import images
import observations
import work

GAINS = {"gain-time": 720, "phase-rms": 40, "amp-rms": 0.10}
# Different hours; one with 20 antennas and two windows, one with half of its data flagged.
NIGHTS = [
    {"night": 1, "hour-angle": -3},
    {"night": 2, "antennas": 20, "windows": 2},
    {"night": 3, "hour-angle": 3, "flagged": 0.5},
]


def cases(seeds):
    return [[seed] for seed in seeds]


def observed(options, seed, more):
    """Folder of the nights with these options, and the true sky."""
    kind = "without" if more else "with"
    place = os.path.join(options.folder, "nights", str(seed), kind)
    skies = [observations.simulated(options.program, os.path.join(place, f"night-{k + 1}"), seed,
                                    {**observations.COMMON, "preset": "demo", **GAINS, **night, **more})
             for k, night in enumerate(NIGHTS)]
    return place, skies[0]["components"]


def sets(nights):
    return ", ".join(f"../night-{night}/field.ms" for night in nights)


def of_case(options, case):
    """Dynamic ranges: of the nights together and of each, with gain errors and without."""
    (seed,) = case
    with_errors, sky = observed(options, seed, {})
    without, _ = observed(options, seed, {"no-gain-errors": True})

    def dynamic_range(place, name, text):
        dataset, _ = campaigns.run(options, os.path.join(place, name), text, f"nights, {seed}, {name}")
        best = campaigns.product(dataset) or campaigns.attempts(dataset)[0]
        return images.score(*campaigns.products(best), sky)["dynamic_range"]

    every = range(1, len(NIGHTS) + 1)
    perfect = campaigns.one_image(sets(every), "../night-1/true.fits")
    return {"case": case,
            "perfect": dynamic_range(without, "together", perfect),
            "together": dynamic_range(with_errors, "together", campaigns.defaults(sets(every))),
            "alone": [dynamic_range(with_errors, f"alone-{night}", campaigns.defaults(sets([night]))) for night in every]}


def report(results):
    rows = [["seed", "together", "without gain errors", "ratio", "each night alone"]]
    for r in results:
        alone = ", ".join(f"{found:.0f}" for found in r["alone"])
        rows.append([str(r["case"][0]), f"{r['together']:.0f}", f"{r['perfect']:.0f}",
                     f"{r['together'] / r['perfect']:.3f}", alone])
    work.table("Nights of one target", rows)
