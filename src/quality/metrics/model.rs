//! Metrics of a model plane.

use super::ModelMetrics;
use crate::image::is_masked;
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Flux and signs of a model plane (Jy/pixel), `[y, x]`; `islands` of the same shape.
pub fn of_model(model: ArrayView2<'_, f32>, islands: Option<ArrayView2<'_, f32>>) -> ModelMetrics {
    /// Of one row or all.
    #[derive(Default, Clone, Copy)]
    struct FluxSums {
        total: f64,
        absolute: f64,
        negative: f64,
        inside: f64,
        outside: f64,
        count: u64,
        peak: f64,
    }
    // One sum per row, added in order: the same for any number of threads.
    let rows: Vec<FluxSums> = (0..model.nrows())
        .into_par_iter()
        .map(|y| {
            let mut sums = FluxSums::default();
            for (x, &v) in model.row(y).iter().enumerate() {
                if v == 0.0 || !v.is_finite() {
                    continue;
                }
                let v = f64::from(v);
                sums.total += v;
                sums.absolute += v.abs();
                sums.negative += (-v).max(0.0);
                sums.count += 1;
                sums.peak = sums.peak.max(v);
                match islands {
                    Some(islands) if is_masked(islands[(y, x)]) => sums.inside += v,
                    _ => sums.outside += v.abs(),
                }
            }
            sums
        })
        .collect();
    let all = rows.iter().fold(FluxSums::default(), |a, b| FluxSums {
        total: a.total + b.total,
        absolute: a.absolute + b.absolute,
        negative: a.negative + b.negative,
        inside: a.inside + b.inside,
        outside: a.outside + b.outside,
        count: a.count + b.count,
        peak: a.peak.max(b.peak),
    });
    ModelMetrics {
        total_flux: all.total,
        absolute_flux: all.absolute,
        inside_flux: islands.map(|_| all.inside),
        outside_flux: islands.map(|_| all.outside),
        components: all.count,
        negative_fraction: if all.absolute > 0.0 { all.negative / all.absolute } else { 0.0 },
        peak: all.peak,
    }
}
