//! Mistakes of a campaign file, and how they are shown: all mistakes at once, each with its line.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// A stretch of text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct TextSpan {
    start: usize,
    end: usize,
}

impl TextSpan {
    /// From the first byte up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The bytes.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// From the start of this one to the end of another.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start, other.end)
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where it stands; `None` for what is not in the text (a missing environment variable of a default).
    pub span: Option<TextSpan>,
    /// The mistake.
    pub message: String,
    /// Hints: the expected value, or a remedy.
    pub help: Vec<String>,
    /// Another place that explains it.
    pub context: Option<(TextSpan, &'static str)>,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(span: impl Into<Option<TextSpan>>, message: impl Into<String>) -> Self {
        Self { span: span.into(), message: message.into(), help: Vec::new(), context: None }
    }

    /// Adds what was expected, or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds another place that explains it.
    #[must_use]
    pub fn context(mut self, span: TextSpan, label: &'static str) -> Self {
        self.context = Some((span, label));
        self
    }
}

/// All mistakes of one text: a campaign file, or a setting of the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigError {
    /// Name of the file, or of what else the text came from.
    pub name: String,
    /// The text.
    pub text: String,
    /// The mistakes.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for crate::Error {
    fn from(error: ConfigError) -> Self {
        Self::bad_input(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let mistakes = if count == 1 { "a mistake".to_owned() } else { format!("{count} mistakes") };
        write!(f, "{mistakes} in {}", self.name)?;
        let renderer = Renderer::plain();
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|problem| problem.span);
        for problem in problems {
            let mut group = Group::with_title(Level::ERROR.primary_title(problem.message.as_str()));
            if let Some(span) = problem.span {
                let shown = visible(&self.text, span);
                let mut snippet = Snippet::source(self.text.as_str())
                    .path(self.name.as_str())
                    .annotation(AnnotationKind::Primary.span(shown));
                if let Some((span, label)) = problem.context {
                    let shown = visible(&self.text, span);
                    snippet = snippet.annotation(AnnotationKind::Context.span(shown).label(label));
                }
                group = group.element(snippet);
            }
            for help in &problem.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            write!(f, "\n\n{}", renderer.render(&[group]))?;
        }
        Ok(())
    }
}

/// The part of a span to underline: its first line, within the text.
fn visible(text: &str, span: TextSpan) -> Range<usize> {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (boundary(span.start), boundary(span.end));
    let line_end = text[start..end].find('\n').map_or(end, |length| start + length);
    start..line_end
}
