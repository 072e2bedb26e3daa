"""Times `cleanloop mask` against the same steps in scipy, as flint calls them, on a simulated restored image.

    masks.py CLEANLOOP KERNELS [--sizes 2048 4096] [--folder DIR] [--json FILE] [--repeat N]

CLEANLOOP is the program, KERNELS the program of benches/mask_kernels.rs (or -). Each case is a process of its own: wall
time (best of N) and peak memory (ru_maxrss). The scipy side starts its clock after its imports. Both read and write
FITS. The masks are compared pixel by pixel. Prints a Markdown table.
"""

import argparse
import json
import os
import subprocess
import sys
import time

MAC = dict(flood_fill=True, flood_fill_use_mac=True, flood_fill_positive_seed_clip=1.5, flood_fill_positive_flood_clip=1.2)
LOW = dict(MAC, flood_fill_positive_seed_clip=1.2, flood_fill_positive_flood_clip=0.8)
SCALES7 = [0, 8, 16, 32, 64, 128, 256]
CASES = {
    "SNR flood": dict(flood_fill=True),
    "low-SNR islands": dict(flood_fill=True, grow_low_snr_island=True),
    "MAC, box 75": MAC,
    "MAC, box 400": dict(MAC, flood_fill_use_mac_box_size=400),
    "adaptive MAC, depth 4": dict(
        LOW,
        flood_fill_use_mac_box_size=31,
        flood_fill_use_mac_adaptive_max_depth=4,
        flood_fill_use_mac_adaptive_skew_delta=0.025,
    ),
    "erosion": dict(LOW, beam_shape_erode=True),
    "erosion, 7 scales to 256": dict(LOW, beam_shape_erode=True, beam_shape_erode_scales=SCALES7),
    "convolve_first, 4 scales": dict(LOW, convolve_first=True, beam_shape_erode_scales=[0, 8, 16, 32]),
    # There is nothing in scipy to compare it with.
    "automatic": dict(auto=True),
}


# ---- the simulated image ------------------------------------------------------------------------------------------


def simulate(folder, size):
    """Noise correlated like the beam, thousands of sources, stripes and bowls around the bright ones, diffuse emission."""
    import numpy as np
    from astropy.io import fits
    from scipy import ndimage

    image_path = os.path.join(folder, f"sim{size}.fits")
    if os.path.exists(image_path):
        return image_path
    rng = np.random.default_rng(size)
    sigma = (2.9, 2.1)
    noise = ndimage.gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), sigma, mode="wrap")
    image = noise * np.float32(1e-4 / noise.std())
    count = 4000 * size * size // 4096**2
    delta = np.zeros((size, size), np.float32)
    y, x = rng.integers(0, size, count), rng.integers(0, size, count)
    flux = (2.5e-4 * rng.pareto(0.9, count).clip(0.2, 4e3)).astype(np.float32)
    np.add.at(delta, (y, x), flux)
    peak = 2 * np.pi * sigma[0] * sigma[1]
    image += ndimage.gaussian_filter(delta, sigma, mode="wrap") * np.float32(peak)
    # Rings and spokes of the brightest sources, with negative parts.
    for k in np.argsort(flux)[-40:]:
        half = 150
        dy, dx = np.mgrid[-half:half, -half:half].astype(np.float32)
        radius, angle = np.hypot(dy, dx) + 1, np.arctan2(dy, dx)
        pattern = np.cos(6 * angle) * np.cos(radius / 4) * np.exp(-radius / 60) * 0.01 * flux[k]
        rows, columns = np.arange(y[k] - half, y[k] + half) % size, np.arange(x[k] - half, x[k] + half) % size
        image[np.ix_(rows, columns)] += pattern
    # Diffuse emission, hundreds of pixels wide.
    for _ in range(12 * size * size // 4096**2 + 1):
        half = 400
        dy, dx = np.mgrid[-half:half, -half:half].astype(np.float32)
        blob = 4e-4 * np.exp(-0.5 * ((dy / rng.uniform(40, 130)) ** 2 + (dx / rng.uniform(40, 130)) ** 2))
        cy, cx = rng.integers(0, size, 2)
        image[np.ix_(np.arange(cy - half, cy + half) % size, np.arange(cx - half, cx + half) % size)] += blob
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
    header["CDELT1"], header["CDELT2"] = -1e-3, 1e-3
    fwhm = 2.3548
    header["BMAJ"], header["BMIN"], header["BPA"] = sigma[0] * fwhm * 1e-3, sigma[1] * fwhm * 1e-3, 0.0
    trend = (1 + 0.1 * np.sin(np.linspace(0, 9, size)))[:, None] * np.ones(size)
    # All four are written the same way: primary HDU, float32.
    fits.writeto(image_path, image.astype(np.float32), header, overwrite=True)
    fits.writeto(image_path.replace(".fits", "_rms.fits"), (1e-4 * trend).astype(np.float32), header, overwrite=True)
    fits.writeto(image_path.replace(".fits", "_bkg.fits"), (1e-6 * trend).astype(np.float32), header, overwrite=True)
    return image_path


# ---- the same steps in scipy ---------------------------------------------------------------------------------------


def footprint(header, scale, response=0.6):
    import numpy as np

    pixel = abs(header["CDELT2"])
    sigmas = [np.hypot(header[key] / pixel, scale) / 2.354820045 for key in ("BMAJ", "BMIN")]
    turn = np.radians(90 + header["BPA"])
    least = max(16, int(1 + 1.1 * scale))
    for factor in range(1, 11):
        side = least * factor
        y, x = np.mgrid[:side, :side] - (side - 1) / 2
        along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        value = np.exp(-0.5 * ((along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2))
        shape = value > response * value.max()
        if not (shape[0].any() or shape[-1].any() or shape[:, 0].any()):
            break
    return shape


def scipy_mask(image_path, options):
    """Reads, masks, writes; returns the seconds without imports, those of the masking alone, and processor seconds."""
    import numpy as np
    from astropy.io import fits
    from scipy import ndimage, signal as sig

    def fft_erosion(mask, shape):
        hits = sig.fftconvolve(mask.astype(np.float32), shape[::-1, ::-1].astype(np.float32), mode="same")
        return hits > shape.sum() - 0.5

    def erode(mask, header, scale):
        shape = footprint(header, scale)
        # Direct erosion of a large footprint takes minutes: both programs that do it in Python turn to the FFT.
        return fft_erosion(mask, shape) if shape.shape[0] > 20 else ndimage.binary_erosion(mask, structure=shape)

    def minimum_absolute_clip(image, box):
        minimum = ndimage.minimum_filter(image, box, mode="wrap")
        delta, step = (
            options.get("flood_fill_use_mac_adaptive_skew_delta", 0.2),
            options.get("flood_fill_use_mac_adaptive_step_factor", 2.0),
        )
        for _ in range(options.get("flood_fill_use_mac_adaptive_max_depth") or 0):
            kernel = np.ones((box, box))
            fraction = sig.fftconvolve((image > 0).astype(float), kernel, mode="same") / box**2
            skewed = np.clip(fraction, 0, 1) > 0.5 + delta
            if not skewed.any() or box > min(image.shape):
                break
            box = int(box * step)
            minimum = np.where(skewed, ndimage.minimum_filter(image, box, mode="wrap"), minimum)
        return np.abs(minimum)

    def grow(seeds, floor):
        return ndimage.binary_dilation(seeds, mask=floor, iterations=1000, structure=np.ones((3, 3)))

    begin, processor_begin = time.perf_counter(), time.process_time()
    with fits.open(image_path) as hdus:
        image, header = np.squeeze(np.asarray(hdus[0].data)), hdus[0].header
    noise = not options.get("flood_fill_use_mac")
    if noise:
        rms = fits.getdata(image_path.replace(".fits", "_rms.fits"))
        bkg = fits.getdata(image_path.replace(".fits", "_bkg.fits"))
    ready = time.perf_counter()
    seed, flood = options.get("flood_fill_positive_seed_clip", 4.5), options.get("flood_fill_positive_flood_clip", 1.5)
    box = options.get("flood_fill_use_mac_box_size", 75)
    scales = options.get("beam_shape_erode_scales") or [0]
    if options.get("convolve_first"):
        mask = np.zeros(image.shape, image.dtype)
        for n, scale in enumerate(scales):
            smooth = image
            if scale > 0:
                opened = ndimage.maximum_filter(ndimage.minimum_filter(image, scale, mode="wrap"), scale, mode="wrap")
                sigma = 0.45 * scale / 2.355
                m = int(5 * sigma)
                axis = np.linspace(-m / 2, m / 2, m)
                kernel = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * sigma**2))
                smooth = sig.fftconvolve(opened, kernel, mode="same")
            minimum = minimum_absolute_clip(smooth, box + scale)
            floor = ndimage.binary_fill_holes(smooth > (max(flood, 0.8) if scale == 0 else flood) * minimum)
            mask += 2**n * erode(grow(smooth > seed * minimum, floor), header, scale)
    else:
        if noise:
            image = (image - bkg) / rms
            seeds, floor = image >= seed, image > flood
        else:
            minimum = minimum_absolute_clip(image, box)
            seeds, floor = image > seed * minimum, image > flood * minimum
        mask = grow(seeds, floor)
        if options.get("grow_low_snr_island"):
            low = ndimage.binary_closing(image > 1.75, structure=np.ones((3, 3)), iterations=2)
            labels, _ = ndimage.label(low, structure=np.ones((3, 3)))
            sizes = np.bincount(labels.ravel())
            keep = sizes >= options.get("grow_low_snr_island_size", 768)
            keep[0] = False
            mask |= keep[labels]
        if options.get("beam_shape_erode"):
            bits = np.zeros(mask.shape, float)
            for n, scale in enumerate(scales):
                bits += 2**n * erode(mask, header, scale)
            mask = bits if len(scales) > 1 else bits.astype(np.int32)
        else:
            mask = mask.astype(np.int32)
    masked = time.perf_counter()
    fits.writeto(image_path.replace(".fits", ".scipy.fits"), mask, header, overwrite=True)
    end, processor_end = time.perf_counter(), time.process_time()
    return end - begin, masked - ready, processor_end - processor_begin


# ---- measuring -----------------------------------------------------------------------------------------------------


def run(words, environment=None):
    """Wall seconds, peak MB, output and processor seconds of a process."""
    begin = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(words)} failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, output.decode(), usage.ru_utime + usage.ru_stime


def uses_maps(options):
    return not (options.get("flood_fill_use_mac") or options.get("auto"))


def flags(options, image_path):
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    if uses_maps(options):
        for kind in ("rms", "bkg"):
            words += [f"--{kind}-fits", image_path.replace(".fits", f"_{kind}.fits")]
    return words


def compare(ours, theirs):
    from astropy.io import fits
    import numpy as np

    return int((np.squeeze(fits.getdata(ours)) != np.squeeze(fits.getdata(theirs))).sum())


def read_once(paths):
    """Seconds to read the files' bytes, which are in the page cache, into memory."""
    buffer = bytearray(max(os.path.getsize(p) for p in paths))
    begin = time.perf_counter()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            file.readinto(buffer)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cleanloop")
    parser.add_argument("kernels")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--scipy-up-to", type=int, default=8192, help="larger images are masked by cleanloop alone")
    parser.add_argument("--folder", default="target/bench-masks")
    parser.add_argument("--json")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    rows = []
    for size in arguments.sizes:
        # All that takes memory is in a process of its own: the peak of this one would be inherited by the measured ones.
        output = run([sys.executable, __file__, "simulate", arguments.folder, str(size)])[2]
        image_path = output.strip()
        image_mb = size * size * 4 / 2**20
        others = [image_path.replace(".fits", f"_{kind}.fits") for kind in ("rms", "bkg")]
        read = lambda paths: float(run([sys.executable, __file__, "read", *paths])[2])
        one, three = read([image_path]), read([image_path, *others])
        print(f"\n### {size} x {size} ({image_mb:.0f} MB): read once {one:.3f} s, three files {three:.3f} s\n", flush=True)
        print("| case | scipy s | scipy alone s | 1 thread s | 2 threads s | faster | faster, processor | x reading | peak MB (x image) | scipy MB | differ |")
        print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
        for case in arguments.cases:
            options = CASES[case]
            row = dict(size=size, case=case)
            mask_path = os.path.join(arguments.folder, "ours.fits")
            for threads in (1, 2):
                words = [arguments.cleanloop, "mask", image_path, "--output", mask_path, *flags(options, image_path)]
                results = [run(words, {"RAYON_NUM_THREADS": str(threads)}) for _ in range(arguments.repeat)]
                row[f"seconds_{threads}"] = min(r[0] for r in results)
                row["peak_mb"] = max(r[1] for r in results)
                row[f"processor_{threads}"] = min(r[3] for r in results)
            if size <= arguments.scipy_up_to and not options.get("auto"):
                words = [sys.executable, __file__, "scipy", image_path, json.dumps(options)]
                results = [(*json.loads(r[2]), r[1]) for r in (run(words) for _ in range(max(1, arguments.repeat - 1)))]
                for i, key in enumerate(("scipy", "scipy_alone", "scipy_processor", "scipy_mb")):
                    row[key] = min(r[i] for r in results)
                theirs = image_path.replace(".fits", ".scipy.fits")
                row["differ"] = int(run([sys.executable, __file__, "compare", mask_path, theirs])[2])
            reading = three if uses_maps(options) else one
            row["readings"] = row["seconds_2"] / reading
            rows.append(row)
            scipy = [f"{row[k]:.2f}" if k in row else "-" for k in ("scipy", "scipy_alone")]
            faster = f"{row['scipy'] / row['seconds_2']:.1f}x" if "scipy" in row else "-"
            cheaper = f"{row['scipy_processor'] / row['processor_2']:.1f}x" if "scipy" in row else "-"
            print(
                f"| {case} | {scipy[0]} | {scipy[1]} | {row['seconds_1']:.3f} | {row['seconds_2']:.3f} | {faster} | {cheaper} | "
                f"{row['readings']:.1f} | {row['peak_mb']:.0f} ({row['peak_mb'] / image_mb:.2f}) | "
                f"{row.get('scipy_mb', 0):.0f} | {row.get('differ', '-')} |",
                flush=True,
            )
        if arguments.kernels == "-":
            continue
        print(f"\nKernels alone, {size} x {size}, seconds:\n\n| kernel | 1 thread | 2 threads |\n|---|---|---|")
        kernels = [
            json.loads(run([arguments.kernels, "--fits", image_path], {"RAYON_NUM_THREADS": str(n)})[2]) for n in (1, 2)
        ]
        for name in kernels[0]:
            print(f"| {name} | {kernels[0][name]:.4f} | {kernels[1][name]:.4f} |", flush=True)
            rows.append(dict(size=size, kernel=name, seconds_1=kernels[0][name], seconds_2=kernels[1][name]))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["scipy"]:
        print(json.dumps(scipy_mask(sys.argv[2], json.loads(sys.argv[3]))))
    elif sys.argv[1:2] == ["simulate"]:
        print(simulate(sys.argv[2], int(sys.argv[3])))
    elif sys.argv[1:2] == ["compare"]:
        print(compare(*sys.argv[2:4]))
    elif sys.argv[1:2] == ["read"]:
        print(min(read_once(sys.argv[2:]) for _ in range(5)))
    else:
        main()
