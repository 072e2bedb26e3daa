"""The judge judged: what every choice of a campaign cost in true error of the image.

The true image is that of the same sky without gain errors and without noise, in masks at the true positions. (With the same
noise it favours images before calibration: gains turn the noise, and only where they are not corrected is it the same.) A choice is worth the error
of what was chosen over that of the better alternative: 1 is right.
"""

import os
import re

import campaigns
import fields
import images
import work

FINE, WORST, MISSED = 1.02, 1.10, 1.05  # a good choice; no choice may be worse; what a campaign may leave undone
FURTHER = 4  # rounds that a finished campaign goes on
GO_ON = "  solint: {repeat_gain: -1, rejected_in_a_row: 100, rejected_in_all: 100}\n  acceptance: {converged_rounds: 0}\n"


def errors(options, case, attempts, path):
    """True errors of the attempts' images; kept in a file, as a campaign that goes on may write over its last images."""
    error = work.load(path)
    if error is None:
        true = fields.without_noise(options, case)
        error = [images.error(a["products"]["image"], true) for a in attempts]
        work.write_json(path, error)
    return error


def judged(attempts, error):
    """(what, regret) of every acceptance: an attempt against the last accepted one."""
    last, found = None, []
    for attempt, e in zip(attempts, error):
        accept = campaigns.accepted(attempt)
        if last is not None:
            chosen = e if accept else last
            what = "{} round {}.{} ({})".format("accepted" if accept else "rejected", attempt["round"],
                                                attempt["attempt"], campaigns.chain_of(attempt))
            found.append({"what": what, "regret": chosen / min(e, last), "errors": [last, e]})
        if accept or last is None:
            last = e
    return found


def of_case(options, case):
    """All choices of one campaign."""
    dataset, _, place, _ = fields.default_campaign(options, case)
    attempts = campaigns.attempts(dataset)
    error = errors(options, case, attempts, os.path.join(place, "errors-to-sky.json"))
    best = campaigns.product(dataset)
    of_product = error[attempts.index(best)] if best else error[0]
    kept = [e for a, e in zip(attempts, error) if campaigns.accepted(a)] or error[:1]
    found = {"case": case, "judged": judged(attempts, error),
             "product": {"what": f"product: round {campaigns.product_round(dataset)}",
                         "regret": of_product / min(kept), "errors": [of_product, min(kept)]}}
    if options.further:
        done = {(a["round"], a["attempt"]) for a in attempts}
        more = [a for a in goes_on(options, case, place) if (a["round"], a["attempt"]) not in done]
        further = errors(options, case, more, os.path.join(place, "errors-to-sky-further.json"))
        # At its last round it has no choice.
        kind = "limit" if attempts[-1]["round"] + 1 >= dataset["planned_rounds"] else "stop"
        found[kind] = {"what": f"ended after round {attempts[-1]['round']}", "errors": [of_product, *further],
                       "regret": of_product / min([of_product, *further])}
    return found


def goes_on(options, case, place):
    """The finished campaign goes on in its folder, for more rounds whatever the last one gained; all its attempts."""
    with work.alone(place):
        path = os.path.join(place, "further.json")
        result = work.load(os.path.join(place, "result.json"))
        if not os.path.exists(path):
            last = work.load(os.path.join(place, "finished.json"))["datasets"][0]["rounds"][-1]["round"]
            text = re.sub(r"rounds: \d+", f"rounds: {last + FURTHER}", result["campaign"], count=1)
            text = text.replace("defaults:\n", GO_ON + "defaults:\n", 1)
            with open(os.path.join(place, "further.yaml"), "w") as file:
                file.write(text)
            words = [options.program, "run", "--quiet", os.path.join(place, "further.yaml")]
            cost = work.call(words, os.path.join(place, "log"), fine=range(6))
            os.replace(os.path.join(place, "selfcal", "record.json"), path)
            work.tell(f"{case}: went on, {cost['seconds']:.0f} s")
        return campaigns.attempts(work.load(path)["datasets"][0])
