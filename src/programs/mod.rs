//! Programs that cleanloop brings along: the CASA worker's client, DP3, and the environments that it makes itself.

pub mod casa;
pub(crate) mod dp3;
pub mod setup;
