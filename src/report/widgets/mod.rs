//! The parts that pages are made of; `templates/macros.html` has a macro for each.

pub(crate) mod cards;
pub(crate) mod table;
pub(crate) mod verdict;

use super::draw::Figure;
use super::numbers::time;
use super::words;
use crate::campaign::record::MessageRecord;
use serde::{Deserialize, Serialize};

/// A name and its value, both as text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fact {
    /// Name.
    pub(crate) name: String,
    /// Value with its unit.
    pub(crate) value: String,
}

impl Fact {
    /// `name` with `value`.
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// `name` with `value`; `None` where the value is missing or empty.
    pub(crate) fn known(name: &str, value: Option<String>) -> Option<Self> {
        value.filter(|v| !v.is_empty()).map(|v| Self::new(name, v))
    }
}

/// A large number at the top of a page.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Card {
    /// Name of the number.
    pub(crate) label: String,
    /// The number with its unit.
    pub(crate) value: String,
    /// Small text below it.
    pub(crate) note: String,
}

impl Card {
    /// Without a note.
    pub(crate) fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), note: String::new() }
    }

    /// With a note.
    pub(crate) fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// A figure with its title.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct FigureView {
    /// Title above the figure.
    pub(crate) title: String,
    /// Complete `<svg>` element.
    pub(crate) svg: String,
    /// Text below the figure.
    pub(crate) caption: String,
}

impl FigureView {
    /// A drawn figure under `title`.
    pub(crate) fn new(title: impl Into<String>, figure: &Figure) -> Self {
        Self { title: title.into(), svg: figure.svg.clone(), caption: figure.caption.clone() }
    }

    /// An SVG under `title`, with no caption.
    pub(crate) fn bare(title: &str, svg: String) -> Self {
        Self { title: title.into(), svg, caption: String::new() }
    }
}

/// One entry of a legend.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct LegendEntry {
    /// `#rrggbb`.
    pub(crate) colour: String,
    /// Its meaning.
    pub(crate) text: String,
}

impl LegendEntry {
    /// From red, green, blue.
    pub(crate) fn new([r, g, b]: [u8; 3], text: impl Into<String>) -> Self {
        Self { colour: format!("#{r:02x}{g:02x}{b:02x}"), text: text.into() }
    }
}

/// A message to people.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct MessageView {
    /// Style class.
    pub(crate) class: String,
    /// Time of the message; empty where it is not known.
    pub(crate) at: String,
    /// The message itself.
    pub(crate) text: String,
}

/// Messages, gravest first, then by time.
pub(crate) fn messages(list: &[MessageRecord]) -> Vec<MessageView> {
    let mut list: Vec<&MessageRecord> = list.iter().collect();
    list.sort_by_key(|m| (std::cmp::Reverse(m.level), m.at));
    let view = |m: &MessageRecord| MessageView {
        class: words::level_class(m.level).into(),
        at: time(m.at),
        text: m.text.clone(),
    };
    list.into_iter().map(view).collect()
}
