//! `cleanloop schema`: the JSON schemas of the campaign file and of everything that scripts read, and the tables of keys in
//! the documentation.

use crate::campaign::file::schema;
use crate::campaign::journal::JournalLine;
use crate::campaign::record::CampaignRecord;
use crate::cli::measurements::{confetti, inspect, metrics};
use crate::cli::setup::doctor;
use crate::report::summary::RecordSummary;
use crate::report::terminal::LogLine;
use crate::{Error, ExitStatus, Result};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Print the JSON schema of a format that the program reads or writes.
///
/// Within one version of a format keys are added, never renamed or removed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The format.
    #[arg(value_enum, default_value_t)]
    pub format: Format,

    /// Write the tables of keys of this document again instead (between `<!-- keys: NAME -->` comments).
    #[arg(long, value_name = "FILE.md", conflicts_with = "format")]
    pub document: Option<PathBuf>,
}

/// A format that has a schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The campaign file.
    #[default]
    Campaign,
    /// `record.json`.
    Record,
    /// `cleanloop status --json`: the same as the record.
    Status,
    /// `report/summary.json`.
    Summary,
    /// A line of `journal.jsonl`.
    Journal,
    /// `cleanloop metrics --json`.
    Metrics,
    /// `cleanloop confetti --json`.
    Confetti,
    /// `cleanloop inspect --json`.
    Inspect,
    /// `cleanloop doctor --json`.
    Doctor,
    /// A line on standard error with `--log-format json`.
    Events,
}

impl Format {
    /// The schema, as text.
    fn text(self) -> String {
        match self {
            Self::Campaign => schema::text(),
            Self::Record | Self::Status => written::<CampaignRecord>(),
            Self::Summary => written::<RecordSummary<'_>>(),
            Self::Journal => written::<JournalLine>(),
            Self::Metrics => written::<Vec<metrics::ImageEntry<'_>>>(),
            Self::Confetti => written::<confetti::Output<'_>>(),
            Self::Inspect => written::<inspect::Output<'_>>(),
            Self::Doctor => written::<doctor::Output<'_>>(),
            Self::Events => written::<LogLine>(),
        }
    }
}

/// The schema of what the program writes.
fn written<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(AsWritten);
    format!("{:#}\n", settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// What holds for everything that is written: numbers that are not finite are `null`, and defaults are of no interest.
#[derive(Debug, Clone)]
struct AsWritten;

impl Transform for AsWritten {
    fn transform(&mut self, schema: &mut Schema) {
        schema.remove("default");
        if schema.get("format").is_some_and(|format| format == "double" || format == "float")
            && schema.get("type").is_some_and(|kind| kind == "number")
        {
            schema.insert("type".to_owned(), json!(["number", "null"]));
        }
        if let Some(Json::String(text)) = schema.get_mut("description") {
            // Links of the library's documentation, and words that are Rust's.
            *text = text.replace("[`", "`").replace("`]", "`").replace("`None`", "`null`");
        }
        transform_subschemas(self, schema);
    }
}

/// Prints the schema, or renews a document.
///
/// # Errors
/// The document cannot be read or written, or names a table that does not exist.
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    let Some(path) = args.document else {
        print!("{}", args.format.text());
        return Ok(ExitStatus::Done);
    };
    let name = path.display();
    let text =
        std::fs::read_to_string(&path).map_err(|error| Error::bad_input(format!("{name}: cannot be read: {error}")))?;
    let renewed = schema::document(&text).map_err(|error| Error::bad_input(format!("{name}: {error}")))?;
    std::fs::write(&path, renewed).map_err(|error| Error::bad_input(format!("{name}: cannot be written: {error}")))?;
    Ok(ExitStatus::Done)
}
