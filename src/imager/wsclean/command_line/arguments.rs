//! Options to command lines, as flint writes them.

use super::expand::expand;
use super::installed::Installed;
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::options::{ExtraValue, WscleanOptions};

/// Options that belong to cleanloop: a campaign may not set them.
const RESERVED: [&str; 13] = [
    "name",
    "predict",
    "continue",
    "subtract-model",
    "reuse-psf",
    "reuse-dirty",
    "make-psf",
    "make-psf-only",
    "dry-run",
    "restore",
    "restore-list",
    "version",
    "no-dirty",
];

/// A command line under construction: options with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    list: Vec<Argument>,
}

/// One option with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    /// Name as people write it.
    written: String,
    /// Name as wsclean has it, without the dash.
    name: String,
    values: Vec<String>,
}

impl Arguments {
    /// Adds `-name values...`, with wsclean's own name.
    pub(crate) fn push<V: ToString>(&mut self, name: &str, values: &[V]) {
        self.add(name, name.to_owned(), values.iter().map(ToString::to_string).collect());
    }

    fn add(&mut self, written: &str, name: String, values: Vec<String>) {
        self.list.push(Argument { written: written.to_owned(), name, values });
    }

    /// Adds a bare option.
    pub(crate) fn flag(&mut self, name: &str) {
        self.push::<&str>(name, &[]);
    }

    /// An option under flint's name (underscores), where it has a value.
    fn optional<V: ToString>(&mut self, name: &str, value: Option<V>) {
        if let Some(value) = value {
            self.add(name, name.replace('_', "-"), vec![value.to_string()]);
        }
    }

    /// A bare option under flint's name, where it is on.
    fn switch(&mut self, name: &str, on: bool) {
        if on {
            self.add(name, name.replace('_', "-"), Vec::new());
        }
    }

    /// Whether the option is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|a| a.name == name)
    }

    /// Adds everything of `other`.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
    }

    /// Takes the option out.
    pub(crate) fn remove(&mut self, name: &str) {
        self.list.retain(|a| a.name != name);
    }

    /// The words after the executable, without the measurement sets.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = |a: &Argument| std::iter::once(format!("-{}", a.name)).chain(a.values.clone()).collect::<Vec<_>>();
        self.list.iter().flat_map(words).collect()
    }

    /// Refuses what the installed version does not know, all at once.
    ///
    /// # Errors
    /// [`WscleanError::UnknownOptions`].
    pub(crate) fn check(&self, installed: &Installed) -> Result<(), WscleanError> {
        let unknown = self.list.iter().filter(|a| !installed.knows(&a.name));
        let options: Vec<_> =
            unknown.map(|a| (a.written.clone(), installed.nearest(&a.name).map(str::to_owned))).collect();
        if options.is_empty() {
            return Ok(());
        }
        let executable = installed.executable.join(" ");
        Err(WscleanError::UnknownOptions { version: installed.version, executable, options })
    }
}

/// Everything of the options but what a single call decides: name, masks, iterations, thresholds, channels and time
/// steps, data column, temporary folder, update of the model.
///
/// `installed` decides how the gridder is asked for; `None` (the program is absent, a plan is printed all the same) is
/// taken as a new version.
///
/// # Errors
/// [`WscleanError::BadValue`].
pub(crate) fn imaging(options: &WscleanOptions, installed: Option<&Installed>) -> Result<Arguments, WscleanError> {
    let mut a = Arguments::default();
    image_plane(&mut a, options, installed)?;
    visibilities(&mut a, options);
    deconvolution(&mut a, options)?;
    push_extra(&mut a, options)?;
    Ok(a)
}

/// Size, weighting, polarisation and gridder.
fn image_plane(a: &mut Arguments, o: &WscleanOptions, installed: Option<&Installed>) -> Result<(), WscleanError> {
    if o.size == 0 {
        return Err(WscleanError::bad_value("size", "0 pixels: an image needs at least one"));
    }
    a.push("size", &[o.size, o.size]);
    a.push("scale", &[text("scale", &o.scale)?]);
    let weight = text("weight", &o.weight)?;
    a.push("weight", &weight.split_whitespace().collect::<Vec<_>>());
    a.push("pol", &[text("pol", &o.pol)?]);
    if let Some(gridder) = &o.gridder {
        push_gridder(a, &text("gridder", gridder)?, installed)?;
    }
    Ok(())
}

/// Accuracy of gridding, choice of visibilities, their order on disk.
fn visibilities(a: &mut Arguments, o: &WscleanOptions) {
    a.optional("wgridder_accuracy", o.wgridder_accuracy);
    a.optional("nwlayers", o.nwlayers);
    a.optional("parallel_gridding", o.parallel_gridding);
    a.optional("minuv_l", o.minuv_l);
    a.optional("minuvw_m", o.minuvw_m);
    a.optional("maxw", o.maxw);
    a.optional("taper_gaussian", o.taper_gaussian);
    a.optional("beam_fitting_size", o.beam_fitting_size);
    a.switch("no_small_inversion", o.no_small_inversion);
    a.switch("no_reorder", o.no_reorder);
    a.switch("no_mf_weighting", o.no_mf_weighting);
    a.optional("channel_division_frequencies", o.channel_division_frequencies.as_deref().map(joined));
}

/// How components are found, and what is saved of them.
fn deconvolution(a: &mut Arguments, o: &WscleanOptions) -> Result<(), WscleanError> {
    a.optional("gain", Some(o.gain));
    a.optional("mgain", Some(o.mgain));
    if o.local_rms {
        a.switch("local_rms", true);
        a.optional("local_rms_window", o.local_rms_window);
    }
    if o.multiscale {
        a.switch("multiscale", true);
        a.optional("multiscale_scale_bias", o.multiscale_scale_bias);
        a.optional("multiscale_gain", o.multiscale_gain);
        a.optional("multiscale_scales", o.multiscale_scales.as_deref().map(joined));
        if let Some(mask) = &o.multiscale_fits_mask {
            a.optional("multiscale_fits_mask", Some(text("multiscale_fits_mask", &mask.to_string_lossy())?));
        }
    }
    a.switch("join_polarizations", o.join_polarizations);
    a.optional("parallel_deconvolution", o.parallel_deconvolution);
    a.optional("deconvolution_threads", o.deconvolution_threads);
    a.switch("save_source_list", o.save_source_list);
    a.switch("verbose", o.verbose);
    Ok(())
}

/// The value of an option, its environment variables expanded.
fn text(name: &str, value: &str) -> Result<String, WscleanError> {
    expand(value).map_err(|reason| WscleanError::bad_value(name, reason))
}

/// How the output channels are made and cleaned together.
pub(crate) fn channels(a: &mut Arguments, o: &WscleanOptions) {
    if o.channels_out <= 1 {
        return;
    }
    a.push("channels-out", &[o.channels_out]);
    if o.join_channels {
        a.flag("join-channels");
        if o.squared_channel_joining {
            a.flag("squared-channel-joining");
        }
        if let Some(n) = o.deconvolution_channels {
            a.push("deconvolution-channels", &[n]);
        }
        if let Some(n) = o.fit_spectral_pol {
            a.push("fit-spectral-pol", &[n]);
        }
    }
}

/// Iterations and thresholds of one ordinary run. With a mask, `auto_mask` is left out: the mask takes its place.
pub(crate) fn stops(a: &mut Arguments, o: &WscleanOptions, masked: bool) {
    a.push("niter", &[o.niter]);
    a.push("nmiter", &[o.nmiter]);
    if let Some(sigma) = o.auto_mask.filter(|_| !masked) {
        a.push("auto-mask", &[sigma]);
    }
    if let Some(sigma) = o.auto_threshold {
        a.push("auto-threshold", &[sigma]);
    }
    if let Some(jy) = o.threshold {
        a.push("threshold", &[jy]);
    }
}

fn push_gridder(a: &mut Arguments, gridder: &str, installed: Option<&Installed>) -> Result<(), WscleanError> {
    if installed.is_none_or(|i| i.knows("gridder")) {
        a.push("gridder", &[gridder]);
        return Ok(());
    }
    match gridder {
        "wgridder" => a.flag("use-wgridder"),
        "idg" => a.flag("use-idg"),
        "direct-ft" => a.flag("direct-ft"),
        // The only gridder that older versions have no option for: it is what they do unasked.
        "wstacking" | "wsgridder" => {}
        _ => {
            let version = installed.map(|i| i.version.to_string()).unwrap_or_default();
            return Err(WscleanError::bad_value(
                "gridder",
                format!(
                    "{gridder:?} is not known to wsclean {version}: expected wgridder, idg, wstacking or direct-ft"
                ),
            ));
        }
    }
    Ok(())
}

fn push_extra(a: &mut Arguments, o: &WscleanOptions) -> Result<(), WscleanError> {
    let own = serde_json::to_value(WscleanOptions::default()).unwrap_or_default();
    for (key, value) in &o.extra {
        let name = key.trim_start_matches('-').replace('_', "-");
        let flint = name.replace('-', "_");
        if own.get(&flint).is_some() {
            return Err(WscleanError::bad_value(
                format!("extra.{key}"),
                format!("write it as the option {flint}, outside of extra"),
            ));
        }
        if RESERVED.contains(&name.as_str()) || matches!(name.as_str(), "j" | "mem" | "channel-range") {
            return Err(WscleanError::bad_value(format!("extra.{key}"), "cleanloop sets this option itself"));
        }
        let mut values = Vec::new();
        match value {
            ExtraValue::Absent(()) | ExtraValue::Flag(false) => continue,
            ExtraValue::Flag(true) => {}
            ExtraValue::Words(list) => {
                for word in list {
                    values.push(extra_word(key, word)?);
                }
            }
            single => values.push(extra_word(key, single)?),
        }
        a.add(&format!("extra.{key}"), name, values);
    }
    Ok(())
}

fn extra_word(key: &str, value: &ExtraValue) -> Result<String, WscleanError> {
    match value {
        ExtraValue::Integer(n) => Ok(n.to_string()),
        ExtraValue::Number(x) => Ok(x.to_string()),
        ExtraValue::Text(t) => expand(t).map_err(|reason| WscleanError::bad_value(format!("extra.{key}"), reason)),
        other => Err(WscleanError::bad_value(
            format!("extra.{key}"),
            format!("{other:?} in a list: expected numbers and strings"),
        )),
    }
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wsclean_31() -> Installed {
        let help = include_str!("../../../../tests/data/wsclean/help-3.1.0.txt");
        Installed::from_help(&["wsclean".to_owned()], help).expect("help")
    }

    fn options(value: serde_json::Value) -> WscleanOptions {
        serde_json::from_value(value).expect("options")
    }

    fn line(o: &WscleanOptions, installed: Option<&Installed>, masked: bool) -> String {
        let mut a = imaging(o, installed).expect("a command line");
        channels(&mut a, o);
        stops(&mut a, o, masked);
        crate::util::shell::line(&a.words())
    }

    #[test]
    fn flints_defaults_on_an_old_and_a_new_version() {
        let o = WscleanOptions::default();
        insta::assert_snapshot!(line(&o, Some(&wsclean_31()), false), @"-size 10128 10128 -scale 2.5asec -weight briggs -0.5 -pol i -use-wgridder -beam-fitting-size 1.25 -gain 0.1 -mgain 0.7 -local-rms -channels-out 4 -join-channels -niter 750000 -nmiter 15 -auto-mask 3.5 -auto-threshold 0.5");
        insta::assert_snapshot!(line(&o, None, true), @"-size 10128 10128 -scale 2.5asec -weight briggs -0.5 -pol i -gridder wgridder -beam-fitting-size 1.25 -gain 0.1 -mgain 0.7 -local-rms -channels-out 4 -join-channels -niter 750000 -nmiter 15 -auto-threshold 0.5");
        imaging(&o, Some(&wsclean_31())).expect("words").check(&wsclean_31()).expect("3.1 knows all of the defaults");
    }

    #[test]
    fn all_kinds_of_values() {
        let o = options(json!({
            "size": 2048, "scale": "1asec", "weight": "natural", "multiscale": true, "multiscale_scales": [0, 15, 30],
            "multiscale_gain": 0.15, "channels_out": 8, "channel_division_frequencies": [1.1e9, 1.2e9],
            "fit_spectral_pol": 3, "deconvolution_channels": 4, "squared_channel_joining": true, "minuv_l": 200,
            "local_rms": false, "threshold": 0.0001, "auto_mask": null, "auto_threshold": null, "no_small_inversion": true,
            "force_mask_rounds": 4, "flint_no_log_wsclean_output": true, "parallel_gridding": 3, "verbose": true,
            "extra": {"padding": 1.4, "no-negative": true, "shift": ["1h", "2d"], "horizon_mask": null, "maxuv-l": 5000}
        }));
        insta::assert_snapshot!(line(&o, Some(&wsclean_31()), false), @"-size 2048 2048 -scale 1asec -weight natural -pol i -use-wgridder -parallel-gridding 3 -minuv-l 200 -beam-fitting-size 1.25 -no-small-inversion -channel-division-frequencies 1100000000,1200000000 -gain 0.1 -mgain 0.7 -multiscale -multiscale-scale-bias 0.75 -multiscale-gain 0.15 -multiscale-scales 0,15,30 -verbose -padding 1.4 -no-negative -shift 1h 2d -maxuv-l 5000 -channels-out 8 -join-channels -squared-channel-joining -deconvolution-channels 4 -fit-spectral-pol 3 -niter 750000 -nmiter 15 -threshold 0.0001");
    }

    #[test]
    fn one_channel_is_never_joined() {
        let o = options(json!({"channels_out": 1}));
        assert!(!line(&o, None, false).contains("channels"));
    }

    #[test]
    fn what_the_version_does_not_know_is_refused_at_once_by_name() {
        let o = options(json!({"multiscale": true, "multiscale_fits_mask": "m.fits", "extra": {"no-negativ": true}}));
        let installed = wsclean_31();
        let error = imaging(&o, Some(&installed)).expect("words").check(&installed).expect_err("two unknown options");
        insta::assert_snapshot!(error, @"wsclean 3.1.0 (wsclean) has no option multiscale_fits_mask (nearest: multiscale-scales), extra.no-negativ (nearest: no-negative)");
    }

    #[test]
    fn values_that_cannot_be_used() {
        let cases = [
            json!({"size": 0}),
            json!({"scale": "$NO_SUCH_VARIABLE"}),
            json!({"gridder": "magic"}),
            json!({"extra": {"niter": 5}}),
            json!({"extra": {"name": "x"}}),
            json!({"extra": {"-reuse_psf": "x"}}),
        ];
        let said = cases.map(|value| imaging(&options(value), Some(&wsclean_31())).expect_err("refused").to_string());
        insta::assert_snapshot!(said.join("\n"), @r#"
        wsclean option size: 0 pixels: an image needs at least one
        wsclean option scale: "$NO_SUCH_VARIABLE": the environment variable NO_SUCH_VARIABLE is not set
        wsclean option gridder: "magic" is not known to wsclean 3.1.0: expected wgridder, idg, wstacking or direct-ft
        wsclean option extra.niter: write it as the option niter, outside of extra
        wsclean option extra.name: cleanloop sets this option itself
        wsclean option extra.-reuse_psf: cleanloop sets this option itself
        "#);
    }
}
