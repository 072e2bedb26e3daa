"""Benchmarks of self-calibration on simulated and real data, against the truth.

    python selfcal PROGRAM FOLDER [PART ...] [--seed N ...] [--fields NAME ...] [--gains NAME ...] [--facets NAME ...] [--jobs N]

    fields   the defaults alone: dynamic range over that of the same data without gain errors, and over the best of a
             grid of fixed schedules where the antennas' S/N is low
    choices  the judge judged: true error of what was chosen over that of the better alternative
    time     seconds of a campaign over those of its imaging alone
    real     real measurement sets, where ../shared/real is there
    null     noise, and random phases: nothing must come of them
    nights   three nights of one target together, against the same data without gain errors
    choice   size and pixel that are chosen where nothing but the measurement set is named, against the benchmark's own
    facets   fields whose errors depend on direction: rounds by direction against rounds without, and against no errors
    masks    automatic masks against masks at the true positions, with fixed intervals

Everything that is finished is kept in FOLDER: the same command goes on with what is missing, and several may work in one
folder. A campaign is run again when its file or the program has changed; --keep accepts what another build of the
program made. Markdown tables go to standard output, all results to FOLDER/results-PART.json. Definitions:
docs/benchmarks.md.
"""

import argparse
import os

import choice
import choices
import facets
import fields
import masks
import nights
import nulls
import observations
import real
import tables
import timing
import work

PARTS = {
    "fields": (fields.figures, tables.fields),
    "choices": (choices.of_case, tables.choices),
    "time": (timing.of_case, tables.times),
    "real": (real.of_set, real.report),
    "null": (nulls.of_case, nulls.report),
    "nights": (nights.of_case, nights.report),
    "choice": (choice.of_case, choice.report),
    "masks": (masks.of_case, masks.report),
    "facets": (facets.of_case, facets.report),
}


def cases(part, options):
    """The cases of a part, in the order in which they are tried."""
    if part == "real":
        return real.there()
    if part == "null":
        return nulls.cases(list(nulls.DRAWS)[: options.draws])
    if part == "nights":
        return nights.cases(options.seed)
    if part == "facets":
        return facets.cases(options.seed, options.facets)
    if part == "masks":
        return [(seed, field) for seed in options.seed for field in options.fields]
    found = observations.cases(options.seed, options.fields, options.gains)[: options.first]
    return [*found, timing.LARGE] if part == "time" else found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("folder", type=os.path.abspath)
    parser.add_argument("parts", nargs="*", default=[], metavar="PART", help=f"default: all: {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, nargs="+", default=observations.HELD_OUT, help="default: %(default)s")
    choice = {"nargs": "+", "metavar": "NAME"}
    parser.add_argument("--fields", default=list(observations.FIELDS), choices=list(observations.FIELDS), **choice)
    parser.add_argument("--gains", default=list(observations.GAINS), choices=list(observations.GAINS), **choice)
    parser.add_argument("--facets", default=list(facets.FIELDS), choices=list(facets.FIELDS), **choice)
    parser.add_argument("--first", type=int, metavar="N", help="only the first N cases: one of each kind comes first")
    parser.add_argument("--draws", type=int, default=len(nulls.DRAWS), metavar="N", help="of each null test")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="campaigns side by side")
    parser.add_argument("--keep", action="store_true", help="accept what another build of the program made")
    parser.add_argument("--no-further", dest="further", action="store_false",
                        help="choices: do not let finished campaigns go on")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}: there are {', '.join(PARTS)}")
    options.build = work.digest(options.program)
    return options


def main():
    options = arguments()
    for part in options.parts or PARTS:
        one, report = PARTS[part]
        jobs = [(str(case), lambda case=case: one(options, case)) for case in cases(part, options)]
        results = list(work.side_by_side(jobs, options.jobs).values())
        work.write_json(os.path.join(options.folder, f"results-{part}.json"), results)
        if results:
            report(results)


if __name__ == "__main__":
    main()
