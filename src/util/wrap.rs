//! Text for people, wrapped.

use std::fmt::Write as _;

/// Columns of a labelled text.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    /// The text begins here; the label is filled up to it.
    pub(crate) indent: usize,
    /// Its further lines begin here.
    pub(crate) hanging: usize,
    /// No line is wider, unless a word is.
    pub(crate) width: usize,
}

/// Appends a label and a text, which is wrapped between its words.
pub(crate) fn labelled(out: &mut String, label: &str, text: &str, columns: Columns) {
    let Columns { indent, hanging, width } = columns;
    let mut column = indent;
    let _ = write!(out, "{label:<indent$}");
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            let _ = write!(out, "\n{:hanging$}", "");
            column = hanging;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_lines_are_indented_and_long_words_stay_whole() {
        let mut out = String::new();
        labelled(&mut out, "ab", "one two three-four five", Columns { indent: 4, hanging: 2, width: 11 });
        assert_eq!(out, "ab  one two\n  three-four\n  five\n");
    }
}
