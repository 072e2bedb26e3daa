//! Beams channel by channel: the `BEAMS` binary table that CASA adds to cubes (header key `CASAMBM = T`).

use super::{Beam, ImageError};
use fitsio::FitsFile;
use std::path::Path;

/// The beams of a cube, one for each channel and polarisation.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamTable {
    channels: usize,
    polarisations: usize,
    /// Beam of `(polarisation, channel)` at `polarisation * channels + channel`; zero width where there is none.
    beams: Vec<Beam>,
}

/// What a file says about its restoring beams.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Beams {
    /// Nothing.
    None,
    /// One for all planes.
    Same(Beam),
    /// One for each channel.
    Each(BeamTable),
}

impl BeamTable {
    /// Reads the table of a file; `None` if it has none.
    ///
    /// # Errors
    /// A file that cannot be read, or a table without the columns `BMAJ`, `BMIN` and `BPA` or with unknown units.
    pub fn read(path: impl AsRef<Path>) -> Result<Option<Self>, ImageError> {
        let path = path.as_ref();
        let unsuitable = |reason: String| ImageError::Unsuitable { path: path.to_path_buf(), reason };
        super::damage::check_tiles(path, false).map_err(unsuitable)?;
        let mut file = FitsFile::open(path)
            .map_err(|e| ImageError::Unreadable { path: path.to_path_buf(), reason: e.to_string() })?;
        let Ok(table) = file.hdu("BEAMS") else { return Ok(None) };
        let mut column = |name: &str| {
            table
                .read_col::<f64>(&mut file, name)
                .map_err(|e| unsuitable(format!("its table BEAMS has no usable column {name}: {e}")))
        };
        let (majors, minors, angles) = (column("BMAJ")?, column("BMIN")?, column("BPA")?);
        let place = |mut numbers: Result<Vec<f64>, ImageError>| {
            // A table of one row per channel may leave the numbers out.
            numbers.as_mut().map_or_else(|_| Vec::new(), |n| n.iter().map(|&v| v.max(0.0) as usize).collect::<Vec<_>>())
        };
        let (channel_of, pol_of) = (place(column("CHAN")), place(column("POL")));
        let fields: i64 = table.read_key(&mut file, "TFIELDS").unwrap_or(0);
        let mut unit_of = |name: &str| {
            (1..=fields).find_map(|i| {
                let title: String = table.read_key(&mut file, &format!("TTYPE{i}")).ok()?;
                (title.trim() == name).then(|| table.read_key::<String>(&mut file, &format!("TUNIT{i}")).ok())?
            })
        };
        let mut degrees = |name: &str, default: f64| match unit_of(name).as_deref().map(str::trim) {
            None | Some("") => Ok(default),
            Some("arcsec") => Ok(1.0 / 3600.0),
            Some("arcmin") => Ok(1.0 / 60.0),
            Some("deg") => Ok(1.0),
            Some("rad") => Ok(1f64.to_degrees()),
            Some(other) => {
                Err(unsuitable(format!("its table BEAMS gives {name} in {other}; expected arcsec, arcmin, deg or rad")))
            }
        };
        let (major_unit, minor_unit, angle_unit) =
            (degrees("BMAJ", 1.0 / 3600.0)?, degrees("BMIN", 1.0 / 3600.0)?, degrees("BPA", 1.0)?);
        let count = |places: &[usize]| places.iter().max().map_or(1, |&last| last.saturating_add(1));
        let rows = majors.len();
        let channel = |row: usize| channel_of.get(row).copied().unwrap_or(row);
        let pol = |row: usize| pol_of.get(row).copied().unwrap_or(0);
        let channels = if channel_of.is_empty() { rows } else { count(&channel_of) };
        let polarisations = count(&pol_of);
        if rows == 0 || channels.saturating_mul(polarisations) > 2 * rows {
            return Err(unsuitable(format!(
                "its table BEAMS has {rows} rows for {channels} channels and {polarisations} polarisations"
            )));
        }
        let none = Beam { major_deg: 0.0, minor_deg: 0.0, pa_deg: 0.0 };
        let mut beams = vec![none; channels * polarisations];
        for row in 0..rows {
            beams[pol(row) * channels + channel(row)] = Beam {
                major_deg: majors[row] * major_unit,
                minor_deg: minors[row] * minor_unit,
                pa_deg: angles[row] * angle_unit,
            };
        }
        Ok(Some(Self { channels, polarisations, beams }))
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The beams of a polarisation, channel by channel. A table for one polarisation serves all.
    pub fn of_polarisation(&self, polarisation: usize) -> &[Beam] {
        let first = polarisation.min(self.polarisations - 1) * self.channels;
        &self.beams[first..first + self.channels]
    }

    /// All beams.
    pub fn all(&self) -> &[Beam] {
        &self.beams
    }
}

/// Adds the table to a FITS file, as CASA does. For tests and simulations.
///
/// # Errors
/// The file cannot be changed.
pub fn append_beam_table(path: impl AsRef<Path>, beams: &[Beam]) -> Result<(), ImageError> {
    append_beam_table_of(path.as_ref(), beams, 1)
}

/// The same with a row for each polarisation, which all have the same beams.
pub(super) fn append_beam_table_of(path: &Path, beams: &[Beam], polarisations: usize) -> Result<(), ImageError> {
    append_rows(path, beams, polarisations, ["arcsec", "arcsec", "deg"])
}

#[cfg(test)]
fn append_with_units(path: &Path, beams: &[Beam], units: [&str; 3]) -> Result<(), ImageError> {
    append_rows(path, beams, 1, units)
}

fn append_rows(path: &Path, beams: &[Beam], polarisations: usize, units: [&str; 3]) -> Result<(), ImageError> {
    use fitsio::tables::{ColumnDataType, ColumnDescription};
    let fail = |e: fitsio::errors::Error| ImageError::Unwritable { path: path.to_path_buf(), reason: e.to_string() };
    let mut file = FitsFile::edit(path).map_err(fail)?;
    let columns = [
        ("BMAJ", ColumnDataType::Float),
        ("BMIN", ColumnDataType::Float),
        ("BPA", ColumnDataType::Float),
        ("CHAN", ColumnDataType::Int),
        ("POL", ColumnDataType::Int),
    ]
    .map(|(name, kind)| ColumnDescription::new(name).with_type(kind).create())
    .into_iter()
    .collect::<Result<Vec<_>, _>>()
    .map_err(fail)?;
    let table = file.create_table("BEAMS", &columns).map_err(fail)?;
    for (i, unit) in units.iter().enumerate() {
        table.write_key(&mut file, &format!("TUNIT{}", i + 1), *unit).map_err(fail)?;
    }
    let rows =
        || (0..polarisations).flat_map(|pol| beams.iter().enumerate().map(move |(channel, b)| (pol, channel, b)));
    let numbers = |of: &dyn Fn(&Beam) -> f64| rows().map(|(_, _, b)| of(b) as f32).collect::<Vec<_>>();
    let table = table.write_col(&mut file, "BMAJ", &numbers(&|b| b.major_deg * 3600.0)).map_err(fail)?;
    let table = table.write_col(&mut file, "BMIN", &numbers(&|b| b.minor_deg * 3600.0)).map_err(fail)?;
    let table = table.write_col(&mut file, "BPA", &numbers(&|b| b.pa_deg)).map_err(fail)?;
    let table = table
        .write_col(&mut file, "CHAN", &rows().map(|(_, channel, _)| channel as i32).collect::<Vec<_>>())
        .map_err(fail)?;
    table.write_col(&mut file, "POL", &rows().map(|(pol, ..)| pol as i32).collect::<Vec<_>>()).map_err(fail)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, PlaneWriter};
    use ndarray::Array2;

    #[test]
    fn a_table_survives_and_its_absence_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.fits");
        let mut writer = PlaneWriter::create(&path, &[4, 3, 2], PixelType::F32, &Header::default(), false).unwrap();
        for i in 0..2 {
            writer.write_plane(i, Array2::<f32>::zeros((3, 4)).view()).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(BeamTable::read(&path).unwrap(), None);
        let beams = [(2.0, 1.0, 30.0), (4.0, 1.5, -45.0)].map(|(major, minor, pa_deg)| Beam {
            major_deg: major / 3600.0,
            minor_deg: minor / 3600.0,
            pa_deg,
        });
        append_beam_table(&path, &beams).unwrap();
        let table = BeamTable::read(&path).unwrap().unwrap();
        assert_eq!((table.channels(), table.all().len()), (2, 2));
        assert_eq!(table.of_polarisation(3), table.all());
        for (read, written) in table.all().iter().zip(&beams) {
            assert!((read.major_deg / written.major_deg - 1.0).abs() < 1e-7);
            assert!((read.minor_deg / written.minor_deg - 1.0).abs() < 1e-7);
            assert_eq!(read.pa_deg, written.pa_deg);
        }
        // The image itself is still the first thing in the file.
        assert_eq!(crate::image::FitsImage::open(&path).unwrap().channels(), 2);
    }

    #[test]
    fn unknown_units_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.fits");
        crate::image::write_plane(&path, Array2::<f32>::zeros((3, 4)).view(), PixelType::F32, &Header::default(), 3)
            .unwrap();
        let beam = Beam { major_deg: 1.0, minor_deg: 1.0, pa_deg: 0.0 };
        append_with_units(&path, &[beam], ["parsec", "arcsec", "deg"]).unwrap();
        let error = BeamTable::read(&path).unwrap_err();
        let ImageError::Unsuitable { path: named, reason } = error else { panic!("{error:?}") };
        assert_eq!(named, path);
        insta::assert_snapshot!(reason, @"its table BEAMS gives BMAJ in parsec; expected arcsec, arcmin, deg or rad");
    }
}
