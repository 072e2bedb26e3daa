"""Null tests: noise without a source, and sources whose every visibility has a random phase. Nothing must come of them."""

import os

import campaigns
import observations
import work

NULLS = {
    "noise": {"preset": "empty"},
    "random phases": {"preset": "demo", "random-phases": True},
}
DRAWS = range(101, 121)


def cases(draws):
    return [(name, seed) for seed in draws for name in NULLS]


def of_case(options, case):
    name, seed = case
    folder = os.path.join(options.folder, "null", observations.short(name), str(seed))
    observations.simulated(options.program, folder, seed, {**observations.COMMON, **NULLS[name]})
    text = campaigns.defaults("../field.ms")
    dataset, result = campaigns.run(options, os.path.join(folder, "defaults"), text, f"null test: {name}, {seed}")
    attempts, best = campaigns.attempts(dataset), campaigns.product(dataset)
    first = attempts[0]["metrics"] if attempts else None
    last = best["metrics"] if best else first
    return {"case": case, "status": result["status"], "attempts": len(attempts),
            "product": campaigns.product_round(dataset), "first": first and first["peak"] / first["rms"],
            "last": last and last["peak"] / last["rms"],
            "messages": dataset.get("messages", [])[-1:], "state": dataset["state"]}


def report(results):
    rows = [["draws", "number", "round 0 is the product", "peak / rms of round 0: median, most", "of the product: most"]]
    for name in NULLS:
        of = [r for r in results if r["case"][0] == name and r["first"]]
        if of:
            first = sorted(r["first"] for r in of)
            kept = sum(r["product"] in (0, None) for r in of)
            rows.append([name, str(len(of)), str(kept), f"{first[len(of) // 2]:.1f}, {first[-1]:.1f}",
                         f"{max(r['last'] for r in of):.1f}"])
    work.table("Null tests", rows)
