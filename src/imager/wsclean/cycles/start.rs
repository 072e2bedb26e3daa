//! The start of a chain: one call that makes PSFs and dirty images.

use super::state::{Part, Start, WscleanState, assemble_parts, parts_of, start_under_way};
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files::{self, PREFIX, Piece};
use crate::imager::wsclean::imaging::Imaging;
use crate::imager::wsclean::log::RunLog;
use std::path::Path;

/// Makes PSFs and dirty images, of a cube for each channel.
pub(crate) fn make_start(imaging: &Imaging, state: &mut WscleanState) -> Result<(), WscleanError> {
    let under_way = start_under_way(state.scratch());
    files::fresh_folder(&under_way)?;
    let a = imaging.calls().start(!imaging.needs_model_column())?;
    let done = imaging.run_call(&under_way.join(PREFIX), a, &imaging.listener())?;
    let ranges = if state.cube { channel_ranges(imaging, &done.log)? } else { Vec::new() };
    let parts = parts_of(&ranges);
    let list = files::pieces(&under_way, PREFIX)?;
    for (index, part) in parts.iter().enumerate() {
        let folder = under_way.join(&part.name);
        files::make_folder(&folder)?;
        for kind in ["psf", "dirty"] {
            let channel = imaging.options.names_channels().then_some(index);
            if link_part(&list, kind, channel, &folder)? == 0 {
                return Err(WscleanError::no_product(folder.join(format!("{PREFIX}-{kind}.fits")), &imaging.job.log));
            }
        }
    }
    for piece in list {
        let _ = std::fs::remove_file(piece.path);
    }
    if state.cube {
        assemble_parts(&parts, &under_way, &["psf", "dirty"])?;
    }
    state.begin(&under_way, Start { identity: imaging.calls().identity()?, ranges, line: done.line })
}

/// Links the files of one kind, of a channel under the names of a run of its own; returns how many there are.
fn link_part(list: &[Piece], kind: &str, channel: Option<usize>, to: &Path) -> Result<usize, WscleanError> {
    if channel.is_none() {
        return files::link_pieces(list, kind, to, PREFIX, kind);
    }
    let mut linked = 0;
    for piece in list.iter().filter(|p| p.kind == kind && p.channel == channel) {
        files::link(&piece.path, &to.join(format!("{PREFIX}-{kind}.fits")))?;
        linked += 1;
    }
    Ok(linked)
}

/// Channel ranges of the outputs, from the imaging table: wsclean divides the band in ascending frequency.
fn channel_ranges(imaging: &Imaging, log: &RunLog) -> Result<Vec<(u64, u64)>, WscleanError> {
    let expected = imaging.options.channels_out as usize;
    if log.output_channels.len() != expected {
        let reason = format!(
            "{expected} output channels were asked for, but wsclean's imaging table lists {}; see {}",
            log.output_channels.len(),
            imaging.job.log.display()
        );
        return Err(WscleanError::bad_value("channels_out", reason));
    }
    let mut first = imaging.options.channel_range.map_or(0, |(first, _)| first);
    let mut range = |n: &u64| {
        let range = (first, first + n);
        first += n;
        range
    };
    Ok(log.output_channels.iter().map(&mut range).collect())
}

/// Checks that the channels of each part are those of the plane that its PSF and dirty image came from.
pub(crate) fn check_frequencies(state: &WscleanState, parts: &[Part], cleaned: &Path) -> Result<(), WscleanError> {
    let frequency = |folder: &Path, kind: &str| -> Result<Option<f64>, WscleanError> {
        let path = folder.join(format!("{PREFIX}-{kind}.fits"));
        Ok(crate::image::FitsImage::open(path)?.header().get_f64("CRVAL3"))
    };
    for part in parts {
        let start = frequency(&state.start_folder().join(&part.name), "dirty")?;
        let now = frequency(&cleaned.join(&part.name), "residual")?;
        if let (Some(a), Some(b)) = (start, now)
            && (a - b).abs() > 1e-6 * a.abs()
        {
            let reason = format!(
                "output channel {} is at {a} Hz, but the channels {:?} of the data are at {b} Hz: a cube with \
                 a mask per channel needs one spectral window with ascending frequencies",
                part.name,
                part.range.unwrap_or_default()
            );
            return Err(WscleanError::bad_value("channels_out", reason));
        }
    }
    Ok(())
}
