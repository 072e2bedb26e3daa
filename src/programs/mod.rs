//! Programs that cleanloop brings along: the CASA worker's client, and the environments that it makes itself.

pub mod casa;
pub mod setup;
