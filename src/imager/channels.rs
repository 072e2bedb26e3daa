//! Channels of a cube, and where they lie.

use serde::{Deserialize, Serialize};

/// Neighbouring channels of a cube.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelGroup {
    /// The first, counted from 0.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Channels of the whole cube.
    pub of: usize,
}

impl ChannelGroup {
    /// The groups of a cube of `channels`, `size` each; the last one may be smaller.
    pub fn all(channels: usize, size: usize) -> Vec<Self> {
        let group = |first| Self { first, count: size.min(channels - first), of: channels };
        (0..channels).step_by(size.max(1)).map(group).collect()
    }

    /// Its name, which is that of its folder: `channels-00064-00127`.
    pub fn name(&self) -> String {
        format!("channels-{:05}-{:05}", self.first, self.first + self.count - 1)
    }
}

/// The frequencies of a cube's channels: a grid that is worked out once, so that groups lie on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CubeGrid {
    /// Frequency of the first channel, Hz, in the cube's frame.
    pub first_hz: f64,
    /// From one channel to the next, Hz.
    pub width_hz: f64,
}

/// Channels of the data that a group of a cube's channels is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataChannels {
    /// The first.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
    /// Frequencies between the group's channels, Hz, where they do not divide its band evenly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges_hz: Vec<f64>,
}

impl DataChannels {
    /// Those of a group, of data with these frequencies (ascending), from which `range` is imaged. Output channel i of n
    /// begins at channel i x N / n of N, as wsclean divides the whole band (version 3.1).
    pub fn of(group: &ChannelGroup, frequencies_hz: &[f64], range: Option<(u64, u64)>) -> Self {
        let (first, end) = range.unwrap_or((0, frequencies_hz.len() as u64));
        let begin = |channel: usize| first + (end.saturating_sub(first)) * channel as u64 / group.of.max(1) as u64;
        let begins: Vec<u64> = (group.first..=group.first + group.count).map(begin).collect();
        let (from, to) = (begins[0], begins[group.count]);
        // A part of the band is divided by itself: its channels may then be others.
        let even = |k: usize| from + (to - from) * k as u64 / group.count as u64 == begins[k];
        let between = |channel: &u64| {
            let at = |channel: u64| frequencies_hz.get(channel as usize).copied().unwrap_or_default();
            0.5 * (at(channel.saturating_sub(1)) + at(*channel))
        };
        let uneven = !(0..group.count).all(even);
        let edges_hz = if uneven { begins[1..group.count].iter().map(between).collect() } else { Vec::new() };
        Self { first: from, end: to, edges_hz }
    }
}
