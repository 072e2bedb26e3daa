//! Checks a tree against a JSON schema and collects every mistake, with its place and the nearest known name.
//!
//! Knows the part of JSON schema that `schemars` writes for option structs: references, types, enumerations,
//! alternatives, properties, pattern properties, items and limits.

use super::problem::{Problem, TextSpan};
use super::yaml::{Node, Value};
use crate::options::nearest;
use serde_json::{Map, Value as Json};

/// Checks a tree and returns it as JSON, with whole numbers where the schema wants them (`1e6` for an integer).
///
/// `place` names the map in messages (`selfcal.1.wsclean`; empty for the whole file).
pub(crate) fn check(node: &Node, schema: &Json, root: &Json, place: &str, problems: &mut Vec<Problem>) -> Json {
    Checker { root, problems }.any(node, schema, place)
}

/// Follows `$ref` into the schema's definitions.
pub(crate) fn resolve<'a>(mut schema: &'a Json, root: &'a Json) -> &'a Json {
    while let Some(target) = schema.get("$ref").and_then(Json::as_str) {
        match root.pointer(target.trim_start_matches('#')) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

struct Checker<'a> {
    root: &'a Json,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn any(&mut self, node: &Node, schema: &'a Json, place: &str) -> Json {
        let schema = resolve(schema, self.root);
        if schema.get("x-checked-by-loader").is_some() {
            return node.to_json();
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(branches) = schema.get(keyword).and_then(Json::as_array) {
                return self.alternatives(node, branches, place);
            }
        }
        if let Some([single]) = schema.get("allOf").and_then(Json::as_array).map(Vec::as_slice) {
            return self.any(node, single, place);
        }
        if let Some(words) = words(schema) {
            if let (Some(_), Value::Str(given)) = (schema.get("x-any-case"), &node.value)
                && let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(given))
            {
                return Json::String(word.clone());
            }
            return self.word(node, &words, place);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|kind| fits(&node.value, kind)) {
            self.wrong_type(node, &[schema], place);
            return Json::Null;
        }
        match &node.value {
            Value::Map(_) => self.map(node, schema, place),
            Value::Seq(items) => self.list(node, items, schema, place),
            Value::Float(number) if !types.contains(&"number") && types.contains(&"integer") => {
                self.limits(node, *number, schema, place);
                #[allow(clippy::cast_possible_truncation)] // `fits` has seen that it is whole and small.
                let whole = *number as i64;
                Json::from(whole)
            }
            Value::Int(number) => {
                #[allow(clippy::cast_precision_loss)] // Limits are far below 2^53.
                self.limits(node, *number as f64, schema, place);
                node.to_json()
            }
            Value::Float(number) => {
                self.limits(node, *number, schema, place);
                node.to_json()
            }
            _ => node.to_json(),
        }
    }

    fn map(&mut self, node: &Node, schema: &'a Json, place: &str) -> Json {
        let Value::Map(entries) = &node.value else { return Json::Null };
        let properties = schema.get("properties").and_then(Json::as_object);
        let patterns = schema.get("patternProperties").and_then(Json::as_object);
        let additional = schema.get("additionalProperties");
        let mut out = Map::new();
        for entry in entries {
            let inside = join(place, &entry.key);
            let known = properties.and_then(|properties| properties.get(&entry.key));
            // The only pattern that schemars writes is that of whole numbers as keys.
            let numbered = patterns
                .and_then(|patterns| patterns.values().next())
                .filter(|_| !entry.key.is_empty() && entry.key.bytes().all(|c| c.is_ascii_digit()));
            let value = match (known.or(numbered), additional) {
                (Some(schema), _) => self.any(&entry.value, schema, &inside),
                (None, Some(Json::Bool(false))) => {
                    if patterns.is_some() {
                        let problem = Problem::new(
                            entry.key_span,
                            format!(
                                "`{}` is not a whole number; {} maps rounds to their options",
                                entry.key,
                                here(place)
                            ),
                        );
                        self.problems.push(problem.help("name rounds by numbers from 0"));
                    } else {
                        self.unknown_key(&entry.key, entry.key_span, properties, place);
                    }
                    continue;
                }
                (None, Some(other)) if other.is_object() => self.any(&entry.value, other, &inside),
                (None, _) => entry.value.to_json(),
            };
            out.insert(entry.key.clone(), value);
        }
        for required in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let Some(required) = required.as_str() else { continue };
            if node.get(required).is_none() {
                let problem = Problem::new(node.span, format!("`{required}` is missing in {}", here(place)));
                self.problems.push(problem);
            }
        }
        Json::Object(out)
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json, place: &str) -> Json {
        let prefix = schema.get("prefixItems").and_then(Json::as_array);
        let rest = schema.get("items");
        for (keyword, wrong) in [("minItems", "few"), ("maxItems", "many")] {
            let Some(limit) = schema.get(keyword).and_then(Json::as_u64) else { continue };
            let count = items.len() as u64;
            if (wrong == "few" && count < limit) || (wrong == "many" && count > limit) {
                let message = format!("too {wrong} values in {}: {count}; expected {}", here(place), describe(schema));
                self.problems.push(Problem::new(node.span, message));
                return Json::Null;
            }
        }
        let checked = items.iter().enumerate().map(|(index, item)| {
            let schema = prefix.and_then(|prefix| prefix.get(index)).or(rest);
            // Of maps it must be said which one a key is missing in.
            let inside = format!("{place}[{index}]");
            let place = if matches!(item.value, Value::Map(_)) { &inside } else { place };
            match schema {
                Some(schema) if !schema.is_boolean() => self.any(item, schema, place),
                _ => item.to_json(),
            }
        });
        Json::Array(checked.collect())
    }

    fn alternatives(&mut self, node: &Node, branches: &'a [Json], place: &str) -> Json {
        let flat = self.flatten(branches);
        let mut best: Option<Vec<Problem>> = None;
        for branch in &flat {
            let mut problems = Vec::new();
            let value = Checker { root: self.root, problems: &mut problems }.any(node, branch, place);
            if problems.is_empty() {
                return value;
            }
            let kind_fits = types(branch).iter().any(|kind| fits(&node.value, kind));
            // Several words: one choice. Otherwise the branch of the same kind with the fewest mistakes speaks.
            let closer = best.as_ref().is_none_or(|old| problems.len() < old.len());
            if kind_fits && words(branch).is_none() && closer {
                best = Some(problems);
            }
        }
        let choices: Vec<String> = flat.iter().filter_map(|branch| words(branch)).flatten().collect();
        match (best, &node.value) {
            (_, Value::Str(_)) if !choices.is_empty() && flat.iter().all(|b| words(b).is_some() || !is_text(b)) => {
                self.word(node, &choices, place);
                let others: Vec<String> = flat
                    .iter()
                    .filter(|b| words(b).is_none())
                    .map(|b| describe(b))
                    .filter(|d| d != "nothing")
                    .collect();
                if let Some(problem) = self.problems.last_mut().filter(|_| !others.is_empty()) {
                    problem.help.insert(1, format!("or {}", others.join(" or ")));
                }
            }
            (Some(problems), _) => self.problems.extend(problems),
            (None, _) => self.wrong_type(node, &flat, place),
        }
        Json::Null
    }

    /// Alternatives of alternatives, as one list.
    fn flatten(&self, branches: &'a [Json]) -> Vec<&'a Json> {
        let mut flat = Vec::new();
        for branch in branches {
            let branch = resolve(branch, self.root);
            match ["oneOf", "anyOf"].iter().find_map(|key| branch.get(*key).and_then(Json::as_array)) {
                Some(inner) => flat.extend(self.flatten(inner)),
                None => flat.push(branch),
            }
        }
        flat
    }

    fn word(&mut self, node: &Node, words: &[String], place: &str) -> Json {
        let given = match &node.value {
            Value::Str(text) => text.clone(),
            Value::Null => "null".to_owned(),
            // `off`, `no`: text in the list of words, although YAML takes them for booleans.
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => node.to_json().to_string(),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        };
        if words.contains(&given) {
            return Json::String(given);
        }
        let mut problem = Problem::new(node.span, format!("`{given}` is not a value of `{place}`"))
            .help(format!("expected {}", one_of(words)));
        if let Some(near) = nearest(&given, words.iter().map(String::as_str)) {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        self.problems.push(problem);
        Json::Null
    }

    fn unknown_key(&mut self, key: &str, span: TextSpan, known: Option<&Map<String, Json>>, place: &str) {
        let mut problem = Problem::new(span, format!("unknown key `{key}` in {}", here(place)));
        let names: Vec<&str> = known.map(|known| known.keys().map(String::as_str).collect()).unwrap_or_default();
        problem = match nearest(key, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(match names.len() {
                0 => "no key is known here".to_owned(),
                1..=14 => format!("known keys: {}", names.join(", ")),
                _ => "docs/campaign.md lists the known keys".to_owned(),
            }),
        };
        self.problems.push(problem);
    }

    fn wrong_type(&mut self, node: &Node, expected: &[&Json], place: &str) {
        let mut kinds: Vec<String> = expected.iter().map(|schema| describe(schema)).collect();
        kinds.dedup();
        let found = match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(b) => format!("`{b}`"),
            Value::Int(i) => format!("the number {i}"),
            Value::Float(f) => format!("the number {f}"),
            Value::Str(s) => format!("the text `{s}`"),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        };
        let wanted = kinds.join(" or ");
        let mut problem = Problem::new(node.span, format!("`{place}` is {found}; expected {wanted}"));
        if expected.iter().any(|schema| is_text(schema)) && matches!(node.value, Value::Int(_) | Value::Float(_)) {
            problem = problem.help("for text that looks like a number, write it in quotes");
        }
        self.problems.push(problem);
    }

    fn limits(&mut self, node: &Node, number: f64, schema: &Json, place: &str) {
        let limit = |keyword: &str| schema.get(keyword).and_then(Json::as_f64);
        let wrong = if let Some(low) = limit("minimum").filter(|low| number < *low) {
            format!("at least {low}")
        } else if let Some(high) = limit("maximum").filter(|high| number > *high) {
            format!("at most {high}")
        } else if let Some(low) = limit("exclusiveMinimum").filter(|low| number <= *low) {
            format!("more than {low}")
        } else if let Some(high) = limit("exclusiveMaximum").filter(|high| number >= *high) {
            format!("less than {high}")
        } else {
            return;
        };
        self.problems.push(Problem::new(node.span, format!("`{place}` is {number}; expected {wrong}")));
    }
}

/// `a.b` for key `b` in the map `a`.
fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn here(place: &str) -> String {
    if place.is_empty() { "the file".to_owned() } else { format!("`{place}`") }
}

fn one_of(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The words that a schema allows, if it is an enumeration.
fn words(schema: &Json) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const") {
        return Some(vec![word.as_str().map_or_else(|| word.to_string(), str::to_owned)]);
    }
    let words = schema.get("enum")?.as_array()?;
    Some(words.iter().map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect())
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one.as_str()],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_text(schema: &Json) -> bool {
    types(schema).contains(&"string")
}

fn fits(value: &Value, kind: &str) -> bool {
    /// Whole numbers up to here are exact in a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (value, kind) {
        (Value::Null, "null")
        | (Value::Bool(_), "boolean")
        | (Value::Int(_), "integer" | "number")
        | (Value::Float(_), "number")
        | (Value::Str(_), "string")
        | (Value::Seq(_), "array")
        | (Value::Map(_), "object") => true,
        (Value::Float(number), "integer") => number.fract() == 0.0 && number.abs() < EXACT,
        _ => false,
    }
}

/// The expectation of a schema, in words.
pub(crate) fn describe(schema: &Json) -> String {
    if let Some(words) = words(schema) {
        return one_of(&words);
    }
    let kinds = types(schema).into_iter().map(|kind| match kind {
        "null" => "nothing".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "string" => "text".to_owned(),
        "object" => "a map".to_owned(),
        "array" => {
            let length = |keyword| schema.get(keyword).and_then(Json::as_u64);
            match (length("minItems"), length("maxItems")) {
                (Some(least), Some(most)) if least == most => format!("a list of {least} values"),
                (Some(least), _) if least > 0 => format!("a list of at least {least} values"),
                _ => "a list".to_owned(),
            }
        }
        other => other.to_owned(),
    });
    let kinds: Vec<String> = kinds.collect();
    if kinds.is_empty() { "another value".to_owned() } else { kinds.join(" or ") }
}
