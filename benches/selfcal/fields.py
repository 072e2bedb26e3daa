"""Defaults alone on simulated fields, against the same data without gain errors; the grid of fixed schedules."""

import os

import campaigns
import images
import observations
import work

NO_NOISE = 1e-4  # Jy per visibility and part
ENOUGH = 5.0  # antenna S/N of one integration from which on perfect data are the measure
GRID = {
    "p inf": ["{solint: inf, calmode: p, combine: scan}"] * 2,
    "p 600s": ["{solint: 600s, calmode: p}"] * 2,
    "p 180s": ["{solint: 600s, calmode: p}", "{solint: 180s, calmode: p}"],
    "p 60s": ["{solint: 300s, calmode: p}", "{solint: 60s, calmode: p}"],
    "p 600s + ap inf": ["{solint: 600s, calmode: p}",
                        "[{solint: 600s, calmode: p}, {solint: inf, calmode: ap, combine: scan}]"],
    "p 180s + ap 900s": ["{solint: 180s, calmode: p}",
                         "[{solint: 180s, calmode: p}, {solint: 900s, calmode: ap}]"],
    "p 60s + ap 600s": ["{solint: 180s, calmode: p}",
                        "[{solint: 60s, calmode: p}, {solint: 600s, calmode: ap}]"],
}
# The options of a plain campaign, written out; every round counts, whatever the rules say.
SCHEDULE = """\
version: 0.2
campaign:
  name: bench
  measurement_sets: [../field.ms]
  output: selfcal
  rounds: {rounds}
  mask: none
  acceptance: {{dynamic_range_fall: 1, first_dynamic_range_fall: 1, rms_rise: 1000, flagged_solutions: 1,
               diverged_rms_factor: 1000, diverged_flux_factor: 1000, converged_rounds: 0, retries: 0}}
  resources: {{threads: 1}}
defaults:
  wsclean: {{size: {size}, scale: {cell}asec, weight: briggs 0, niter: 50000, nmiter: 12, mgain: 0.8, local_rms: false,
            channels_out: 1, join_channels: false, auto_mask: null, auto_threshold: 1, fits_mask: ../true.fits}}
selfcal:
  0: {{wsclean: {{auto_threshold: 12}}}}
{selfcal}"""


def perfect(options, case):
    """Figures and image of the data without gain errors, cleaned in masks at the true positions."""
    return in_true_masks(options, *observations.perfect_of(options, *case))


def without_noise(options, case):
    """The image of the sky alone, as the array sees it: neither gain errors nor noise."""
    return in_true_masks(options, *observations.perfect_of(options, *case, name="noiseless", noise=NO_NOISE))[0]


def in_true_masks(options, folder, truth):
    """Image of data without gain errors, cleaned in masks at the true positions, and its figures."""
    text = campaigns.one_image("../field.ms", "../true.fits")
    dataset, _ = campaigns.run(options, os.path.join(folder, "image"), text, f"{folder}: perfect")
    attempt = campaigns.attempts(dataset)[0]
    return attempt["products"]["image"], images.score(*campaigns.products(attempt), truth["components"])


def default_campaign(options, case):
    """Record and cost of the campaign with the defaults, its folder and the true sky."""
    folder, truth = observations.field_of(options, *case)
    place = os.path.join(folder, "defaults")
    label = "seed {}, {}, {}".format(*case)
    dataset, result = campaigns.run(options, place, campaigns.defaults("../field.ms"), label)
    return dataset, result, place, truth


def figures(options, case):
    """Everything that the table of fields needs of one case."""
    _, reference = perfect(options, case)
    dataset, result, place, truth = default_campaign(options, case)
    folder = os.path.dirname(place)
    sky, attempts, best = truth["components"], campaigns.attempts(dataset), campaigns.product(dataset)
    course = []
    for attempt in attempts:
        figures = images.score(*campaigns.products(attempt), sky)
        course.append({"round": attempt["round"], "attempt": attempt["attempt"], "chain": campaigns.chain_of(attempt),
                       "verdict": attempt["decision"]["verdict"], "dynamic_range": figures["dynamic_range"]})
    found = {"case": case, "antenna_snr": truth["antenna_snr"],
             "flux_scale": observations.flux_scale(folder), "perfect": reference, "course": course,
             "best_round": campaigns.product_round(dataset), "status": result["status"], "seconds": result["seconds"],
             "processor": result["processor"], "messages": dataset.get("messages", [])[-2:],
             "defaults": images.score(*campaigns.products(best or attempts[0]), sky)}
    found["ratio"] = found["defaults"]["dynamic_range"] / reference["dynamic_range"]
    if truth["antenna_snr"] < ENOUGH:
        found["grid"] = grid(options, case)
    return found


def grid(options, case):
    """The best dynamic range of the fixed schedules, all rounds considered: {schedule: dynamic range}."""
    folder, truth = observations.field_of(options, *case)
    found = {}
    for name, rounds in GRID.items():
        lines = "".join(f"  {k + 1}: {{gaincal: {chain}}}\n" for k, chain in enumerate(rounds))
        for share in ("T", "G"):
            text = SCHEDULE.format(rounds=len(rounds), size=images.SIZE, cell=images.CELL,
                                   selfcal=lines.replace("calmode:", f"gaintype: {share}, minsnr: 2, uvrange: '', calmode:"))
            place = os.path.join(folder, f"grid-{name.replace(' ', '-')}-{share}")
            try:
                dataset, _ = campaigns.run(options, place, text, f"{case}, {name}, {share}")
            except work.Failed as problem:
                work.tell(str(problem))
                continue
            scores = [images.score(*campaigns.products(a), truth["components"])
                      for a in campaigns.attempts(dataset)]
            found[f"{name}, {share}"] = max(s["dynamic_range"] for s in scores)
    return found
