//! The command lines of a round.

use crate::campaign::record::CommandRecord;
use crate::report::numbers::duration;
use crate::report::pages::DatasetWriter;
use crate::util::shell;
use serde::Serialize;
use std::path::{Component, Path};

/// A command line with its log.
#[derive(Debug, Default, Serialize)]
pub(super) struct CommandView {
    step: String,
    line: String,
    note: String,
    log: String,
    log_href: String,
    failed: bool,
}

pub(super) fn view(writer: &DatasetWriter<'_>, list: &[CommandRecord]) -> Vec<CommandView> {
    list.iter().map(|c| command(writer, c)).collect()
}

fn command(writer: &DatasetWriter<'_>, c: &CommandRecord) -> CommandView {
    let failure = c.status.filter(|s| *s != 0);
    let notes = [c.seconds.map(duration), failure.map(|s| format!("exit status {s}"))];
    let log = c.log.as_ref().map(|l| writer.folder.join(l));
    let log_name = log.as_ref().and_then(|l| l.file_name()).map(|n| n.to_string_lossy().into_owned());
    CommandView {
        step: c.step.to_string(),
        line: shell::line(&c.words),
        note: notes.into_iter().flatten().collect::<Vec<_>>().join(", "),
        log: log_name.unwrap_or_default(),
        log_href: log.filter(|l| l.is_file()).and_then(|l| relative(writer.page_folder, &l)).unwrap_or_default(),
        failed: failure.is_some(),
    }
}

/// The way from the folder `from` to `to` as a link; `None` when they have only the root in common.
fn relative(from: &Path, to: &Path) -> Option<String> {
    let (from, to) = (std::path::absolute(from).ok()?, std::path::absolute(to).ok()?);
    let (a, b): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    // Files that lie elsewhere: a link would break as soon as the folder is moved.
    if common < 2 {
        return None;
    }
    let up = a[common..].iter().map(|_| "..".to_string());
    let down = b[common..].iter().map(|c| encode(&c.as_os_str().to_string_lossy()));
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// A path component as a part of a link.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'+' | b',' | b'=' => {
                (b as char).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/c/report", "/c/round-01/logs/a b.log", Some("../round-01/logs/a%20b.log"))]
    #[case("/c/report/beam00", "/c/x.log", Some("../../x.log"))]
    #[case("/c/report", "/elsewhere/x.log", None)]
    fn links_are_relative(#[case] from: &str, #[case] to: &str, #[case] link: Option<&str>) {
        assert_eq!(relative(Path::new(from), Path::new(to)).as_deref(), link);
    }
}
