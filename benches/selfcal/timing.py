"""What a campaign costs over its imaging alone: one call of wsclean for each of its images, in that image's last mask."""

import os

import campaigns
import fields
import work


def of_case(options, case):
    """Seconds (wall and processor time) of the campaign, and the sum of the imagings with a fixed mask. All are made of
    the data as the campaign left them."""
    dataset, result, place, _ = fields.default_campaign(options, case)
    ms = os.path.join(place, "selfcal", "data", "field.ms")
    calls = []
    with work.alone(place):
        path = os.path.join(place, "timing.json")
        calls = work.load(path) or []
        attempts = [a for a in campaigns.attempts(dataset) if (a.get("mask") or {}).get("path")]
        for attempt in attempts[len(calls):]:
            name = os.path.join(place, "timing")
            words = ["wsclean", "-name", name, "-j", "1", "-size", *[str(campaigns.images.SIZE)] * 2,
                     "-scale", f"{campaigns.images.CELL}asec", "-weight", "briggs", "0", "-niter", "50000",
                     "-nmiter", "8", "-mgain", "0.8", "-auto-threshold", "12" if attempt["round"] == 0 else "1",
                     "-gridder", "wgridder", "-fits-mask", attempt["mask"]["path"],
                     "-data-column", "DATA" if attempt["round"] == 0 else "CORRECTED_DATA", ms]
            calls.append(work.call(words, os.path.join(place, "timing.log"), fine=(0,)))
            work.write_json(path, calls)
    total = {k: sum(c[k] for c in calls) for k in ("seconds", "processor")}
    return {"case": case, "campaign": {k: result[k] for k in total}, "imaging": total, "images": len(calls),
            "ratio": {k: result[k] / total[k] for k in total if total[k] > 0}}
