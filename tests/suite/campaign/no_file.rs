//! Measurement sets without a campaign file.

use crate::campaign::selection::cleanloop;
use crate::support::real;
use cleanloop::campaign::record::CampaignRecord;
use serde_json::json;
use std::fs;

/// A source of 1 Jy at the phase centre, seen with baselines of a third of the length: images so small that any disk holds them.
const SHORT: &str = "
tb.open(ms, nomodify=False)
tb.putcol('UVW', tb.getcol('UVW') / 3)
shape = tb.getcol('DATA').shape
random = np.random.default_rng(5)
tb.putcol('DATA', 1 + 0.1 * (random.standard_normal(shape) + 1j * random.standard_normal(shape))); tb.close()
";
/// A source of 3 Jy half a degree north of the phase centre, beyond the primary beam's half maximum.
const OUTSIDE: &str = "
tb.open(ms + '/SPECTRAL_WINDOW'); frequency = tb.getcell('CHAN_FREQ', 0); tb.close()
tb.open(ms, nomodify=False)
u, v, w = tb.getcol('UVW')
m = np.sin(np.deg2rad(0.5)); n = np.sqrt(1 - m * m)
delay = (v * m + w * (n - 1)) / 299792458.0
tb.putcol('DATA', tb.getcol('DATA') + 3 * np.exp(2j * np.pi * np.outer(frequency, delay))[None]); tb.close()
";

#[test]
#[ignore = "needs wsclean and CASA"]
fn everything_is_chosen_and_said_and_a_source_outside_enlarges_the_image() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let field = real::field(&casa, folder, &json!({"antennas": 15, "duration_s": 1200}));
    real::python(&field.ms, SHORT);
    let (status, error) = cleanloop(folder, &["init", "plain.yaml", "--from", "field.ms"]);
    assert_eq!(status, Some(0), "{error}");
    let plain = fs::read_to_string(folder.join("plain.yaml")).expect("a file");
    assert!(plain.contains("has no bright source outside") && plain.contains("1.5 times the primary beam"), "{plain}");
    assert_eq!(cleanloop(folder, &["validate", "plain.yaml"]).0, Some(0));

    real::python(&field.ms, OUTSIDE);
    let (status, error) = cleanloop(folder, &["init", "wide.yaml", "--from", "field.ms"]);
    assert_eq!(status, Some(0), "{error}");
    let wide = fs::read_to_string(folder.join("wide.yaml")).expect("a file");
    assert!(wide.contains("enlarged for bright sources outside"), "{wide}");
    assert!(wide.contains("30.") && wide.contains("north"), "{wide}");
    let size = |text: &str| -> u64 {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("size: ")).expect("a size");
        line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
    };
    assert!(size(&wide) > size(&plain), "{wide}");
    // The same for single keys.
    let auto = "version: 0.2\ncampaign: {measurement_sets: [field.ms], output: out}\n\
                defaults: {wsclean: {size: auto, scale: auto}}\n";
    fs::write(folder.join("auto.yaml"), auto).expect("written");
    let (status, error) = cleanloop(folder, &["plan", "auto.yaml"]);
    assert_eq!(status, Some(0), "{error}");
}

#[test]
#[ignore = "needs CASA"]
fn without_wsclean_a_measurement_set_alone_is_run_with_tclean() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    real::field(&casa, folder, &json!({"antennas": 15, "duration_s": 1200}));
    // A path without wsclean.
    let options = "--rounds 1 --set tclean.imsize=512 --set campaign.start_model=image -o results/field";
    let words: Vec<&str> = ["run", "field.ms"].into_iter().chain(options.split(' ')).collect();
    let mut command = assert_cmd::Command::cargo_bin("cleanloop").expect("the binary is built");
    let output = command.current_dir(folder).env("PATH", folder).args(&words).output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let file = fs::read_to_string(folder.join("results/field.yaml")).expect("a file");
    assert!(file.contains("imager: casa  # wsclean is not installed"), "{file}");
    let record = CampaignRecord::load(&folder.join("results/field")).expect("a record");
    assert!(record.datasets[0].best.is_some());
    // Again: the file is there and taken as it is.
    let (status, error) = cleanloop(folder, &words);
    assert!(status == Some(0) && error.contains("going on with it"), "{error}");
}
