"""Self-calibrates simulated fields with three kinds of clean masks, and compares what comes out with the true sky.

    selfcal.py CLEANLOOP FOLDER [--seed N ...] [--fields NAME ...] [--variants NAME ...] [--keep] [--again NAME ...]

Every field of every seed is simulated once, and self-calibrated by the same campaign with `auto` masks, with masks at
the true positions, and with wsclean's own auto-masking. Everything that is finished is kept in FOLDER: the same command
goes on with what is missing, and several may work in one folder. A finished campaign is run again when its file or the
program has changed; --keep accepts what another build of the program made. Prints Markdown tables. Why the masks are as
they are is in the campaigns' reports. Definitions: docs/benchmarks.md.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "workers"))

import numpy as np  # noqa: E402
from cleanloop_worker import fits  # noqa: E402

SIZE, CELL = 640, 1.2  # pixels, arcsec
MASK_RADIUS = 10.0  # arcsec (three beams) round a source: where masks at the true positions clean
SCORE_RADIUS = 5.0  # arcsec (one and a half beams): CLEAN flux within counts as the source's
EXTENT = 1.0  # semi-axes of an extended source, in FWHM: 94 % of a Gaussian's flux
COMMON = {"duration": 3600, "integration": 60, "channels": 2, "field": 330}
FIELDS = {
    "mixed": {"preset": "demo"},
    "points": {"preset": "pointlike"},
    "crowded": {"preset": "crowded"},
    "extended": {"preset": "extended"},
    "low S/N": {"preset": "low-snr", "noise": 0.3},
    "amplitudes": {"preset": "amplitude"},
    "bright": {"preset": "bright"},
}
VARIANTS = {"auto": "automatic", "true": "true positions", "wsclean": "wsclean's auto-mask"}
HELD_OUT = [21, 31]  # nothing was tuned on these

CAMPAIGN = """\
version: 0.2
campaign:
  name: {name}
  measurement_sets: [../field.ms]
  output: selfcal
  rounds: 3
  imager: wsclean
  calibrator: casa
  mask: {mask}
  resources: {{threads: 2}}
defaults:
  wsclean: {{size: {size}, scale: {cell}asec, weight: briggs 0, niter: 50000, nmiter: 8, mgain: 0.8, local_rms: false,
            channels_out: 1, join_channels: false, {imaging}}}
  gaincal: {{gaintype: T, minsnr: 3, uvrange: ""}}
selfcal:
  0: {{wsclean: {{{first}}}}}
  1: {{gaincal: {{solint: 180s, calmode: p}}}}
  2: {{gaincal: {{solint: 60s, calmode: p}}}}
  3: {{gaincal: {{solint: 120s, calmode: ap}}}}
"""
# A shallow first clean, as in examples/demo.yaml; wsclean's own masks do all rounds alike.
MASKS = {
    "auto": dict(mask="{method: auto, cadence: cycle, rounds: 1}", imaging="auto_mask: null, auto_threshold: 1",
                 first="auto_mask: 10, auto_threshold: 8"),
    "true": dict(mask="none", imaging="auto_mask: null, auto_threshold: 1, fits_mask: ../true.fits",
                 first="auto_threshold: 8"),
    "wsclean": dict(mask="none", imaging="auto_mask: 5, auto_threshold: 1", first=""),
}


def plane(path):
    return np.squeeze(fits.read(path)[1]).astype(np.float64)


def within(component, radius):
    """Pixels within `radius` arcsec of a source, an extended one with its extent; row 0 is south, east is left."""
    y, x = np.mgrid[:SIZE, :SIZE]
    east = (SIZE // 2 - x) * CELL - component["east_arcsec"]
    north = (y - SIZE // 2) * CELL - component["north_arcsec"]
    angle = np.deg2rad(component["position_angle_deg"])
    along = east * np.sin(angle) + north * np.cos(angle)
    across = east * np.cos(angle) - north * np.sin(angle)
    axes = [EXTENT * component[k] + radius for k in ("major_arcsec", "minor_arcsec")]
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


def truth(sky, radius, kinds=("point", "gaussian")):
    found = np.zeros((SIZE, SIZE), bool)
    for component in sky:
        if component["kind"] in kinds:
            found |= within(component, radius)
    return found


def score(folder, sky):
    """Figures of the images in a folder."""
    image, model = plane(os.path.join(folder, "image.fits")), plane(os.path.join(folder, "model.fits"))
    empty = image[~truth(sky, MASK_RADIUS)]
    noise = 1.4826 * np.median(np.abs(empty - np.median(empty)))
    near = truth(sky, SCORE_RADIUS)
    figures = {"peak": image.max(), "noise": noise, "dynamic_range": image.max() / noise,
               "spurious": np.abs(model[~near]).sum(), "recovered": model[near].sum()}
    if any(c["kind"] == "gaussian" for c in sky):
        figures["extended"] = model[truth(sky, SCORE_RADIUS, ("gaussian",))].sum()
    return {k: float(v) for k, v in figures.items()}


@contextmanager
def alone(folder):
    """Only one process works in a folder; another waits, and finds it done."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_json(path, value):
    with open(path + ".partial", "w") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".partial", path)


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def call(words, log):
    with open(log, "a") as file:
        status = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
    if status not in (0, 4):  # 4: diverged, the best round was kept
        sys.exit(f"{' '.join(words)}: exit status {status}; see {log}")


def field_of(program, folder, field, seed):
    """Simulates the field unless it is there; returns its true sky."""
    with alone(folder):
        sky = os.path.join(folder, "field.sky.json")
        changes = {**COMMON, **FIELDS[field]}
        if load(os.path.join(folder, "field.json")) != changes:
            shutil.rmtree(os.path.join(folder, "field.ms"), ignore_errors=True)
            words = [program, "simulate", "--quiet", "--output", folder, "--seed", str(seed)]
            call(words + [w for k, v in changes.items() for w in (f"--{k}", str(v))], os.path.join(folder, "log"))
            with open(sky) as file:
                mask = truth(json.load(file)["components"], MASK_RADIUS)
            cards = ["SIMPLE  =                    T", "NAXIS   =                    2",
                     f"NAXIS1  = {SIZE:>20}", f"NAXIS2  = {SIZE:>20}"]
            fits.write(os.path.join(folder, "true.fits"), cards, [mask])
            write_json(os.path.join(folder, "field.json"), changes)
    return load(sky)["components"]


def rounds_of(record):
    """The judged attempts of a campaign, with what the mask was made with."""
    return [a for d in record["datasets"] for r in d.get("rounds", []) for a in r.get("attempts", [])]


def result_of(options, folder, field, variant, sky):
    """Runs the campaign unless it is finished; returns its figures."""
    with alone(folder):
        text = CAMPAIGN.format(name="bench", size=SIZE, cell=CELL, **MASKS[variant])
        with open(options.program, "rb") as file:
            build = hashlib.sha256(file.read()).hexdigest()[:12]
        path = os.path.join(folder, "result.json")
        result = load(path)
        fresh = result and result["campaign"] == text and (options.keep or result["program"] == build)
        if not fresh or variant in options.again and result["started"] < options.started:
            begun = load(os.path.join(folder, "begun.json"))
            restart = begun is None or begun["campaign"] != text or begun["program"] != build or result is not None
            if restart:
                for name in ("selfcal", "result.json"):
                    shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
                if os.path.exists(path):
                    os.remove(path)
                begun = {"campaign": text, "program": build, "started": time.time()}
                write_json(os.path.join(folder, "begun.json"), begun)
                with open(os.path.join(folder, "campaign.yaml"), "w") as file:
                    file.write(text)
            start = time.time()
            words = [options.program, "run", "--quiet", os.path.join(folder, "campaign.yaml")]
            call(words, os.path.join(folder, "log"))
            shutil.rmtree(os.path.join(folder, "selfcal", "data"), ignore_errors=True)
            result = {**begun, "seconds": time.time() - start}
            write_json(path, result)
        # Scored again each time, so that a changed definition needs no new campaign.
        return {**score(os.path.join(folder, "selfcal", "final"), sky), "seconds": result["seconds"]}


def table(title, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")


def ratio(a, b):
    return a / b if b > 0 else float("nan")


def report(results):
    """Tables of all fields for which a variant is there; results by (seed, field) and variant."""
    head = ["field", "seed"]
    shown = lambda r, key, form: " / ".join(format(r[v][key], form) if v in r and key in r[v] else "–" for v in VARIANTS)
    order = " / ".join(VARIANTS.values())
    rows = [head + ["dynamic range", "noise, mJy/beam", "spurious, mJy", "recovered, Jy", "of it extended, Jy"]]
    for (seed, field), r in results.items():
        scaled = {v: {**x, "noise": 1e3 * x["noise"], "spurious": 1e3 * x["spurious"]} for v, x in r.items()}
        rows.append([field, str(seed), shown(scaled, "dynamic_range", ".0f"), shown(scaled, "noise", ".3f"),
                     shown(scaled, "spurious", ".1f"), shown(scaled, "recovered", ".3f"),
                     shown(scaled, "extended", ".3f")])
    table(f"Figures: {order}", rows)
    kinds = [("auto", "dynamic_range"), ("wsclean", "dynamic_range"), ("auto", "recovered"), ("wsclean", "recovered"),
             ("auto", "extended"), ("auto", "spurious")]
    names = {"dynamic_range": "dynamic range", "recovered": "recovered", "extended": "extended", "spurious": "spurious"}
    rows = [head + [f"{names[key]}, {variant}" for variant, key in kinds]]
    columns = {k: [] for k in kinds}
    for (seed, field), r in results.items():
        row = [field, str(seed)]
        for variant, key in kinds:
            there = all(v in r and key in r[v] for v in (variant, "true"))
            value = ratio(r[variant][key], r["true"][key]) if there else float("nan")
            if np.isfinite(value):
                columns[variant, key].append(value)
            row.append(f"{value:.3f}" if np.isfinite(value) else "–")
        rows.append(row)
    for name, of in [("median", np.median), ("least", np.min), ("greatest", np.max)]:
        rows.append([name, ""] + [f"{of(columns[k]):.3f}" if columns[k] else "–" for k in kinds])
    table("Ratios to masks at the true positions", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, nargs="+", default=HELD_OUT, help="default: %(default)s")
    parser.add_argument("--fields", nargs="+", default=list(FIELDS), choices=list(FIELDS), metavar="NAME")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--keep", action="store_true", help="accept what another build of the program made")
    parser.add_argument("--again", nargs="+", default=[], choices=list(VARIANTS), help="run these again")
    parser.add_argument("--table", action="store_true", help="only the tables of what is finished")
    options = parser.parse_args()
    options.program, options.folder = os.path.abspath(options.program), os.path.abspath(options.folder)
    options.started = time.time()
    results = {}
    for seed in options.seed:
        for field in options.fields:
            folder = os.path.join(options.folder, f"seed-{seed}", field.replace("/", "").replace(" ", "-"))
            if options.table and not os.path.exists(os.path.join(folder, "field.json")):
                continue
            sky = field_of(options.program, folder, field, seed)
            for variant in options.variants:
                place = os.path.join(folder, variant)
                if options.table:
                    if not os.path.exists(os.path.join(place, "result.json")):
                        continue
                    r = score(os.path.join(place, "selfcal", "final"), sky)
                else:
                    r = result_of(options, place, field, variant, sky)
                    print(f"seed {seed}, {field}, {variant}: dynamic range {r['dynamic_range']:.0f}, "
                          f"spurious {1e3 * r['spurious']:.1f} mJy, recovered {r['recovered']:.3f} Jy, "
                          f"{r['seconds']:.0f} s", file=sys.stderr, flush=True)
                results.setdefault((seed, field), {})[variant] = r
    report(results)


if __name__ == "__main__":
    main()
