"""Times auto-multithresh against pclean's automask_plane and CASA on the same planes, and on cubes.

    automask.py PLANES CLEANLOOP [--sizes 512 1024 2048] [--folder DIR] [--cube-channels 64] [--long-cube 500]
        [--casa ENVIRONMENT]

PLANES is the program of benches/automask_planes.rs, CLEANLOOP the program itself. A plane is noise that is correlated
like the beam, with few or many sources, and is called three times, the sources growing fainter. One thread each;
best of some runs. pclean's function is that of the PyPI package casa-pclean, loaded as a single file (its other parts
need CASA). ENVIRONMENT is the folder that `cleanloop setup casa` prints: CASA's own masks of the same planes are then
timed, too (casa_automask.py), and the numbers of masked pixels compared. CASA's tool, called by itself, counts no
iterations: its later calls do not grow the mask, and so do less than ours.
Prints Markdown tables.
"""

import argparse
import importlib.util
import json
import logging
import math
import os
import subprocess
import sys
import time

import numpy as np
from astropy.io import fits
from scipy import ndimage

BEAM = (6.0, 4.2, -37.0)  # pixels, pixels, degrees; that of automask_planes.rs
LEVEL = 0.1
PARAMETERS = dict(
    sidelobethreshold=2.0, noisethreshold=4.25, lownoisethreshold=1.5, negativethreshold=0.0, smoothfactor=1.0,
    minbeamfrac=0.3, cutthreshold=0.01, growiterations=75, dogrowprune=True, minpercentchange=1.0, fastnoise=False,
)
SOURCES = {"few regions": 10, "many regions": 1500}  # a 1024 x 1024 plane


def beam_kernel(half=20):
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    angle = math.radians(BEAM[2])
    u = (y * math.cos(angle) - x * math.sin(angle)) / BEAM[0]
    v = (x * math.cos(angle) + y * math.sin(angle)) / BEAM[1]
    return np.exp(-4 * math.log(2) * (u * u + v * v))


def convolve(image):
    kernel = np.zeros(image.shape)
    small = beam_kernel()
    kernel[: small.shape[0], : small.shape[1]] = small
    kernel = np.roll(kernel, (-(small.shape[0] // 2), -(small.shape[1] // 2)), (0, 1))
    return np.fft.irfft2(np.fft.rfft2(image) * np.fft.rfft2(kernel), image.shape)


def residuals(size, sources, seed, calls=3):
    """One plane per call: the same noise, sources that are cleaned away."""
    rng = np.random.default_rng(seed)
    noise = convolve(rng.standard_normal((size, size)))
    noise /= noise.std()
    n = max(1, sources * size * size // 1024**2)
    points = np.zeros((size, size))
    points[rng.integers(0, size, n), rng.integers(0, size, n)] = 10 * rng.pareto(1.0, n).clip(0.3, 10)
    # Some are extended.
    wide = ndimage.gaussian_filter(np.where(rng.random((size, size)) < 0.15, points, 0), 4) * 60
    sky = convolve(points + wide)
    return [(noise + sky * factor).astype(np.float32) for factor in (1.0, 0.4, 0.2)[:calls]]


def load_pclean(path):
    spec = importlib.util.spec_from_file_location("pclean_automask", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    logging.disable(logging.CRITICAL)
    return module


def time_pclean(module, planes, runs):
    area = math.pi * BEAM[0] * BEAM[1] / (4 * math.log(2))
    sigmas = tuple(w / math.sqrt(8 * math.log(2)) for w in BEAM[:2])
    best = [math.inf] * len(planes)
    for _ in range(runs):
        state = module.AutoMaskState()
        config = module.AutoMaskConfig(**PARAMETERS)
        for i, plane in enumerate(planes):
            start = time.perf_counter()
            module.automask_plane(plane, LEVEL, area, sigmas, config, state, beam_pa_rad=math.radians(BEAM[2]))
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def time_casa(environment, program, folder, size, files):
    """Seconds of each call and masked pixels, from the real CASA."""
    if not os.path.exists(f"{folder}/field.ms"):
        subprocess.run([program, "simulate", "--output", folder, "--preset", "low-snr", "-q"], check=True)
    site = dict(os.environ, CASASITECONFIG=f"{environment}/casasiteconfig.py", HOME=f"{environment}/home")
    command = [f"{environment}/bin/python", f"{os.path.dirname(__file__)}/casa_automask.py", f"{folder}/field.ms", str(size)]
    out = subprocess.run([*command, *files], check=True, capture_output=True, env=site, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def header():
    header = fits.Header()
    for i, (kind, step) in enumerate([("RA---SIN", -1 / 3600), ("DEC--SIN", 1 / 3600), ("FREQ", 1e6), ("STOKES", 1)]):
        header[f"CTYPE{i + 1}"], header[f"CRVAL{i + 1}"] = kind, 1.0
        header[f"CRPIX{i + 1}"], header[f"CDELT{i + 1}"] = 1.0, step
    header["BMAJ"], header["BMIN"], header["BPA"] = BEAM[0] / 3600, BEAM[1] / 3600, BEAM[2]
    return header


def write_cube(path, planes, channels):
    """A cube whose channels are the planes in turn, written without holding it."""
    full = fits.Header()
    full["SIMPLE"], full["BITPIX"], full["NAXIS"] = True, -32, 4
    size = planes[0].shape[0]
    for i, n in enumerate((size, size, channels, 1)):
        full[f"NAXIS{i + 1}"] = n
    full.extend(header())
    if os.path.exists(path):
        os.remove(path)  # astropy would append
    cube = fits.StreamingHDU(path, full)
    big = [p.astype(">f4") for p in planes]
    for channel in range(channels):
        cube.write(big[channel % len(big)])
    cube.close()


def time_call(program, folder, cube, threads, *flags):
    """Seconds and peak memory (MB) of one call of the program."""
    command = [program, "automask", cube, "--state", f"{folder}/state", "--output", f"{folder}/mask.fits", "--json"]
    command += ["--sidelobe-level", str(LEVEL), "--preset", "alma-12m-compact", *flags]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ, RAYON_NUM_THREADS=str(threads)))
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, json.loads(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("planes_program")
    parser.add_argument("program")
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 1024, 2048])
    parser.add_argument("--folder", default="target/bench-automask")
    parser.add_argument("--pclean", help="imaging/automask.py of casa-pclean")
    parser.add_argument("--casa", help="the folder that `cleanloop setup casa` prints")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--casa-runs", type=int, default=2)
    parser.add_argument("--cube-channels", type=int, default=64)
    parser.add_argument("--long-cube", type=int, default=500)
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    pclean = load_pclean(args.pclean) if args.pclean else None

    if args.sizes:
        print("| plane | call | cleanloop / ms | pclean / ms | ratio | CASA / ms | ratio | masked | CASA's differ by |")
        print("|---|---|---|---|---|---|---|---|---|")
    for size in args.sizes:
        for name, sources in SOURCES.items():
            planes = residuals(size, sources, size)
            files = []
            for i, plane in enumerate(planes):
                files.append(f"{args.folder}/plane{i}.raw")
                plane.astype("<f4").tofile(files[-1])
            command = [args.planes_program, "--bench", "--size", str(size), *files]
            ours = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            theirs = time_pclean(pclean, planes, args.runs) if pclean else [math.nan] * 3
            nothing = {"seconds": [math.nan] * 3, "mask_pixels": [math.nan] * 3}
            real = nothing
            if args.casa:
                runs = [time_casa(args.casa, args.program, args.folder, size, files) for _ in range(args.casa_runs)]
                real = {"seconds": [min(r["seconds"][i] for r in runs) for i in range(3)], "mask_pixels": runs[0]["mask_pixels"]}
            for call, seconds in enumerate(ours["seconds"]):
                casa = real["seconds"][call]
                print(
                    f"| {size}², {name} | {call} | {1e3 * seconds:.2f} | {1e3 * theirs[call]:.1f} "
                    f"| {theirs[call] / seconds:.1f} | {1e3 * casa:.0f} | {casa / seconds:.0f} "
                    f"| {100 * ours['mask_pixels'][call] / size**2:.1f} % "
                    f"| {real['mask_pixels'][call] - ours['mask_pixels'][call]} |",
                    flush=True,
                )

    print("\n| cube, files in and out | threads | call 0 / s | call 1 / s | call 2 / s | call 3, mostly skipped / s | peak memory / MB |")
    print("|---|---|---|---|---|---|---|")
    for channels, size in [(args.cube_channels, 1024), (args.long_cube, 1024)]:
        if not channels:
            continue
        planes = [residuals(size, 300, seed, 3) for seed in range(4)]
        for threads in (1, 2):
            subprocess.run(["rm", "-rf", f"{args.folder}/state"], check=True)
            row, memory, skipped = [], 0, 0
            # The last two calls see the same residual, with the threshold reached: nothing changes any more.
            for call in range(4):
                cube = f"{args.folder}/cube.fits"
                if call < 3:
                    write_cube(cube, [p[call] for p in planes], channels)
                # Noise must decide for a channel to be skipped.
                flags = ["--sidelobethreshold", "0.1", "--minpercentchange", "100"] + (["--threshold-reached"] if call >= 2 else [])
                seconds, peak, summary = time_call(args.program, args.folder, cube, threads, *flags)
                row.append(seconds)
                memory = max(memory, peak)
                skipped = sum(not p["masking"] for p in summary["planes"])
            print(
                f"| {channels} x {size}² ({skipped} skipped) | {threads} | "
                + " | ".join(f"{s:.2f}" for s in row) + f" | {memory:.0f} |",
                flush=True,
            )
        os.remove(f"{args.folder}/cube.fits")


main()
