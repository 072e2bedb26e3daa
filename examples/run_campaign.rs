//! Runs a campaign from Rust and prints its events.
//!
//! ```text
//! cargo run --example run_campaign -- FOLDER
//! ```
//!
//! So that it runs anywhere in a moment, the campaign is tiny: its imager is a shell script that copies images of one
//! source, and nothing is calibrated. With `imager: wsclean` and your own measurement sets it is a real one.

use cleanloop::campaign::events::{Consumer, Event};
use cleanloop::campaign::{Campaign, Outcome, RunOptions};
use cleanloop::image::{Header, PixelType, write_plane};
use cleanloop::{Error, Result};
use ndarray::Array2;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// The imager: called with the folder in which images are expected.
const IMAGER: &str = "#!/bin/sh\n[ \"$1\" = image ] || exit 0\ncp \"${0%/*}\"/products/*.fits \"$2\"\n";

/// Side of the images, pixels.
const SIZE: usize = 24;

/// Prints the events of a run, one per line.
struct Print;

impl Consumer for Print {
    fn event(&self, event: &Event) {
        match event {
            Event::CampaignStarted { name, datasets, rounds } => {
                println!("{name}: {} measurement set(s), {rounds} round(s)", datasets.len());
            }
            Event::RoundFinished { place, why, .. } => {
                println!("{}, round {}: {why}", place.dataset, place.at.round);
            }
            Event::CampaignFinished { state } => println!("ended: {state:?}"),
            _ => {}
        }
    }
}

/// Runs the campaign of [`prepare`] in `folder`.
pub(crate) fn run(folder: &Path) -> Result<Outcome> {
    prepare(folder).map_err(Error::internal)?;
    let plan = Campaign::load(folder.join("campaign.yaml"))?.plan()?;
    println!("plan {} for {}", &plan.hash()[..8], plan.output.display());
    plan.save(&folder.join("tiny.json"))?;
    plan.run(RunOptions { consumers: vec![Box::new(Print)], ..RunOptions::default() })
}

/// Writes a campaign file, a folder that stands for a measurement set, and the imager with its images.
fn prepare(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let products = folder.join("products");
    fs::create_dir_all(&products)?;
    for table in ["ANTENNA", "SPECTRAL_WINDOW", "FIELD", "OBSERVATION", "POLARIZATION"] {
        let table = folder.join("field.ms").join(table);
        fs::create_dir_all(&table)?;
        fs::write(table.join("table.f0"), "")?;
    }
    fs::write(folder.join("field.ms/table.dat"), "")?;
    let imager = folder.join("imager.sh");
    fs::write(&imager, IMAGER)?;
    fs::set_permissions(&imager, fs::Permissions::from_mode(0o755))?;
    for (name, peak) in [("image", 1.0), ("residual", 0.01), ("model", 0.0), ("psf", 1.0)] {
        let plane = Array2::from_shape_fn((SIZE, SIZE), |(y, x)| {
            let noise = ((x * 7 + y * 13) % 11) as f32 / 1000.0 - 0.005;
            noise + if (y, x) == (SIZE / 2, SIZE / 2) { peak } else { 0.0 }
        });
        write_plane(products.join(format!("{name}.fits")), plane.view(), PixelType::F32, &Header::default(), 2)
            .map_err(std::io::Error::other)?;
    }
    let text = format!(
        "version: 0.2\n\
         campaign:\n  name: tiny\n  measurement_sets: [field.ms]\n  output: out\n  rounds: 1\n  \
         imager: command\n  calibrator: none\n  mask: none\n  acceptance: {{converged_rounds: 0}}\n  \
         executables: {{imager: ['{}', '{{action}}', '{{folder}}']}}\n\
         selfcal: {{0: {{}}}}\n",
        imager.display()
    );
    fs::write(folder.join("campaign.yaml"), text)
}

#[allow(dead_code)] // Tests include this file and call `run`.
fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: run_campaign FOLDER");
        return ExitCode::from(2);
    };
    match run(Path::new(&folder)) {
        Ok(outcome) => {
            println!("record: {}", outcome.folder.join("record.json").display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
