//! Makes the mask that `mask: auto` makes, of one image, and prints why it is so.
//!
//! ```sh
//! cargo run --release --example automatic_mask -- image.fits mask.fits
//! cargo run --release --example automatic_mask -- residual.fits mask.fits psf.fits dirty.fits
//! ```
//!
//! The first is for a restored image. The second is for a residual between major cycles: what sidelobes make in it is
//! known from the PSF, and what is bright in the field from the dirty image.

use cleanloop::masking::maker::{self, AutomaticInputs, MaskRequest};
use cleanloop::masking::{MaskMethod, MaskRecipe};
use cleanloop::{Error, Result};
use std::path::Path;
use std::time::Instant;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let (&[image, output], rest) = paths.split_first_chunk::<2>().ok_or_else(|| {
        Error::bad_input("an image and the mask to be made are wanted, and for a residual PSF and dirty image")
    })?;
    let recipe = MaskRecipe { method: MaskMethod::Auto, ..MaskRecipe::default() };
    let sidelobes = rest.first().map(|psf| maker::sidelobes(psf, image, &recipe.auto)).transpose()?;
    let clock = Instant::now();
    let made = maker::make(&MaskRequest {
        automatic: AutomaticInputs {
            previous_image: None,
            sidelobes: sidelobes.as_deref(),
            uncleaned: rest.get(1).copied(),
            left: 0.0,
        },
        detailed: true,
        ..MaskRequest::new(image, &recipe, output)
    })?;
    let (pixels, islands) = (made.stats.masked, made.stats.islands.unwrap_or(0));
    println!("{pixels} pixels in {islands} islands, {:.2} s", clock.elapsed().as_secs_f64());
    for why in made.why() {
        println!("- {why}");
    }
    Ok(())
}
