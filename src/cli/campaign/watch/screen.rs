//! The state on a terminal, drawn again at each look.

use super::look::Progress;
use crate::cli::campaign::status;
use crate::report::numbers::duration;
use crate::report::words;
use console::{Term, truncate_str};

/// Clears the terminal from its upper left corner on.
const CLEAR: &str = "\x1b[H\x1b[J";

/// The terminal.
#[derive(Debug)]
pub(super) struct Screen {
    drawn: bool,
}

impl Screen {
    /// A terminal on which nothing is drawn yet.
    pub(super) fn new() -> Self {
        Self { drawn: false }
    }

    /// What to write: the state, cut to the terminal's size while the campaign runs, whole at its end.
    pub(super) fn frame(&mut self, seen: &Progress) -> String {
        let mut text = status::all_text(&seen.status);
        text.push('\n');
        let now = jiff::Timestamp::now();
        for step in &seen.in_hand {
            let round = step.attempt.map(|at| format!(" · round {}", at.round)).unwrap_or_default();
            let seconds = now.duration_since(step.since).as_secs_f64().max(0.0);
            let what = words::step(step.step);
            text.push_str(&format!("▸ {}{round} · {what} · {}\n", step.dataset, duration(seconds)));
        }
        // An empty terminal to begin with: what stood there stays above.
        let start = if self.drawn { CLEAR } else { "\x1b[2J\x1b[H" };
        self.drawn = true;
        let (rows, columns) = Term::stdout().size();
        let whole = seen.status.record.state.is_final() && !seen.at_work;
        format!("{start}{}", if whole { text } else { cut(&text, rows.into(), columns.into()) })
    }
}

/// The first lines of a text, as many and as long as the terminal takes.
fn cut(text: &str, rows: usize, columns: usize) -> String {
    let count = text.lines().count();
    // The last row stays free for the cursor.
    let room = rows.saturating_sub(1).max(1);
    let shown = if count > room { room - 1 } else { count };
    let mut out = String::new();
    for line in text.lines().take(shown) {
        out.push_str(&truncate_str(line, columns, "…"));
        out.push('\n');
    }
    if count > shown {
        out.push_str(&format!("… {} more lines: `cleanloop status` shows all\n", count - shown));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_the_terminal() {
        assert_eq!(cut("one\ntwo\n", 10, 80), "one\ntwo\n");
        assert_eq!(cut("one\ntwo\nthree\nfour\n", 4, 3), "one\ntwo\n… 2 more lines: `cleanloop status` shows all\n");
        assert_eq!(cut("a long line\n", 10, 5), "a lo…\n");
    }
}
