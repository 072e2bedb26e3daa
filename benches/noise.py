"""Times `cleanloop noise` against BANE on a simulated restored image.

    noise.py CLEANLOOP BANE [--sizes 1024 2048] [--folder DIR] [--repeat N]

Each run is a process of its own: wall time (best of N), processor time, peak memory of the largest process. BANE's
time includes the start of Python. The maps are compared pixel by pixel with those of BANE on one core: with more,
BANE's own maps differ near the borders of its stripes. Prints Markdown tables.
"""

import argparse
import os
import subprocess
import tempfile
import time

import numpy as np
from astropy.io import fits

from masks import simulate


def high_water(pid):
    """Peak memory (MB) of a process and of its children, the largest of them; 0 once they are gone."""
    # Not ru_maxrss: it begins with the memory of the process that started the program.
    try:
        with open(f"/proc/{pid}/status") as status:
            lines = [line for line in status if line.startswith("VmHWM")]
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            below = [high_water(int(child)) for child in children.read().split()]
    except (OSError, ValueError):
        return 0.0
    return max([int(line.split()[1]) / 1024 for line in lines] + below, default=0.0)


def measure(command, repeat, environment=None):
    """Best wall and processor seconds, and greatest memory (MB), of some runs."""
    best = None
    for _ in range(repeat):
        start = time.perf_counter()
        child = subprocess.Popen(command, env=dict(os.environ, **(environment or {})), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        memory = 0.0
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            memory = max(memory, high_water(child.pid))
            time.sleep(0.005)
        if status:
            raise SystemExit(f"{' '.join(command)} failed with status {status}")
        run = (time.perf_counter() - start, usage.ru_utime + usage.ru_stime, memory)
        best = run if best is None else tuple(f(a, b) for f, a, b in zip((min, min, max), best, run))
    return best


def difference(ours, theirs):
    a, b = fits.getdata(ours).squeeze().astype(float), fits.getdata(theirs).squeeze().astype(float)
    return a, b


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cleanloop")
    parser.add_argument("bane")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--folder", default=None)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    folder = args.folder or tempfile.mkdtemp(prefix="noise-bench-")
    os.makedirs(folder, exist_ok=True)
    rows, methods = [], []
    for size in args.sizes:
        image = simulate(folder, size)
        plane_mb = size * size * 4 / 2**20

        def ours(threads, *more):
            command = [args.cleanloop, "noise", image, "-o", os.path.join(folder, "ours"), *more]
            return measure(command, args.repeat, {"RAYON_NUM_THREADS": str(threads)})

        def bane(cores):
            command = [args.bane, image, "--cores", str(cores), "--out", os.path.join(folder, "bane")]
            return measure(command, 1)

        two, one = bane(2), bane(1)
        mine = {threads: ours(threads) for threads in (1, 2)}
        a, b = difference(os.path.join(folder, "ours_rms.fits"), os.path.join(folder, "bane_rms.fits"))
        worst = np.nanmax(np.abs(a / b - 1))
        c, d = difference(os.path.join(folder, "ours_bkg.fits"), os.path.join(folder, "bane_bkg.fits"))
        # The background passes through zero: its difference counts in units of the rms.
        worst_background = np.nanmax(np.abs(c - d) / b)
        rows.append(
            f"| {size} | {one[0]:.1f} | {two[0]:.1f} | {mine[1][0]:.2f} | {mine[2][0]:.2f} "
            f"| {two[0] / mine[2][0]:.0f} | {one[1]:.1f} / {mine[1][1]:.2f} = {one[1] / mine[1][1]:.0f} | {two[2]:.0f} | {mine[2][2]:.0f} "
            f"| {mine[2][2] / plane_mb:.1f} | {worst:.0e} / {worst_background:.0e} |"
        )
        for label, *more in [
            ("global", "--method", "global"),
            ("box", "--method", "box"),
            ("box, exact", "--method", "box", "--exact"),
            ("bane", "--method", "bane"),
            ("bane, flint's 16 / 196", "--method", "bane", "--step", "16", "--box", "196"),
            ("minimum-filter", "--method", "minimum-filter"),
        ]:
            if label == "box, exact" and size > 2048:
                continue
            wall, processor, memory = ours(2, *more)
            methods.append(f"| {size} | {label} | {wall:.2f} | {processor:.2f} | {memory:.0f} |")
    print()
    print("| side | BANE, 1 core (s) | BANE, 2 cores (s) | ours, 1 thread (s) | ours, 2 threads (s) | wall ratio, 2 / 2 "
          "| processor time, 1 / 1 (s) | BANE (MB) | ours (MB) | planes in memory | worst difference (rms / bkg) |")
    print("|---" * 11 + "|")
    print("\n".join(rows))
    print()
    print("| side | method | wall (s) | processor (s) | memory (MB) |")
    print("|---" * 5 + "|")
    print("\n".join(methods))


if __name__ == "__main__":
    main()
