//! A campaign for measurement sets about which nothing is said: every choice with its reason, as a campaign file.
//!
//! What is in the data comes from their inspection, the beam from a first PSF, and what shines outside the primary beam
//! from a wide, shallow image. The decisions are pure (`geometry`, `outside`); `text` writes them down.

mod automatic;
mod geometry;
mod outside;
mod readable;
mod text;
mod trials;

pub(crate) use automatic::filled;

use super::file::ImagerKind;
use crate::image::FitsImage;
use crate::kernels::order_statistics::median_and_mad;
use crate::measurement_set::inspection::{self, Inspection, Purpose};
use crate::measurement_set::{self, DataPart, MsSummary};
use crate::process::find_program;
use crate::programs::casa::Casa;
use crate::util::{disk, memory};
use crate::{Error, Result};
use geometry::{Chosen, Observed};
use readable::Readable;
use std::path::{Path, PathBuf};
use trials::{Frame, Trials};

/// Part of a source's peak that channels and integrations may take at the edge of the image.
const SMEARED: f64 = 0.1;
/// Part of it that averaging may take on top where data are large.
const AVERAGED: f64 = 0.01;
/// Data larger than this part of the memory are averaged where they can be.
const LARGE: f64 = 0.1;
/// Part of the machine's memory, and of the free disk, that programs may take.
const SHARE: f64 = 0.8;
/// Part of the free disk that images may take: the data need the rest.
const DISK_SHARE: f64 = 0.5;
/// Twelve images of 4 bytes a pixel in each of eleven rounds.
const BYTES_A_PIXEL: f64 = 4.0 * 12.0 * 11.0;
/// Side of the wide image, pixels, at most.
const WIDE_SIDE: u64 = 1024;
/// Minor iterations of the wide image: the brightest sources hide others with their sidelobes.
const WIDE_ITERATIONS: u64 = 2000;

/// All choices for some measurement sets.
#[derive(Debug, Clone, PartialEq)]
struct Choices {
    name: String,
    measurement_sets: Vec<String>,
    field: Option<Chosen<String>>,
    imager: Chosen<ImagerKind>,
    image: Image,
    average: Option<Chosen<(Option<f64>, usize)>>,
    threads: usize,
    memory_gb: Option<f64>,
    disk_gb: Option<f64>,
}

/// The choices about the image.
#[derive(Debug, Clone, PartialEq)]
struct Image {
    /// Index of the measurement set with the finest beam.
    finest: usize,
    /// Number of its field, where one was chosen.
    field: Option<usize>,
    size: Chosen<u64>,
    pixel_arcsec: Chosen<f64>,
    robust: Chosen<f64>,
    channels_out: Chosen<Option<(u64, u64)>>,
    notes: Vec<String>,
}

/// What a choice is made from.
#[derive(Clone, Copy)]
pub struct ChoiceRequest<'a> {
    /// The measurement sets.
    pub measurement_sets: &'a [PathBuf],
    /// The field, by name or number, where one is named.
    pub field: Option<&'a str>,
    /// Where the campaign file is or will be: its relative paths start there.
    pub file: &'a Path,
    /// Gets a line for people before each step that takes time.
    pub say: &'a dyn Fn(&str),
}

/// Chooses everything for these measurement sets, and returns the campaign file that says it; `output` is the folder of
/// results.
///
/// # Errors
/// Data that cannot be worked with, all of it said; several fields that might be meant; the failure of a program.
pub fn choose(request: &ChoiceRequest<'_>, output: &Path) -> Result<String> {
    let casa = Casa::open(&[], None)?;
    let named = request.measurement_sets;
    let readable = Readable::of(&casa, request)?;
    let request = &ChoiceRequest { measurement_sets: &readable.measurement_sets, ..*request };
    let found = inspected(&casa, request)?;
    let imager = imager();
    let image = image(&casa, request, &found, (imager.value, None))?;
    let folder = parent(request.file);
    let radius = image.pixel_arcsec.value * image.size.value as f64 / 2.0;
    let field = |number: usize| {
        let name = found[image.finest].facts.fields[number].name.clone();
        let why = if request.field.is_some() { "as asked for" } else { "the only one with the intent OBSERVE_TARGET" };
        Chosen::new(name, why)
    };
    let choices = Choices {
        name: text::name_of(output),
        measurement_sets: named.iter().map(|set| text::path_from(set, folder)).collect(),
        field: image.field.map(field),
        average: average(&casa, &found, &found[image.finest], (image.field, radius))?,
        imager,
        threads: threads(),
        memory_gb: Some(memory::limit()).filter(|limit| *limit < u64::MAX).map(|l| (SHARE * l as f64 / 1e9).floor()),
        disk_gb: disk::available(folder).ok().map(|free| (SHARE * free as f64 / 1e9).floor()),
        image,
    };
    Ok(text::campaign(&choices, &text::path_from(output, folder)))
}

/// Pixel and size of the image of these measurement sets, each with its reason; `pixel_arcsec` where the pixel is given.
///
/// # Errors
/// As [`choose`].
pub(crate) fn pixel_and_size(
    request: &ChoiceRequest<'_>,
    imager: ImagerKind,
    pixel_arcsec: Option<f64>,
) -> Result<(Chosen<f64>, Chosen<u64>)> {
    let casa = Casa::open(&[], None)?;
    let readable = Readable::of(&casa, request)?;
    let request = &ChoiceRequest { measurement_sets: &readable.measurement_sets, ..*request };
    let found = inspected(&casa, request)?;
    let image = image(&casa, request, &found, (imager, pixel_arcsec))?;
    Ok((image.pixel_arcsec, image.size))
}

/// Looks at beam and field, and decides the image.
fn image(
    casa: &Casa,
    request: &ChoiceRequest<'_>,
    found: &[Inspection],
    (imager, given): (ImagerKind, Option<f64>),
) -> Result<Image> {
    // The finest beam decides the pixel.
    let longest = |k: usize| found[k].facts.longest_baseline_wavelengths;
    let Some(index) = (0..found.len()).max_by(|a, b| longest(*a).total_cmp(&longest(*b))) else {
        return Err(Error::bad_input("name a measurement set"));
    };
    let finest = &found[index];
    let field = chosen_field(request, finest)?;
    let observed = observed(casa, found, finest, field)?;
    let scratch = tempfile::tempdir_in(parent(request.file)).map_err(Error::internal)?;
    let trials = Trials {
        imager,
        casa,
        measurement_set: &finest.measurement_set,
        column: "DATA",
        field,
        threads: threads(),
        folder: scratch.path().to_path_buf(),
    };
    (request.say)("a first PSF for the beam");
    let guess = finest.expected.beam.map(|beam| beam.minor_arcsec).filter(|minor| *minor > 0.0);
    let Some(guess) = guess else {
        return Err(Error::bad_input(format!("{}: the beam cannot be told", finest.measurement_set.display())));
    };
    let (robust, beam) = weighting(&trials, &observed, guess)?;
    let mut notes = vec![format!("beam of the first PSF: {}", trials::beam_words(beam))];
    let pixel_arcsec = given.map_or_else(|| geometry::pixel(beam), |pixel| Chosen::new(pixel, "as asked for"));
    let (mut size, covers) = geometry::size(&observed, pixel_arcsec.value);
    if covers {
        (request.say)("a wide, shallow image for sources outside the primary beam");
        widen(&trials, (pixel_arcsec.value, robust.value), &mut size, &mut notes)?;
    }
    fit_on_disk(&mut size, parent(request.file));
    Ok(Image { finest: index, field, size, pixel_arcsec, robust, channels_out: observed.channels_out(), notes })
}

/// The robust weighting, and the axes of its beam, arcsec; `guess_arcsec` is about the width of the natural one.
fn weighting(trials: &Trials<'_>, observed: &Observed, guess_arcsec: f64) -> Result<(Chosen<f64>, (f64, f64))> {
    let wanted = observed.robust();
    let psf = trials.psf(guess_arcsec, wanted.value)?;
    if wanted.value <= 0.0 {
        return Ok((wanted, psf.beam));
    }
    let even = trials.psf(guess_arcsec, 0.0)?;
    let robust = geometry::calmer(wanted, psf.sidelobes, even.sidelobes);
    let beam = if robust.value > 0.0 { psf.beam } else { even.beam };
    Ok((robust, beam))
}

/// The field that is imaged; `None`: there is but one.
fn chosen_field(request: &ChoiceRequest<'_>, inspection: &Inspection) -> Result<Option<usize>> {
    const REMEDY: &str = ". Name one: `--set campaign.field=NAME` (name or number)";
    let fields = inspection.facts.as_fields();
    let chosen = match request.field {
        Some(name) => measurement_set::field_named(&fields, name).map(Some),
        None => measurement_set::target_field(&fields),
    };
    chosen.map_err(|why| Error::bad_input(format!("{}: {why}{REMEDY}", inspection.measurement_set.display())))
}

fn parent(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// wsclean where it is there, else CASA's tclean.
fn imager() -> Chosen<ImagerKind> {
    match find_program("wsclean") {
        Some(_) => Chosen::new(ImagerKind::Wsclean, "wsclean is installed"),
        None => Chosen::new(ImagerKind::Casa, "wsclean is not installed: CASA's tclean"),
    }
}

/// Looks into all measurement sets; all that is wrong with any of them is said at once.
fn inspected(casa: &Casa, request: &ChoiceRequest<'_>) -> Result<Vec<Inspection>> {
    (request.say)("looking into the data");
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for set in request.measurement_sets {
        let checked = inspection::inspect(casa, set, Some("DATA"), true).and_then(|inspection| {
            let fields = chosen_field(request, &inspection)?.map(|number| vec![number]);
            inspection.check(&Purpose { fields, ..Purpose::default() })?;
            Ok(inspection)
        });
        match checked {
            Ok(inspection) => found.push(inspection),
            Err(Error::BadInput(error)) => refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    if refused.is_empty() { Ok(found) } else { Err(Error::bad_input(refused.join("\n"))) }
}

/// What decides the image, of all measurement sets together.
fn observed(casa: &Casa, found: &[Inspection], finest: &Inspection, field: Option<usize>) -> Result<Observed> {
    let bands: Vec<(f64, f64)> = found.iter().filter_map(|i| i.facts.frequencies_hz()).collect();
    let low = bands.iter().map(|band| band.0).fold(f64::INFINITY, f64::min);
    let high = bands.iter().map(|band| band.1).fold(0.0, f64::max);
    let beams = found.iter().filter_map(|i| i.expected.field_of_view_deg).map(f64::to_radians);
    let primary_beam_rad = beams.reduce(f64::max);
    let whole = MsSummary::read(casa, &finest.measurement_set)?;
    // As if each channel and integration were a bin of an average.
    let bins = DataPart { field, time_s: Some(finest.facts.spacing_s), channels: 1, ..DataPart::default() };
    let lost = |radius: f64| bins.smearing_of_bins(casa, &finest.measurement_set, &whole, radius);
    let smeared_rad = smeared(primary_beam_rad.unwrap_or(1e-3), &lost)?;
    let used = |i: &Inspection| i.facts.used_antennas().filter(|(_, a)| a.visibilities.usable > 0).count();
    Ok(Observed {
        band_hz: (low, high),
        channels: finest.facts.used_windows().map(|(_, w)| w.channels).sum(),
        antennas: found.iter().map(used).max().unwrap_or(0),
        primary_beam_rad,
        smeared_rad,
    })
}

/// The distance at which a tenth of a source's peak is lost, at most that of `farthest`; the loss grows with the distance.
fn smeared(farthest: f64, lost: &dyn Fn(f64) -> Result<f64>) -> Result<f64> {
    if lost(farthest)? <= SMEARED {
        return Ok(farthest);
    }
    let (mut near, mut far) = (0.0, farthest);
    // To a part in a thousand of what matters: distances span six orders of magnitude.
    for _ in 0..40 {
        let middle = if near == 0.0 { far / 10.0 } else { f64::sqrt(near * far) };
        if lost(middle)? <= SMEARED {
            near = middle
        } else {
            far = middle
        }
        if near > 0.0 && far / near < 1.05 {
            break;
        }
    }
    Ok(if near > 0.0 { near } else { far })
}

/// Makes the image smaller where the free disk would not hold those of all rounds.
#[allow(clippy::cast_precision_loss)] // Bytes and pixels, far below 2^53.
fn fit_on_disk(size: &mut Chosen<u64>, folder: &Path) {
    let Ok(free) = disk::available(folder) else { return };
    let most = (DISK_SHARE * free as f64 / BYTES_A_PIXEL).sqrt();
    if size.value as f64 > most {
        // The next friendly side is a few per cent larger at most.
        size.value = geometry::friendly(0.9 * most);
        size.why = format!("{}, but no more than the free disk holds of eleven rounds", size.why);
    }
}

/// Enlarges the image to hold bright sources outside of it, or names them.
fn widen(
    trials: &Trials<'_>,
    (pixel, robust): (f64, f64),
    size: &mut Chosen<u64>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let side_arcsec = 2.0 * size.value as f64 * pixel;
    let side = geometry::friendly((2 * size.value).min(WIDE_SIDE) as f64);
    let wide_pixel = side_arcsec / side as f64;
    let taper_arcsec = Some(4.0 * wide_pixel);
    let frame = Frame { side, pixel_arcsec: wide_pixel, robust, taper_arcsec, iterations: WIDE_ITERATIONS };
    let products = trials.image("wide", &frame)?;
    let mut image = FitsImage::open(&products.image)?;
    let beam = image.beam().map_or(4.0, |beam| 3600.0 * beam.major_deg / wide_pixel);
    let plane = image.read_plane(0, 0)?;
    let values = plane.as_slice().unwrap_or_default();
    let Some(noise) = median_and_mad(values, |_| true).map(|m| m.sigma()) else { return Ok(()) };
    let half = size.value as f64 * pixel / 2.0 / wide_pixel;
    let found = outside::outside(plane.view(), half, beam, noise);
    if found.is_empty() {
        notes.push(format!("the wide image, {} across, has no bright source outside", geometry::Angle(side_arcsec)));
        return Ok(());
    }
    let offset = |source: &outside::Source| {
        let (x, y) = source.offset;
        // Right ascension grows to the left.
        let east = geometry::Angle(x.abs() * wide_pixel).to_string() + if x < 0.0 { " east" } else { " west" };
        let north = geometry::Angle(y.abs() * wide_pixel).to_string() + if y < 0.0 { " south" } else { " north" };
        format!("{:.3} Jy/beam {east}, {north}", source.peak)
    };
    let words: Vec<String> = found.iter().map(offset).collect();
    let reach = found.iter().map(outside::Source::half_side).fold(0.0, f64::max) + 2.0 * beam;
    let needed = 2.0 * reach * wide_pixel / pixel;
    if needed <= geometry::LARGEST as f64 {
        size.value = geometry::friendly(needed.max(size.value as f64));
        size.why = format!("{}, enlarged for bright sources outside: {}", size.why, words.join("; "));
    } else {
        notes.push(format!("bright sources outside the image: {}", words.join("; ")));
    }
    Ok(())
}

/// Time in seconds (`None`: not averaged) and channels that are averaged.
type Averages = (Option<f64>, usize);

/// Averaging of data that are large beside the memory, as far as sources at the edge of the image allow.
fn average(
    casa: &Casa,
    found: &[Inspection],
    finest: &Inspection,
    (field, radius_arcsec): (Option<usize>, f64),
) -> Result<Option<Chosen<Averages>>> {
    let bytes: u64 = found.iter().map(|i| disk::size_of(&i.measurement_set)).sum();
    if (bytes as f64) < LARGE * memory::limit() as f64 {
        return Ok(None);
    }
    let whole = MsSummary::read(casa, &finest.measurement_set)?;
    let radius = (radius_arcsec / 3600.0).to_radians();
    let most = finest.facts.used_windows().map(|(_, w)| w.channels).min().unwrap_or(1);
    let fits = |channels: usize, time_s: Option<f64>| -> Result<bool> {
        let part = DataPart { field, channels, time_s, ..DataPart::default() };
        Ok(part.smearing(casa, &finest.measurement_set, &whole, radius)? <= AVERAGED)
    };
    let mut channels = 1;
    while (2 * channels) as u64 <= most && fits(2 * channels, None)? {
        channels *= 2;
    }
    let spacing = finest.facts.spacing_s;
    let time = Some(2.0 * spacing).filter(|_| spacing > 0.0 && spacing < 10.0);
    let time = match time {
        Some(bin) if fits(channels, Some(bin))? => Some(bin),
        _ => None,
    };
    if channels == 1 && time.is_none() {
        return Ok(None);
    }
    let why = format!("{:.0} GB of data; sources at the edge of the image lose less than 1 %", bytes as f64 / 1e9);
    Ok(Some(Chosen::new((time, channels), why)))
}
