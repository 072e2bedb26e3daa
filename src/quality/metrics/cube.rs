//! Metrics of a cube from those of its channels.

use super::{ImageMetrics, ModelMetrics};
use crate::kernels::order_statistics::median;

/// The overall metrics of a cube from those of its channels, which are kept in [`ImageMetrics::channels`].
///
/// The noise is the median of the channels' (of those that have data), peak and minimum are the extremes, fluxes
/// and pixels are sums, the beam is the largest one, and the near field is that of the peak's channel.
pub fn of_channels(channels: Vec<ImageMetrics>) -> ImageMetrics {
    let with_data = || channels.iter().enumerate().filter(|(_, c)| c.valid_pixels > 0);
    let first_largest = |score: fn(&ImageMetrics) -> f64| {
        with_data().fold(None::<(usize, &ImageMetrics)>, |best, (i, c)| match best {
            Some((_, b)) if score(b) >= score(c) => best,
            _ => Some((i, c)),
        })
    };
    let middle = |noise: fn(&ImageMetrics) -> f64| {
        median(&mut with_data().map(|(_, c)| noise(c)).filter(|&r| r > 0.0).collect()).unwrap_or(0.0)
    };
    let mut overall = ImageMetrics {
        noise: middle(|c| c.noise),
        rms: middle(|c| c.rms),
        standard_deviation: middle(|c| c.standard_deviation),
        valid_pixels: channels.iter().map(|c| c.valid_pixels).sum(),
        non_finite: channels.iter().all(|c| c.valid_pixels == 0) || with_data().any(|(_, c)| c.non_finite),
        ..ImageMetrics::default()
    };
    overall.change = channels.iter().filter_map(|c| c.change).reduce(f64::max);
    if let Some((channel, best)) = first_largest(|c| c.peak) {
        overall.peak = best.peak;
        overall.peak_pixel = best.peak_pixel;
        overall.peak_channel = channel;
        overall.near_field_rms = best.near_field_rms;
    }
    if let Some((_, worst)) = first_largest(|c| -c.minimum) {
        overall.minimum = worst.minimum;
        overall.minimum_pixel = worst.minimum_pixel;
    }
    if let Some((_, widest)) = first_largest(|c| c.beam_area_arcsec2.unwrap_or(0.0)) {
        overall.beam = widest.beam;
        overall.beam_area_arcsec2 = widest.beam_area_arcsec2;
    }
    if channels.iter().any(|c| c.masked_pixels.is_some()) {
        overall.masked_pixels = Some(channels.iter().filter_map(|c| c.masked_pixels).sum());
    }
    let models: Vec<&ModelMetrics> = channels.iter().filter_map(|c| c.model.as_ref()).collect();
    if !models.is_empty() {
        let sum = |part: fn(&ModelMetrics) -> Option<f64>| {
            models.iter().any(|m| part(m).is_some()).then(|| models.iter().filter_map(|m| part(m)).sum())
        };
        let all: f64 = models.iter().map(|m| m.absolute_flux).sum();
        let negative: f64 = models.iter().map(|m| m.negative_fraction * m.absolute_flux).sum();
        overall.model = Some(ModelMetrics {
            total_flux: models.iter().map(|m| m.total_flux).sum(),
            absolute_flux: all,
            inside_flux: sum(|m| m.inside_flux),
            outside_flux: sum(|m| m.outside_flux),
            components: models.iter().map(|m| m.components).sum(),
            negative_fraction: if all > 0.0 { negative / all } else { 0.0 },
            peak: models.iter().map(|m| m.peak).fold(0.0, f64::max),
        });
    }
    overall.channels = channels;
    overall.with_ratios()
}
