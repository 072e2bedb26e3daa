//! Pages as text: well-formed, complete, with nothing fetched from anywhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn pages(report: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![report.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "html") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Values of an attribute, entities resolved.
pub(crate) fn attributes(html: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    let values = html.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap());
    values.map(|v| v.replace("&amp;", "&").replace("&lt;", "<").replace("&#x2f;", "/")).collect()
}

/// Every element is closed in order, every attribute quoted, no `<` or `&` stands alone.
fn assert_well_formed(page: &Path, html: &str) {
    const VOID: [&str; 5] = ["meta", "link", "input", "br", "img"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("{}: no doctype", page.display()));
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        for (i, _) in text.match_indices('&') {
            let entity = text[i + 1..].split(';').next().unwrap();
            assert!(
                !entity.is_empty()
                    && entity.len() < 8
                    && entity.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#'),
                "{}: lonely & in {:?}",
                page.display(),
                &text[i..text.len().min(i + 40)]
            );
        }
        rest = &rest[start..];
        let end = rest.find('>').unwrap_or_else(|| panic!("{}: unclosed tag", page.display()));
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            assert_eq!(last.as_deref(), Some(name.trim()), "{}: </{name}> closes another element", page.display());
            continue;
        }
        assert_eq!(
            tag.matches('"').count() % 2,
            0,
            "{}: odd quotes in <{}>",
            page.display(),
            &tag[..tag.len().min(80)]
        );
        let name = tag.split([' ', '/', '\n']).next().unwrap().to_string();
        assert!(
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{}: odd tag <{tag}>",
            page.display()
        );
        if tag.ends_with('/') || VOID.contains(&name.as_str()) {
            continue;
        }
        if name == "script" || name == "style" {
            let close = format!("</{name}>");
            let end = rest.find(&close).unwrap();
            rest = &rest[end + close.len()..];
            continue;
        }
        open.push(name);
    }
    assert!(open.is_empty(), "{}: never closed: {open:?}", page.display());
}

pub(crate) fn assert_sound(report: &Path) {
    let all = pages(report);
    assert!(!all.is_empty());
    for page in &all {
        let html = std::fs::read_to_string(page).unwrap();
        assert_well_formed(page, &html);
        // Addresses that only name a format are allowed; nothing may be fetched.
        let without_names = html.replace("http://www.w3.org/2000/svg", "");
        for forbidden in ["http://", "https://", "src=\"", "@import", "url("] {
            assert!(!without_names.contains(forbidden), "{}: has {forbidden}", page.display());
        }
        let ids: BTreeSet<String> = attributes(&html, "id").into_iter().collect();
        assert_eq!(ids.len(), attributes(&html, "id").len(), "{}: an id appears twice", page.display());
        for href in attributes(&html, "href") {
            if href.starts_with("data:image/") {
                continue;
            }
            if let Some(anchor) = href.strip_prefix('#') {
                assert!(ids.contains(anchor), "{}: no #{anchor}", page.display());
                continue;
            }
            let target = page.parent().unwrap().join(href.replace("%20", " "));
            assert!(target.is_file(), "{}: {href} leads nowhere", page.display());
        }
        let svgs = html.matches("<svg ").count() - html.matches("<svg x=").count();
        let labelled = html.matches("role=\"img\" aria-label=\"").count();
        assert!(svgs == labelled, "{}: {svgs} figures, {labelled} described", page.display());
        assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""));
        // Pictures are letters at random; look at the words and numbers between them.
        for text in html.split("data:image/png;base64,").map(|t| t.split_once('"').map_or(t, |(_, rest)| rest)) {
            assert!(!text.contains("NaN") && !text.contains(">none<"), "{}", page.display());
        }
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// Text of a table's cells by row.
pub(crate) fn cells(html: &str, table: &str) -> Vec<Vec<(String, Option<f64>)>> {
    let start = html.find(&format!("<table class=\"{table}")).unwrap_or_else(|| panic!("no table {table}"));
    let body = html[start..].split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    body.split("<tr")
        .skip(1)
        .map(|row| {
            row.split("<t")
                .skip(1)
                .map(|cell| {
                    let value = attributes(&format!(" {}", cell.split('>').next().unwrap()), "data-value").pop();
                    let text: String = {
                        let mut text = String::new();
                        let mut inside = false;
                        for c in cell.split_once('>').unwrap().1.split("</t").next().unwrap().chars() {
                            match c {
                                '<' => inside = true,
                                '>' => inside = false,
                                c if !inside => text.push(c),
                                _ => {}
                            }
                        }
                        text
                    };
                    (text.trim().to_string(), value.map(|v| v.parse().unwrap()))
                })
                .collect()
        })
        .collect()
}

/// The words of a page in lines: no style, script or figures, and `#` for every number, which may depend on the machine.
pub(crate) fn words(html: &str) -> String {
    let mut text = html.replace("&#x2f;", "/").replace("&#x27;", "'");
    for name in ["style", "script", "svg"] {
        while let Some(start) = text.find(&format!("<{name}")) {
            let end = start + length(&text[start..], name);
            text.replace_range(start..end, "\n");
        }
    }
    let mut plain = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push('\n');
            }
            _ if inside => {}
            c if c.is_ascii_digit() => {
                if !plain.ends_with('#') {
                    plain.push('#');
                }
            }
            c => plain.push(c),
        }
    }
    let plain = plain.replace("#.#", "#").replace("#\u{202f}#", "#");
    let has_words = |line: &&str| line.chars().any(char::is_alphabetic);
    plain.lines().map(str::trim).filter(has_words).collect::<Vec<_>>().join("\n")
}

/// Bytes of the element that the text begins with; elements of the same name may be inside.
fn length(text: &str, name: &str) -> usize {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let (mut depth, mut at) = (1, open.len());
    while depth > 0 {
        let end = at + text[at..].find(&close).unwrap_or_else(|| panic!("a {name} is never closed"));
        depth = depth + text[at..end].matches(&open).count() - 1;
        at = end + close.len();
    }
    at
}

#[test]
fn titles_between_adjoining_figures_are_among_the_words() {
    let figure = "<svg class=\"a\"><text>axis</text><svg x=\"1\"><text>inset</text></svg><text>more</text></svg>";
    assert_eq!(words(&format!("<h2>First</h2>{figure}<h2>Second</h2>{figure}<p>Last</p>")), "First\nSecond\nLast");
}
