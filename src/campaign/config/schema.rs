//! The JSON schema of the campaign file, made from the option structs: editors use it, and so does the check.

use super::block::CampaignBlock;
use super::modes::Modes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A self-calibration campaign: flint's strategy format 0.2 with a `campaign:` block.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "cleanloop campaign")]
#[allow(dead_code)] // Only its schema is used.
struct CampaignFile {
    /// Version of the format: 0.2.
    version: Version,
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
    /// flint's operation; loads, is not run.
    #[schemars(default)]
    stokesv: Json,
    /// flint's operation; loads, is not run.
    #[schemars(default)]
    subtractcube: Json,
    /// flint's operation; loads, is not run.
    #[schemars(default)]
    polarisation: Json,
}

struct Version;

impl JsonSchema for Version {
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
        let mut schema = schemars::schema_for!(CampaignFile).to_value();
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
