"""Measurement sets and nothing else: the campaign that is chosen for them, against the benchmark's own size and pixel.

The fields are observed with the compact configuration C, and their sky is as much larger: the primary beam holds 1300 pixels
of it, not 4400 as of B, whose campaigns take an hour."""

import os
import re

import campaigns
import images
import observations
import work

AIM = 0.97
STRETCH = 3.28  # 11.1 km over 3.4 km


def chosen(options, folder):
    """The campaign file that is chosen for the field in a folder, with the folders and threads of the benchmark."""
    path = os.path.join(folder, "chosen.json")
    with work.alone(os.path.join(folder, "chosen")):
        known = work.load(path)
        if not known or (known["program"] != options.build and not options.keep):
            file = os.path.join(folder, "chosen.yaml")
            if os.path.exists(file):
                os.remove(file)
            words = [options.program, "init", file, "--from", os.path.join(folder, "field.ms"), "--quiet"]
            cost = work.call(words, os.path.join(folder, "log"))
            with open(file) as text:
                known = {"program": options.build, "text": text.read(), **cost}
            work.write_json(path, known)
    changes = {r"measurement_sets: .*": "measurement_sets: [../field.ms]", r"output: .*": "output: selfcal",
               r"resources: .*": "resources: {threads: 1}"}
    text = known["text"]
    for pattern, line in changes.items():
        text = re.sub(pattern, line, text, count=1)
    return text, known["seconds"]


def of_case(options, case):
    """Dynamic ranges with what was chosen and with the benchmark's own choices."""
    seed, field, gains = case
    folder = os.path.join(options.folder, f"seed-{seed}", observations.short(field), f"{gains}-compact")
    changes = {"configuration": "c", "field": STRETCH * observations.COMMON["field"]}
    truth = observations.simulated(options.program, folder, seed, {**observations.options_of(field, gains), **changes})
    text, seconds = chosen(options, folder)
    label = "seed {}, {}, {}, chosen".format(*case)
    dataset, result = campaigns.run(options, os.path.join(folder, "chosen"), text, label)
    text_of_own = campaigns.defaults("../field.ms", scale=f"{STRETCH * images.CELL:.3f}asec")
    own, own_result = campaigns.run(options, os.path.join(folder, "defaults"), text_of_own, label.replace("chosen", "own"))

    def dynamic_range(dataset):
        best = campaigns.product(dataset) or campaigns.attempts(dataset)[0]
        return images.central_dynamic_range(*campaigns.products(best)[:2], truth["components"], STRETCH)

    word = lambda key: re.search(rf"^    {key}: (\S+)", text, re.MULTILINE)[1]  # noqa: E731
    return {"case": case, "size": int(word("size")), "scale": word("scale"), "why": text,
            "chosen": dynamic_range(dataset), "own": dynamic_range(own), "choosing": seconds,
            "seconds": [result["seconds"], own_result["seconds"]]}


def report(results):
    rows = [["field", "gains", "seed", "size", "pixel", "DR", f"DR with {images.SIZE} pixels of {STRETCH * images.CELL:.2f}\"", "ratio",
             "time to choose, s", "campaign, s"]]
    for r in results:
        seed, field, gains = r["case"]
        rows.append([field, gains, str(seed), str(r["size"]), r["scale"], f"{r['chosen']:.0f}", f"{r['own']:.0f}",
                     f"{r['chosen'] / r['own']:.3f}", f"{r['choosing']:.0f}",
                     " / ".join(f"{s:.0f}" for s in r["seconds"])])
    work.table(f"No file: size and pixel that were chosen (aim: a ratio of {AIM})", rows)
