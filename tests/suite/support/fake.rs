//! Campaigns whose imager is a small shell script: it takes a moment, sometimes fails, and keeps a ledger, so that a
//! test sees what was run and how often. The measurement sets are folders that only look like ones.

use super::scripts::script;
use assert_cmd::Command;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::image::{CelestialWcs, Header, PixelType, SkyPosition, write_plane};
use ndarray::Array2;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Side of the images, pixels.
const SIZE: usize = 24;

/// The imager. Its folder holds `products/` (and `products.NAME/` for those of one set), `ledger`, and
/// `orders/NAME.ROUND`: a line for each call, with `fail`, `kill` (the imager dies), `hold` (until the file `hold` is
/// gone), `sleep SECONDS` or `run WORDS`. While there is a `gate.ROUND`, no call of that round goes on.
const IMAGER: &str = r#"#!/bin/sh
# usage: imager.sh ACTION MS FOLDER
here=${0%/*} action=$1 name=${2##*/} folder=$3
name=${name%.ms}
[ "$action" = image ] || exit 0
round=${folder%/image/*} round=${round##*/}
echo "begin $name $round" >>"$here/ledger"
order=
if [ -s "$here/orders/$name.$round" ]; then
    read -r order <"$here/orders/$name.$round"
    tail -n +2 "$here/orders/$name.$round" >"$here/orders/$name.$round.left"
    mv "$here/orders/$name.$round.left" "$here/orders/$name.$round"
fi
case $order in
    fail) echo "told to fail"; exit 1 ;;
    kill) kill -9 $$ ;;
    hold) while [ -e "$here/hold" ]; do sleep 0.1; done ;;
    sleep*) sleep "${order#sleep }" || exit 1 ;;
    run*) eval "${order#run }" || exit 1 ;;
esac
while [ -e "$here/gate.$round" ]; do sleep 0.1; done
[ ! -f "$here/pause" ] || sleep "$(cat "$here/pause")" || exit 1
cp "$here"/products/*.fits "$folder" || exit 1
[ ! -d "$here/products.$name" ] || cp "$here/products.$name"/*.fits "$folder" || exit 1
echo "end $name $round" >>"$here/ledger"
"#;

/// A folder with measurement sets `b0000.ms`, ..., a campaign file and the imager.
pub(crate) struct Fake {
    pub folder: tempfile::TempDir,
}

impl Fake {
    /// `sets` measurement sets, rounds 0 to `last`; `block` is added to the campaign block.
    pub(crate) fn new(sets: usize, last: usize, block: &str) -> Self {
        // In memory where that is possible: the tests are about counting, not about disks.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        Self::within(folder, sets, last, block)
    }

    pub(crate) fn within(folder: tempfile::TempDir, sets: usize, last: usize, block: &str) -> Self {
        let fake = Self { folder };
        for i in 0..sets {
            measurement_set(&fake.path(&format!("b{i:04}.ms")));
        }
        fs::create_dir_all(fake.path("imager/products")).unwrap();
        fs::create_dir_all(fake.path("imager/orders")).unwrap();
        script(&fake.path("imager/imager.sh"), IMAGER);
        fs::write(fake.path("imager/ledger"), "").unwrap();
        for (name, scale) in [("image", 1.0), ("residual", 0.01), ("model", 0.0), ("psf", 1.0)] {
            let plane = Array2::from_shape_fn((SIZE, SIZE), |(y, x)| {
                let noise = ((x * 7 + y * 13) % 11) as f32 / 1000.0 - 0.005;
                noise + if (y, x) == (SIZE / 2, SIZE / 2) { scale } else { 0.0 }
            });
            write_plane(
                fake.path("imager/products").join(format!("{name}.fits")),
                plane.view(),
                PixelType::F32,
                &Header::default(),
                2,
            )
            .unwrap();
        }
        let imager = fake.path("imager/imager.sh");
        fs::write(
            fake.path("campaign.yaml"),
            format!(
                "version: 0.2\ncampaign:\n  name: many\n  measurement_sets: ['b*.ms']\n  output: out\n  rounds: {last}\n  \
                 imager: command\n  calibrator: none\n  mask: none\n  acceptance: {{converged_rounds: 0}}\n  \
                 executables: {{imager: ['{}', '{{action}}', '{{ms}}', '{{folder}}']}}\n{block}\nselfcal: {{0: {{}}}}\n",
                imager.display()
            ),
        )
        .unwrap();
        fake
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the imager does in its next calls for this set and round.
    pub(crate) fn order(&self, set: usize, round: usize, orders: &str) {
        fs::write(self.path(&format!("imager/orders/b{set:04}.round-{round:02}")), orders).unwrap();
    }

    /// The imager's next `times` calls for this set and round do not end before [`Fake::release`].
    pub(crate) fn hold(&self, set: usize, round: usize, times: usize) {
        fs::write(self.path("imager/hold"), "").unwrap();
        self.order(set, round, &"hold\n".repeat(times));
    }

    /// All calls that are held back go on, and those to come are not held back.
    pub(crate) fn release(&self) {
        fs::remove_file(self.path("imager/hold")).unwrap();
    }

    /// No call of this round goes on before [`Fake::open`].
    pub(crate) fn close(&self, round: usize) {
        fs::write(self.path(&format!("imager/gate.round-{round:02}")), "").unwrap();
    }

    pub(crate) fn open(&self, round: usize) {
        fs::remove_file(self.path(&format!("imager/gate.round-{round:02}"))).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::cargo_bin("cleanloop").expect("the binary is built");
        command.current_dir(self.folder.path()).args(words);
        command
    }

    pub(crate) fn run(&self) -> std::process::Output {
        self.command(&["run", "campaign.yaml", "--quiet"]).output().unwrap()
    }

    pub(crate) fn succeed(&self) -> CampaignRecord {
        let output = self.run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.record()
    }

    pub(crate) fn record(&self) -> CampaignRecord {
        CampaignRecord::load(&self.path("out")).unwrap()
    }

    /// How often the imager began and ended, by `b0000 round-00`.
    pub(crate) fn ledger(&self) -> BTreeMap<String, (usize, usize)> {
        let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for line in fs::read_to_string(self.path("imager/ledger")).unwrap().lines() {
            let (what, place) = line.split_once(' ').unwrap();
            let entry = all.entry(place.to_string()).or_default();
            match what {
                "begin" => entry.0 += 1,
                _ => entry.1 += 1,
            }
        }
        all
    }

    /// Every round of every set was made exactly once, and begun as often as `begun` says (once, where it says nothing).
    pub(crate) fn assert_each_once(&self, sets: usize, last: usize, begun: &dyn Fn(usize, usize) -> Option<usize>) {
        let ledger = self.ledger();
        for set in 0..sets {
            for round in 0..=last {
                let place = format!("b{set:04} round-{round:02}");
                let (begins, ends) = ledger.get(&place).copied().unwrap_or_default();
                assert_eq!(ends, 1, "{place} was made {ends} times");
                let expected = begun(set, round).unwrap_or(1);
                assert_eq!(begins, expected, "{place} was begun {begins} times");
            }
        }
        assert_eq!(ledger.len(), sets * (last + 1), "nothing else was made");
    }
}

/// Side of the images of beams, pixels, and a pixel's side, degrees.
const BEAM_SIZE: usize = 48;
const PIXEL_DEG: f64 = 0.01;

/// Gives each set an image of its own part of one sky, an eighth of an image further west each; returns where the only
/// source is, 1 Jy.
pub(crate) fn beams(fake: &Fake, sets: usize) -> SkyPosition {
    let source = SkyPosition { lon_deg: 30.0, lat_deg: -10.0 };
    for set in 0..sets {
        let folder = fake.path(&format!("imager/products.b{set:04}"));
        fs::create_dir_all(&folder).unwrap();
        let mut header = Header::default();
        for (key, text) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("BUNIT", "Jy/beam")] {
            header.set_str(key, text);
        }
        let west = (set as f64 - 1.5) * BEAM_SIZE as f64 / 8.0 * PIXEL_DEG;
        let middle = BEAM_SIZE as f64 / 2.0;
        let numbers = [
            ("CRPIX1", middle),
            ("CRPIX2", middle),
            ("CRVAL1", source.lon_deg - west),
            ("CRVAL2", source.lat_deg),
            ("CDELT1", -PIXEL_DEG),
            ("CDELT2", PIXEL_DEG),
            ("BMAJ", 4.0 * PIXEL_DEG),
            ("BMIN", 4.0 * PIXEL_DEG),
            ("BPA", 0.0),
        ];
        for (key, value) in numbers {
            header.set_f64(key, value);
        }
        let wcs = CelestialWcs::from_header(&header).unwrap();
        for (name, scale) in [("image", 1.0), ("residual", 0.01), ("model", 0.0), ("psf", 1.0)] {
            let plane = Array2::from_shape_fn((BEAM_SIZE, BEAM_SIZE), |(y, x)| {
                let noise = ((x * 7 + y * 13 + set) % 11) as f64 / 1000.0 - 0.005;
                let away = wcs.pixel_to_sky(x as f64, y as f64).unwrap().separation(source) / (4.0 * PIXEL_DEG);
                (noise + scale * (-4.0 * std::f64::consts::LN_2 * away * away).exp()) as f32
            });
            write_plane(folder.join(format!("{name}.fits")), plane.view(), PixelType::F32, &header, 2).unwrap();
        }
    }
    source
}

/// A folder that passes for a measurement set where nobody reads the data.
pub(crate) fn measurement_set(path: &Path) {
    for name in ["ANTENNA", "SPECTRAL_WINDOW", "FIELD", "OBSERVATION", "POLARIZATION"] {
        fs::create_dir_all(path.join(name)).unwrap();
        fs::write(path.join(name).join("table.f0"), format!("{name} of {}", path.display())).unwrap();
    }
    fs::write(path.join("table.dat"), "main").unwrap();
    fs::write(path.join("table.f1"), "data").unwrap();
}
