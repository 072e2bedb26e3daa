//! Groups of neighbouring channels of a cube, each imaged by itself.

use super::channels::{ChannelGroup, CubeGrid, DataChannels};
use super::options::ImagerOptions;
use super::tclean::{SpecMode, TcleanOptions};
use super::wsclean::WscleanOptions;

/// Channels that are imaged with a group on either side of it, where CASA cleans and interpolates. Of a cube of 24 channels
/// in groups of five (CASA 6.7, LSRK, linear, threshold 5 mJy, peak of the residual 0.55 Jy) residuals at the edges of groups
/// were wrong by up to 0.15 Jy without any, two channels by 0.002 Jy with one; with two all pixels were those of one job.
const NEIGHBOURS: usize = 2;

/// What a group of channels needs to know of the cube.
#[derive(Debug, Clone, PartialEq)]
pub enum CubeBand {
    /// The channels of the data that the group is made of (wsclean).
    Data(DataChannels),
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

    /// The channels that are imaged for a group. Where CASA interpolates between channels, the data at the edge of a group
    /// lie between its last channel and the next group's, whose model must be there to be subtracted; and of an image of
    /// one channel it interpolates nothing. So groups get [`NEIGHBOURS`] on either side, which are not kept.
    pub(crate) fn imaged_group(&self, group: &ChannelGroup) -> ChannelGroup {
        let more = match self {
            Self::Tclean(o) if o.specmode != SpecMode::Cube || o.interpolation == "nearest" => 0,
            Self::Tclean(o) if o.niter > 0 => NEIGHBOURS,
            Self::Tclean(_) if group.count == 1 => 1,
            _ => 0,
        };
        let (first, end) = (group.first.saturating_sub(more), (group.first + group.count + more).min(group.of));
        ChannelGroup { first, count: end - first, of: group.of }
    }

    /// The group of channels that these options image, where the imager cleans each by itself.
    pub(crate) fn group(&self) -> Option<ChannelGroup> {
        match self {
            Self::Wsclean(o) => o.group,
            _ => None,
        }
    }

    /// The options of one group of channels, those of `ImagerOptions::imaged_group`.
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

fn wsclean_group(o: &WscleanOptions, group: &ChannelGroup, channels: DataChannels) -> WscleanOptions {
    WscleanOptions {
        channels_out: group.count as u64,
        channel_range: Some((channels.first, channels.end)),
        channel_division_frequencies: Some(channels.edges_hz).filter(|edges| !edges.is_empty()),
        group: Some(*group),
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
        let frequencies: Vec<f64> = (0..26).map(|channel| 1e9 + f64::from(channel)).collect();
        let all = |size, range| -> Vec<DataChannels> {
            ChannelGroup::all(24, size).iter().map(|g| DataChannels::of(g, &frequencies, range)).collect()
        };
        let ranges = |all: &[DataChannels]| all.iter().map(|c| (c.first, c.end)).collect::<Vec<_>>();
        // Of 26 channels in 24 the last of each dozen has two.
        let ones = all(1, None);
        assert_eq!((&ranges(&ones)[10..13], ranges(&ones)[23]), (&[(10, 11), (11, 13), (13, 14)][..], (24, 26)));
        assert!(ones.iter().all(|c| c.edges_hz.is_empty()));
        let fives = all(5, None);
        assert_eq!(ranges(&fives), [(0, 5), (5, 10), (10, 16), (16, 21), (21, 26)]);
        // The third would be divided into 1, 1, 1, 1 and 2; the whole cube has the two in its second.
        assert_eq!(fives[2].edges_hz, [1e9 + 10.5, 1e9 + 12.5, 1e9 + 13.5, 1e9 + 14.5]);
        assert!(fives[0].edges_hz.is_empty() && fives[4].edges_hz.is_empty());
        assert_eq!(ranges(&all(12, Some((2, 26)))), [(2, 14), (14, 26)]);
        let options = WscleanOptions { channels_out: 24, join_channels: false, ..Default::default() };
        let group = wsclean_group(&options, &ChannelGroup::all(24, 5)[2], fives[2].clone());
        assert_eq!((group.channels_out, group.channel_range), (5, Some((10, 16))));
        assert_eq!(group.channel_division_frequencies.map(|edges| edges.len()), Some(4));
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
        let of = |niter: u64, interpolation: &str| {
            let map = json!({"specmode": "cube", "nchan": 24, "niter": niter, "interpolation": interpolation});
            ImagerOptions::Tclean(read(map))
        };
        let imaged = |o: &ImagerOptions, size, n: usize| {
            let group = o.imaged_group(&ChannelGroup::all(24, size)[n]);
            (group.first, group.count)
        };
        let cleaned = of(100, "linear");
        assert_eq!([0, 1, 4].map(|n| imaged(&cleaned, 5, n)), [(0, 7), (3, 9), (18, 6)], "with two on either side");
        assert_eq!((imaged(&of(0, "linear"), 5, 1), imaged(&of(0, "linear"), 1, 7)), ((5, 5), (6, 3)));
        assert_eq!(imaged(&of(100, "nearest"), 1, 7), (7, 1));
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
