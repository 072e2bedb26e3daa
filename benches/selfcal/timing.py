"""What a campaign costs over its imaging alone: one call of wsclean for each of its images, in that image's last mask.

The fields of the benchmark are so small that the start of a program is half of an imaging, so a larger one is timed, too.
"""

import os

import campaigns
import fields
import observations
import work

LARGE = (1, "large", "medium")
LARGE_OPTIONS = {"preset": "demo", "duration": 7200, "integration": 30, "channels": 16, **observations.GAINS["medium"]}
LARGE_SIZE = 1280  # pixels
# Options of a call of a cycle that an imaging in one call does not have: with a value, and without.
OF_CYCLES = {"-name", "-niter", "-nmiter", "-threshold", "-fits-mask", "-temp-dir", "-reuse-psf", "-reuse-dirty"}
FLAGS_OF_CYCLES = {"-make-psf", "-continue", "-no-update-model-required"}
BEAM = "-beam-shape"  # three values


def in_one_call(attempt, name):
    """The command that makes an attempt's image in one call of wsclean, in its last mask."""
    words = next(c["words"] for c in attempt["commands"] if c["words"][0].endswith("wsclean"))
    kept, rest = [], iter(words)
    for word in rest:
        if word in OF_CYCLES:
            next(rest)
        elif word == BEAM:
            [next(rest) for _ in range(3)]
        elif word not in FLAGS_OF_CYCLES:
            kept.append(word)
    threshold = "12" if attempt["round"] == 0 else "1"
    own = ["-name", name, "-niter", "50000", "-nmiter", "12", "-auto-threshold", threshold]
    return [kept[0], *own, "-fits-mask", attempt["mask"]["path"], *kept[1:]]


def large(options):
    """The larger observation: record, cost and folder of its campaign."""
    folder = os.path.join(options.folder, "large")
    observations.simulated(options.program, folder, LARGE[0], LARGE_OPTIONS)
    place = os.path.join(folder, "defaults")
    text = campaigns.defaults("../field.ms", size=LARGE_SIZE)
    return *campaigns.run(options, place, text, "large"), place


def of_case(options, case):
    """Seconds (wall and processor time) of the campaign, and the sum of the imagings with a fixed mask. All are made of
    the data as the campaign left them."""
    dataset, result, place = large(options) if case == LARGE else fields.default_campaign(options, case)[:3]
    calls = []
    with work.alone(place):
        path = os.path.join(place, "timing.json")
        calls = work.load(path) or []
        attempts = [a for a in campaigns.attempts(dataset) if (a.get("mask") or {}).get("path")]
        for attempt in attempts[len(calls):]:
            words = in_one_call(attempt, os.path.join(place, "timing"))
            calls.append(work.call(words, os.path.join(place, "timing.log"), fine=(0,)))
            work.write_json(path, calls)
    total = {k: sum(c[k] for c in calls) for k in ("seconds", "processor")}
    return {"case": case, "campaign": {k: result[k] for k in total}, "imaging": total, "images": len(calls),
            "ratio": {k: result[k] / total[k] for k in total if total[k] > 0}}
