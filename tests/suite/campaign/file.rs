//! The campaign file: what loads, what is refused and how, what is generated from it, and how its commands behave.

use crate::support::words::without_folder;
use assert_cmd::Command;
use cleanloop::campaign::file::{self, CampaignFile, ConfigError, Overrides, schema};
use cleanloop::campaign::plan::{self, Plan, PlanError};
use cleanloop::imager::ImagerOptions;
use cleanloop::imager::wsclean::WscleanOptions;
use rstest::rstest;
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

fn load(text: &str) -> Result<CampaignFile, ConfigError> {
    file::parse(Path::new("campaign.yaml"), text.to_owned(), &Overrides::default())
}

/// A folder with a campaign file and the measurement set that it names.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("field.ms")).unwrap();
    std::fs::write(folder.path().join("campaign.yaml"), text).unwrap();
    folder
}

fn plan_with(text: &str, settings: &[&str]) -> Plan {
    let folder = folder(text);
    let overrides = Overrides { settings: settings.iter().map(ToString::to_string).collect(), ..Overrides::default() };
    let campaign = file::load(&folder.path().join("campaign.yaml"), &overrides).unwrap();
    plan::resolve(&campaign).unwrap()
}

/// `cleanloop` where CASA was never set up: nobody looks into the measurement sets, which are empty folders.
fn cleanloop(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.current_dir(folder).env("CLEANLOOP_HOME", folder.join("nothing"));
    command
}

#[test]
fn the_least_campaign_is_resolved() {
    let plan = plan_with(MINIMAL, &[]);
    assert_eq!(plan.rounds.len(), 4);
    let ImagerOptions::Wsclean(wsclean) = &plan.rounds[3].imaging else { panic!("wsclean") };
    assert_eq!((wsclean.size, wsclean.niter, wsclean.nmiter), (1280, 50_000, 15));
    let columns: Vec<_> = plan.rounds.iter().map(|round| round.data_column.as_str()).collect();
    assert_eq!(columns, ["DATA", "CORRECTED_DATA", "CORRECTED_DATA", "CORRECTED_DATA"]);
    assert!(plan.rounds[0].calibration.is_none() && plan.rounds[0].mask.is_none());
    assert_eq!(plan.rounds[2].calibration.as_ref().unwrap().chain[0].solint, "60s");
    assert!(plan.rounds[1..].iter().all(|round| round.mask.is_some()));
    assert!(plan.output.ends_with("out"));
    assert!(plan.targets[0].members[0].path.is_absolute());
}

const PLAIN: &str = "\
version: 0.2
campaign: {measurement_sets: [field.ms], output: out}
defaults:
  wsclean: {size: 640, scale: 1.2asec}
";

fn wsclean_of(plan: &Plan, round: usize) -> &WscleanOptions {
    let ImagerOptions::Wsclean(wsclean) = &plan.rounds[round].imaging else { panic!("wsclean") };
    wsclean
}

#[test]
fn a_file_without_rounds_has_the_defaults_of_a_plain_campaign() {
    let plan = plan_with(PLAIN, &[]);
    assert_eq!(plan.rounds.len(), 11);
    let wsclean = wsclean_of(&plan, 1);
    assert_eq!((wsclean.size, wsclean.channels_out, wsclean.local_rms), (640, 1, false));
    assert_eq!((wsclean_of(&plan, 0).auto_threshold, wsclean.auto_threshold), (Some(12.0), Some(1.0)));
    assert!(plan.rounds[1..].iter().all(|r| r.calibration.as_ref().unwrap().chain[0].solint == "auto"));
    for round in &plan.rounds {
        let mask = round.mask.as_ref().unwrap();
        assert_eq!((mask.recipe.method, mask.cadence), (file::MaskMethod::Auto, file::MaskCadence::Cycle));
    }
    assert_eq!(plan.filled_in.value("wsclean.mgain"), Some("0.8"));
    insta::assert_snapshot!(plan.filled_in);
}

#[test]
fn what_a_plain_campaign_names_goes_before_its_defaults() {
    let text = PLAIN
        .replace("output: out", "output: out, rounds: 2, mask: flint")
        .replace("size: 640", "size: 640, auto_threshold: 3, auto_mask: null");
    let plan = plan_with(&text, &["gaincal.solint=30s", "wsclean.mgain=0.7"]);
    assert_eq!(plan.rounds.len(), 3);
    assert_eq!(plan.rounds[1].calibration.as_ref().unwrap().chain[0].solint, "30s");
    assert_eq!(plan.rounds[1].mask.as_ref().unwrap().recipe.method, file::MaskMethod::Flint);
    let wsclean = wsclean_of(&plan, 0);
    assert_eq!((wsclean.auto_threshold, wsclean.auto_mask, wsclean.mgain), (Some(3.0), None, 0.7));
    assert_eq!((plan.filled_in.value("wsclean.niter"), plan.filled_in.value("wsclean.size")), (Some("50000"), None));
    let chain = "defaults:\n  gaincal: [{calmode: p}, {calmode: ap, solint: inf}]";
    let plan = plan_with(&PLAIN.replace("defaults:", chain), &[]);
    let solves = &plan.rounds[1].calibration.as_ref().unwrap().chain;
    let of = |n: usize| (solves[n].solint.as_str(), solves[n].minsnr, solves[n].uvrange.as_str());
    assert_eq!((of(0), of(1)), (("60s", 2.0, "auto"), ("inf", 2.0, "auto")), "a chain by hand keeps its intervals");
    // A round of the command line makes no strategy of it.
    let plan = plan_with(PLAIN, &["selfcal.2.gaincal.solint=30s", "campaign.mask.method=none"]);
    let intervals: Vec<_> =
        plan.rounds[1..=3].iter().map(|r| r.calibration.as_ref().unwrap().chain[0].solint.as_str()).collect();
    assert_eq!((plan.rounds.len(), &intervals[..2]), (11, &["auto", "30s"][..]));
    assert!(plan.rounds.iter().all(|round| round.mask.is_none()));
    let plan = plan_with(PLAIN, &["campaign.calibrator=none", "campaign.mask.image=field"]);
    assert_eq!((plan.rounds.len(), wsclean_of(&plan, 0).auto_threshold), (1, Some(1.0)), "the only image");
    let commands = "campaign.executables.imager=[sh, '{action}']";
    let plan = plan_with(PLAIN, &["campaign.imager=command", commands]);
    assert_eq!(plan.rounds[1].mask.as_ref().unwrap().cadence, file::MaskCadence::Round);
}

#[test]
fn rounds_and_strategies_keep_flints_defaults() {
    let rounds = plan_with(&MINIMAL.replace("solint: 180s, ", ""), &[]);
    let gaincal = |plan: &Plan, round: usize| plan.rounds[round].calibration.as_ref().unwrap().chain[0].solint.clone();
    assert_eq!(gaincal(&rounds, 1), "60s", "intervals are named in other rounds");
    assert_eq!(wsclean_of(&rounds, 0).auto_threshold, Some(0.5));
    assert_eq!(rounds.filled_in.to_string(), "flint's");
    let none = ["solint: 180s, ", "solint: 60s, ", "solint: 120s, "];
    let no_intervals = none.iter().fold(MINIMAL.to_owned(), |text, interval| text.replace(interval, ""));
    let plan = plan_with(&no_intervals, &[]);
    assert_eq!(gaincal(&plan, 1), "auto");
    insta::assert_snapshot!(plan.filled_in, @"flint's, and as the file names no solution interval: gaincal.solint=auto");
    assert_eq!(gaincal(&plan_with(&no_intervals, &["gaincal.calmode=ap", "gaincal.solint=inf"]), 1), "inf");
    let imaging = PLAIN.replace("output: out", "output: out, calibrator: none");
    assert_eq!(plan_with(&imaging, &[]).filled_in.to_string(), "flint's");
    let strategy = "version: 0.2\ndefaults: {wsclean: {size: 640}}\n";
    let plan = plan_with(strategy, &["campaign.measurement_sets=[field.ms]", "campaign.rounds=1"]);
    assert_eq!((gaincal(&plan, 1).as_str(), plan.filled_in.to_string().as_str()), ("60s", "flint's"));
    assert_eq!(plan.rounds[1].mask.as_ref().unwrap().recipe.method, file::MaskMethod::Flint);
}

#[test]
fn a_plain_campaign_names_size_and_pixel() {
    let wsclean = load(&PLAIN.replace("size: 640, ", "")).unwrap_err();
    let tclean = load(&PLAIN.replace("output: out", "output: out, imager: casa")).unwrap_err();
    insta::assert_snapshot!(format!("{wsclean}\n\n{tclean}"));
}

#[test]
fn a_dozen_mistakes_are_reported_at_once() {
    let text = "\
version: 0.2
campain: {name: field}
campaign:
  name: field
  measurement_sets: field.ms
  rounds: three
  imager: wclean
  calibrator: CASA
  mask: {methd: flint, cadence: cycles, rounds: sometimes, every: 0}
  resources: {threads: 2.5, memory_gb: -1}
  work_on: null
defaults:
  wsclean: {nitre: 50000, size: [1280, 1280], scale: 1.2, join_channels: maybe, channel_range: [0, 4, 8]}
  gainkal: {solint: 60s}
selfcal:
  0: {}
  one: {gaincal: {calmode: pa, minsnr: low}}
";
    insta::assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn the_version_must_be_known() {
    insta::assert_snapshot!(load(&MINIMAL.replace("version: 0.2", "version: 0.3")).unwrap_err());
    insta::assert_snapshot!(load(&MINIMAL.replace("version: 0.2\n", "")).unwrap_err());
    assert!(load(&MINIMAL.replace("version: 0.2", "version: '0.2'")).is_ok());
}

#[test]
fn keys_may_stand_only_once() {
    let text = MINIMAL.replace("rounds: 3,", "rounds: 3, name: other,") + "version: 0.2\n";
    insta::assert_snapshot!(load(&text).unwrap_err());
}

#[test]
fn what_is_no_yaml_is_shown_where_it_breaks() {
    insta::assert_snapshot!(load("version: 0.2\ncampaign: {name: field\ndefaults: {}\n").unwrap_err());
}

#[test]
fn invalid_values_and_rounds_that_do_not_exist() {
    let text = MINIMAL.replace(
        "calibrator: casa}",
        "calibrator: casa, skip_selfcal_on_rounds: [7], mask: {rounds: [1, 9]}, acceptance: {rms_rise: -1}}",
    );
    insta::assert_snapshot!("several_keys", load(&text).unwrap_err());
    let text = MINIMAL
        .replace("solint: 180s", "solint: soon")
        .replace("defaults:", "defaults:\n  masking: {flood_fill_use_mac_box_size: 0}\n  automask: {smoothfactor: 0}")
        .replace("rounds: 3", "rounds: 3, resources: {imager_time_limit: long}");
    insta::assert_snapshot!("values", load(&text).unwrap_err());
}

#[test]
fn rules_of_several_keys() {
    let blocks = [
        "{measurement_sets: [a.ms], mask: {rounds: 2}, use_beam_masks_from: 1}",
        "{measurement_sets: []}",
        "{measurement_sets: [a.ms], imager: command}",
        "{measurement_sets: [a.ms], calibrator: command}",
    ];
    let errors = blocks.map(|block| {
        let text = format!("version: 0.2\ncampaign: {block}\nselfcal: {{3: {{}}}}\n");
        load(&text).unwrap_err().to_string()
    });
    insta::assert_snapshot!(errors.join("\n\n"));
}

#[test]
fn words_stand_for_maps_of_settings() {
    let text = MINIMAL
        .replace("calibrator: casa}", "calibrator: casa, mask: multithresh, scheduler: slurm, reference_antenna: 5}");
    let campaign = load(&text).unwrap();
    assert_eq!(campaign.block.mask.method, file::MaskMethod::Multithresh);
    assert_eq!(campaign.block.scheduler.engine, file::SchedulerKind::Slurm);
    assert_eq!(campaign.block.reference_antenna.as_deref(), Some("5"));
}

#[test]
fn the_command_line_goes_before_the_round() {
    let settings = ["wsclean.niter=7", "selfcal.2.gaincal.solint=30s", "campaign.mask.rounds=[3]", "campaign.rounds=4"];
    let plan = plan_with(&MINIMAL.replace("1: {gaincal", "1: {wsclean: {niter: 9}, gaincal"), &settings);
    assert_eq!(plan.rounds.len(), 5);
    for round in &plan.rounds {
        let ImagerOptions::Wsclean(wsclean) = &round.imaging else { panic!("wsclean") };
        assert_eq!(wsclean.niter, 7);
        assert_eq!(round.mask.is_some(), round.round == 3);
    }
    let solints: Vec<_> =
        plan.rounds[1..].iter().map(|r| r.calibration.as_ref().unwrap().chain[0].solint.as_str()).collect();
    assert_eq!(solints, ["180s", "30s", "120s", "120s"]);
}

#[test]
fn mistakes_of_the_command_line() {
    let settings = ["wsclean.nitre=5", "wsclean.niter=many", "niter=5", "gaincal.solint=soon", "wsclean.niter"];
    let errors = settings.map(|setting| {
        let overrides = Overrides { settings: vec![setting.to_owned()], ..Overrides::default() };
        let error = file::parse(Path::new("campaign.yaml"), MINIMAL.to_owned(), &overrides).unwrap_err();
        format!("--set {setting}\n{error}")
    });
    insta::assert_snapshot!(errors.join("\n\n"));
}

#[test]
fn measurement_sets_are_found_sorted_and_named() {
    let folder = folder(&MINIMAL.replace("[field.ms]", "['beam*.ms', field.ms, other/field.ms]"));
    for set in ["beam10.ms", "beam02.ms", "other/field.ms"] {
        std::fs::create_dir_all(folder.path().join(set)).unwrap();
    }
    let path = folder.path().join("campaign.yaml");
    let plan = plan::resolve(&file::load(&path, &Overrides::default()).unwrap()).unwrap();
    let names: Vec<_> = plan.targets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(names, ["beam02", "beam10", "field", "field-2"]);
    std::fs::remove_dir(folder.path().join("beam10.ms")).unwrap();
    std::fs::remove_dir(folder.path().join("beam02.ms")).unwrap();
    std::fs::remove_dir(folder.path().join("other/field.ms")).unwrap();
    let error = plan::resolve(&file::load(&path, &Overrides::default()).unwrap()).unwrap_err();
    assert!(matches!(&error, PlanError::Config(mistakes) if mistakes.problems.len() == 2), "{error}");
    insta::assert_snapshot!(without_folder(&error.to_string(), folder.path()));
}

#[test]
fn an_environment_variable_that_is_not_set_is_shown_with_its_line() {
    let text = MINIMAL.replace("mgain: 0.8", "temp_dir: $NO_SUCH_PLACE/x");
    let folder = folder(&text);
    let campaign = file::load(&folder.path().join("campaign.yaml"), &Overrides::default()).unwrap();
    let error = plan::resolve_with(&campaign, &|_| None).unwrap_err();
    assert!(matches!(&error, PlanError::Config(mistakes) if mistakes.problems.len() == 1), "{error}");
    insta::assert_snapshot!(without_folder(&error.to_string(), folder.path()));
    let plan = plan::resolve_with(&campaign, &|_| Some("/scratch".to_owned())).unwrap();
    let ImagerOptions::Wsclean(wsclean) = &plan.rounds[0].imaging else { panic!("wsclean") };
    assert_eq!(wsclean.temp_dir.as_deref(), Some(Path::new("/scratch/x")));
}

#[test]
fn hashes_change_with_what_they_stand_for_and_with_nothing_else() {
    let hashes = |text: &str| {
        let plan = plan_with(text, &[]);
        let of = |r: &plan::RoundPlan| [r.calibration_hash(), r.mask_hash(), r.image_hash()];
        plan.rounds.iter().map(of).collect::<Vec<_>>()
    };
    let before = hashes(MINIMAL);
    assert_eq!(before, hashes(&MINIMAL.replace("solint: 60s, calmode: p", "calmode: p, solint: 60s")));
    assert_eq!(before, hashes(&MINIMAL.replace("rounds: 3", "rounds: 3, resources: {threads: 3}")));
    let after = hashes(&MINIMAL.replace("solint: 60s", "solint: 61s"));
    let changed: Vec<_> =
        (0..4).flat_map(|r| (0..3).map(move |i| (r, i))).filter(|&(r, i)| before[r][i] != after[r][i]).collect();
    assert_eq!(changed, [(2, 0)]);
}

#[test]
fn a_plan_survives_the_journal() {
    let plan = plan_with(MINIMAL, &[]);
    let text = serde_json::to_string(&plan).unwrap();
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(read.hash(), plan.hash());
}

/// A generated file that is kept in the repository.
fn committed(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_json_schema_is_current() {
    let hint = "renew it: cleanloop schema > config/campaign.schema.json";
    assert!(committed("config/campaign.schema.json") == schema::text(), "{hint}");
}

#[test]
fn the_documented_keys_are_current() {
    let text = committed("docs/campaign.md");
    let hint = "renew it: cleanloop schema --document docs/campaign.md";
    assert!(schema::document(&text).unwrap() == text, "{hint}");
    for (name, definition) in schema::value()["$defs"].as_object().unwrap() {
        if definition.get("properties").is_some() && name != "Modes" {
            assert!(text.contains(&format!("<!-- keys: {name} -->")), "docs/campaign.md lacks the keys of {name}");
        }
    }
}

#[rstest]
#[case("plain")]
#[case("selfcal")]
#[case("cycle")]
#[case("survey")]
fn campaigns_to_start_from_are_valid(#[case] preset: &str) {
    let folder = tempfile::tempdir().unwrap();
    for set in ["field.ms", "beam1.ms"] {
        std::fs::create_dir(folder.path().join(set)).unwrap();
    }
    cleanloop(folder.path()).args(["init", "--preset", preset]).assert().success();
    cleanloop(folder.path()).args(["validate", "campaign.yaml"]).assert().success();
    cleanloop(folder.path()).args(["init", "--preset", preset]).assert().code(2);
}

#[test]
fn fields_too_small_for_the_w_gridder_are_left_to_w_stacking() {
    let small = MINIMAL.replace("size: 1280, scale: 1.2asec", "size: 256, scale: 0.005mas");
    let plan = plan_with(&small, &[]);
    let ImagerOptions::Wsclean(wsclean) = &plan.rounds[0].imaging else { panic!("wsclean") };
    assert_eq!(wsclean.gridder.as_deref(), Some("wstacking"));
    assert!(plan.warnings.iter().any(|w| w.contains("of such a small field the w-gridder makes zeros")), "{plan:?}");
    assert!(plan_with(MINIMAL, &[]).warnings.is_empty());
    let asked = small.replace("size: 256,", "size: 256, gridder: wgridder,");
    let error = plan::resolve(&load(&asked).unwrap()).unwrap_err().to_string();
    assert!(error.contains("write `gridder: wstacking`, or leave the key out"), "{error}");
    let wide = asked.replace("0.005mas", "1mas");
    assert!(load(&wide).is_ok());
}

#[test]
fn the_campaign_to_start_from_and_the_demonstration_are_plain() {
    let folder = tempfile::tempdir().unwrap();
    cleanloop(folder.path()).args(["init"]).assert().success();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo.yaml");
    for path in [folder.path().join("campaign.yaml"), demo] {
        let file = file::load(&path, &Overrides::default()).unwrap();
        assert!(file.filled_in.plain, "{}", path.display());
        assert_eq!((file.last_round(), file.block.mask.method), (10, file::MaskMethod::Auto));
    }
}

#[test]
fn commands_end_with_the_documented_codes() {
    let folder = folder(MINIMAL);
    cleanloop(folder.path()).args(["validate", "campaign.yaml"]).assert().code(0);
    cleanloop(folder.path()).args(["validate", "campaign.yaml", "--set", "wsclean.nitre=1"]).assert().code(2);
    cleanloop(folder.path()).args(["validate", "absent.yaml"]).assert().code(2);
    cleanloop(folder.path()).args(["validate", "campaign.yaml", "--ms", "absent.ms"]).assert().code(2);
    let output = cleanloop(folder.path()).args(["plan", "campaign.yaml", "--json"]).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["rounds"][3]["calibration"]["chain"][0]["calmode"], "ap");
    assert_eq!(plan["rounds"][0]["hashes"]["image"].as_str().unwrap().len(), 64);
    cleanloop(folder.path()).args(["man", "pages"]).assert().success();
    assert!(folder.path().join("pages/cleanloop-plan.1").exists());
}

/// Every example is a campaign that can be planned.
#[test]
fn the_examples_are_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut tclean = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        // A strategy may name variables of the cluster that it was written for.
        let text = std::fs::read_to_string(&path).unwrap().replace("$MEMDIR", "scratch");
        let folder = folder(&text);
        std::fs::create_dir(folder.path().join("line.ms")).unwrap();
        // A strategy names no data: those come from the command line.
        let data = folder.path().join("field.ms").to_string_lossy().into_owned();
        let measurement_sets = if text.contains("measurement_sets:") { Vec::new() } else { vec![data] };
        let overrides = Overrides { measurement_sets, ..Overrides::default() };
        let campaign = file::load(&folder.path().join("campaign.yaml"), &overrides)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let plan = plan::resolve(&campaign).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!plan.rounds.is_empty());
        tclean += usize::from(matches!(&plan.rounds[0].imaging, ImagerOptions::Tclean(o) if o.is_cube()));
    }
    assert!(tclean >= 1, "a line cube with tclean is among them");
}

/// Chains: maps and lists are merged, command lines name each solve, mistakes name the element.
#[test]
fn a_chain_is_a_list_of_maps() {
    let chain = "defaults: {gaincal: {minsnr: 2}, wsclean: {size: 64, scale: 1asec}}\nselfcal:\n  0: {}\n  1: {gaincal: \
                 [{solint: int}, {solint: inf, calmode: ap}]}\n  2: {gaincal: [{solint: 30s}, {calmode: ap, solint: inf, reuse: true}]}\n";
    let head = "version: 0.2\ncampaign: {measurement_sets: [field.ms], output: out}\n";
    let folder = folder(&format!("{head}{chain}"));
    let path = folder.path().join("campaign.yaml");
    let settings = vec!["gaincal.uvrange=''".to_owned(), "selfcal.2.gaincal.refant=ea01".to_owned()];
    let campaign = file::load(&path, &Overrides { settings, ..Overrides::default() }).expect("valid");
    let plan = cleanloop::campaign::plan::resolve(&campaign).expect("a plan");
    let chain_of = |round: usize| {
        let chain = &plan.rounds[round].calibration.as_ref().unwrap().chain;
        chain
            .iter()
            .map(|o| format!("{} {} {} {:?} {:?}", o.solint, o.calmode.name(), o.minsnr, o.uvrange, o.refant))
            .collect::<Vec<_>>()
    };
    assert_eq!(chain_of(1), [r#"int p 2 "" """#, r#"inf ap 2 "" """#]);
    assert_eq!(chain_of(2), [r#"30s p 2 "" "ea01""#, r#"inf ap 2 "" "ea01""#]);
    let text = cleanloop(folder.path()).args(["plan", "campaign.yaml"]).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for words in ["casa, 2 solves, each with those before it applied", "gaintable=", "gains.phase", "gains.gains"] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

#[test]
fn mistakes_in_a_chain_name_the_element() {
    let head = "version: 0.2\ncampaign: {measurement_sets: [field.ms], output: out}\nselfcal:\n  0: {}\n";
    let cases = [
        "  1: {gaincal: [{solint: int}, {solin: inf}]}\n",
        "  1: {gaincal: [{solint: int}, {calmode: x}]}\n",
        "  1: {gaincal: [{solint: int}, {minsnr: -1}]}\n",
        "  1: {gaincal: []}\n",
        "  1: {gaincal: [{solint: inf, nspw: 2}, {solint: 60s}]}\n",
        "  1: {gaincal: [{solint: 60s}, {solint: auto}]}\n",
        "  1: {gaincal: [{solint: 60s}, {solint: inf, calmode: ap, reuse: true}]}\n",
    ];
    let said = cases.map(|case| {
        let folder = folder(&format!("{head}{case}"));
        let output = cleanloop(folder.path()).args(["validate", "campaign.yaml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{case}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    insta::assert_snapshot!(said.join("\n"));
}
