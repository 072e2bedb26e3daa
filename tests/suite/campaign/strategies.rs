//! flint strategies run unmodified: the options that each round gets, compared with the tables of flint's options.

use cleanloop::campaign::file::{self, Overrides};
use cleanloop::campaign::plan::preview;
use cleanloop::campaign::plan::{self, Plan};
use cleanloop::imager::ImagerOptions;
use serde_json::{Value, json};
use std::path::Path;

/// flint's defaults of wsclean, option by option.
fn wsclean_defaults() -> Value {
    let table = r#"{
        "abs_mem": 100, "local_rms": true, "local_rms_window": null, "size": 10128, "scale": "2.5asec",
        "weight": "briggs -0.5", "niter": 750000, "nmiter": 15, "gain": 0.1, "mgain": 0.7, "auto_mask": 3.5,
        "auto_threshold": 0.5, "threshold": null, "multiscale": false, "multiscale_scale_bias": 0.75,
        "multiscale_gain": null, "multiscale_scales": null, "channels_out": 4, "join_channels": true,
        "deconvolution_channels": null, "fit_spectral_pol": null, "squared_channel_joining": false,
        "join_polarizations": false, "no_mf_weighting": false, "channel_division_frequencies": null,
        "data_column": "CORRECTED_DATA", "gridder": "wgridder", "wgridder_accuracy": null, "nwlayers": null,
        "parallel_gridding": null, "parallel_deconvolution": null, "deconvolution_threads": null, "minuv_l": null,
        "minuvw_m": null, "maxw": null, "taper_gaussian": null, "beam_fitting_size": 1.25, "fits_mask": null,
        "multiscale_fits_mask": null, "temp_dir": null, "pol": "i", "channel_range": null, "interval": null,
        "no_update_model_required": false, "no_small_inversion": false, "no_reorder": false,
        "save_source_list": false, "verbose": false, "force_mask_rounds": null, "flint_no_log_wsclean_output": false
    }"#;
    serde_json::from_str(table).unwrap()
}

/// flint's defaults of gaincal.
fn gaincal_defaults() -> Value {
    json!({"solint": "60s", "calmode": "p", "minsnr": 0.0, "uvrange": ">200m", "selectdata": true, "gaintype": "G",
        "nspw": 1, "solnorm": true, "round": 0})
}

/// flint's defaults of masking.
fn masking_defaults() -> Value {
    json!({
        "base_snr_clip": 4.0, "flood_fill": false, "flood_fill_positive_seed_clip": 4.5,
        "flood_fill_positive_flood_clip": 1.5, "flood_fill_use_mac": false, "flood_fill_use_mac_box_size": 75,
        "flood_fill_use_mac_adaptive_max_depth": null, "flood_fill_use_mac_adaptive_step_factor": 2.0,
        "flood_fill_use_mac_adaptive_skew_delta": 0.2, "grow_low_snr_island": false,
        "grow_low_snr_island_clip": 1.75, "grow_low_snr_island_size": 768, "beam_shape_erode": false,
        "beam_shape_erode_minimum_response": 0.6, "beam_shape_erode_scales": null, "convolve_first": false
    })
}

fn with(mut table: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        table[key] = value.clone();
    }
    table
}

/// Every key of the table has the table's value; numbers are compared as numbers.
fn assert_table(found: &impl serde::Serialize, table: &Value, what: &str) {
    let found = serde_json::to_value(found).unwrap();
    for (key, expected) in table.as_object().unwrap() {
        let same = match (found[key].as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => found[key] == *expected,
        };
        assert!(found.get(key).is_some() && same, "{what}: {key} is {}, expected {expected}", found[key]);
    }
}

fn plan_of(strategy: &str, rounds: usize, settings: &[&str]) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    for beam in ["beam1.ms", "beam2.ms"] {
        std::fs::create_dir(folder.path().join(beam)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/strategies").join(strategy);
    let mut all = vec![format!("campaign.rounds={rounds}")];
    all.extend(settings.iter().map(ToString::to_string));
    let pattern = folder.path().join("beam*.ms").display().to_string();
    let overrides = Overrides { measurement_sets: vec![pattern], settings: all, ..Overrides::default() };
    let campaign = file::load(&path, &overrides).unwrap();
    plan::resolve_with(&campaign, &|name| (name == "MEMDIR").then(|| "/dev/shm/me".to_owned())).unwrap()
}

/// The words of wsclean's line hold these options with their values, and none of those.
fn assert_wsclean(lines: &preview::RoundLines, with: &[&str], without: &[&str]) {
    let [call] = lines.imaging.as_slice() else { panic!("one call of wsclean: {lines:?}") };
    let words = &call.words;
    assert!(words[0] == "wsclean" && words.last().unwrap().ends_with("beam2.ms"), "{words:?}");
    for options in with {
        // An option starts with a dash and a letter; what follows up to the next one is its value.
        let parts: Vec<&str> = options.split_whitespace().collect();
        let is_option = |word: &str| word.starts_with('-') && word[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        for option in parts.chunk_by(|_, next| !is_option(next)) {
            assert!(words.windows(option.len()).any(|window| window == option), "{option:?} in {words:?}");
        }
    }
    for option in without {
        assert!(!words.iter().any(|word| word == option), "{option} in {words:?}");
    }
}

fn assert_rounds(plan: &Plan, wsclean: &[Value], gaincal: &[Option<Value>], masking: &[Option<Value>]) {
    assert_eq!(plan.rounds.len(), wsclean.len());
    for (round, table) in plan.rounds.iter().zip(wsclean) {
        let ImagerOptions::Wsclean(options) = &round.imaging else { panic!("wsclean") };
        let column = if round.round == 0 { "DATA" } else { "CORRECTED_DATA" };
        let table = with(table.clone(), json!({"data_column": column}));
        assert_table(options, &table, &format!("round {} wsclean", round.round));
    }
    for (round, table) in plan.rounds.iter().zip(gaincal) {
        assert_eq!(round.calibration.is_some(), table.is_some(), "round {} calibration", round.round);
        if let (Some(calibration), Some(table)) = (&round.calibration, table) {
            assert_table(&calibration.chain[0], table, &format!("round {} gaincal", round.round));
        }
    }
    for (round, table) in plan.rounds.iter().zip(masking) {
        assert_eq!(round.mask.is_some(), table.is_some(), "round {} mask", round.round);
        if let (Some(mask), Some(table)) = (&round.mask, table) {
            assert_table(&mask.recipe.flint, table, &format!("round {} masking", round.round));
        }
    }
}

#[test]
fn a_continuum_strategy_with_tuples_and_environment() {
    let plan = plan_of("continuum.yaml", 4, &["campaign.use_beam_masks_from=1"]);
    assert_eq!(plan.targets.len(), 2);
    let base = with(
        wsclean_defaults(),
        json!({"local_rms_window": 60, "size": 6128, "force_mask_rounds": 10, "auto_mask": 10.0, "auto_threshold": 0.75,
            "niter": 80_000, "nmiter": 20, "multiscale": true, "multiscale_scale_bias": 0.6,
            "multiscale_scales": [0, 4, 8, 16, 24, 32], "temp_dir": "/dev/shm/me", "channels_out": 6}),
    );
    let last = with(base.clone(), json!({"auto_mask": 4.0, "multiscale": false, "temp_dir": null}));
    let wsclean = [
        with(base.clone(), json!({"auto_mask": 8.0})),
        with(base.clone(), json!({"auto_mask": 5.0, "auto_threshold": 0.5})),
        last.clone(),
        last.clone(),
        last,
    ];
    let late = Some(with(gaincal_defaults(), json!({"solint": "30s", "uvrange": ">235m", "nspw": 4})));
    let gaincal = [None, Some(gaincal_defaults()), late.clone(), late.clone(), late];
    let mask = |seed: f64| {
        let changes = json!({"flood_fill": true, "flood_fill_positive_flood_clip": 1.25});
        Some(with(with(masking_defaults(), changes), json!({"flood_fill_positive_seed_clip": seed})))
    };
    assert_rounds(&plan, &wsclean, &gaincal, &[None, mask(7.0), mask(5.5), mask(5.5), mask(5.5)]);
    let noise = &plan.rounds[1].mask.as_ref().unwrap().recipe.noise;
    assert_eq!((noise.box_size, noise.step), (Some(196), Some(16)));
    let homeless =
        "the mode `archive`, as no folder is named for it (`sbid_archive_path`, `sbid_copy_path` or `archive.to`)";
    assert!(plan.archive.is_empty());
    assert_eq!(plan.not_run, ["the mode `aegean`", homeless]);
    // Stokes V has the options of `defaults`, whatever the last round has.
    assert_finals(&plan, &[("stokesv", with(base.clone(), json!({"pol": "v", "no_update_model_required": true})))]);
    let lines = preview::command_lines(&plan, &plan.targets[1]);
    let scales = "-multiscale -multiscale-scale-bias 0.6 -multiscale-scales 0,4,8,16,24,32";
    let all = "-size 6128 6128 -scale 2.5asec -weight briggs -0.5 -niter 80000 -nmiter 20 -mgain 0.7 \
               -channels-out 6 -join-channels -local-rms -local-rms-window 60 -pol i -data-column";
    assert_wsclean(&lines[0], &[all, scales, "-auto-mask 8 -auto-threshold 0.75"], &["-fits-mask", "-threshold"]);
    assert_wsclean(&lines[1], &[all, scales, "-auto-threshold 0.5 -fits-mask"], &["-auto-mask", "-threshold"]);
    assert!(lines[0].notes[0].ends_with("a fresh one inside /dev/shm/me"), "{:?}", lines[0].notes);
    let none = ["-multiscale", "-multiscale-scales", "-temp-dir", "-auto-mask", "-force-mask-rounds"];
    assert_wsclean(&lines[4], &[all, "-auto-threshold 0.75 -fits-mask"], &none);
    let solve: Vec<_> = lines[2].calibration.iter().map(|words| words.join(" ")).collect();
    assert!(solve[0].starts_with("gaincal ") && solve.iter().any(|line| line.starts_with("applycal ")), "{solve:?}");
    for part in ["solint='30s'", "calmode='p'", "uvrange='>235m'", "4 channel ranges"] {
        assert!(solve[0].replace('"', "'").contains(part), "{part} in {}", solve[0]);
    }
    assert!(lines[0].calibration.is_empty());
}

#[test]
fn a_minimum_absolute_clip_strategy_with_skipped_rounds() {
    let settings = ["campaign.use_beam_masks_rounds=[2]", "campaign.skip_selfcal_on_rounds=[1]", "wsclean.niter=1000"];
    let plan = plan_of("minimum_clip.yaml", 2, &settings);
    let base = with(
        wsclean_defaults(),
        json!({"size": 8192, "scale": "2.0asec", "niter": 1000, "mgain": 0.75, "fit_spectral_pol": 3,
            "channel_range": [0, 144], "minuv_l": 235.0}),
    );
    // Round 1 is not calibrated, so it still images DATA.
    let ImagerOptions::Wsclean(first) = &plan.rounds[1].imaging else { panic!("wsclean") };
    assert_table(first, &with(base.clone(), json!({"data_column": "DATA"})), "round 1 wsclean");
    let ImagerOptions::Wsclean(second) = &plan.rounds[2].imaging else { panic!("wsclean") };
    assert_table(second, &base, "round 2 wsclean");
    assert!(plan.rounds[1].calibration.is_none());
    let calibration = plan.rounds[2].calibration.as_ref().unwrap();
    assert_table(
        &calibration.chain[0],
        &with(gaincal_defaults(), json!({"calmode": "ap", "solint": "480s"})),
        "gaincal",
    );
    assert!(plan.rounds[1].mask.is_none());
    let table = with(
        masking_defaults(),
        json!({"flood_fill": true, "flood_fill_use_mac": true, "flood_fill_use_mac_box_size": 300,
            "flood_fill_use_mac_adaptive_max_depth": 4, "flood_fill_positive_seed_clip": 1.2,
            "flood_fill_positive_flood_clip": 0.8}),
    );
    assert_table(&plan.rounds[2].mask.as_ref().unwrap().recipe.flint, &table, "round 2 masking");
    assert_eq!(plan.not_run, ["the mode `potatopeel`"]);
    assert_finals(&plan, &[("subtractcube", with(base, json!({"channels_out": 36})))]);
}

/// The final imagings are these, with these options.
fn assert_finals(plan: &Plan, tables: &[(&str, Value)]) {
    let names: Vec<&str> = plan.final_imaging.iter().map(|imaging| imaging.name.as_str()).collect();
    assert_eq!(names, tables.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (imaging, (name, table)) in plan.final_imaging.iter().zip(tables) {
        let ImagerOptions::Wsclean(options) = &imaging.imaging else { panic!("wsclean") };
        assert_table(options, table, name);
    }
}

/// The options that flint gives to wsclean in each of its operations after self-calibration.
#[test]
fn operations_have_the_defaults_and_their_own_options() {
    let plan = plan_of("operations.yaml", 1, &["campaign.use_beam_masks_from=1"]);
    let base = with(
        wsclean_defaults(),
        json!({"size": 4096, "niter": 1000, "fit_spectral_pol": 3, "save_source_list": true, "channels_out": 8,
            "auto_mask": 10.0}),
    );
    let of = |changes: Value| with(base.clone(), changes);
    let no_spectrum = json!({"fit_spectral_pol": null, "save_source_list": false, "no_update_model_required": true});
    assert_finals(
        &plan,
        &[
            ("stokesv", of(json!({"pol": "V", "channels_out": 2, "fit_spectral_pol": null}))),
            (
                "subtractcube",
                of(json!({"niter": 500, "channels_out": 1, "fit_spectral_pol": null, "weight": "briggs 0.5",
                    "temp_dir": "/dev/shm/me"})),
            ),
            ("polarisation-total", of(json!({"pol": "i", "no_update_model_required": true}))),
            (
                "polarisation-linear",
                with(
                    of(no_spectrum),
                    json!({"pol": "qu", "squared_channel_joining": true, "join_polarizations": true}),
                ),
            ),
            (
                "polarisation-circular",
                of(json!({"pol": "v", "save_source_list": false, "no_update_model_required": true})),
            ),
        ],
    );
    let masks: Vec<bool> = plan.final_imaging.iter().map(|imaging| imaging.mask.is_some()).collect();
    assert_eq!(masks, [true, false, false, false, false], "flint images Stokes V with the mask of the last round");
    let cube = &plan.final_imaging[1];
    assert_eq!((cube.subtract, cube.channels_per_job, cube.every_channel), (file::Subtract::Model, Some(1), true));
    assert_eq!(plan.not_run, ["the mode `fitscube` of `polarisation`"]);
}

#[test]
fn operations_can_be_replaced_and_are_wscleans() {
    let own = "campaign.final_imaging={subtractcube: {subtract: continuum, uvcontsub: {fitorder: 1}}}";
    let plan = plan_of("operations.yaml", 1, &[own, "stokesv.wsclean.niter=7", "wsclean.mgain=0.6"]);
    let names: Vec<&str> = plan.final_imaging.iter().map(|imaging| imaging.name.as_str()).collect();
    assert_eq!(names[..2], ["stokesv", "polarisation-total"]);
    let last = plan.final_imaging.last().unwrap();
    assert_eq!((&*last.name, last.subtract, last.uvcontsub.fitorder), ("subtractcube", file::Subtract::Continuum, 1));
    let ImagerOptions::Wsclean(options) = &plan.final_imaging[0].imaging else { panic!("wsclean") };
    assert_eq!((options.niter, options.mgain), (7, 0.6), "the command line goes before the file");
    let commands = ["campaign.imager=command", "campaign.executables.imager=[sh, '{action}']"];
    let plan = plan_of("operations.yaml", 1, &commands);
    assert!(plan.final_imaging.is_empty());
    assert!(plan.not_run.contains(&"the operation `polarisation.linear`, whose imager is wsclean".to_owned()));
}

#[test]
fn a_bare_strategy_has_the_defaults_of_the_classes() {
    let plan = plan_of("bare.yaml", 3, &["campaign.use_beam_masks=false"]);
    let late = with(wsclean_defaults(), json!({"niter": 1000}));
    let gaincal = Some(gaincal_defaults());
    assert_rounds(
        &plan,
        &[wsclean_defaults(), late.clone(), late.clone(), late],
        &[None, gaincal.clone(), gaincal.clone(), gaincal],
        &[None, None, None, None],
    );
    assert_eq!(plan.not_run, Vec::<String>::new());
    let total = with(wsclean_defaults(), json!({"pol": "i", "no_update_model_required": true}));
    assert_finals(&plan, &[("polarisation-total", total)]);
}

/// What flint's `flint_config create` writes today (state of 2026-11), with operations and modes that cleanloop never heard
/// of.
#[test]
fn what_flint_writes_today_loads_and_is_named_where_it_is_not_run() {
    let plan = plan_of("today.yaml", 2, &[]);
    let named: Vec<&str> = plan.not_run.iter().map(String::as_str).collect();
    for part in [
        "the operation `rmsynth`",
        "the operation `transients`",
        "the mode `tukeytractor`",
        "the mode `rmsynth`",
        "the mode `rmclean`",
        "the mode `fitscube`",
        "the mode `sunglasses`",
    ] {
        assert_eq!(named.iter().filter(|name| **name == part).count(), 1, "{part} in {named:?}");
    }
    let ImagerOptions::Wsclean(options) = &plan.rounds[1].imaging else { panic!("wsclean") };
    assert_eq!((options.niter, options.flint_save_mfs_products), (1000, true));
    let lines = preview::command_lines(&plan, &plan.targets[0]);
    assert!(!lines[1].imaging[0].words.iter().any(|word| word.contains("flint")), "{:?}", lines[1]);
}

#[test]
fn misspelt_options_and_modes_of_a_strategy_are_mistakes() {
    let load = |text: &str| {
        let overrides = Overrides { measurement_sets: vec!["a.ms".to_owned()], ..Overrides::default() };
        file::parse(Path::new("strategy.yaml"), format!("version: 0.2\n{text}"), &overrides)
    };
    let mistake = |text: &str| load(text).expect_err(text).problems[0].message.clone();
    assert_eq!(mistake("defaults: {wsclean: {auto_mas: 3}}"), "unknown key `auto_mas` in `defaults.wsclean`");
    assert_eq!(mistake("selfcal: {1: {gainkal: {}}}"), "unknown key `gainkal` in `selfcal.1`");
    assert_eq!(mistake("stokesv: {wsclean: {poll: v}}"), "unknown key `poll` in `stokesv.wsclean`");
    let nested = "polarisation: {linear: {wsclean: {nitre: 5}}}";
    assert_eq!(mistake(nested), "unknown key `nitre` in `polarisation.linear.wsclean`");
    let unknown = load("polarisation: {elliptical: {}, linear: {shades: {}}}").unwrap().not_run;
    assert_eq!(unknown, ["the mode `elliptical` of `polarisation`", "the mode `shades` of `polarisation.linear`"]);
    assert_eq!(mistake("sefcal: {1: {}}"), "unknown key `sefcal` in the file");
    assert_eq!(load("defaults: {sunglasses: {dark: true}}").unwrap().not_run, ["the mode `sunglasses`"]);
    // A campaign file is this program's own: there every unknown name is a mistake, but for flint's.
    let campaign = "campaign: {measurement_sets: [a.ms]}\nselfcal: {0: {}}\n";
    let unknown = format!("{campaign}defaults: {{sunglasses: {{}}}}");
    assert_eq!(mistake(&unknown), "unknown key `sunglasses` in `defaults`");
    let known = load(&format!("{campaign}defaults: {{tukeytractor: {{outer_width: 30.0}}}}")).unwrap();
    assert_eq!(known.not_run, ["the mode `tukeytractor`"]);
}
