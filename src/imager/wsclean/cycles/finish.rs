//! The end of a chain: its present state becomes the products.

use super::state::{WscleanState, carry_over, link_kinds};
use crate::image::FitsImage;
use crate::imager::job::Products;
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files::{self, PREFIX};
use crate::imager::wsclean::imaging::Imaging;
use crate::imager::wsclean::primary_beam;
use std::path::Path;

/// Moves the present state to the job's folder, and completes it: primary beam, channels, model in the data.
pub(crate) fn finish(imaging: &Imaging, state: &WscleanState) -> Result<Products, WscleanError> {
    if !state.has_start() {
        return Err(WscleanError::OutOfOrder { step: "restore", needs: "make_psf" });
    }
    let job = &imaging.job;
    let out = state.scratch().join("products.new");
    files::fresh_folder(&out)?;
    gather(state, &out)?;
    if state.cube {
        files::products(&out, true, &job.log)?;
        for part in state.parts() {
            files::remove_folder(&out.join(&part.name))?;
        }
        for entry in std::fs::read_dir(&out).into_iter().flatten().flatten() {
            files::rename(&entry.path(), &job.folder.join(entry.file_name()))?;
        }
    } else {
        files::collect(&out.join("all"), &job.folder, false, &job.log)?;
    }
    files::remove_folder(&out)?;
    let mut products = files::products(&job.folder, false, &job.log)?;
    primary_beam::correct(imaging, &mut products)?;
    if !state.cube && state.cycles() > 0 {
        restore_channels(imaging, &products)?;
    }
    if job.update_model && !state.model_is_written() {
        imaging.predict(&products.model)?;
    }
    Ok(products)
}

/// Links the files of every part into a folder; those of a cube under the names of its channels.
fn gather(state: &WscleanState, out: &Path) -> Result<(), WscleanError> {
    for (index, part) in state.parts().iter().enumerate() {
        let gathered = out.join(&part.name);
        carry_over(&state.present_folder().join(&part.name), &gathered)?;
        let start = files::pieces(&state.start_folder().join(&part.name), PREFIX)?;
        link_kinds(&start, &["psf", "dirty"], &gathered)?;
        if state.cube {
            for piece in files::pieces(&gathered, PREFIX)? {
                files::rename(&piece.path, &out.join(files::channel_name(&piece.kind, index)))?;
            }
        }
    }
    Ok(())
}

/// Restores the channels of a joined image, each with its own beam: the cycles gave all that of the whole band.
fn restore_channels(imaging: &Imaging, products: &Products) -> Result<(), WscleanError> {
    for channel in &products.channels {
        let beam = channel.psf.as_ref().and_then(|p| FitsImage::open(p).ok()?.beam());
        let (Some(beam), false) = (beam, imaging.options.extra.contains_key("beam-shape")) else { continue };
        let restored = imaging.scratch().join("restored.fits");
        imaging.run(imaging.calls().restore(&beam, &channel.residual, &channel.model, &restored))?;
        files::rename(&restored, &channel.image)?;
    }
    Ok(())
}
