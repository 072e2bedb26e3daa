//! Images and cubes after the best round, with an imager that is a small script.

use crate::support::fake::Fake;
use crate::support::running::Running;
use crate::support::scripts::script;
use crate::support::words::said;
use cleanloop::campaign::record::{CampaignRecord, State};
use cleanloop::image::{BeamTable, FitsImage, Header, PixelType, PlaneWriter, append_beam_table};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Side of the planes of small cubes, pixels.
const SIZE: usize = 12;

/// The imager: as that of [`Fake`], but it knows groups of channels. Cubes of a group are those in `cubes/FIRST`, or in
/// `cubes/any`; orders and lines of the ledger are by the folder of the imaging.
const IMAGER: &str = r#"#!/bin/sh
# usage: imager.sh ACTION MS FOLDER [FIRST COUNT]
here=${0%/*} action=$1 folder=$3 first=$4 count=$5
[ "$action" = image ] || exit 0
name=${folder%/round-*} name=${name##*/}
echo "begin $name" >>"$here/ledger"
order=
if [ -s "$here/orders/$name" ]; then
    read -r order <"$here/orders/$name"
    rm "$here/orders/$name"
fi
case $order in
    fail) echo "told to fail"; exit 1 ;;
    kill) kill -9 $$ ;;
    hold) while [ -e "$here/hold" ]; do sleep 0.1; done ;;
esac
from=$here/products
if [ -n "$first" ]; then
    from=$here/cubes/$first
    [ -d "$from" ] || from=$here/cubes/any-$count
fi
for file in "$from"/*.fits; do ln "$file" "$folder" || exit 1; done
echo "end $name" >>"$here/ledger"
"#;

/// A campaign whose only measurement set is imaged once, with these final imagings.
pub(crate) fn campaign(imagings: &str, block: &str) -> Fake {
    let fake = Fake::new(1, 0, &format!("{block}\n  final_imaging:\n{imagings}"));
    script(&fake.path("imager/imager.sh"), IMAGER);
    let text = fs::read_to_string(fake.path("campaign.yaml")).unwrap();
    let text = text.replace("'{folder}'", "'{folder}', '{first_channel}', '{channels}'");
    fs::write(fake.path("campaign.yaml"), text).unwrap();
    fake
}

pub(crate) fn order(fake: &Fake, name: &str, order: &str) {
    fs::write(fake.path("imager/orders").join(name), format!("{order}\n")).unwrap();
}

/// How often the imager began and ended, by folder.
pub(crate) fn ledger(fake: &Fake) -> BTreeMap<String, (usize, usize)> {
    let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in fs::read_to_string(fake.path("imager/ledger")).unwrap().lines() {
        let (what, name) = line.split_once(' ').unwrap();
        let entry = all.entry(name.to_owned()).or_default();
        if what == "begin" { entry.0 += 1 } else { entry.1 += 1 }
    }
    all
}

/// Writes cubes of `count` channels of `side` pixels whose values are the channels' numbers, from `first` on.
pub(crate) fn write_cubes(folder: &Path, (first, count): (usize, usize), side: usize) {
    for kind in ["image", "residual", "model", "psf"] {
        let value = |channel: usize, y: usize, x: usize| {
            let source = if (y, x) == (side / 2, side / 2) { 1000.0 } else { 0.0 };
            let ripple = if (y * side + x).is_multiple_of(3) { 0.25 } else { 0.0 };
            channel as f32 + source - ripple
        };
        write_cube(&folder.join(format!("{kind}.fits")), (first, count), side, &value);
    }
}

/// Writes a cube of these channels; `value` gives a pixel by channel, y and x.
fn write_cube(path: &Path, (first, count): (usize, usize), side: usize, value: &dyn Fn(usize, usize, usize) -> f32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut header = Header::default();
    for (key, text) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("CTYPE3", "FREQ")] {
        header.set_str(key, text);
    }
    header.set_str("BUNIT", "Jy/beam");
    for (key, value) in [
        ("CRPIX3", 1.0),
        ("CRVAL3", 1.4e9 + first as f64 * 1e4),
        ("CDELT3", 1e4),
        ("CRPIX1", 1.0),
        ("CRVAL1", 30.0),
        ("CRPIX2", 1.0),
        ("CRVAL2", -10.0),
        ("CDELT1", -1.0 / 3600.0),
        ("CDELT2", 1.0 / 3600.0),
    ] {
        header.set_f64(key, value);
    }
    let mut writer = PlaneWriter::create(path, &[side, side, count, 1], PixelType::F32, &header, false).unwrap();
    for channel in 0..count {
        let plane = Array2::from_shape_fn((side, side), |(y, x)| value(first + channel, y, x));
        writer.write_plane(channel, plane.view()).unwrap();
    }
    writer.finish().unwrap();
    let beam = |channel: usize| cleanloop::image::Beam {
        major_deg: (4 + (first + channel) % 3) as f64 / 3600.0,
        minor_deg: 3.0 / 3600.0,
        pa_deg: 0.0,
    };
    append_beam_table(path, &(0..count).map(beam).collect::<Vec<_>>()).unwrap();
}

#[test]
fn final_images_are_made_in_order_and_once() {
    let fake = campaign("    deep: {}\n    wide: {}\n", "");
    order(&fake, "wide", "kill");
    let output = fake.run();
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(said(&output, fake.folder.path()));
    let record = fake.record();
    let states: Vec<(&str, State)> = record.final_images.iter().map(|f| (f.name.as_str(), f.state)).collect();
    assert_eq!(states, [("deep", State::Done), ("wide", State::Failed)]);
    assert_eq!(record.state, State::Done, "the campaign itself has ended well");
    let record = fake.succeed();
    assert!(record.final_images.iter().all(|made| made.state == State::Done));
    for name in ["image", "residual", "model", "psf"] {
        assert!(fake.path(&format!("out/final/deep/{name}.fits")).is_file(), "{name}");
        assert!(fake.path(&format!("out/final/{name}.fits")).is_file(), "{name}");
    }
    assert!(fake.path("out/final/wide/report/index.html").is_file());
    // The campaign's page leads there.
    let page = fs::read_to_string(fake.path("out/report/index.html")).unwrap();
    assert!(page.replace("&#x2f;", "/").contains("../final/wide/report/index.html"));
    fake.succeed();
    assert_eq!(
        ledger(&fake),
        BTreeMap::from([("out".into(), (1, 1)), ("deep".into(), (1, 1)), ("wide".into(), (2, 1))])
    );
    // A round that is made again takes nothing of them away, and they follow it.
    fs::remove_file(fake.path("out/round-00/image/image.fits")).unwrap();
    fs::remove_file(fake.path("out/final/image.fits")).unwrap();
    fake.succeed();
    assert!(fake.path("out/final/deep/image.fits").is_file());
}

#[test]
fn one_final_image_is_made_alone_once_the_campaign_has_ended() {
    let fake = campaign("    deep: {}\n    wide: {}\n", "");
    let image = |name: &str| {
        let output = fake.command(&["image", "campaign.yaml", "--quiet", "--final", name]).output().unwrap();
        (output.status.code(), said(&output, fake.folder.path()))
    };
    let (status, early) = image("wide");
    assert_eq!(status, Some(2), "{early}");
    let (_, unknown) = image("wied");
    fake.succeed();
    fs::remove_dir_all(fake.path("out/final/wide")).unwrap();
    let (status, words) = image("wide");
    assert_eq!(status, Some(0), "{words}");
    assert!(fake.path("out/final/wide/image.fits").is_file());
    assert_eq!(ledger(&fake)["deep"], (1, 1));
    insta::assert_snapshot!(format!("{early}\n{unknown}\n{words}"));
}

#[test]
fn a_cube_of_groups_is_put_together_channel_by_channel() {
    let fake = campaign(
        "    line: {channels: 13, channels_per_job: 5, restoringbeam: fitted}\n",
        "  resources: {concurrent: 2}",
    );
    for (first, count) in [(0, 5), (5, 5), (10, 3)] {
        write_cubes(&fake.path(&format!("imager/cubes/{first}")), (first, count), SIZE);
    }
    order(&fake, "channels-00005-00009", "fail");
    assert_eq!(fake.run().status.code(), Some(3));
    assert!(!fake.path("out/final/line/image.fits").exists(), "no cube with a hole in it");
    fake.succeed();
    let groups = ["channels-00000-00004", "channels-00005-00009", "channels-00010-00012"];
    let begun = groups.map(|name| ledger(&fake)[name]);
    assert_eq!(begun, [(1, 1), (2, 1), (1, 1)]);
    let mut cube = FitsImage::open(fake.path("out/final/line/image.fits")).unwrap();
    assert_eq!(cube.channels(), 13);
    for channel in 0..13 {
        assert_eq!(cube.read_plane(0, channel).unwrap()[[0, 1]], channel as f32);
    }
    assert_eq!(cube.header().get_f64("CRVAL3"), Some(1.4e9));
    let beams = BeamTable::read(fake.path("out/final/line/image.fits")).unwrap().unwrap();
    assert_eq!((beams.all()[11].major_deg * 3600.0).round(), 6.0);
    let mut peak = FitsImage::open(fake.path("out/final/line/peak.fits")).unwrap();
    assert_eq!(peak.read_plane(0, 0).unwrap()[[0, 1]], 12.0);
    let record = CampaignRecord::load(&fake.path("out/final/line")).unwrap();
    assert_eq!((record.cubes.len(), record.cubes[0].channels), (1, 13));
    let page = fs::read_to_string(fake.path("out/final/line/report/index.html")).unwrap();
    assert!(page.contains("Cube") && page.contains("moment 0"), "the maps are shown");
    // One beam for all channels: each is convolved to the largest.
    let text = fs::read_to_string(fake.path("campaign.yaml")).unwrap();
    fs::write(fake.path("campaign.yaml"), text.replace("fitted", "common")).unwrap();
    fake.succeed();
    let cube = FitsImage::open(fake.path("out/final/line/image.fits")).unwrap();
    assert_eq!(cube.header().get_f64("BMAJ").map(|deg| (deg * 3600.0).round()), Some(6.0));
    assert_eq!(groups.map(|name| ledger(&fake)[name]), begun, "nothing is imaged again for that");
}

/// SIGKILL while a group is imaged: the same command images that group again, and no other.
#[test]
fn a_kill_in_the_middle_of_a_cube_repeats_one_group() {
    let fake = campaign("    line: {channels: 8, channels_per_job: 4}\n", "");
    for first in [0, 4] {
        write_cubes(&fake.path(&format!("imager/cubes/{first}")), (first, 4), SIZE);
    }
    fs::write(fake.path("imager/hold"), "").unwrap();
    order(&fake, "channels-00004-00007", "hold");
    let mut run = Running::start(fake.folder.path(), &["run", "campaign.yaml", "--quiet"]);
    run.wait_until("the second group", || ledger(&fake).contains_key("channels-00004-00007"));
    run.kill();
    fs::remove_file(fake.path("imager/hold")).unwrap();
    fake.succeed();
    let ledger = ledger(&fake);
    assert_eq!((ledger["channels-00000-00003"], ledger["channels-00004-00007"].0), ((1, 1), 2));
    assert_eq!(FitsImage::open(fake.path("out/final/line/image.fits")).unwrap().channels(), 8);
}

/// A pixel of the last channel of a group is confetti, which is seen once the channels beyond the border are there: that
/// channel alone is imaged again, without the pixel in its mask.
#[test]
fn confetti_at_the_border_of_a_group_has_its_channel_imaged_again() {
    const SIDE: usize = 24;
    let (y0, x0) = (14, 10);
    let mask = "{method: flint, cadence: round, noise: {method: global}, include: [middle.reg]}";
    let fake = campaign(&format!("    line: {{channels: 10, channels_per_job: 5, mask: {mask}}}\n"), "");
    fs::write(fake.path("middle.reg"), "image\ncircle(12,12,6)\n").unwrap();
    let noise = |channel: usize, y: usize, x: usize| ((channel + 5 * y + 7 * x) % 11) as f32 / 1000.0 - 0.005;
    let confetti = |channel: usize, y: usize, x: usize| match (y.abs_diff(y0), x.abs_diff(x0)) {
        (0, 0) if channel == 4 => 10.0,
        (0..=1, 0..=1) if channel == 4 => -0.6,
        _ => 0.0,
    };
    for (first, count) in [(0, 5), (5, 5), (4, 1)] {
        let folder = fake.path(&format!("imager/cubes/{first}"));
        write_cubes(&folder, (first, count), SIDE);
        let spoilt: &dyn Fn(usize, usize, usize) -> f32 = if count == 5 { &confetti } else { &noise };
        write_cube(&folder.join("model.fits"), (first, count), SIDE, spoilt);
        write_cube(&folder.join("residual.fits"), (first, count), SIDE, &noise);
    }
    fake.succeed();
    let counts = || {
        let names = ["channels-00000-00004", "channels-00005-00009", "channel-00004-again"];
        (names.map(|name| ledger(&fake)[name]), ledger(&fake).len())
    };
    assert_eq!(counts(), ([(1, 1); 3], 4));
    let mut model = FitsImage::open(fake.path("out/final/line/model.fits")).unwrap();
    assert_eq!(model.channels(), 10);
    let planes: Vec<f32> = (0..10).map(|channel| model.read_plane(0, channel).unwrap()[[y0, x0]]).collect();
    assert!(planes.iter().all(|value| value.abs() < 0.01), "{planes:?}");
    let mut image = FitsImage::open(fake.path("out/final/line/image.fits")).unwrap();
    assert!((0..10).all(|channel| image.read_plane(0, channel).unwrap()[[0, 1]] == channel as f32));
    let masked = |target: &str| {
        let path = fake.path(&format!("out/final/line/{target}/round-00/mask/mask.fits"));
        FitsImage::open(path).unwrap().read_plane(0, 0).unwrap()[[y0, x0]]
    };
    assert_eq!((masked("channels-00000-00004"), masked("channel-00004-again")), (1.0, 0.0));
    let record = CampaignRecord::load(&fake.path("out/final/line")).unwrap();
    assert_eq!(record.cubes[0].imaged_again, [4]);
    fake.succeed();
    assert_eq!(counts(), ([(1, 1); 3], 4), "once is enough");
}

/// The whole number of a large line survey.
const CHANNELS: usize = 8000;
const GROUP: usize = 8;

#[test]
#[ignore = "large: minutes of groups"]
fn eight_thousand_channels_with_failures_nothing_lost_and_nothing_twice() {
    let imagings = format!("    line: {{channels: {CHANNELS}, channels_per_job: {GROUP}}}\n");
    let fake = campaign(&imagings, "  resources: {concurrent: 8, threads: 8}");
    write_cubes(&fake.path(&format!("imager/cubes/any-{GROUP}")), (0, GROUP), 64);
    let name = |group: usize| format!("channels-{:05}-{:05}", group * GROUP, group * GROUP + GROUP - 1);
    let fails = |group: usize| group % 40 == 7 || group % 50 == 3;
    let groups = CHANNELS / GROUP;
    for group in (0..groups).filter(|group| fails(*group)) {
        order(&fake, &name(group), if group % 50 == 3 { "kill" } else { "fail" });
    }
    let failing = (0..groups).filter(|group| fails(*group)).count();
    let output = fake.run();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(&format!("{failing} of {groups}")), "{error}");
    fake.succeed();
    let ledger = ledger(&fake);
    for group in 0..groups {
        let expected = if fails(group) { (2, 1) } else { (1, 1) };
        assert_eq!(ledger[&name(group)], expected, "{}", name(group));
    }
    let mut cube = FitsImage::open(fake.path("out/final/line/image.fits")).unwrap();
    assert_eq!(cube.channels(), CHANNELS);
    assert_eq!(cube.read_plane(0, CHANNELS - 1).unwrap()[[0, 1]], (GROUP - 1) as f32);
}
