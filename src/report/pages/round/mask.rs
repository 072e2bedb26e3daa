//! The mask of a round: method, counts and changes.

use crate::campaign::record::MaskRecord;
use crate::report::figures::RoundFigures;
use crate::report::numbers::{capital, grouped, significant};
use crate::report::widgets::{Fact, FigureView, LegendEntry};
use crate::report::words;
use crate::report::words::{ADDED, KEPT, REMOVED};
use serde::Serialize;
use std::path::Path;

/// The mask of a round.
#[derive(Debug, Default, Serialize)]
pub(super) struct MaskView {
    why: String,
    facts: Vec<Fact>,
    change: Option<FigureView>,
    legend: Vec<LegendEntry>,
}

/// The mask, compared with that of the last accepted round if it has one.
pub(super) fn view(mask: &MaskRecord, drawn: &RoundFigures, has_before: bool) -> MaskView {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let known = [
        Fact::known("method", Some(words::mask(mask))),
        Fact::known("made from", mask.source.as_deref().map(name)),
        Fact::known("file", Some(name(&mask.path))),
        Fact::known("pixels", Some(mask.pixels).filter(|n| *n > 0).map(grouped)),
        Fact::known("islands", mask.islands.map(grouped)),
        Fact::known("added", mask.added.map(grouped)),
        Fact::known("removed", mask.removed.map(grouped)),
    ];
    let options = mask.options.iter().map(|(name, value)| Fact::new(name, value));
    let numbers = mask.numbers.iter().map(|(name, value)| Fact::new(name, significant(*value, 4)));
    let legend = match &drawn.mask_change {
        None => Vec::new(),
        Some(_) if has_before => [ADDED, KEPT, REMOVED].map(|c| LegendEntry::new(c.colour, c.word)).to_vec(),
        Some(_) => vec![LegendEntry::new(ADDED.colour, "masked")],
    };
    let title = if has_before { "Compared with the last accepted round's mask" } else { "The mask" };
    MaskView {
        why: capital(&mask.why),
        facts: known.into_iter().flatten().chain(options).chain(numbers).collect(),
        change: drawn.mask_change.as_ref().map(|f| FigureView::new(title, f)),
        legend,
    }
}
