//! What was looked at, and how it is told.

use crate::util::wrap::{self, Columns};
use schemars::JsonSchema;
use serde::Serialize;

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    /// It can.
    Good,
    /// It can, but look at the remedy.
    Warning,
    /// It is not there.
    Absent,
    /// It is there and does not work.
    Failed,
}

/// A trial of a program on data.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Trial {
    /// What was done.
    pub(super) what: &'static str,
    /// Wall time, s.
    pub(super) seconds: f64,
    /// Why it failed; `None`: it did not.
    pub(super) error: Option<String>,
}

/// One thing that campaigns need or can use.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(super) struct Check {
    /// `machine`, `programs` or `batch system`.
    pub(super) area: &'static str,
    /// Its name.
    pub(super) name: String,
    /// Whether it can be used.
    pub(super) health: Health,
    /// What was found: a version, a size.
    pub(super) found: String,
    /// The version that the program's tests use; `None`: it has none.
    pub(super) tried: Option<&'static str>,
    /// Its place, or what it is for.
    pub(super) about: String,
    /// What to do.
    pub(super) remedy: Option<String>,
    /// How it did on data; `None`: it was not tried.
    pub(super) trial: Option<Trial>,
}

impl Check {
    /// A check without words.
    pub(super) fn new(area: &'static str, name: impl Into<String>, health: Health) -> Self {
        Self {
            area,
            name: name.into(),
            health,
            found: String::new(),
            tried: None,
            about: String::new(),
            remedy: None,
            trial: None,
        }
    }
}

/// Where the words of a check begin and end.
const COLUMNS: Columns = Columns { indent: 24, hanging: 24, width: 100 };

/// All checks for people, under the headings of their areas.
pub(super) fn text(checks: &[Check]) -> String {
    let mut out = String::new();
    let mut area = "";
    for check in checks {
        if check.area != area {
            area = check.area;
            out.push_str(&format!("{}{area}\n", if out.is_empty() { "" } else { "\n" }));
        }
        out.push_str(&of_one(check));
    }
    out
}

fn of_one(check: &Check) -> String {
    let word = match check.health {
        Health::Good => "ok",
        Health::Warning => "look",
        Health::Absent => "absent",
        Health::Failed => "FAILED",
    };
    let mut out = format!("  {word:<7} {:<13} {}\n", check.name, check.found);
    let mut line = |words: &str| {
        for part in words.lines() {
            wrap::labelled(&mut out, "", part.trim(), COLUMNS);
        }
    };
    if let Some(tried) = check.tried.filter(|tried| !check.found.contains(tried) && check.health != Health::Absent) {
        line(&format!("tested with {tried}"));
    }
    line(&check.about);
    match &check.trial {
        Some(Trial { what, seconds, error: None }) => line(&format!("{what}: works ({seconds:.1} s)")),
        Some(Trial { what, error: Some(error), .. }) => line(&format!("{what}: {error}")),
        None => {}
    }
    if let Some(remedy) = &check.remedy {
        line(&format!("→ {remedy}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_with_their_remedies() {
        let good = Check { found: "2 cores".into(), ..Check::new("machine", "processors", Health::Good) };
        let failed = Check {
            found: "3.4.0".into(),
            tried: Some("3.1.0"),
            about: "/usr/bin/wsclean".into(),
            remedy: Some("install it again".into()),
            trial: Some(Trial { what: "images", seconds: 1.0, error: Some("exit status 1".into()) }),
            ..Check::new("programs", "wsclean", Health::Failed)
        };
        insta::assert_snapshot!(text(&[good, failed]), @r"
        machine
          ok      processors    2 cores

        programs
          FAILED  wsclean       3.4.0
                                tested with 3.1.0
                                /usr/bin/wsclean
                                images: exit status 1
                                → install it again
        ");
    }
}
