//! The campaign file of all choices, a reason a line.

use super::Choices;
use super::geometry::Chosen;
use super::trials::scale;
use crate::campaign::file::ImagerKind;
use crate::imager::wsclean::WscleanOptions;
use serde_json::json;
use std::fmt::{Display, Write};
use std::path::Path;

/// A campaign's name from its folder.
pub(super) fn name_of(output: &Path) -> String {
    output.file_name().map_or_else(|| "campaign".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A path as the file names it: relative to its folder where it is below it, else absolute.
pub(super) fn path_from(path: &Path, folder: &Path) -> String {
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
    let (path, folder) = (absolute(path), absolute(folder));
    path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().into_owned()
}

/// The campaign file.
pub(super) fn campaign(choices: &Choices, output: &str) -> String {
    let mut out = String::from(
        "# Chosen by cleanloop from the data, each with its reason. Change what you know better, and run it again:\n\
         # the same command goes on with what does not depend on it.\n",
    );
    for note in &choices.image.notes {
        let _ = writeln!(out, "# {note}");
    }
    let mut line = |indent: usize, key: &str, value: &dyn Display, why: &str| {
        let start = format!("{:indent$}{key}: {value}", "").trim_end().to_owned();
        let _ = if why.is_empty() { writeln!(out, "{start}") } else { writeln!(out, "{start}  # {why}") };
    };
    line(0, "version", &"0.2", "");
    line(0, "campaign", &"", "");
    line(2, "name", &json!(choices.name), "");
    line(2, "measurement_sets", &json!(choices.measurement_sets), "");
    line(2, "output", &json!(output), "");
    if let Some(field) = &choices.field {
        line(2, "field", &json!(field.value), &field.why);
    }
    if let Some(Chosen { value: (time, channels), why }) = &choices.average {
        let time = time.map_or_else(|| json!(null), |seconds| json!(format!("{seconds}s")));
        line(2, "average", &format!("{{time: {time}, channels: {channels}}}"), why);
    }
    let imager = if choices.imager.value == ImagerKind::Wsclean { "wsclean" } else { "casa" };
    line(2, "imager", &imager, &choices.imager.why);
    let mut limits = vec![format!("threads: {}", choices.threads)];
    limits.extend(choices.memory_gb.filter(|gb| *gb >= 1.0).map(|gb| format!("memory_gb: {gb}")));
    limits.extend(choices.disk_gb.filter(|gb| *gb >= 1.0).map(|gb| format!("disk_budget_gb: {gb}")));
    let why = "of this machine: all threads, 0.8 of the memory and of the free disk";
    line(2, "resources", &format!("{{{}}}", limits.join(", ")), why);
    line(2, "mask", &"{method: auto, cadence: cycle, every: 4}", "fresh masks from the residual, before major cycles");
    if choices.imager.value == ImagerKind::Wsclean {
        line(2, "multiscale", &"auto", "multi-scale once two rounds show resolved sources");
    }
    line(2, "start_model", &"auto", "a point where the first image is no model, judged by a first solve");
    line(2, "rounds", &"10", "at most; it ends where nothing gains any more");
    line(0, "defaults", &"", "");
    line(2, "gaincal", &"{solint: auto}", "intervals, modes and chains are chosen from the solutions, round by round");
    match choices.imager.value {
        ImagerKind::Wsclean => wsclean(choices, &mut line),
        _ => tclean(choices, &mut line),
    }
    out
}

type Line<'a> = dyn FnMut(usize, &str, &dyn Display, &str) + 'a;

fn wsclean(choices: &Choices, line: &mut Line<'_>) {
    line(2, "wsclean", &"", "");
    line(4, "size", &choices.image.size.value, &choices.image.size.why);
    line(4, "scale", &scale(choices.image.pixel_arcsec.value), &choices.image.pixel_arcsec.why);
    line(4, "weight", &format!("briggs {}", choices.image.robust.value), &choices.image.robust.why);
    match choices.image.channels_out.value {
        None => line(4, "channels_out", &1, &choices.image.channels_out.why),
        Some((count, terms)) => {
            line(4, "channels_out", &count, &choices.image.channels_out.why);
            line(4, "join_channels", &true, "");
            line(4, "fit_spectral_pol", &terms, "terms of the polynomial over frequency");
        }
    }
    let scale = scale(choices.image.pixel_arcsec.value);
    if (WscleanOptions { size: choices.image.size.value, scale, ..WscleanOptions::default() }).defeats_gridder() {
        line(4, "gridder", &"wstacking", "wsclean's w-gridder makes zeros of images as small as this");
    }
}

fn tclean(choices: &Choices, line: &mut Line<'_>) {
    line(2, "tclean", &"", "");
    line(4, "imsize", &choices.image.size.value, &choices.image.size.why);
    line(4, "cell", &format!("{}arcsec", choices.image.pixel_arcsec.value), &choices.image.pixel_arcsec.why);
    line(4, "weighting", &"briggs", "");
    line(4, "robust", &choices.image.robust.value, &choices.image.robust.why);
    if choices.image.channels_out.value.is_some() {
        line(4, "deconvolver", &"mtmfs", &choices.image.channels_out.why);
        line(4, "nterms", &2, "");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choices, Image};
    use super::*;
    use crate::campaign::file::{Overrides, parse};

    fn choices(imager: ImagerKind) -> Choices {
        let image = Image {
            finest: 0,
            field: Some(1),
            size: Chosen::new(2304, "1.5 times the primary beam of 29.5 arcmin"),
            pixel_arcsec: Chosen::new(1.2, "4.5 pixels across the beam of 5.40 arcsec"),
            robust: Chosen::new(0.0, "below 10 GHz: resolution, and a beam with low sidelobes"),
            channels_out: Chosen::new(Some((4, 2)), "15.0 % of bandwidth: sources have spectra"),
            notes: vec!["beam of the first PSF: 5.40 arcsec x 5.50 arcsec".to_owned()],
        };
        Choices {
            name: "night-selfcal".to_owned(),
            measurement_sets: vec!["night.ms".to_owned()],
            field: Some(Chosen::new("3C 84".to_owned(), "the only one with the intent OBSERVE_TARGET")),
            imager: Chosen::new(imager, "wsclean is installed"),
            image,
            average: Some(Chosen::new((Some(10.0), 4), "200 GB of data")),
            threads: 8,
            memory_gb: Some(25.0),
            disk_gb: None,
        }
    }

    #[test]
    fn the_file_says_why_and_can_be_read() {
        let text = campaign(&choices(ImagerKind::Wsclean), "night-selfcal");
        insta::assert_snapshot!(text);
        for imager in [ImagerKind::Wsclean, ImagerKind::Casa] {
            let text = campaign(&choices(imager), "night-selfcal");
            let file = parse(Path::new("a.yaml"), text, &Overrides::default()).expect("a campaign file");
            assert_eq!((file.block.imager, file.block.average.channels), (imager, 4));
        }
    }
}
