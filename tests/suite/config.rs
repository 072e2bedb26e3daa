//! The campaign file: what loads, what is refused and how, and what a campaign's plan is.

use cleanloop::campaign::config::{self, Campaign, ConfigError, Overrides};
use cleanloop::campaign::plan::{self, ImagingPlan, Plan};
use std::path::Path;

const MINIMAL: &str = "\
version: 0.2
campaign: {name: field, measurement_sets: [field.ms], output: out, rounds: 3, imager: wsclean, calibrator: casa}
defaults:
  wsclean: {size: 1280, scale: 1.2asec, weight: briggs 0, niter: 50000, mgain: 0.8, channels_out: 1, join_channels: false}
selfcal:
  0: {}
  1: {gaincal: {solint: 180s, calmode: p}}
  2: {gaincal: {solint: 60s, calmode: p}}
  3: {gaincal: {solint: 120s, calmode: ap}}
";

fn load(text: &str) -> Result<Campaign, ConfigError> {
    config::parse(Path::new("campaign.yaml"), text.to_owned(), &Overrides::default())
}

fn plan_of(text: &str) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("field.ms")).unwrap();
    let path = folder.path().join("campaign.yaml");
    std::fs::write(&path, text).unwrap();
    let campaign = config::load(&path, &Overrides::default()).unwrap();
    plan::resolve(&campaign).unwrap()
}

#[test]
fn the_least_campaign_is_resolved() {
    let plan = plan_of(MINIMAL);
    assert_eq!(plan.rounds.len(), 4);
    let ImagingPlan::Wsclean(wsclean) = &plan.rounds[3].imaging else { panic!("wsclean") };
    assert_eq!((wsclean.size, wsclean.niter, wsclean.nmiter), (1280, 50_000, 15));
    let columns: Vec<_> = plan.rounds.iter().map(|round| round.data_column.as_str()).collect();
    assert_eq!(columns, ["DATA", "CORRECTED_DATA", "CORRECTED_DATA", "CORRECTED_DATA"]);
    assert!(plan.rounds[0].calibration.is_none() && plan.rounds[0].mask.is_none());
    assert_eq!(plan.rounds[2].calibration.as_ref().unwrap().gaincal["solint"], "60s");
    assert!(plan.output.ends_with("out"));
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let text = MINIMAL
        .replace("niter:", "nitre:")
        .replace("solint: 60s", "solint: 60")
        .replace("imager: wsclean", "imager: wclean");
    insta::assert_snapshot!(load(&text).unwrap_err());
}
