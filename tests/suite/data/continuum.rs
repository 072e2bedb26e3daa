//! Continuum taken out of visibilities with a line in them, by a fit and by a model.

use crate::support::real::{self, LINE_JY, LINE_NOISE_JY as NOISE_JY};
use cleanloop::measurement_set::checksum;
use cleanloop::measurement_set::continuum::{
    FitSpec, LineData, UvcontsubOptions, find_line_free, subtract_continuum, subtract_model,
};
use std::path::Path;

/// Mean of the real parts, and median of the amplitudes, of the visibilities in each channel, Jy.
fn spectrum(ms: &Path, column: &str) -> [Vec<f64>; 2] {
    let program = format!(
        "
tb.open(ms)
data = tb.getcol('{column}')
print(*data.real.mean(axis=(0, 2)))
print(*np.median(abs(data), axis=(0, 2)))
"
    );
    let printed = real::python(ms, &program);
    let numbers = |line: &str| line.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let lines: Vec<Vec<f64>> = printed.lines().map(numbers).collect();
    lines.try_into().expect("two lines of numbers")
}

/// The line has its flux, and nothing but noise is left beside it.
fn assert_line(ms: &Path, column: &str) {
    let [mean, amplitude] = spectrum(ms, column);
    assert_eq!(mean.len(), 24);
    for channel in 0..24 {
        let line = (10..14).contains(&channel);
        let expected = if line { LINE_JY } else { 0.0 };
        // The noise of the mean of 1320 visibilities is 0.0014 Jy.
        assert!((mean[channel] - expected).abs() < 0.006, "channel {channel}: {mean:?}");
        // The amplitude of pure noise is 1.177 times that of its real part; a fit takes some of it away.
        let left = amplitude[channel] / (1.177 * NOISE_JY);
        assert!(line || (0.85..1.05).contains(&left), "channel {channel}: {amplitude:?}");
    }
}

#[test]
#[ignore = "needs CASA"]
fn the_continuum_goes_and_the_line_keeps_its_flux() {
    let folder = tempfile::tempdir().unwrap();
    let casa = real::casa();
    let ms = real::line_and_continuum(&casa, folder.path());
    let data = LineData { ms: &ms, column: "DATA", field: None };
    let (log, before) = (folder.path().join("log"), checksum(&casa, &ms, "DATA").unwrap());

    let options = UvcontsubOptions { fitorder: 1, ..UvcontsubOptions::default() };
    let found = folder.path().join("found.ms");
    let fit = subtract_continuum(&casa, &data, &options, &found, &log).unwrap();
    assert_eq!(fit.fitspec, FitSpec::Channels("0:0~9;14~23".to_owned()), "{:?}", fit.spectra);
    assert_line(&found, "DATA");
    let spectrum = &fit.spectra[0];
    assert_eq!((spectrum.line_channels(), spectrum.frequencies_hz.len()), ((10..14).collect(), 24));
    let ratio = |values: &[Option<f64>]| values[11].unwrap() / values[5].unwrap();
    let (first, second) = (ratio(&spectrum.amplitudes_jy), ratio(&spectrum.residuals_jy));
    assert!(first < 1.1 && second > 1.5, "the continuum hides the line in the first pass: {first}, {second}");
    // A constant leaves the slope of the continuum, which must not pass for lines.
    let constant = find_line_free(&casa, &data, 0).unwrap();
    assert_eq!(constant[0].line_channels(), (10..14).collect::<Vec<_>>());

    let given = folder.path().join("given.ms");
    let options = UvcontsubOptions { fitspec: FitSpec::Channels("0:0~8;15~23".to_owned()), ..options };
    let fit = subtract_continuum(&casa, &data, &options, &given, &log).unwrap();
    assert!(fit.spectra.is_empty());
    assert_line(&given, "DATA");
    let error = subtract_continuum(&casa, &data, &options, &given, &log).expect_err("it is there");
    assert!(error.to_string().contains("given.ms"), "{error}");

    subtract_model(&casa, &ms, "DATA").unwrap();
    assert_line(&ms, "CORRECTED_DATA");
    assert_eq!(checksum(&casa, &ms, "DATA").unwrap(), before, "DATA is only read");
}
