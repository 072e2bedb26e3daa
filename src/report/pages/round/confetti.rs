//! Model pixels that were judged as confetti or not.

use crate::campaign::record::{ConfettiRecord, RoundRecord};
use crate::report::draw::spectrum::{self, Spectrum};
use crate::report::numbers::{percent, significant, with_unit};
use crate::report::widgets::Fact;
use crate::report::words;
use serde::Serialize;
use std::path::Path;

/// A model pixel that was judged.
#[derive(Debug, Default, Serialize)]
pub(super) struct ConfettiView {
    title: String,
    class: String,
    facts: Vec<Fact>,
    spectrum: String,
    picture: String,
}

pub(super) fn view(folder: &Path, round: &RoundRecord) -> Vec<ConfettiView> {
    round.confetti.iter().map(|c| judged(folder, c)).collect()
}

fn judged(folder: &Path, c: &ConfettiRecord) -> ConfettiView {
    let [x, y] = c.pixel;
    let known = [
        Fact::known("verdict", Some(words::confetti(c.verdict).into())),
        Fact::known("score", Some(significant(c.score, 3))),
        Fact::known("model", Some(with_unit(c.flux, "Jy/pixel"))),
        Fact::known("over its neighbours", c.isolation.map(|v| format!("{} ×", significant(v, 3)))),
        Fact::known("negative around it", c.pedestal.map(percent)),
        Fact::known("support by the data", c.support.map(|v| format!("{} σ", significant(v, 3)))),
        Fact::known("found in cycle", c.cycle.map(|n| n.to_string())),
        Fact::known("action", Some(c.action.clone())),
    ];
    let alt = format!("Model against channel at pixel {x}, {y}");
    let plot = Spectrum { values: &c.spectrum, first: c.spectrum_first, marked: c.channel, alt: &alt };
    ConfettiView {
        title: format!("Pixel {x}, {y}, channel {}", c.channel),
        class: words::confetti_class(c.verdict).into(),
        facts: known.into_iter().flatten().collect(),
        spectrum: spectrum::draw(&plot).unwrap_or_default(),
        picture: picture(folder, c).unwrap_or_default(),
    }
}

/// The picture that the judgement left, made accessible; `None` where there is none.
fn picture(folder: &Path, c: &ConfettiRecord) -> Option<String> {
    let svg = std::fs::read_to_string(folder.join(c.picture.as_ref()?)).ok()?;
    let [x, y] = c.pixel;
    let alt = format!("Model and dirty cube around pixel {x}, {y}, channel {}", c.channel);
    let start = format!("<svg role=\"img\" aria-label=\"{alt}\" ");
    Some(svg[svg.find("<svg").unwrap_or(0)..].replacen("<svg ", &start, 1))
}
