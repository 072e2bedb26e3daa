//! Directions, regions and sky model of a round, from the last accepted image.

use super::options::{Directions, FacetOptions, doublings};
use super::regions;
use super::sky::{self, SkyComponent};
use super::{FACETS, FacetDirection, FacetError, SKY};
use crate::Result;
use crate::image::{CelestialWcs, FitsImage, Header, SkyPosition};
use crate::kernels::facets::{self, Cells, Choice, Component, Disc, Limits, Point, Source};
use crate::quality::facets::{ANY_BEAM, FacetNoise, around};
use crate::util::fs;
use std::path::{Path, PathBuf};

/// Cells reach this many pixels beyond the image: no pixel of its edge is left out when corners are rounded.
const BEYOND: f64 = 16.0;
/// Without an option, directions are at least this part of the image's width apart. With an eighth a source of 0.045 Jy had to share
/// the gains of another direction, which made three times the field's noise around it.
const SEPARATION: f64 = 1.0 / 10.0;
/// A direction has this times the noise of the residual around it, or is the brightest: on a field with a dynamic range of
/// 45, artefacts beside bright sources had up to 13 times that noise, the faintest true direction 18 times.
const PROMINENCE: f64 = 15.0;
/// So many of the brightest sources need no more than that.
const BRIGHTEST: usize = 5;
/// The others have this times the noise around them: gains of a faint direction take up what is left of a bright one whose
/// gains are wrong. One of 15 times the noise turned a neighbour's 0.88 Jy into a ghost of 0.12 Jy, which the next rounds solved
/// for and kept; those of 26 to 42 times did not.
const PROMINENCE_OF_OTHERS: f64 = 25.0;
/// Sources are resolved from so many beams on: with one, what is cleaned beside a pixel would count as resolved. The flux of a
/// source of 0.8 Jy and 60" by 35" is spread over 43 beams: gains solved from the tenth of it that the model had then ranged from
/// 0.02 to 3.4 and took the image with them.
const UNRESOLVED: f64 = 2.0;
/// The widest such Gaussian, pixels.
const WIDEST: f64 = 100.0;
/// Most sources, the brightest, that are looked at.
const LOOKED_AT: usize = 200;
/// Edges keep this far from the islands of the mask, pixels: about a beam.
const MARGIN: f64 = 5.0;
/// Larger circles around islands, in the image's width, would distort the facets.
const LARGEST_WHOLE: f64 = 1.0 / 16.0;
/// Degrees in an arcminute.
const ARCMIN: f64 = 1.0 / 60.0;
/// Frequency of the fluxes where the header names none; they are the same at all frequencies.
const ANY_HZ: f64 = 1e9;

/// What the facets of a round are made from.
#[derive(Debug, Clone, Copy)]
pub struct FacetSource<'a> {
    /// The model of the last accepted image.
    pub model: &'a Path,
    /// Its residual.
    pub residual: &'a Path,
    /// Its mask; `None`: it was cleaned without one.
    pub mask: Option<&'a Path>,
    /// The noise of an antenna's solution in one interval, Jy: a source of this flux has a signal-to-noise ratio of 1. The
    /// largest of all measurement sets.
    pub noise_jy: f64,
}

/// The facets of a round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FacetLayout {
    pub(super) directions: Vec<FacetDirection>,
    pub(super) regions: PathBuf,
    pub(super) sky: PathBuf,
    pub(super) too_faint: usize,
}

/// Chooses the directions, and writes regions and sky model to a folder. `longest` is the longest interval of a direction, in
/// those of the options.
///
/// The inner error says that there are fewer than two directions that are bright enough.
///
/// # Errors
/// Files that cannot be read or written.
pub(super) fn make(
    source: &FacetSource<'_>,
    (options, longest): (&FacetOptions, u32),
    folder: &Path,
) -> Result<std::result::Result<FacetLayout, FacetError>> {
    let model = Model::read(source, options)?;
    let choice = model.choice(options, source.noise_jy / f64::from(longest).sqrt());
    let Model { image, wcs, components, islands, .. } = model;
    let shape = image.plane_shape();
    if choice.directions.len() < 2 {
        let flux_jy = options.minsnr * source.noise_jy / f64::from(longest).sqrt();
        return Ok(Err(FacetError::TooFew { minsnr: options.minsnr, flux_jy, longest }));
    }
    let low = [-0.5 - BEYOND; 2];
    let high = [shape.1 as f64 - 0.5 + BEYOND, shape.0 as f64 - 0.5 + BEYOND];
    let cells = facets::cells(&choice.directions, low, high);
    let cells = Cells::around(cells, &choice.directions, &islands);
    let parts = cells.divided(&components);
    let cells = cells.corners;
    let interval = |snr| interval(snr, options.minsnr, longest);
    let directions = described(&choice, (&cells, &parts), (source, &interval), &wcs)?;
    let (regions, sky) = (folder.join(FACETS), folder.join(SKY));
    let corners = |cell: &Vec<Point>| cell.iter().map(|&at| position(&wcs, at)).collect::<Result<Vec<_>, FacetError>>();
    let cells = cells.iter().map(corners).collect::<Result<Vec<_>, _>>()?;
    fs::write_atomically(&regions, regions::text(&directions, &cells).as_bytes())?;
    let on_sky = |part: &Vec<Component>| part.iter().map(|c| on_sky(&wcs, c)).collect::<Result<Vec<_>, FacetError>>();
    let parts = parts.iter().map(on_sky).collect::<Result<Vec<_>, _>>()?;
    fs::write_atomically(&sky, sky::text(&directions, &parts, frequency_of(image.header())).as_bytes())?;
    Ok(Ok(FacetLayout { directions, regions, sky, too_faint: choice.too_faint }))
}

/// The interval of a direction with this signal-to-noise ratio in one, in intervals.
fn interval(snr: f64, minsnr: f64, longest: u32) -> u32 {
    doublings(longest).find(|factor| snr * f64::from(*factor).sqrt() >= minsnr).unwrap_or(longest)
}

/// A model, and the places on it that may be directions.
pub(super) struct Model {
    image: FitsImage,
    wcs: CelestialWcs,
    components: Vec<Component>,
    /// Sources that edges go around.
    islands: Vec<Disc>,
    places: Places,
}

/// Places that may be directions.
enum Places {
    /// Sources of the model, no more than this.
    Sources(Vec<Source>, usize),
    /// Those of a file.
    Given(Vec<Point>),
}

impl Model {
    /// Reads the model with its mask, and looks for the places of the options on it.
    pub(super) fn read(source: &FacetSource<'_>, options: &FacetOptions) -> Result<Self> {
        let mut image = FitsImage::open(source.model)?;
        let wcs = image.wcs()?;
        let plane = image.read_plane(0, 0)?;
        let mask = source.mask.map(|path| image.companion(path)?.read_mask(0, 0)).transpose()?;
        let own = || facets::own_islands(plane.view());
        let islands = mask.clone().unwrap_or_else(own);
        let components = facets::components(plane.view(), islands.view(), unresolved(&image));
        let places = match options.source() {
            Directions::Sources(most) => Places::Sources(prominent(facets::sources(&components), source)?, most),
            Directions::File(path) => {
                let places = regions::positions(&path)?;
                let outside = || FacetError::Outside { path: path.clone() };
                let pixel = |place: &SkyPosition| wcs.sky_to_pixel(*place).map(|(x, y)| [x, y]).ok_or_else(outside);
                Places::Given(places.iter().map(pixel).collect::<Result<Vec<Point>, _>>()?)
            }
        };
        let largest = plane.ncols() as f64 * LARGEST_WHOLE;
        let islands = mask.map(|mask| facets::discs(mask.view(), MARGIN, largest)).unwrap_or_default();
        Ok(Self { components, image, wcs, islands, places })
    }

    /// The directions, where an antenna's solution has this noise.
    pub(super) fn choice(&self, options: &FacetOptions, noise_jy: f64) -> Choice {
        let pixel_deg = self.wcs.pixel_area().sqrt();
        let width = self.image.plane_shape().1 as f64;
        let flux = options.minsnr * noise_jy;
        match &self.places {
            Places::Sources(sources, most) => {
                let distance =
                    options.separation_arcmin.map_or(width * SEPARATION, |arcmin| arcmin * ARCMIN / pixel_deg);
                let limits = Limits { flux, distance, most: *most };
                let first = facets::choose(sources, &limits);
                let kept = facets::keep_bright(first.directions, &self.components, &limits);
                Choice { too_faint: first.too_faint + kept.too_faint, ..kept }
            }
            Places::Given(places) => {
                let limits = Limits { flux, distance: 0.0, most: places.len() };
                facets::keep_bright(places.clone(), &self.components, &limits)
            }
        }
    }
}

/// FWHM of the Gaussian within which fluxes of a model are seen as one source, pixels.
pub(crate) fn unresolved(model: &FitsImage) -> f64 {
    let beam = model.beam().zip(model.pixel_deg().ok()).map(|(beam, pixel)| beam.in_pixels(pixel));
    (UNRESOLVED * beam.map_or(ANY_BEAM, |beam| (beam.major * beam.minor).sqrt())).min(WIDEST)
}

/// The brightest source, and those others that stand out from what is left around them.
fn prominent(mut sources: Vec<Source>, source: &FacetSource<'_>) -> Result<Vec<Source>> {
    sources.truncate(LOOKED_AT);
    let places: Vec<Point> = sources.iter().map(|source| source.at).collect();
    let masks: Vec<&Path> = source.mask.into_iter().collect();
    let noise = around(source.residual, &masks, &places)?;
    let stands_out = |(number, (source, around)): (usize, (&Source, &FacetNoise))| {
        let prominence = if number < BRIGHTEST { PROMINENCE } else { PROMINENCE_OF_OTHERS };
        (number == 0 || source.flux >= prominence * around.noise).then_some(*source)
    };
    Ok(sources.iter().zip(&noise).enumerate().filter_map(stands_out).collect())
}

fn described(
    choice: &Choice,
    (cells, parts): (&[Vec<Point>], &[Vec<Component>]),
    (source, interval): (&FacetSource<'_>, &dyn Fn(f64) -> u32),
    wcs: &CelestialWcs,
) -> Result<Vec<FacetDirection>, FacetError> {
    // DP3 puts directions in the order of their names as text.
    let digits = choice.directions.len().saturating_sub(1).to_string().len();
    let one = |k: usize| {
        let at = position(wcs, choice.directions[k])?;
        let snr = choice.fluxes[k] / source.noise_jy;
        let intervals = interval(snr);
        Ok(FacetDirection {
            name: format!("Dir{k:0digits$}"),
            ra_deg: at.lon_deg,
            dec_deg: at.lat_deg,
            pixel: choice.directions[k],
            flux_jy: parts[k].iter().map(|component| component.flux).sum(),
            components: parts[k].len(),
            snr: snr * f64::from(intervals).sqrt(),
            intervals,
            corners: cells[k].clone(),
        })
    };
    (0..choice.directions.len()).map(one).collect()
}

fn on_sky(wcs: &CelestialWcs, component: &Component) -> Result<SkyComponent, FacetError> {
    Ok(SkyComponent { at: position(wcs, component.at)?, flux_jy: component.flux })
}

fn position(wcs: &CelestialWcs, [x, y]: Point) -> Result<SkyPosition, FacetError> {
    wcs.pixel_to_sky(x, y).ok_or(FacetError::BeyondProjection { x, y })
}

/// Frequency of an image, Hz.
fn frequency_of(header: &Header) -> f64 {
    let axis = (3..=4).find(|n| header.get(&format!("CTYPE{n}")).is_some_and(|kind| kind.starts_with("FREQ")));
    axis.and_then(|n| header.get_f64(&format!("CRVAL{n}"))).unwrap_or(ANY_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{PixelType, write_plane};
    use ndarray::Array2;
    use std::result::Result;

    /// A model of 64 pixels of 1' around RA 0h with these sources (x, y, flux).
    fn model(folder: &Path, sources: &[(usize, usize, f32)]) -> PathBuf {
        let cards = [
            "CTYPE1  = 'RA---SIN'",
            "CTYPE2  = 'DEC--SIN'",
            "CRPIX1  = 33",
            "CRPIX2  = 33",
            "CRVAL1  = 0.0",
            "CRVAL2  = 40.0",
            "CDELT1  = -0.016666666667",
            "CDELT2  = 0.016666666667",
            "CUNIT1  = 'deg'",
            "CUNIT2  = 'deg'",
        ];
        let header = Header::from_cards(cards.map(|card| format!("{card:80}")));
        let mut plane = Array2::<f32>::zeros((64, 64));
        sources.iter().for_each(|&(x, y, flux)| plane[[y, x]] = flux);
        let path = folder.join("model.fits");
        write_plane(&path, plane.view(), PixelType::F32, &header, 9).expect("written");
        path
    }

    /// The facets of this model with a residual of this noise.
    fn made(folder: &Path, model: &Path, noise: f32, options: &FacetOptions) -> Result<FacetLayout, FacetError> {
        let residual = folder.join("residual.fits");
        let plane = Array2::from_shape_fn((64, 64), |(y, x)| if (x + y) % 2 == 0 { noise } else { -noise });
        write_plane(&residual, plane.view(), PixelType::F32, &Header::default(), 9).expect("written");
        make(&FacetSource { model, residual: &residual, mask: None, noise_jy: 0.01 }, (options, 1), folder)
            .expect("made")
    }

    #[test]
    fn a_facet_for_each_bright_source_and_all_components_in_one() {
        let folder = tempfile::tempdir().expect("folder");
        let model = model(folder.path(), &[(10, 10, 2.0), (12, 11, 0.5), (50, 40, 1.0), (20, 60, 0.02)]);
        let layout = made(folder.path(), &model, 1e-4, &FacetOptions::default()).expect("facets");
        let names: Vec<&str> = layout.directions.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["Dir0", "Dir1"]);
        assert_eq!(layout.too_faint, 1, "the third is too faint for a direction of its own");
        let components: usize = layout.directions.iter().map(|d| d.components).sum();
        assert_eq!(components, 4);
        assert!((layout.directions[0].snr - 206.0).abs() < 1.0 && (layout.directions[1].snr - 100.0).abs() < 1.0);
        let sky = std::fs::read_to_string(&layout.sky).expect("sky model");
        assert_eq!(sky.lines().filter(|line| line.contains("POINT")).count(), 4);
        let read = regions::positions(&layout.regions).expect("regions");
        assert_eq!(read.len(), 2);
        assert!(read[0].lon_deg > 0.0 && read[1].lon_deg < 0.0, "on both sides of RA 0h: {read:?}");
        let apart = SkyPosition { lon_deg: layout.directions[1].ra_deg, lat_deg: layout.directions[1].dec_deg };
        assert!(read[1].separation(apart) < 1e-8);
    }

    #[test]
    fn names_of_more_than_ten_directions_are_in_the_order_of_the_directions() {
        let folder = tempfile::tempdir().expect("folder");
        let sources: Vec<_> = (0..12u8)
            .map(|k| (usize::from(k % 4) * 16 + 8, usize::from(k / 4) * 16 + 8, 3.0 - f32::from(k) / 9.0))
            .collect();
        let model = model(folder.path(), &sources);
        let layout = made(folder.path(), &model, 1e-4, &FacetOptions::default()).expect("facets");
        let names: Vec<&str> = layout.directions.iter().map(|direction| direction.name.as_str()).collect();
        assert_eq!((names[0], names[11]), ("Dir00", "Dir11"));
        assert!(names.is_sorted(), "as DP3 puts them: {names:?}");
    }

    #[test]
    fn a_faint_direction_gets_a_longer_interval_before_it_joins_its_neighbour() {
        let folder = tempfile::tempdir().expect("folder");
        let sources = [(8, 8, 2.0), (50, 8, 0.11), (8, 50, 0.06), (30, 30, 0.04), (14, 14, 0.02)];
        let model = model(folder.path(), &sources);
        let residual = folder.path().join("residual.fits");
        let plane = Array2::from_shape_fn((64, 64), |(y, x)| if (x + y) % 2 == 0 { 1e-4 } else { -1e-4 });
        write_plane(&residual, plane.view(), PixelType::F32, &Header::default(), 9).expect("written");
        let source = FacetSource { model: &model, residual: &residual, mask: None, noise_jy: 0.01 };
        let of = |longest| {
            let made =
                make(&source, (&FacetOptions::default(), longest), folder.path()).expect("made").expect("facets");
            let all = made.directions.iter().map(|one| (one.intervals, one.snr.round() as u32)).collect::<Vec<_>>();
            (all, made.too_faint)
        };
        assert_eq!(of(8), (vec![(1, 200), (1, 11), (4, 12), (8, 11)], 1), "the last would need 25");
        let (joined, too_faint) = of(1);
        assert!(joined.iter().all(|one| one.0 == 1) && (joined.len(), too_faint) == (2, 3), "{joined:?}");
    }

    #[rstest::rstest]
    #[case::of_its_header(0.05, 6.0)]
    #[case::a_placeholder_is_no_beam(0.0, 8.0)]
    #[case::very_wide(0.9, 100.0)]
    fn sources_are_resolved_from_two_beams_on(#[case] beam_deg: f64, #[case] pixels: f64) {
        let folder = tempfile::tempdir().expect("folder");
        let path = model(folder.path(), &[(10, 10, 2.0)]);
        let mut header = FitsImage::open(&path).expect("a model").header().clone();
        header.set_f64("BMAJ", beam_deg);
        header.set_f64("BMIN", beam_deg);
        let plane = FitsImage::open(&path).and_then(|mut image| image.read_plane(0, 0)).expect("a plane");
        write_plane(&path, plane.view(), PixelType::F32, &header, 9).expect("written");
        let found = unresolved(&FitsImage::open(&path).expect("a model"));
        assert!((found - pixels).abs() < 1e-6, "{found}");
    }

    #[test]
    fn one_direction_is_no_facet() {
        let folder = tempfile::tempdir().expect("folder");
        let model = model(folder.path(), &[(10, 10, 2.0), (50, 40, 0.05)]);
        let error = made(folder.path(), &model, 1e-4, &FacetOptions::default()).expect_err("one is bright enough");
        insta::assert_snapshot!(error, @"fewer than two sources are bright enough to be directions (a flux of 0.10 Jy in the facet: a signal-to-noise ratio of 10 in one interval): lengthen `facets.solint`, or lower `facets.minsnr` (below 5 solutions are worse than none)");
    }

    #[test]
    fn what_does_not_stand_out_from_the_residual_is_no_direction() {
        let folder = tempfile::tempdir().expect("folder");
        let model = model(folder.path(), &[(10, 10, 2.0), (50, 40, 1.0), (10, 50, 0.5)]);
        let count =
            |noise| made(folder.path(), &model, noise, &FacetOptions::default()).map(|made| made.directions.len());
        assert_eq!(count(1e-4), Ok(3));
        assert_eq!(count(0.05), Ok(2));
        assert!(count(0.1).is_err(), "the brightest alone is left");
    }

    #[test]
    fn the_sixth_source_stands_out_more_than_the_brightest_five() {
        let folder = tempfile::tempdir().expect("folder");
        let bright = [(8, 8, 2.0), (30, 8, 1.8), (54, 8, 1.6), (8, 30, 1.4), (54, 30, 1.2)];
        let of = |faint: f32| {
            let model = model(folder.path(), &[&bright[..], &[(30, 54, faint)]].concat());
            made(folder.path(), &model, 0.01, &FacetOptions::default()).expect("facets").directions.len()
        };
        assert_eq!([of(0.22), of(0.28)], [5, 6], "22 and 28 times the noise");
        let fifth = model(folder.path(), &[&bright[..4], &[(30, 54, 0.22)]].concat());
        let made = made(folder.path(), &fifth, 0.01, &FacetOptions::default()).expect("facets");
        assert_eq!(made.directions.len(), 5);
    }

    #[test]
    fn directions_of_a_file_without_flux_join_their_neighbour() {
        let folder = tempfile::tempdir().expect("folder");
        let model = model(folder.path(), &[(10, 10, 2.0), (50, 40, 1.0)]);
        let list = folder.path().join("list.txt");
        std::fs::write(&list, "0.5 39.6\n-0.4 40.2\n0.4 40.6\n").expect("written");
        let options = FacetOptions { directions: list.display().to_string(), ..FacetOptions::default() };
        let layout = made(folder.path(), &model, 1e-4, &options).expect("facets");
        assert_eq!((layout.directions.len(), layout.too_faint), (2, 1));
    }
}
