"""Deconvolution alone: residual, PSF and model from disk, one minor cycle of CASA's tools, no visibilities.

The steps are those of the task deconvolve (casatasks 6.7); the mask is written between its two looks at convergence.
"""

import os
import shutil

import numpy as np

import fits
from casa_images import CleanMask, cards_of, common_beam, from_fits, image, is_limited, planes, to_fits
from imaging import jansky
from problems import BadInput

NAME = "im"


def term_name(base, kind, term, terms):
    return f"{base}.{kind}" + (f".tt{term}" if terms else "")


def bring(source, target):
    """A FITS file or a CASA image as CASA image of our own."""
    if os.path.isfile(os.path.join(source, "table.dat")):
        return shutil.copytree(source, target)
    if not os.path.isfile(source):
        raise BadInput(f"{source}: no such image" if not os.path.exists(source) else
                       f"{source} is neither a FITS file nor a CASA image")
    try:
        return from_fits(source, target)
    except RuntimeError as problem:
        raise BadInput(f"{source} cannot be read as FITS: {problem}") from problem


def prepare(folder, residual, psf, model, pb, terms):
    """Brings the images into `folder`; returns the FITS files that masks are made from. `terms`: Taylor terms, 0 for
    other deconvolvers than mtmfs."""
    needed = {"residual": max(terms, 1), "psf": max(2 * terms - 1, 1), "model": max(terms, 1)}
    base = os.path.join(folder, NAME)
    shape, first = None, None
    for kind, sources in (("residual", residual), ("psf", psf), ("model", model)):
        if len(sources) != needed[kind] and (sources or kind != "model"):
            raise BadInput(f"{len(sources)} {kind} images were given; " + (
                f"mtmfs with {terms} Taylor terms needs {needed[kind]}: tt0 to tt{needed[kind] - 1}" if terms
                else "expected one (only mtmfs has several)"))
        for term, source in enumerate(sources):
            with image(bring(source, term_name(base, kind, term, terms))) as ia:
                found = [int(n) for n in ia.shape()]
            shape, first = shape or found, first or source
            if found != shape:
                words = lambda s: f"{s[0]} x {s[1]} pixels, {s[2]} polarisations, {s[3]} channels"
                raise BadInput(f"{source} has {words(found)}; {first} has {words(shape)}")
    if pb:
        bring(pb, term_name(base, "pb", 0, terms))
    psf_image, residual_image = (term_name(base, kind, 0, terms) for kind in ("psf", "residual"))
    with image(psf_image) as ia:
        lacks_beam = not ia.restoringbeam()
    if lacks_beam:
        from casatools import synthesisutils

        synthesisutils().fitPsfBeam(imagename=base, nterms=max(terms, 1), psfcutoff=0.35)
    out = {"residual": os.path.join(folder, "residual.fits"), "psf": os.path.join(folder, "psf.fits"),
           "pixel_mask": None, "pb": None, "model": None}
    with image(residual_image) as ia:
        # Masks are made on the values outside the pixel mask, too.
        cards = header(base, terms, ia, folder)
        fits.write(out["residual"], cards, planes(ia, shape))
        if is_limited(ia, shape):
            out["pixel_mask"] = os.path.join(folder, "pixelmask.fits")
            fits.write(out["pixel_mask"], cards, planes(ia, shape, "mask"), bitpix=8)
    to_fits(psf_image, out["psf"])
    if pb:
        out["pb"] = to_fits(term_name(base, "pb", 0, terms), os.path.join(folder, "pb.fits"))
    return out


def header(base, terms, ia, folder):
    beam = common_beam([term_name(base, kind, 0, terms) for kind in ("residual", "psf")])
    return cards_of(ia, beam, os.path.join(folder, "header.fits"))


def run(folder, parameters, mask, one_cycle, terms, outputs, casa_images):
    """One minor cycle inside a mask (None: everywhere). one_cycle: it ends where tclean would go back to the data;
    otherwise at the threshold. Writes the results to `outputs`, the start of their names."""
    from casatasks.private.imagerhelpers.imager_deconvolver import PyDeconvolver
    from casatasks.private.imagerhelpers.input_parameters import ImagerParameters

    base = os.path.join(folder, NAME)
    given = {**parameters, "imagename": base, "msname": "", "usemask": "user", "mask": "", "specmode": "mfs",
             "loopgain": parameters["gain"], "scalebias": parameters["smallscalebias"], "restart": True}
    if given["nsigma"] > 0 and not os.path.isdir(term_name(base, "pb", 0, terms)):
        raise BadInput("nsigma needs a primary beam (--pb): CASA measures the noise inside it")
    given["threshold"] = f"{jansky(given['threshold'])!r}Jy"
    if not one_cycle:
        given["cycleniter"] = given["niter"]
    names = ImagerParameters.__init__.__code__.co_varnames[1:]
    defaults = dict(zip(names, ImagerParameters.__init__.__defaults__))
    options = ImagerParameters(**{k: given.get(k, default) for k, default in defaults.items()})
    if not one_cycle:
        options.setIterPars({"cyclethreshold": given["threshold"], "cyclethresholdismutable": False})
    tools = PyDeconvolver(params=options)
    try:
        tools.initializeDeconvolvers()
        tools.initializeIterationControl()
        tools.hasConverged()
        tools.updateMask()
        clean = CleanMask(mask, f"{base}.mask")
        clean.write()
        box, part = tools.IBtool, tools.SDtools[0]
        box.resetminorcycleinfo()
        start = part.initminorcycle()
        box.mergeinitrecord(start, 0)
        code, iterations, level = int(box.cleanComplete()), 0, None
        if code == 0:
            controls = box.getminorcyclecontrols()
            level = float(controls["cyclethreshold"])
            box.resetminorcycleinfo()
            record = part.executeminorcycle(iterbotrecord=controls)
            box.mergeexecrecord(record, 0)
            iterations = int(record["iterdone"])
            box.resetminorcycleinfo()
            after = part.initminorcycle()
            box.mergeinitrecord(after, 0)
            code = int(box.cleanComplete())
        else:
            after = start
        part.restore()
        pb = os.path.isdir(term_name(base, "pb", 0, terms))
        if pb:
            part.pbcor()
    finally:
        tools.deleteTools()
    files = export(base, folder, terms, outputs, casa_images, pb)
    return {"iterations": iterations, "stop_code": code, "cycle_threshold_jy": level,
            "peak_before_jy": float(start["peakresidual"]), "peak_after_jy": float(after["peakresidual"]),
            "files": files}


def export(base, folder, terms, outputs, casa_images, pb):
    """The results under their names: FITS files or CASA images."""
    wanted = [(kind, term) for kind in ("model", "residual", "image") for term in range(max(terms, 1))]
    made = [(term_name(base, kind, term, terms), kind) for kind, term in wanted]
    made.append((f"{base}.mask", "mask"))
    if terms:
        made += [(f"{base}.{kind}", kind) for kind in ("alpha", "alpha.error")]
    if pb:
        made.append((f"{base}.image.tt0.pbcor" if terms else f"{base}.image.pbcor", "image.pbcor"))
    files = []
    for source, kind in made:
        if kind == "model" and not os.path.isdir(source):
            empty_model(source.replace(".model", ".residual"), source)
        if not os.path.isdir(source):
            continue
        target = outputs + source[len(base):]
        if casa_images:
            shutil.rmtree(f"{target}.partial", ignore_errors=True)
            shutil.copytree(source, f"{target}.partial")
            shutil.rmtree(target, ignore_errors=True)
            os.rename(f"{target}.partial", target)
        elif kind == "residual":
            target += ".fits"
            with image(source) as ia:
                fits.write(target, header(base, terms, ia, folder), planes(ia, ia.shape(), "valid"))
        else:
            target = to_fits(source, target + ".fits")
        files.append(target)
    return files


def empty_model(like, target):
    """Nothing was cleaned: a model of zeros."""
    shutil.copytree(like, target)
    with image(target) as ia:
        nx, ny, npol, nchan = ia.shape()
        for pol in range(npol):
            for channel in range(nchan):
                ia.putchunk(np.zeros((nx, ny, 1, 1)), blc=[0, 0, pol, channel])
        ia.setbrightnessunit("Jy/pixel")
