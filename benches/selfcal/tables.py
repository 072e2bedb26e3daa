"""Tables of fields, choices and times."""

import numpy as np
import work
from choices import FINE, MISSED, WORST
from fields import ENOUGH

AIM, AIM_MEDIAN, AIM_GRID, AIM_TIME = 0.85, 0.92, 0.97, 2.5


def fields(results):
    rows = [["field", "gains", "seed", "antenna S/N", "DR", "without gain errors", "ratio", "best of the grid", "ratio",
             "recovered", "extended", "spurious, mJy", "rounds", "product"]]
    for r in results:
        seed, field, gains = r["case"]
        own, perfect = r["defaults"], r["perfect"]
        grid = max(r["grid"].values()) if r.get("grid") else None
        part = lambda key: f"{own[key] / perfect[key] / r['flux_scale']:.3f}" if perfect.get(key) else "–"
        rows.append([field, gains, str(seed), f"{r['antenna_snr']:.1f}", f"{own['dynamic_range']:.0f}",
                     f"{perfect['dynamic_range']:.0f}", f"{r['ratio']:.3f}", f"{grid:.0f}" if grid else "–",
                     f"{own['dynamic_range'] / grid:.3f}" if grid else "–", part("recovered"), part("extended"),
                     f"{1e3 * own['spurious']:.0f} / {1e3 * perfect['spurious']:.0f}",
                     str(r["course"][-1]["round"]), str(r["best_round"])])
    work.table("Fields: the defaults against the same data without gain errors", rows)
    strong = [r["ratio"] for r in results if r["antenna_snr"] >= ENOUGH]
    weak = [r["defaults"]["dynamic_range"] / max(r["grid"].values()) for r in results if r.get("grid")]
    rows = [["", "number", "median", "least", "aim"]]
    for name, of, aim in [(f"antenna S/N above {ENOUGH:.0f}: over that without gain errors", strong,
                           f"least {AIM}, median {AIM_MEDIAN}"),
                          ("others: over the best of the grid", weak, f"least {AIM_GRID}")]:
        if of:
            rows.append([name, str(len(of)), f"{np.median(of):.3f}", f"{min(of):.3f}", aim])
    work.table("Summary", rows)


def choices(results):
    rows = [["choices", "number", f"within {FINE}", "worst", "which"]]
    kinds = {"accepted or rejected": lambda r: r["judged"], "which round is the product": lambda r: [r["product"]],
             "stop or go on": lambda r: [r["stop"]] if "stop" in r else [],
             "the rounds ended": lambda r: [r["limit"]] if "limit" in r else []}
    every = []
    for name, of in kinds.items():
        found = [(c["regret"], r["case"], c["what"]) for r in results for c in of(r)]
        if name not in ("stop or go on", "the rounds ended"):
            every += found
        rows.append(summary(name, found))
    rows.insert(3, summary("both", every))
    work.table(f"Choices: true error of the chosen over that of the better; no choice above {WORST}, no end that leaves "
               f"more than {MISSED}", rows)


def summary(name, found):
    if not found:
        return [name, "0", "–", "–", "–"]
    worst = max(found)
    fine = sum(regret <= FINE for regret, _, _ in found) / len(found)
    seed, field, gains = worst[1]
    return [name, str(len(found)), f"{100 * fine:.1f} %", f"{worst[0]:.3f}", f"{field}, {gains}, seed {seed}: {worst[2]}"]


def times(results):
    rows = [["field", "gains", "seed", "images", "campaign: wall, processor, s", "imaging alone", "ratio"]]
    for r in results:
        seed, field, gains = r["case"]
        pair = lambda key, form: " / ".join(format(r[key][k], form) for k in ("seconds", "processor"))
        rows.append([field, gains, str(seed), str(r["images"]), pair("campaign", ".0f"), pair("imaging", ".0f"),
                     pair("ratio", ".2f")])
    work.table(f"Time: campaign over its imaging alone (aim: {AIM_TIME})", rows)
