"""Three kinds of clean masks in the same campaign of three fixed rounds: automatic ones, masks at the true positions,
and wsclean's own auto-masking."""

import os

import campaigns
import images
import numpy as np
import observations
import work

VARIANTS = {"auto": "automatic", "true": "true positions", "wsclean": "wsclean's auto-mask"}
CAMPAIGN = """\
version: 0.2
campaign:
  name: bench
  measurement_sets: [../field.ms]
  output: selfcal
  rounds: 3
  imager: wsclean
  calibrator: casa
  mask: {mask}
  resources: {{threads: 1}}
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
# A shallow first clean; wsclean's own masks do all rounds alike.
MASKS = {
    "auto": dict(mask="{method: auto, cadence: cycle, rounds: 1}", imaging="auto_mask: null, auto_threshold: 1",
                 first="auto_mask: 10, auto_threshold: 8"),
    "true": dict(mask="none", imaging="auto_mask: null, auto_threshold: 1, fits_mask: ../true.fits",
                 first="auto_threshold: 8"),
    "wsclean": dict(mask="none", imaging="auto_mask: 5, auto_threshold: 1", first=""),
}


def of_case(options, case):
    """Figures of the three campaigns on a preset as it is; case: (seed, field)."""
    seed, field = case
    folder = os.path.join(options.folder, f"seed-{seed}", observations.short(field), "preset")
    changes = {**observations.COMMON, **observations.FIELDS[field]}
    sky = observations.simulated(options.program, folder, seed, changes)["components"]
    found = {"case": case}
    for variant, masks in MASKS.items():
        text = CAMPAIGN.format(size=images.SIZE, cell=images.CELL, **masks)
        dataset, result = campaigns.run(options, os.path.join(folder, variant), text, f"{case}, {variant}")
        best = campaigns.product(dataset)
        found[variant] = {**images.score(*campaigns.products(best), sky), "seconds": result["seconds"]}
    return found


def report(results):
    rows = [["field", "seed", "dynamic range", "spurious, mJy", "recovered, Jy", "of it extended, Jy"]]
    for r in results:
        shown = lambda key, form, scale=1: " / ".join(
            format(scale * r[v][key], form) if key in r[v] else "–" for v in VARIANTS)
        rows.append([r["case"][1], str(r["case"][0]), shown("dynamic_range", ".0f"), shown("spurious", ".1f", 1e3),
                     shown("recovered", ".3f"), shown("extended", ".3f")])
    work.table("Masks: " + " / ".join(VARIANTS.values()), rows)
    kinds = [(v, k) for v in ("auto", "wsclean") for k in ("dynamic_range", "recovered", "extended", "spurious")]
    rows = [["ratio to masks at the true positions", "median", "least", "greatest"]]
    for variant, key in kinds:
        ratios = [r[variant][key] / r["true"][key] for r in results if r["true"].get(key)]
        if ratios:
            rows.append([f"{key.replace('_', ' ')}, {VARIANTS[variant]}",
                         *(f"{of(ratios):.3f}" for of in (np.median, np.min, np.max))])
    work.table("Ratios", rows)
