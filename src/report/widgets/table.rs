//! Tables: headings, rows, cells.

use crate::report::numbers::grouped;
use serde::Serialize;

/// Text of a cell without a value.
const NONE: &str = "–";

/// One cell of a table.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Cell {
    /// Text for people.
    pub(crate) text: String,
    /// The number behind it, unrounded, for sorting and for tests.
    pub(crate) value: Option<f64>,
    /// Style class.
    pub(crate) class: String,
    /// Link of the text; empty for none.
    pub(crate) href: String,
    /// Text shown on hovering.
    pub(crate) title: String,
}

impl Cell {
    /// Text alone.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A number as `words` writes it; a dash for none.
    pub(crate) fn number(value: Option<f64>, words: impl Fn(f64) -> String) -> Self {
        match value.filter(|v| v.is_finite()) {
            Some(v) => Self { text: words(v), value: Some(v), class: "number".into(), ..Self::default() },
            None => Self { text: NONE.into(), class: "number none".into(), ..Self::default() },
        }
    }

    /// A whole number.
    pub(crate) fn count(value: Option<u64>) -> Self {
        Self::number(value.map(|n| n as f64), |n| grouped(n as u64))
    }
}

/// Heading of a column.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Heading {
    /// Name of the column.
    pub(crate) text: String,
    /// Unit, if the cells have none.
    pub(crate) unit: String,
    /// Explanation shown on hovering.
    pub(crate) title: String,
    /// Numbers: aligned to the right.
    pub(crate) number: bool,
}

impl Heading {
    /// Of a column of words.
    pub(crate) fn words(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Of a column of numbers in `unit`; empty where the cells have their own.
    pub(crate) fn number(text: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { text: text.into(), unit: unit.into(), number: true, ..Self::default() }
    }

    /// With an explanation.
    pub(crate) fn explained(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }
}

/// A row; its first cell is its heading.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Row {
    /// Style class.
    pub(crate) class: String,
    /// Cells, one per column.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// Without a style of its own.
    pub(crate) fn plain(cells: Vec<Cell>) -> Self {
        Self { class: String::new(), cells }
    }
}

/// A table.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Table {
    /// Read out by screen readers, shown above.
    pub(crate) caption: String,
    /// Clicking on a heading sorts.
    pub(crate) sortable: bool,
    /// Headings, one per column.
    pub(crate) headings: Vec<Heading>,
    /// Rows.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Leaves out columns in which every row is empty.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let is_filled =
            |row: &Row, column: usize| row.cells.get(column).is_some_and(|c| c.text != NONE && !c.text.is_empty());
        let filled: Vec<bool> =
            (0..self.headings.len()).map(|column| self.rows.iter().any(|row| is_filled(row, column))).collect();
        let mut keep = filled.iter();
        self.headings.retain(|_| *keep.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut keep = filled.iter();
            row.cells.retain(|_| *keep.next().unwrap_or(&true));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_columns_disappear() {
        let row = |cells: [&str; 3]| Row::plain(cells.map(Cell::text).to_vec());
        let headings = ["a", "b", "c"].map(Heading::words).to_vec();
        let table = Table { headings, rows: vec![row(["1", "–", ""]), row(["2", "–", "x"])], ..Table::default() };
        let table = table.without_empty_columns();
        assert_eq!(table.headings.iter().map(|h| h.text.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(table.rows[1].cells[1].text, "x");
    }
}
