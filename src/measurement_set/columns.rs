//! Which columns a measurement set has, from its table description alone: no program is needed.

use std::path::Path;

/// Bytes just before the name of a column in a table description, and within how many bytes the name follows.
const DESCRIPTION: &[u8] = b"ColumnDesc<";
const DESCRIPTION_BYTES: usize = 32;

/// Whether the measurement set has the column, from its table description; `None`: it cannot be read.
pub fn has_column(measurement_set: &Path, column: &str) -> Option<bool> {
    let table = std::fs::read(measurement_set.join("table.dat")).ok()?;
    // Strings are stored with their length, four bytes, most significant first. The name also stands in lists of tiled
    // columns, which outlive the column: what counts is a description of it, `ArrayColumnDesc<Complex `, version, name.
    let mut needle = (column.len() as u32).to_be_bytes().to_vec();
    needle.extend(column.as_bytes());
    let described = |at: usize| {
        let before = &table[at.saturating_sub(DESCRIPTION_BYTES)..at];
        before.windows(DESCRIPTION.len()).any(|w| w == DESCRIPTION)
    };
    Some(table.windows(needle.len()).enumerate().any(|(at, w)| w == needle && described(at)))
}
