//! Groups of neighbouring channels of a cube, each imaged by itself.

use super::options::ImagerOptions;
use super::tclean::{SpecMode, TcleanOptions};
use super::wsclean::WscleanOptions;
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

/// What a group of channels needs to know of the cube.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CubeBand {
    /// The number of channels of the data (wsclean).
    Data(usize),
    /// The grid of frequencies (tclean).
    Grid(CubeGrid),
    /// Nothing: the program knows by itself.
    Unknown,
}

impl ImagerOptions {
    /// Channels of the cube that these options make; `None`: they make no cube, or only the program knows how many.
    pub fn cube_channels(&self) -> Option<usize> {
        match self {
            Self::Wsclean(o) => o.is_cube().then_some(o.channels_out as usize),
            Self::Tclean(o) => usize::try_from(o.nchan).ok().filter(|n| *n > 0 && o.is_cube()),
            Self::Command(_) => None,
        }
    }

    /// The option that keeps the channels of the cube from being imaged in groups, and what to do about it.
    pub fn against_groups(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Wsclean(o) => against_wsclean(o),
            Self::Tclean(o) => against_tclean(o),
            Self::Command(_) => None,
        }
    }

    /// The frequencies of the cube's channels depend on the data's frame: [`CubeGrid`] must be worked out first.
    pub fn needs_grid(&self) -> bool {
        matches!(self, Self::Tclean(o) if o.specmode == SpecMode::Cube)
    }

    /// The channels that are imaged for a group: CASA does not interpolate in an image of one channel, so that such a one
    /// would differ from the same channel of a cube (by 2e-4 of the PSF's peak, CASA 6.7): it gets a neighbour.
    pub(crate) fn imaged_group(&self, group: &ChannelGroup) -> ChannelGroup {
        let alone = group.count == 1 && group.of > 1;
        match self {
            Self::Tclean(o) if alone && o.specmode == SpecMode::Cube && o.interpolation != "nearest" => {
                ChannelGroup { first: group.first.min(group.of - 2), count: 2, of: group.of }
            }
            _ => *group,
        }
    }

    /// The options of one group of channels, those of [`ImagerOptions::imaged_group`].
    #[must_use]
    pub fn of_group(&self, group: &ChannelGroup, band: CubeBand) -> Self {
        let group = &self.imaged_group(group);
        match (self, band) {
            (Self::Wsclean(o), CubeBand::Data(channels)) => Self::Wsclean(wsclean_group(o, group, channels)),
            (Self::Tclean(o), band) => Self::Tclean(tclean_group(o, group, band)),
            (Self::Command(o), _) => {
                let mut options = o.clone();
                options.fill_group(group);
                Self::Command(options)
            }
            (other, _) => other.clone(),
        }
    }
}

fn against_wsclean(o: &WscleanOptions) -> Option<(&'static str, &'static str)> {
    if o.join_channels && o.channels_out > 1 {
        return Some((
            "join_channels",
            "channels that are cleaned together cannot be parted: write `join_channels: false`",
        ));
    }
    if !o.is_cube() {
        return Some(("channels_out", "it makes no cube: set the number of its channels"));
    }
    let divided = o.channel_division_frequencies.is_some();
    divided.then_some(("channel_division_frequencies", "groups are equal parts of the band: leave it out"))
}

fn against_tclean(o: &TcleanOptions) -> Option<(&'static str, &'static str)> {
    if !o.is_cube() {
        return Some(("specmode", "it makes no cube: write `specmode: cube`"));
    }
    if o.nchan <= 0 {
        return Some(("nchan", "the number of channels must be known: name it"));
    }
    let weighted = !matches!(o.weighting.as_str(), "natural" | "radial");
    if weighted && !o.perchanweightdensity {
        return Some(("perchanweightdensity", "the weights of a channel then depend on all others: write `true`"));
    }
    let whole = |text: &str| text.is_empty() || text.parse::<i64>().is_ok();
    let named = o.specmode == SpecMode::Cubedata && !(whole(&o.start) && whole(&o.width));
    named.then_some(("start", "with `specmode: cubedata` groups are counted in channels: write `start` and `width` so"))
}

/// wsclean divides the channels of the data evenly among those of the cube, as it does for the whole cube (wsclean 3.4,
/// `ImagingTable`: output channel i of n begins at channel i x N / n of N).
fn wsclean_group(o: &WscleanOptions, group: &ChannelGroup, data_channels: usize) -> WscleanOptions {
    let (first, end) = o.channel_range.unwrap_or((0, data_channels as u64));
    let begin = |channel: usize| first + (end - first) * channel as u64 / group.of.max(1) as u64;
    WscleanOptions {
        channels_out: group.count as u64,
        channel_range: Some((begin(group.first), begin(group.first + group.count))),
        ..o.clone()
    }
}

fn tclean_group(o: &TcleanOptions, group: &ChannelGroup, band: CubeBand) -> TcleanOptions {
    let whole = |text: &str, default: i64| text.parse::<i64>().unwrap_or(default);
    let (start, width) = match band {
        // All digits: CASA reads them back to the last bit.
        CubeBand::Grid(grid) => {
            let first = grid.first_hz + group.first as f64 * grid.width_hz;
            (format!("{first:?}Hz"), format!("{:?}Hz", grid.width_hz))
        }
        CubeBand::Data(_) | CubeBand::Unknown => {
            let width = whole(&o.width, 1);
            ((whole(&o.start, 0) + group.first as i64 * width).to_string(), width.to_string())
        }
    };
    let mut options = TcleanOptions { nchan: group.count as i64, start, width, ..o.clone() };
    options.fit_each_beam();
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_cover_the_cube_once() {
        let groups = ChannelGroup::all(24, 5);
        let ranges: Vec<_> = groups.iter().map(|g| (g.first, g.count)).collect();
        assert_eq!(ranges, [(0, 5), (5, 5), (10, 5), (15, 5), (20, 4)]);
        assert_eq!(groups[4].name(), "channels-00020-00023");
        assert_eq!(ChannelGroup::all(24, 100).len(), 1);
    }

    #[test]
    fn groups_of_wsclean_divide_the_data_as_the_whole_cube_does() {
        let options = |range| WscleanOptions {
            channels_out: 24,
            join_channels: false,
            channel_range: range,
            ..Default::default()
        };
        let ranges = |o: &WscleanOptions, channels, size| -> Vec<_> {
            let of = |g: &ChannelGroup| wsclean_group(o, g, channels);
            ChannelGroup::all(24, size).iter().map(of).map(|o| (o.channels_out, o.channel_range.unwrap())).collect()
        };
        // 50 channels in 24: one and two channels each follow one another.
        let all = ranges(&options(None), 50, 1);
        assert_eq!(&all[..3], [(1, (0, 2)), (1, (2, 4)), (1, (4, 6))]);
        assert_eq!((all[11].1, all[23].1), ((22, 25), (47, 50)));
        assert_eq!(ranges(&options(None), 50, 5)[4], (4, (41, 50)));
        assert_eq!(ranges(&options(Some((10, 34))), 50, 5)[1], (5, (15, 20)));
    }

    #[test]
    fn groups_of_tclean_lie_on_one_grid() {
        let read = |value| serde_json::from_value::<TcleanOptions>(value).unwrap();
        let o = read(json!({"specmode": "cube", "nchan": 24, "width": "4km/s"}));
        let band = CubeBand::Grid(CubeGrid { first_hz: 1.4e9, width_hz: -1234.5 });
        let group = tclean_group(&o, &ChannelGroup::all(24, 5)[2], band);
        assert_eq!((group.nchan, &*group.start, &*group.width), (5, "1399987655.0Hz", "-1234.5Hz"));
        let o = read(json!({"specmode": "cubedata", "nchan": 24, "start": 3, "width": 2}));
        let group = tclean_group(&o, &ChannelGroup::all(24, 5)[4], CubeBand::Unknown);
        assert_eq!((group.nchan, &*group.start, &*group.width), (4, "43", "2"));
    }

    #[test]
    fn what_ties_channels_together_is_against_groups() {
        let tclean = |value| ImagerOptions::Tclean(serde_json::from_value(value).unwrap());
        let key = |o: ImagerOptions| o.against_groups().map(|(key, _)| key);
        assert_eq!(key(tclean(json!({}))), Some("specmode"));
        assert_eq!(key(tclean(json!({"specmode": "cube"}))), Some("nchan"));
        assert_eq!(key(tclean(json!({"specmode": "cube", "nchan": 9}))), None);
        let o = json!({"specmode": "cube", "nchan": 9, "weighting": "briggs", "perchanweightdensity": false});
        assert_eq!(key(tclean(o)), Some("perchanweightdensity"));
        let o = json!({"specmode": "cubedata", "nchan": 9, "start": "1.4GHz"});
        assert_eq!(key(tclean(o)), Some("start"));
        let wsclean = |value| ImagerOptions::Wsclean(serde_json::from_value(value).unwrap());
        assert_eq!(key(wsclean(json!({"channels_out": 4}))), Some("join_channels"));
        assert_eq!(key(wsclean(json!({"channels_out": 1}))), Some("channels_out"));
        assert_eq!(key(wsclean(json!({"channels_out": 4, "join_channels": false}))), None);
    }
}
