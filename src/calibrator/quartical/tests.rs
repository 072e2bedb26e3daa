use super::check::uv_range;
use super::*;
use crate::util::testing::inner;
use rstest::rstest;
use serde_json::{Value, json};

/// With a chain; a map stands for a chain of one.
fn calibrator(value: Value) -> Result<QuarticalCalibrator> {
    let value = if value.is_array() { value } else { json!([value]) };
    let chain = serde_json::from_value(value).expect("options");
    let casa = Casa::open(&["python3".to_owned()], None)?;
    QuarticalCalibrator::new(vec!["python3".into()], chain, casa, Limits::default())
}

fn request() -> SolveRequest {
    SolveRequest {
        measurement_set: "/data/a.ms".into(),
        folder: "/out/calibration".into(),
        log: "/out/log".into(),
        round: 1,
        reference_antenna: Some("ea05".into()),
        threads: 2,
        together: false,
    }
}

fn words(value: Value) -> Vec<String> {
    calibrator(value).expect("a calibrator").solve_words(&request(), "4", Some(10))
}

#[test]
fn options_become_quarticals() {
    let plain = words(json!({}));
    for expected in [
        "input_ms.data_column=DATA",
        "input_model.recipe=MODEL_DATA",
        "input_ms.select_uv_range=[200,0]",
        "solver.terms=[G]",
        "solver.reference_antenna=4",
        "G.type=phase",
        "G.time_interval=60s",
        "G.freq_interval=0",
        "output.products=[]",
        "output.flags=False",
        "output.gain_directory=/out/calibration/gains.qc",
    ] {
        assert!(plain.iter().any(|w| w == expected), "{expected} is not in {plain:?}");
    }
    let has = |value, expected: &str| words(value).iter().any(|w| w == expected);
    assert!(has(json!({"calmode": "ap"}), "G.type=diag_complex"));
    assert!(has(json!({"calmode": "a"}), "G.type=amplitude"));
    assert!(has(json!({"gaintype": "T"}), "G.scalar=True"));
    assert!(has(json!({"gaintype": "K"}), "G.type=delay"));
    assert!(has(json!({"solint": "int"}), "G.time_interval=1"));
    assert!(has(json!({"solint": "inf", "combine": "scan"}), "input_ms.group_by=[FIELD_ID,DATA_DESC_ID]"));
    assert!(has(json!({"nspw": 3}), "G.freq_interval=4"));
    let chain = json!({"quartical": {"solver.terms": ["K", "G"], "K.type": "delay", "G.freq_interval": 8}});
    for expected in
        ["solver.terms=[K,G]", "solver.iter_recipe=[100,100]", "K.type=delay", "G.type=phase", "G.freq_interval=8"]
    {
        assert!(has(chain.clone(), expected), "{expected}");
    }
}

#[test]
fn a_chain_is_the_terms_of_one_call() {
    let chain = json!([
        {"gaintype": "K", "solint": "inf", "combine": "scan"},
        {"term": "fast-phases", "solint": "int", "gaintype": "T"},
        {"gaintype": "B", "solint": "inf", "quartical": {"bandpass.freq_interval": 2}},
    ]);
    let all = words(chain.clone());
    for expected in [
        "solver.terms=[delay,fast_phases,bandpass]",
        "solver.iter_recipe=[100,100,100]",
        "input_ms.group_by=[FIELD_ID,DATA_DESC_ID]",
        "delay.type=delay",
        "delay.time_interval=0",
        "delay.respect_scan_boundaries=False",
        "fast_phases.type=phase",
        "fast_phases.time_interval=1",
        "fast_phases.scalar=True",
        "bandpass.type=diag_complex",
        "bandpass.freq_interval=2",
    ] {
        assert!(all.iter().any(|w| w == expected), "{expected} is not in {all:?}");
    }
    assert!(!all.iter().any(|w| w.starts_with("bandpass.respect_scan") || w.starts_with("delay.scalar")), "{all:?}");
    let quartical = calibrator(chain).expect("a calibrator");
    let table =
        SolutionTable { path: "/out/gains.qc".into(), channels: None, spectral_window: None, term: String::new() };
    let line = quartical.apply_line(&[table]).expect("a line");
    for word in ["delay.load_from=gains.qc/delay", "fast_phases.load_from", "solver.iter_recipe=[0,0,0]"] {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[rstest]
#[case::steps_in_frequency(json!({"calmode": "ap"}), &["G.time_interval=1 ", "G.freq_interval=4 "])]
#[case::steps(json!({"interp": "nearest"}), &["G.time_interval=60s ", "G.freq_interval=4 "])]
#[case::between_channels(json!({"interp": "linear,linear"}), &["G.time_interval=1 ", "G.freq_interval=1 "])]
#[case::delays(json!({"gaintype": "K", "interp": "linear,linear"}), &["G.time_interval=1 ", "G.freq_interval=4 "])]
fn the_line_for_another_measurement_set_loads_the_gains(#[case] mut options: Value, #[case] expected: &[&str]) {
    options["nspw"] = json!(3);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gains.qc");
    std::fs::create_dir(&path).expect("made");
    let quartical = calibrator(options).expect("a calibrator");
    std::fs::write(path.join(GRID), json!(quartical.grid(Some(10))).to_string()).expect("written");
    let table = SolutionTable { path, channels: None, spectral_window: None, term: String::new() };
    let line = quartical.apply_line(&[table]).expect("a line");
    let always = ["goquartical input_ms.path=OTHER.ms", "G.load_from=gains.qc/G", "CORRECTED_DATA"];
    for word in always.iter().chain(expected) {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[rstest]
#[case(">200m", Some((200.0, 0.0)))]
#[case("<5km", Some((0.0, 5000.0)))]
#[case("200~5000m", Some((200.0, 5000.0)))]
#[case("0.2~5km", Some((200.0, 5000.0)))]
#[case("200m~5km", Some((200.0, 5000.0)))]
#[case(">1klambda", None)]
#[case("", None)]
fn ranges_of_baselines(#[case] text: &str, #[case] expected: Option<(f64, f64)>) {
    assert_eq!(uv_range(text), expected);
}

#[test]
fn baselines_may_be_left_to_the_program() {
    let words = |options| calibrator(options).expect("known").solve_words(&request(), "4", None).join(" ");
    assert!(!words(json!({"uvrange": "auto"})).contains("select_uv_range"), "it replaces the word before it calls");
    assert!(words(json!({"uvrange": ">812.3m"})).contains("input_ms.select_uv_range=[812.3,0]"));
}

#[test]
fn what_quartical_cannot_do_is_said() {
    let cases = [
        json!({"uvrange": ">1klambda"}),
        json!({"spw": "0:1~3"}),
        json!({"field": "3C286"}),
        json!({"gaintype": "GSPLINE"}),
        json!({"combine": "scan,spw"}),
        json!({"applymode": "calflag"}),
        json!({"quartical": {"output.flags": true}}),
        json!({"quartical": {"freq_interval": 2}}),
        json!({"reuse": true}),
        json!([{}, {"uvrange": ">1km"}]),
        json!([{"term": "solver"}, {}]),
        json!([{"quartical": {"solver.terms": ["K", "G"]}}, {}]),
    ];
    let said =
        cases.map(|value| inner::<crate::options::OptionError>(&calibrator(value).expect_err("refused")).to_string());
    insta::assert_snapshot!(said.join("\n"));
}
