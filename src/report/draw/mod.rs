//! Figures as SVG: rasters inside as PNG, everything else as vectors, which stay sharp on a telephone and on paper and
//! follow the page's light or dark colours.

mod axis;
pub(crate) mod chart;
pub(crate) mod course;
mod frame;
pub(crate) mod gains;
pub(crate) mod heat;
pub(crate) mod map;
mod outline;
pub(crate) mod plane;
pub(crate) mod raster;
mod sky;
pub(crate) mod spectrum;

use serde::{Deserialize, Serialize};

/// Colours of series in the style sheet (`c0` to `c5`).
pub(crate) const CHART_COLOURS: usize = 6;

/// A finished figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// Complete `<svg>` element.
    pub(crate) svg: String,
    /// Text below it.
    pub(crate) caption: String,
}
