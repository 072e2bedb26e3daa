//! The selection: a target for each field, all held against the data, and averaging that leaves solving its intervals.

use super::measurement_sets::folder_name;
use super::{MeasurementSetPlan, PlanError, RoundPlan};
use crate::Error;
use crate::calibrator::options::Solint;
use crate::campaign::file::{CampaignBlock, CampaignFile, FieldChoice};
use crate::measurement_set::{MsSummary, windows_of};
use crate::programs::casa::Casa;
use std::collections::HashSet;
use std::path::Path;

/// Reads what is in a measurement set.
type ReadSummary<'a> = dyn Fn(&Path) -> crate::Result<MsSummary> + 'a;

/// The selection of a campaign.
pub(super) struct Selection<'a> {
    /// The file.
    pub(super) campaign: &'a CampaignFile,
    /// Its block, environment variables replaced.
    pub(super) block: &'a CampaignBlock,
    /// The rounds.
    pub(super) rounds: &'a [RoundPlan],
}

impl Selection<'_> {
    /// Takes each field that is asked for as a measurement set of its own, holds fields, windows and channels against the
    /// data, and returns warnings, too.
    ///
    /// # Errors
    /// Fields, windows or channels that do not exist; data that cannot be read though `field: each` needs them; averages
    /// that are longer than the intervals that are solved for.
    pub(super) fn of(
        &self,
        sets: Vec<MeasurementSetPlan>,
    ) -> std::result::Result<(Vec<MeasurementSetPlan>, Vec<String>), PlanError> {
        let read = |path: &Path| MsSummary::read(&Casa::open(&self.block.executables.casa, None)?, path);
        self.check_intervals()?;
        self.with(sets, &self.block.field, &read)
    }

    fn with(
        &self,
        sets: Vec<MeasurementSetPlan>,
        choice: &FieldChoice,
        read: &ReadSummary<'_>,
    ) -> std::result::Result<(Vec<MeasurementSetPlan>, Vec<String>), PlanError> {
        let (several, mut warnings, mut selected) = (sets.len() > 1, Vec::new(), Vec::new());
        if choice.is_default() && self.block.spw.is_empty() {
            return Ok((sets, warnings));
        }
        for set in sets {
            let summary = match read(&set.path) {
                Ok(summary) => Some(summary),
                Err(error) if *choice == FieldChoice::Each || matches!(error, Error::BadInput(_)) => {
                    return Err(PlanError::Unread { path: set.path, why: error.to_string() });
                }
                Err(error) => {
                    warnings.push(format!("{}: the selection is not checked ({error})", set.path.display()));
                    None
                }
            };
            let fields = self.fields(&set, choice, summary.as_ref(), &mut warnings)?;
            let renamed = matches!(choice, FieldChoice::Each | FieldChoice::Several(_));
            for field in fields {
                let name = match &field {
                    Some(field) if renamed => target_name(&set, field, summary.as_ref(), several),
                    _ => set.name.clone(),
                };
                selected.push(MeasurementSetPlan { name, field, ..set.clone() });
            }
        }
        make_unique(&mut selected);
        Ok((selected, warnings))
    }

    /// The fields of one measurement set; `None` stands for the one that is chosen later.
    fn fields(
        &self,
        set: &MeasurementSetPlan,
        choice: &FieldChoice,
        summary: Option<&MsSummary>,
        warnings: &mut Vec<String>,
    ) -> std::result::Result<Vec<Option<String>>, PlanError> {
        let wrong = |key: &str, why: &str| {
            let help = "name what there is, or leave the key out";
            self.campaign.error_at(&["campaign", key], format!("{}: {why}", set.path.display()), help)
        };
        if let Some(summary) = summary {
            let windows = windows_of(&self.block.spw).unwrap_or_default();
            summary.check_windows(&windows).map_err(|why| wrong("spw", &why))?;
        }
        let named = match choice {
            FieldChoice::Target => return Ok(vec![None]),
            FieldChoice::One(field) => vec![field.clone()],
            FieldChoice::Several(fields) => fields.clone(),
            FieldChoice::Each => each(warnings, set, summary),
        };
        if named.is_empty() {
            return Err(wrong("field", "no field has unflagged data").into());
        }
        for field in summary.into_iter().flat_map(|summary| named.iter().map(move |field| summary.field_named(field))) {
            field.map_err(|why| wrong("field", &why))?;
        }
        Ok(named.into_iter().map(Some).collect())
    }

    /// Averages are not longer than the intervals that are solved for.
    fn check_intervals(&self) -> std::result::Result<(), PlanError> {
        let Some(bin) = self.block.average.time else { return Ok(()) };
        let solves = self.rounds.iter().flat_map(|r| r.calibration.iter().map(move |c| (r.round, c)));
        for (round, element) in solves.flat_map(|(round, c)| c.chain.iter().map(move |element| (round, element))) {
            if let Some(Solint::Seconds(seconds)) = element.interval()
                && seconds < bin.0.as_secs_f64()
            {
                let message = format!(
                    "times are averaged to {bin}, but round {round} solves for intervals of {}, which are shorter",
                    element.solint
                );
                let help = "average less (`campaign.average.time`), or solve for longer intervals";
                return Err(self.campaign.error_at(&["campaign", "average", "time"], message, help).into());
            }
        }
        Ok(())
    }
}

/// The name of a field of a measurement set as a target.
fn target_name(set: &MeasurementSetPlan, field: &str, summary: Option<&MsSummary>, several: bool) -> String {
    let known = field.parse::<usize>().ok().and_then(|number| summary?.fields.get(number));
    let name = folder_name(known.map_or(field, |field| &field.name));
    if several { format!("{}-{name}", set.name) } else { name }
}

/// The numbers of all fields with unflagged data; the others are named in a warning.
fn each(warnings: &mut Vec<String>, set: &MeasurementSetPlan, summary: Option<&MsSummary>) -> Vec<String> {
    let Some(summary) = summary else { return Vec::new() };
    let (good, flagged): (Vec<_>, Vec<_>) = summary.observed_fields().partition(|(_, f)| f.unflagged_fraction > 0.0);
    for (_, field) in flagged {
        warnings.push(format!(
            "{}: all data of the field {} are flagged: it is left out",
            set.path.display(),
            field.name
        ));
    }
    good.into_iter().map(|(number, _)| number.to_string()).collect()
}

/// Gives targets of the same name numbers.
fn make_unique(targets: &mut [MeasurementSetPlan]) {
    let mut names = HashSet::new();
    for target in targets {
        let stem = target.name.clone();
        let mut number = 2;
        while !names.insert(target.name.clone()) {
            target.name = format!("{stem}-{number}");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::file::{Overrides, parse};
    use crate::campaign::plan::resolve;
    use crate::measurement_set::Field;

    fn summary() -> MsSummary {
        let field = |name: &str, unflagged_fraction: f64| Field {
            name: name.to_owned(),
            ra_deg: 0.0,
            dec_deg: 0.0,
            observed: true,
            rows: 10,
            windows: Vec::new(),
            unflagged_fraction,
            intents: Vec::new(),
        };
        MsSummary {
            fields: vec![field("3C 84", 0.9), field("flagged", 0.0), field("3C 84", 0.5)],
            ..MsSummary::default()
        }
    }

    /// Targets and warnings, or what is wrong.
    fn planned(sets: &[&str], keys: &str, choice: &FieldChoice) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        sets.iter().for_each(|set| std::fs::create_dir(folder.path().join(set)).expect("made"));
        let file = format!(
            "version: 0.2\ncampaign: {{measurement_sets: [{}]{keys}}}\ndefaults: {{wsclean: {{size: 64, scale: 1asec}}, gaincal: {{solint: 20s}}}}\n",
            sets.join(", ")
        );
        let campaign = parse(&folder.path().join("c.yaml"), file, &Overrides::default()).expect("a campaign");
        let here = |text: String| text.replace(&folder.path().display().to_string(), "<folder>");
        let planned = resolve(&campaign).and_then(|plan| {
            let selection = Selection { campaign: &campaign, block: &campaign.block, rounds: &plan.rounds };
            let sets = plan.targets.iter().flat_map(|target| target.members.clone()).collect();
            let (sets, warnings) = selection.with(sets, choice, &|_| Ok(summary()))?;
            let line = |s: &MeasurementSetPlan| format!("{} {} {:?}", s.name, s.path.display(), s.field);
            Ok([sets.iter().map(line).collect(), warnings].concat().join("\n"))
        });
        here(planned.unwrap_or_else(|error| error.to_string()))
    }

    #[test]
    fn each_field_with_data_is_a_target_of_a_name_of_its_own() {
        let several = FieldChoice::Several(vec!["0".into(), "flagged".into()]);
        insta::assert_snapshot!(
            [
                planned(&["a.ms"], "", &FieldChoice::Each),
                planned(&["a.ms", "b.ms"], "", &several),
                planned(&["a.ms"], "", &FieldChoice::One("flagged".into())),
                planned(&["a.ms"], "", &FieldChoice::Target),
            ]
            .join("\n\n")
        );
    }

    #[test]
    fn a_field_that_is_not_there_is_named_with_its_line() {
        insta::assert_snapshot!(planned(&["a.ms"], "", &FieldChoice::One("4".into())));
    }

    #[test]
    fn averages_are_not_longer_than_intervals() {
        let keys = ", average: {time: 30s}, calibrator: casa, rounds: 1";
        insta::assert_snapshot!(planned(&["a.ms"], keys, &FieldChoice::Target));
    }
}
