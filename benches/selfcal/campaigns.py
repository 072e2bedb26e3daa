"""Campaigns of the benchmark: run once for each text and build of the program, and what their records hold."""

import os
import shutil
import time

import images
import work

# What somebody writes who knows the data and nothing of self-calibration; threads only for fair processor times.
DEFAULTS = """\
version: 0.2
campaign:
  name: bench
  measurement_sets: [{ms}]
  output: selfcal
  rounds: {rounds}
  resources: {{threads: 1}}
{more}defaults:
  wsclean: {{size: {size}, scale: {scale}{imaging}}}
"""
# The same images in given masks: everything else stays with the defaults.
GIVEN_MASK = ", auto_mask: null, auto_threshold: 1, fits_mask: {mask}"
NO_MASK = "  mask: none\n"


def defaults(ms, rounds=10, more="", imaging="", size=images.SIZE, scale=f"{images.CELL}asec"):
    return DEFAULTS.format(ms=ms, rounds=rounds, more=more, imaging=imaging, size=size, scale=scale)


def one_image(ms, mask):
    """A campaign that makes one image of the data as they are, in a given mask."""
    return defaults(ms, 0, NO_MASK, GIVEN_MASK.format(mask=mask))


def run(options, folder, text, label):
    """Runs the campaign of `text` in `folder` unless it is finished; returns its record, and what it cost."""
    with work.alone(folder):
        path = os.path.join(folder, "result.json")
        result, build = work.load(path), options.build
        if not (result and result["campaign"] == text and (options.keep or result["program"] == build)):
            begun = {"campaign": text, "program": build}
            if result is not None or work.load(os.path.join(folder, "begun.json")) != begun:
                for name in os.listdir(folder):
                    if name != "lock":
                        remove(os.path.join(folder, name))
                work.write_json(os.path.join(folder, "begun.json"), begun)
                with open(os.path.join(folder, "campaign.yaml"), "w") as file:
                    file.write(text)
            words = [options.program, "run", "--quiet", os.path.join(folder, "campaign.yaml")]
            cost = work.call(words, os.path.join(folder, "log"), fine=range(6))
            record = os.path.join(folder, "selfcal", "record.json")
            if not os.path.exists(record):
                raise work.Failed(f"{label}: exit status {cost['status']} without a record; see {folder}/log")
            shutil.copy(record, os.path.join(folder, "finished.json"))
            result = {**begun, **cost, "finished": time.strftime("%F %T")}
            work.write_json(path, result)
            work.tell(f"{label}: {cost['seconds']:.0f} s, of it processor {cost['processor']:.0f} s")
    return work.load(os.path.join(folder, "finished.json"))["datasets"][0], result


def remove(path):
    """Removes a file or a folder."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def attempts(dataset):
    """The attempts that were imaged and judged, in their order."""
    return [a for a in dataset["rounds"] if a.get("products") and a.get("decision") and a["decision"].get("verdict")]


def accepted(attempt):
    return attempt["decision"]["verdict"] in ("accepted", "converged")


def product(dataset):
    """The attempt whose image is the campaign's product."""
    return None if dataset["best"] is None else dataset["rounds"][dataset["best"]]


def product_round(dataset):
    """The round of the campaign's product."""
    best = product(dataset)
    return best and best["round"]


def chain_of(attempt):
    """An attempt's solves in a few letters: mode (K: delays), interval, and T where both polarisations have one gain."""
    def words(term):
        mode = term["gaintype"] if term["gaintype"] in "KB" else term["calmode"]
        return f"{mode} {term['solint']}" + (" T" if term["gaintype"] == "T" else "")
    return " + ".join(words(term) for term in attempt.get("chain", [])) or "–"


def products(attempt):
    return [attempt["products"][k] for k in ("image", "residual", "model")]
