//! The JSON schema of the campaign file, made from the option structs: editors use it, and so does the check.

use crate::campaign::file::block::CampaignBlock;
use crate::campaign::file::modes::{Modes, Polarisation};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A self-calibration campaign: flint's strategy format 0.2 with a `campaign:` block.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "cleanloop campaign")]
#[allow(dead_code)] // Only its schema is used.
struct FileSchema {
    /// Version of the format: 0.2.
    version: FileVersion,
    /// The campaign: data, programs, masks, limits.
    #[schemars(default)]
    campaign: Option<CampaignBlock>,
    /// Options of the tools in all rounds.
    #[schemars(default)]
    defaults: Option<Modes>,
    /// Options of the tools by round; they update `defaults` key by key. A round past the last listed one has the last
    /// one's options.
    #[schemars(default)]
    selfcal: Option<BTreeMap<usize, Option<Modes>>>,
    /// flint's operation: Stokes V of the best round, as a final imaging. Options of wsclean update those of `defaults`.
    #[schemars(default)]
    stokesv: Option<Modes>,
    /// flint's operation: the best round's model is subtracted, and each channel imaged by itself, as a final imaging.
    #[schemars(default)]
    subtractcube: Option<Modes>,
    /// flint's operation: final imagings of Stokes I, of Q and U together, and of V.
    #[schemars(default)]
    polarisation: Option<Polarisation>,
    /// flint's operation; loads, is not run.
    #[schemars(default)]
    rmsynth: Json,
}

struct FileVersion;

impl JsonSchema for FileVersion {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The loader compares the value itself, for a message that names both versions.
        json_schema!({"enum": [0.2, "0.2"], "x-checked-by-loader": true})
    }
}

/// The schema.
pub fn value() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = schemars::schema_for!(FileSchema).to_value();
        shorten(&mut schema);
        schema
    })
}

/// Single-precision defaults as people write them: 0.3, not 0.30000001192092896.
pub fn shorten(value: &mut Json) {
    match value {
        #[allow(clippy::cast_possible_truncation)] // Compared below.
        Json::Number(number) => {
            if let Some(wide) = number.as_f64().filter(|_| number.is_f64())
                && f64::from(wide as f32) == wide
                && let Ok(short) = (wide as f32).to_string().parse::<f64>()
            {
                *value = Json::from(short);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(shorten),
        Json::Object(map) => map.values_mut().for_each(shorten),
        _ => {}
    }
}

/// The schema as the text of `config/campaign.schema.json`.
pub fn text() -> String {
    let mut text = format!("{:#}", value());
    text.push('\n');
    text
}

/// First and last part of the comments between which documents hold generated tables of keys.
const TABLE_START: &str = "<!-- keys: ";
const TABLE_END: &str = "<!-- end of keys -->";

/// The text of a document with every table between `<!-- keys: NAME -->` and `<!-- end of keys -->` made again.
///
/// # Errors
/// A name that the schema does not define, or a table without an end.
pub fn document(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TABLE_START) {
        let after = &rest[at + TABLE_START.len()..];
        let (name, tail) = after.split_once(" -->").ok_or("a table's comment does not end")?;
        let end = tail.find(TABLE_END).ok_or_else(|| format!("the table of {name} does not end"))?;
        out.push_str(&rest[..at]);
        out.push_str(&format!("{TABLE_START}{name} -->\n{}{TABLE_END}", table(name)?));
        rest = &tail[end + TABLE_END.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

/// A Markdown table of the keys of one map.
fn table(name: &str) -> Result<String, String> {
    let root = value();
    let keys =
        root["$defs"][name]["properties"].as_object().ok_or_else(|| format!("the schema defines no `{name}`"))?;
    let mut table = String::from("| key | value | default | meaning |\n|---|---|---|---|\n");
    for (key, schema) in keys {
        let default = match schema.get("default") {
            None | Some(Json::Null) => "none".to_owned(),
            Some(Json::Object(_)) => "see below".to_owned(),
            Some(Json::Array(items)) if items.is_empty() => "none".to_owned(),
            Some(Json::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };
        let meaning = schema.get("description").and_then(Json::as_str).unwrap_or("").replace("\n\n", " ");
        let meaning = meaning.replace('\n', " ").replace('|', "\\|");
        table.push_str(&format!("| `{key}` | {} | {default} | {meaning} |\n", values(schema, root)));
    }
    Ok(table)
}

/// The type of a key, in few words.
fn values(schema: &Json, root: &Json) -> String {
    let schema = super::check::resolve(schema, root);
    let mut kinds: Vec<String> = Vec::new();
    match ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key).and_then(Json::as_array)) {
        Some(branches) => {
            for branch in branches {
                kinds.push(values(branch, root));
            }
        }
        None if schema.get("type").is_none() && schema.get("const").is_none() && schema.get("enum").is_none() => {
            kinds.push("anything".to_owned());
        }
        None => {
            let items = schema.get("items").filter(|items| items.is_object()).map(|items| values(items, root));
            for kind in super::check::describe(schema).split(" or ") {
                kinds.push(match (&items, kind) {
                    (Some(items), "a list") => {
                        format!("list of {}", items.replace("number", "numbers").replace("text", "texts"))
                    }
                    _ => kind.trim_start_matches("a ").to_owned(),
                });
            }
        }
    }
    kinds.retain(|kind| !kind.is_empty() && kind != "nothing");
    let mut unique: Vec<String> = Vec::new();
    for kind in kinds {
        if !unique.contains(&kind) {
            unique.push(kind);
        }
    }
    unique.join(" or ").replace('|', "\\|")
}
