//! Masks against those that flint itself wrote: no pixel may differ.

use crate::support::references;
use cleanloop::image::{FitsImage, PixelBeam};
use cleanloop::masking::{MaskingOptions, make_mask};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// One golden case, as its `case.json` describes it.
#[derive(serde::Deserialize)]
struct Case {
    case: String,
    image: String,
    rms: Option<String>,
    bkg: Option<String>,
    options: MaskingOptions,
    masked_pixels: usize,
}

/// Folders with golden cases: the committed selection, and all of them where they are at hand.
pub(crate) fn golden_folders() -> Vec<PathBuf> {
    std::iter::once(references::selected("golden/flint")).chain(references::full("flint")).collect()
}

fn plane(path: &Path, channel: usize) -> Array2<f32> {
    FitsImage::open(path).unwrap().read_plane(0, channel).unwrap()
}

/// All cases of `mask` in a folder.
fn cases(folder: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("case.json")).ok())
        // Cases of extractmask have no options.
        .filter(|text| text.contains("\"options\""))
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect();
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    cases
}

#[test]
fn every_golden_mask_is_reproduced() {
    for folder in golden_folders() {
        let cases = cases(&folder);
        assert!(cases.len() >= 10, "{} holds {} cases", folder.display(), cases.len());
        for case in cases {
            let image = FitsImage::open(folder.join(&case.image)).unwrap();
            let beam: Option<PixelBeam> = image.beam().map(|b| b.in_pixels(image.pixel_deg().unwrap()));
            let mut masked = 0;
            for channel in 0..image.channels() {
                let map = |name: &Option<String>| name.as_ref().map(|n| plane(&folder.join(n), channel));
                let (background, rms) = (map(&case.bkg), map(&case.rms));
                let output = make_mask(
                    plane(&folder.join(&case.image), channel).view(),
                    background.as_ref().map(|a| a.view()),
                    rms.as_ref().map(|a| a.view()),
                    beam.as_ref(),
                    &case.options,
                )
                .unwrap();
                let expected = plane(&folder.join(&case.case).join("mask.fits.gz"), channel);
                let differ = output.mask.values().iter().zip(&expected).filter(|(m, e)| **m as f32 != **e).count();
                assert_eq!(differ, 0, "{}, channel {channel}: {differ} pixels differ", case.case);
                masked += output.mask.masked_pixels();
            }
            assert_eq!(masked, case.masked_pixels, "{}", case.case);
        }
    }
}
