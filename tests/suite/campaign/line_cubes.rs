//! From self-calibration on the continuum to a line cube: the example, on a small observation.

use crate::support::real;
use crate::support::schema::assert_campaign_fits;
use crate::support::words::said;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::image::FitsImage;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The example on data with errors of the antennas' phases: the line has its flux in its channels, and the continuum is gone.
#[test]
#[ignore = "needs wsclean and CASA"]
fn the_example_ends_with_a_line_cube_without_continuum() {
    real::require("wsclean");
    let folder = tempfile::tempdir().unwrap();
    let casa = real::casa();
    let ms = real::line_and_continuum(&casa, folder.path());
    let errors = "
tb.open(ms, nomodify=False)
gains = np.exp(1j * np.deg2rad(40) * np.random.default_rng(5).standard_normal(64))
data = tb.getcol('DATA')
tb.putcol('DATA', data * gains[tb.getcol('ANTENNA1')] * gains[tb.getcol('ANTENNA2')].conj())
";
    real::python(&ms, errors);
    fs::rename(&ms, folder.path().join("line.ms")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/line_after_continuum.yaml");
    fs::copy(example, folder.path().join("campaign.yaml")).unwrap();
    let small = [
        "campaign.rounds=1",
        "gaincal.solint=inf",
        "wsclean.size=128",
        "campaign.final_imaging.line.tclean.imsize=128",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_cleanloop"));
    command.current_dir(folder.path()).args(["run", "campaign.yaml"]);
    command.args(small.iter().flat_map(|setting| ["--set", setting]));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output, folder.path()));

    let campaign = CampaignRecord::load(&folder.path().join("line-after-continuum")).unwrap();
    let best = campaign.datasets[0].best_round().unwrap();
    assert_eq!(best.round, 1, "calibration helped: {best:?}");
    let line = folder.path().join("line-after-continuum/final/line");
    let record = CampaignRecord::load(&line).unwrap();
    assert_campaign_fits(&folder.path().join("line-after-continuum"));
    assert_campaign_fits(&line);
    let spectrum = &record.continuum[0].fit.spectra[0];
    assert_eq!((record.continuum[0].name.as_str(), spectrum.line_channels()), ("line", (10..14).collect()));
    let page = fs::read_to_string(line.join("report/index.html")).unwrap();
    assert!(page.contains("0:0~9;14~23") && page.contains("4 channels stand out and were left out."), "the report");

    let mut cube = FitsImage::open(line.join("image.fits")).unwrap();
    assert_eq!(cube.channels(), 24);
    // A model that starts from a point at the phase centre moves the field: the line is where its peak is.
    for channel in 0..24 {
        let plane = cube.read_plane(0, channel).unwrap();
        let peak = plane.iter().filter(|v| v.is_finite()).fold(0.0f32, |peak, v| peak.max(v.abs()));
        let line = (10..14).contains(&channel);
        let right = if line { (peak - 0.1).abs() < 0.012 } else { peak < 0.03 };
        assert!(right, "channel {channel} has a peak of {peak} Jy/beam");
    }
}
