"""Real measurement sets with the defaults, where the folder `../shared/real` is there."""

import os
import tarfile

import campaigns
import images
import work

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SHARED = os.environ.get("CLEANLOOP_SHARED", os.path.join(ROOT, "..", "shared"))
# Size in pixels, pixel, options that the data need, beams of the circle that the residual is judged outside of, and the
# best dynamic range by hand (docs/benchmarks.md).
SETS = {
    "vla_ka": {"size": 512, "scale": "0.35asec", "imaging": "", "beams": 6, "by_hand": 61},
    "vlba_15ghz": {"size": 512, "scale": "0.1masec", "imaging": "", "beams": 6, "by_hand": 1847},
    "eht_3c279": {"size": 512, "scale": "0.005masec", "imaging": ", gridder: wstacking", "beams": 3, "by_hand": 127},
}


def there():
    return [name for name in SETS if os.path.exists(os.path.join(SHARED, "real", f"{name}.ms.tar.gz"))]


def of_set(options, name):
    folder = os.path.join(options.folder, "real", name)
    with work.alone(folder):
        found = [f for f in os.listdir(folder) if f.endswith(".ms")]
        if not found:
            with tarfile.open(os.path.join(SHARED, "real", f"{name}.ms.tar.gz")) as archive:
                archive.extractall(folder, filter="data")
            found = [f for f in os.listdir(folder) if f.endswith(".ms")]
    s = SETS[name]
    text = campaigns.defaults(f"../{found[0]}", imaging=s["imaging"], size=s["size"], scale=s["scale"])
    dataset, result = campaigns.run(options, os.path.join(folder, "defaults"), text, name)
    attempts, best = campaigns.attempts(dataset), campaigns.product(dataset)
    ranges = [images.compact_dynamic_range(*campaigns.products(a)[:2], s["beams"]) for a in attempts]
    course = [{"round": a["round"], "attempt": a["attempt"], "chain": campaigns.chain_of(a),
               "verdict": a["decision"]["verdict"], "dynamic_range": r} for a, r in zip(attempts, ranges)]
    return {"set": name, "status": result["status"], "seconds": result["seconds"], "course": course,
            "first": ranges[0] if ranges else None, "best_round": campaigns.product_round(dataset), "by_hand": s["by_hand"],
            "product": ranges[attempts.index(best)] if best else None, "messages": dataset.get("messages", [])[-2:]}


def report(results):
    rows = [["set", "uncalibrated", "defaults", "round", "by hand", "ratio"]]
    number = lambda x, form: format(x, form) if x else "–"
    for r in results:
        ratio = r["product"] and r["product"] / r["by_hand"]
        rows.append([r["set"], number(r["first"], ".1f"), number(r["product"], ".1f"), str(r["best_round"]),
                     str(r["by_hand"]), number(ratio, ".2f")])
    work.table("Real measurement sets", rows)
