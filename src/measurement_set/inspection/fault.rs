//! What can be wrong with a measurement set, in words.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot be worked with.
    Error,
    /// Something of it is lost, or may surprise.
    Warning,
    /// Good to know.
    Note,
}

/// Part of a measurement set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// All of it.
    Everything,
    /// Fields, by number and name.
    Fields(Vec<String>),
    /// Spectral windows, by number and name.
    Windows(Vec<String>),
    /// Antennas, by name.
    Antennas(Vec<String>),
    /// Correlations, by name.
    Correlations(Vec<String>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |one: &str, many: &str, names: &[String]| match names {
            [name] => format!("{one} {name}"),
            _ => format!("{many} {}", list(names)),
        };
        f.write_str(&match self {
            Self::Everything => "all data".to_owned(),
            Self::Fields(names) => named("field", "fields", names),
            Self::Windows(names) => named("spectral window", "spectral windows", names),
            Self::Antennas(names) => named("antenna", "antennas", names),
            Self::Correlations(names) => named("correlation", "correlations", names),
        })
    }
}

/// Names with commas; of many, the first few.
pub(super) fn list(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.len() {
        n if n > MOST => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
        _ => names.join(", "),
    }
}

/// Something that is wrong with a measurement set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Columns in a storage manager that CASA does not have.
    StorageManager {
        /// Type of the storage manager.
        manager: String,
    },
    /// A part cannot be read.
    Unreadable {
        /// The part.
        what: String,
        /// CASA's words.
        why: String,
    },
    /// There is no column of visibilities of that name.
    NoColumn {
        /// The column.
        column: String,
        /// Columns of visibilities that are there.
        there: Vec<String>,
    },
    /// The main table is empty.
    NoRows,
    /// There are only autocorrelations.
    NoBaselines,
    /// Subtables that CASA needs are absent.
    MissingSubtables {
        /// Their names.
        names: Vec<String>,
    },
    /// Baseline-dependent averaging.
    AveragedByBaseline {
        /// Shapes of the cells, where there are several.
        shapes: Vec<String>,
    },
    /// Coordinates that are no numbers.
    UvwNotFinite {
        /// Rows.
        rows: u64,
    },
    /// All coordinates are 0.
    UvwZero,
    /// Everything is flagged.
    Flagged {
        /// What.
        place: Place,
    },
    /// No unflagged data have a weight.
    NoWeights {
        /// What.
        place: Place,
    },
    /// Unflagged visibilities that, or whose weights, are no numbers.
    NotFinite {
        /// What nearly all of them belong to; `None`: they are spread over everything.
        place: Option<Place>,
        /// Visibilities.
        visibilities: u64,
    },
    /// Too few antennas to solve for gains.
    FewAntennas {
        /// Names of those that have data.
        names: Vec<String>,
    },
    /// Windows with one correlation.
    OneCorrelation {
        /// The windows.
        windows: Vec<String>,
        /// The correlation.
        name: String,
    },
    /// Channels in descending order of frequency.
    Descending {
        /// The windows.
        windows: Vec<String>,
    },
    /// The column `INTERVAL` is not the spacing of the times.
    Interval {
        /// Spacing, s.
        spacing_s: f64,
        /// Median of `INTERVAL`, s.
        interval_s: f64,
    },
    /// Windows that no row of `DATA_DESCRIPTION` names.
    Undescribed {
        /// The windows.
        windows: Vec<String>,
    },
    /// Antennas whose names are the numbers of others.
    NumberNames {
        /// Their names.
        names: Vec<String>,
    },
    /// Antennas without a name, or with one that others have, too.
    SameNames {
        /// Their numbers.
        numbers: Vec<String>,
    },
    /// Several fields with different phase centres.
    SeveralFields {
        /// The fields.
        names: Vec<String>,
    },
    /// Windows with different numbers of channels.
    ChannelCounts {
        /// The numbers.
        counts: Vec<u64>,
    },
    /// Files that cannot be written.
    ReadOnly,
}

/// A fault, how much it matters, and words on it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// The same in words.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// The fault with its words.
    pub(super) fn new(severity: Severity, fault: Fault) -> Self {
        let (message, remedy) = (fault.message(), fault.remedy(severity));
        Self { severity, fault, message, remedy }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.remedy)
    }
}

impl Fault {
    /// The visibilities are compressed with Dysco.
    pub(super) fn is_dysco(&self) -> bool {
        matches!(self, Self::StorageManager { manager } if manager.to_lowercase().contains("dysco"))
    }

    /// What is wrong, without the end of a sentence.
    fn message(&self) -> String {
        match self {
            Self::StorageManager { .. } if self.is_dysco() => {
                "its visibilities are compressed with Dysco, which CASA cannot read".into()
            }
            Self::StorageManager { manager } => {
                format!("it uses the storage manager {manager}, which CASA cannot read")
            }
            Self::Unreadable { what, why } => {
                format!("{what} cannot be read, as if a file were cut off or missing ({why})")
            }
            Self::NoColumn { column, there } if there.is_empty() => {
                format!("it has no column {column}, nor any other with visibilities")
            }
            Self::NoColumn { column, there } => format!("it has no column {column}; it has {}", there.join(", ")),
            Self::NoRows => "it has no rows: there are no data".into(),
            Self::NoBaselines => "it has autocorrelations only: no baseline of two antennas".into(),
            Self::MissingSubtables { names } => {
                format!("it lacks the subtables {}, which CASA opens", names.join(", "))
            }
            Self::AveragedByBaseline { shapes } if shapes.is_empty() => {
                "its data were averaged by baseline (subtable BDA_TIME_AXIS)".into()
            }
            Self::AveragedByBaseline { shapes } => format!(
                "cells of one spectral window have several shapes ({}), as after averaging by baseline",
                list(shapes)
            ),
            Self::UvwNotFinite { rows } => format!("UVW is no number in {rows} of its rows"),
            Self::UvwZero => "UVW is 0 in all rows: the baselines are not known".into(),
            Self::Flagged { place: Place::Everything } => "all its data are flagged".into(),
            Self::Flagged { place } => format!("all data of {place} are flagged"),
            Self::NoWeights { place: Place::Everything } => "all weights of its unflagged data are 0".into(),
            Self::NoWeights { place } => format!("all weights of the unflagged data of {place} are 0"),
            Self::NotFinite { place: Some(Place::Everything), .. } => {
                "all its unflagged data or their weights are no numbers (NaN, infinite)".into()
            }
            Self::NotFinite { place, visibilities } => {
                let of = place.as_ref().map_or_else(String::new, |place| format!(": those of {place}"));
                format!("{visibilities} unflagged visibilities or their weights are no numbers (NaN, infinite){of}")
            }
            Self::FewAntennas { names } if names.len() == 2 => {
                format!("it has data of a single baseline ({} and {})", names[0], names[1])
            }
            Self::FewAntennas { names } => format!("it has data of {} antennas only ({})", names.len(), list(names)),
            Self::OneCorrelation { windows, name } => {
                format!("{} has one correlation ({name})", Place::Windows(windows.clone()))
            }
            Self::Descending { windows } => {
                format!("the channels of {} are in descending order", Place::Windows(windows.clone()))
            }
            Self::Interval { spacing_s, interval_s } => {
                format!("INTERVAL says {interval_s:.3} s, but its times are {spacing_s:.3} s apart")
            }
            Self::Undescribed { windows } => {
                format!("no row of DATA_DESCRIPTION names {}", Place::Windows(windows.clone()))
            }
            Self::NumberNames { names } => {
                format!("names of antennas are numbers of others in the table ANTENNA ({})", list(names))
            }
            Self::SameNames { numbers } => {
                format!("antennas have no name, or one that others have, too (numbers {})", list(numbers))
            }
            Self::SeveralFields { names } => {
                format!("it has data of {} fields with phase centres of their own ({})", names.len(), list(names))
            }
            Self::ChannelCounts { counts } => {
                let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
                format!("its spectral windows have different numbers of channels ({})", counts.join(", "))
            }
            Self::ReadOnly => "it cannot be written".into(),
        }
    }

    /// What to do about it: a sentence.
    fn remedy(&self, severity: Severity) -> String {
        let words = match self {
            Self::StorageManager { .. } if severity == Severity::Note => {
                "DP3 decompresses them in the working copy, which is looked into then"
            }
            Self::StorageManager { .. } if self.is_dysco() => {
                "`cleanloop setup dp3` installs what decompresses them in a working copy (of `DATA`, with `work_on: copy`, \
                 without `apply_to: original`); or write a copy with DP3 first: `DP3 msin=IN.ms msout=OUT.ms \
                 msout.storagemanager='' steps=[]`"
            }
            Self::StorageManager { .. } => "Write a copy with a program that has this storage manager",
            Self::Unreadable { .. } => "Copy it again from where it came from",
            Self::NoColumn { .. } => "Set `campaign: start_column` to one that is there",
            Self::NoRows | Self::NoBaselines => "There is nothing to image in it",
            Self::MissingSubtables { .. } if severity == Severity::Error => {
                "Add them, empty: `casacore.tables.default_ms_subtable(NAME, 'IN.ms/NAME')` of python-casacore, and the \
                 keyword NAME of the main table"
            }
            Self::MissingSubtables { .. } => "Nothing that this campaign needs; calibration with CASA would fail",
            Self::AveragedByBaseline { .. } => {
                "Use the data from before that averaging: neither CASA nor QuartiCal solves with these"
            }
            Self::UvwNotFinite { .. } => {
                "Calculate UVW again (`casatasks.fixvis`), or split the good rows off: \
                 `casatasks.mstransform(..., keepflags=False)` when the bad ones are flagged"
            }
            Self::UvwZero => "Calculate UVW (`casatasks.fixvis`)",
            Self::Flagged { place: Place::Everything } => {
                "See what flagged it (`casatasks.flagdata`, mode summary), and restore earlier flags with \
                 `casatasks.flagmanager`"
            }
            Self::Flagged { place: Place::Antennas(_) } => "They get no solutions",
            Self::Flagged { .. } if severity == Severity::Error => "Choose others, or restore earlier flags",
            Self::Flagged { .. } => "They are left out",
            Self::NoWeights { place: Place::Everything } => {
                "Give it weights: `casatasks.initweights(vis='IN.ms', wtmode='nyq')`"
            }
            Self::NoWeights { .. } if severity == Severity::Error => {
                "Choose others, or give it weights: `casatasks.initweights(vis='IN.ms', wtmode='nyq')`"
            }
            Self::NoWeights { .. } => "They count for nothing in images and solutions",
            Self::NotFinite { place: Some(Place::Everything), .. } => "Use the data from before they were spoilt",
            Self::NotFinite { .. } if severity == Severity::Error => {
                "Use `work_on: copy` (they are flagged in the copy), or flag them (`casatasks.flagdata`, mode clip)"
            }
            Self::NotFinite { .. } if severity == Severity::Note => "They are left out; Stokes I does not need them",
            Self::NotFinite { .. } => "They are flagged in the working copy; the original stays as it is",
            Self::FewAntennas { .. } if severity == Severity::Error => {
                "Self-calibration needs at least 4 antennas; images without calibration can be made (`cleanloop image`, or \
                 `calibrator: none`)"
            }
            Self::FewAntennas { .. } => "Such an image has strong sidelobes",
            Self::OneCorrelation { name, .. } => {
                return format!(
                    "wsclean makes no image of Stokes I of it: set `wsclean: {{pol: {}}}`",
                    name.to_lowercase()
                );
            }
            Self::Descending { .. } => {
                "Images and masks have their channels in ascending order of frequency; ranges in `spw` count as the data do"
            }
            Self::Interval { .. } => "The spacing of the times counts in all solution intervals",
            Self::Undescribed { .. } => "They have no data; numbers in `spw` count them all the same",
            Self::NumberNames { .. } => "Names go first, as in CASA: `antenna: '3'` is the antenna of that name",
            Self::SameNames { .. } => "Name them by number; statistics of gains tell them apart only by name",
            Self::SeveralFields { .. } => "Name the one to image with `campaign: field`",
            Self::ChannelCounts { .. } => "They are imaged together, each with its own solutions",
            Self::ReadOnly => "Use `work_on: copy`, or make it writable",
        };
        words.to_owned()
    }
}
