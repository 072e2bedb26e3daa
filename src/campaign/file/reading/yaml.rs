//! YAML text to a tree in which every key and value knows where it stands.
//!
//! Scalars are resolved as flint's reader (PyYAML, YAML 1.1) does, with two kindnesses: `1e-5` is a number although it
//! lacks a dot, and whole numbers written like `012` or `1:30` stay text. Tags (`!!python/tuple`) are accepted and
//! ignored; anchors, aliases and merge keys (`<<`) work.

use super::problem::{Problem, TextSpan};
use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan, StrInput};
use std::collections::HashMap;

/// Most levels of maps and lists inside each other.
const MAX_DEPTH: usize = 64;

/// Most values that aliases may add to the tree: a guard against files that multiply themselves.
const MAX_ALIAS_NODES: usize = 100_000;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it stands.
    pub span: TextSpan,
    /// The value.
    pub value: Value,
}

/// Content of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true`, `false` and YAML 1.1's other words for them.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other finite number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list or tuple.
    Seq(Vec<Node>),
    /// A map, in the file's order, without duplicates.
    Map(Vec<YamlEntry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlEntry {
    /// The key as text (`1` and `"1"` are the same).
    pub key: String,
    /// Where the key stands.
    pub key_span: TextSpan,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The entry of a key, if this is a map that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&YamlEntry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value at a path of keys; elements of lists are counted from 0.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| match &node.value {
            Value::Seq(items) => items.get(key.parse::<usize>().ok()?),
            _ => node.get(key),
        })
    }

    /// The same without places; numbers that are not finite never get here.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Float(f) => Json::from(*f),
            Value::Str(s) => Json::String(s.clone()),
            Value::Seq(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Seq(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
            _ => 0,
        }
    }
}

/// Parses one document.
///
/// # Errors
/// All duplicate keys, keys that are not plain values and numbers that are not finite; or the first syntax error.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        alias_nodes: 0,
        depth: 0,
        problems: Vec::new(),
    };
    match builder.document() {
        Ok(node) if builder.problems.is_empty() => Ok(node),
        Ok(_) => Err(builder.problems),
        Err(syntax) => {
            builder.problems.push(syntax);
            Err(builder.problems)
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    alias_nodes: usize,
    depth: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, TextSpan), Problem> {
        loop {
            return match self.parser.next() {
                Some(Ok((Event::Comment(..), _))) => continue,
                Some(Ok((event, span))) => Ok((event, place(&span))),
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(0);
                    Err(Problem::new(TextSpan::new(at, at), format!("this is not YAML: {}", error.info())))
                }
                None => Ok((Event::StreamEnd, TextSpan::default())),
            };
        }
    }

    fn document(&mut self) -> Result<Node, Problem> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Ok(Node { span, value: Value::Null }),
                first => {
                    let root = self.node(first, span)?;
                    // Only the end may follow.
                    loop {
                        match self.next()? {
                            (Event::StreamEnd, _) => return Ok(root),
                            (Event::DocumentEnd, _) => {}
                            (_, span) => {
                                return Err(Problem::new(span, "a second document begins here").help(
                                    "a campaign is one YAML document: remove the `---` line or what follows it",
                                ));
                            }
                        }
                    }
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: TextSpan) -> Result<Node, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::new(span, format!("more than {MAX_DEPTH} maps and lists inside each other")));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text =
                    style != ScalarStyle::Plain || tag.as_deref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                let value = if as_text { Value::Str(text.into_owned()) } else { self.resolve(&text, span) };
                (Node { span, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => break end,
                        (event, span) => items.push(self.node(event, span)?),
                    }
                };
                (Node { span: span.to(end), value: Value::Seq(items) }, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, end) = self.mapping()?;
                (Node { span: span.to(end), value: Value::Map(entries) }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Problem::new(span, "this alias refers to itself"));
                };
                self.alias_nodes += node.count();
                if self.alias_nodes > MAX_ALIAS_NODES {
                    return Err(Problem::new(span, format!("aliases add more than {MAX_ALIAS_NODES} values")));
                }
                (node.clone(), 0)
            }
            _ => return Err(Problem::new(span, "this is not YAML: a value is missing here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.depth -= 1;
        Ok(node)
    }

    /// Entries up to the end of the map, with merged ones (`<<`) after the map's own, which win.
    fn mapping(&mut self) -> Result<(Vec<YamlEntry>, TextSpan), Problem> {
        let mut entries: Vec<YamlEntry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span;
            }
            let plain_key = match &event {
                Event::Scalar(text, style, ..) => Some((text.clone().into_owned(), *style == ScalarStyle::Plain)),
                _ => None,
            };
            let key_node = self.node(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            // The text as written is the key: `1`, `1.50` and `yes` keep their spelling.
            let key = match (plain_key, &key_node.value) {
                (Some((key, plain)), _) if plain && key == "<<" => {
                    merged.push(value);
                    continue;
                }
                (Some((key, _)), _) => key,
                (None, Value::Str(key)) => key.clone(),
                (None, Value::Int(key)) => key.to_string(),
                _ => {
                    self.problems.push(Problem::new(key_node.span, "a key must be a word or a number"));
                    continue;
                }
            };
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => {
                    let problem = Problem::new(key_node.span, format!("the key `{key}` stands here a second time"))
                        .help("keep one of the two")
                        .context(first.key_span, "first here");
                    self.problems.push(problem);
                }
                None => entries.push(YamlEntry { key, key_span: key_node.span, value }),
            }
        };
        for node in merged {
            let sources = match node.value {
                Value::Seq(items) => items,
                _ => vec![node],
            };
            for source in sources {
                let Value::Map(more) = source.value else {
                    self.problems.push(Problem::new(source.span, "`<<` can only merge maps"));
                    continue;
                };
                for entry in more {
                    if !entries.iter().any(|own| own.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok((entries, end))
    }

    fn resolve(&mut self, text: &str, span: TextSpan) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
            _ => {}
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(&digits) {
            self.problems.push(Problem::new(span, format!("`{text}` is not a finite number")));
            return Value::Null;
        }
        // Underscores between digits are YAML 1.1's thousands separators.
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Value::Str(text.to_owned());
        }
        let plain = text.replace('_', "");
        let whole = digits.bytes().all(|c| c.is_ascii_digit() || c == b'_');
        if whole {
            if digits.len() > 1 && digits.starts_with('0') {
                return Value::Str(text.to_owned());
            }
            return match plain.parse::<i64>() {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Float(plain.parse().unwrap_or(f64::MAX)),
            };
        }
        if let Some(hexadecimal) = digits.strip_prefix("0x")
            && let Ok(number) = i64::from_str_radix(&hexadecimal.replace('_', ""), 16)
        {
            return Value::Int(if text.starts_with('-') { -number } else { number });
        }
        match plain.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            Ok(_) => {
                self.problems.push(Problem::new(span, format!("`{text}` is not a finite number")));
                Value::Null
            }
            Err(_) => Value::Str(text.to_owned()),
        }
    }
}

fn place(span: &ParserSpan) -> TextSpan {
    let start = span.start.byte_offset().unwrap_or(0);
    TextSpan::new(start, span.end.byte_offset().unwrap_or(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json(text: &str) -> serde_json::Value {
        parse(text).unwrap().to_json()
    }

    #[test]
    fn scalars_are_what_pyyaml_makes_of_them() {
        let text = "{a: 1, b: 2.5, c: 1e-5, d: 60s, e: 2.5asec, f: yes, g: off, h: ~, i: , j: '5', k: i, l: y, \
                    m: 50_000, n: -0.5, o: .5, p: inf, q: 012, r: '>200m', s: 0x10, t: !!str 5, u: -7}";
        let expected = json!({"a": 1, "b": 2.5, "c": 1e-5, "d": "60s", "e": "2.5asec", "f": true, "g": false,
            "h": null, "i": null, "j": "5", "k": "i", "l": "y", "m": 50_000, "n": -0.5, "o": 0.5, "p": "inf",
            "q": "012", "r": ">200m", "s": 16, "t": "5", "u": -7});
        assert_eq!(json(text), expected);
    }

    #[test]
    fn tuples_aliases_and_merges() {
        let text = "base: &base {niter: 5, gain: 0.1}\nuse:\n  <<: *base\n  niter: 7\nagain: *base\n\
                    scales: !!python/tuple\n- 0\n- 15\nflow: !!python/tuple [1, 2]\n";
        let expected = json!({"base": {"niter": 5, "gain": 0.1}, "use": {"niter": 7, "gain": 0.1},
            "again": {"niter": 5, "gain": 0.1}, "scales": [0, 15], "flow": [1, 2]});
        assert_eq!(json(text), expected);
    }

    #[test]
    fn places_are_bytes_of_the_text() {
        let text = "# é\nselfcal:\n  1: {gaincal: {solint: 60s}}\n";
        let root = parse(text).unwrap();
        let entry = root.at(&["selfcal", "1", "gaincal"]).unwrap().entry("solint").unwrap();
        assert_eq!(&text[entry.key_span.range()], "solint");
        assert_eq!(&text[entry.value.span.range()], "60s");
    }

    #[test]
    fn all_duplicates_are_found_at_once() {
        let problems = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n").unwrap_err();
        let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(messages, ["the key `c` stands here a second time", "the key `a` stands here a second time"]);
    }

    #[test]
    fn hostile_files_end_in_an_error() {
        assert!(parse(&"[".repeat(200)).is_err());
        let mut text = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for i in 1..9 {
            let before = format!("*a{}, ", i - 1).repeat(9);
            text += &format!("a{i}: &a{i} [{before}*a{}]\n", i - 1);
        }
        assert!(parse(&text).is_err());
        assert!(parse("a: &x [*x]\n").is_err());
        insta::assert_snapshot!(parse("a: 1\n---\nb: 2\n").unwrap_err()[0].message, @"a second document begins here");
        assert_eq!(parse("").unwrap().value, Value::Null);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[a-z0-9:{}\\[\\],&*<!\"'|>#\\- \n.~é]{0,80}") {
            let _ = parse(&text);
        }
    }
}
