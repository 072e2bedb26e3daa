//! `cleanloop combine` on files.

use crate::support::words::without_page;
use assert_cmd::Command;
use cleanloop::image::{FitsImage, Header, PixelType, PlaneWriter, write_plane};
use ndarray::{Array2, array};
use std::path::Path;

fn header() -> Header {
    let mut header = Header::default();
    for (key, value) in [("CTYPE1", "RA---SIN"), ("CTYPE2", "DEC--SIN"), ("CTYPE3", "FREQ")] {
        header.set_str(key, value);
    }
    for (key, value) in [
        ("CRPIX1", 3.0),
        ("CRPIX2", 2.0),
        ("CRVAL1", 187.5),
        ("CRVAL2", -30.0),
        ("CDELT1", -1e-3),
        ("CDELT2", 1e-3),
        ("BMAJ", 4e-3),
        ("BMIN", 3e-3),
        ("BPA", 0.0),
        ("EQUINOX", 2000.0),
    ] {
        header.set_f64(key, value);
    }
    header
}

fn write(folder: &Path, name: &str, plane: &Array2<f32>) {
    write_plane(folder.join(name), plane.view(), PixelType::F32, &header(), 4).unwrap();
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let n = f32::NAN;
    write(folder.path(), "a.fits", &array![[1., 2., 0., 0., 0.], [0., 0., 0., 0., 4.], [0., 0., 0., 0., 1.]]);
    write(folder.path(), "b.fits", &array![[0., 1., n, 0., 0.], [0., 0., 0., 0., 0.], [0., 0., 0., 0., 1.]]);
    write(folder.path(), "image.fits", &array![[1., 2., 9., 9., 9.], [9., 9., 9., 9., 3.], [9., 9., 9., 9., 5.]]);
    std::fs::write(folder.path().join("left.reg"), "image\nbox(1,2,1,9)\n").unwrap();
    std::fs::write(folder.path().join("sky.crtf"), "#CRTFv0\ncircle[[12:30:00, -30.00.00.0], 3arcsec]\n").unwrap();
    folder
}

fn run(folder: &Path, arguments: &str) -> std::process::Output {
    let mut command = Command::cargo_bin("cleanloop").unwrap();
    command.current_dir(folder).arg("combine").args(arguments.split_whitespace()).output().unwrap()
}

fn out(folder: &Path, arguments: &str) -> Vec<String> {
    let output = run(folder, &format!("{arguments} --output out.fits"));
    assert!(output.status.success(), "{output:?}");
    let mut image = FitsImage::open(folder.join("out.fits")).unwrap();
    assert_eq!((image.bitpix(), image.axes().len()), (8, 4));
    assert_eq!(image.header().get_f64("BMAJ"), Some(4e-3));
    let plane = image.read_plane(0, 0).unwrap();
    plane.rows().into_iter().map(|r| r.iter().map(|&v| if v == 1.0 { '#' } else { '.' }).collect()).collect()
}

fn words(output: std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    without_page(&String::from_utf8(output.stderr).unwrap())
}

#[test]
fn masks_and_regions_are_put_together() {
    let folder = folder();
    let f = folder.path();
    for (arguments, expected) in [
        ("a.fits b.fits", ["##...", "....#", "....#"]),
        ("a.fits b.fits --operation intersection", [".#...", ".....", "....#"]),
        ("a.fits b.fits --operation difference", ["#....", "....#", "....."]),
        ("a.fits --add left.reg", ["##...", "#...#", "#...#"]),
        ("a.fits --remove left.reg", [".#...", "....#", "....#"]),
        ("a.fits --add sky.crtf", ["##...", "..#.#", "....#"]),
        ("a.fits --keep-touching left.reg", ["##...", ".....", "....."]),
        ("a.fits --drop-touching left.reg", [".....", "....#", "....#"]),
        ("b.fits --minimum-size 2 --add a.fits", ["##...", "....#", "....#"]),
        ("b.fits --dilate 1 --invert", ["...##", ".....", "###.."]),
        ("left.reg sky.crtf --like a.fits", ["#....", "#.#..", "#...."]),
    ] {
        let ours = out(f, arguments);
        assert_eq!(ours, expected, "{arguments}");
    }
}

#[test]
fn islands_are_listed() {
    let folder = folder();
    let list = |more: &str| {
        let output = run(folder.path(), &format!("a.fits --islands --image image.fits {more}"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The beam's area is pi 4 3 / (4 ln 2) = 13.597 pixels.
    insta::assert_snapshot!(list(""), @r"
       pixels    x    y           RA          Dec  peak (Jy/beam)  flux (Jy)
    1       2  0.5  0.0  12:30:00.42  -30:00:03.6        2.0000e0  2.2064e-1
    2       2  4.0  1.5  12:29:59.45  -29:59:58.2        5.0000e0  5.8836e-1
    2 islands
    ");
    let csv = list("--csv");
    assert!(csv.starts_with("number,polarisation,channel,pixels,x,y,"), "{csv}");
    assert!(csv.lines().nth(2).unwrap().starts_with("2,0,0,2,4,1.5,187.497"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&list("--json")).unwrap();
    assert_eq!(json[1]["peak_pixel"], serde_json::json!([4, 2]));
    assert!((json[1]["flux"].as_f64().unwrap() - 8.0 / 13.5970).abs() < 1e-4);
}

#[test]
fn cubes_are_combined_plane_by_plane() {
    let folder = folder();
    let path = folder.path().join("cube.fits");
    let mut writer = PlaneWriter::create(&path, &[5, 3, 2], PixelType::U8, &header(), false).unwrap();
    writer.write_plane(0, Array2::<u8>::zeros((3, 5)).view()).unwrap();
    writer.write_plane(1, Array2::<u8>::ones((3, 5)).view()).unwrap();
    writer.finish().unwrap();
    assert!(run(folder.path(), "cube.fits a.fits --operation intersection -o out.fits").status.success());
    let mut image = FitsImage::open(folder.path().join("out.fits")).unwrap();
    assert_eq!(image.channels(), 2);
    assert_eq!([0, 1].map(|c| image.read_plane(0, c).unwrap().sum()), [0.0, 4.0]);
}

#[test]
fn what_cannot_be_combined_is_explained() {
    let folder = folder();
    let f = folder.path();
    write(f, "small.fits", &Array2::zeros((2, 2)));
    write_plane(f.join("bare.fits"), Array2::<f32>::zeros((3, 5)).view(), PixelType::F32, &Header::default(), 2)
        .unwrap();
    std::fs::write(f.join("bad.reg"), "fk5\ncircle(1,2,3)\nelipse(1,2,3,4,5)\n").unwrap();
    let say = |arguments: &str| words(run(f, arguments));
    insta::assert_snapshot!(say("a.fits small.fits -o o.fits"), @"error: a.fits has 5 x 3 pixels, but small.fits has 2 x 2: both must have the same size");
    insta::assert_snapshot!(say("a.fits --add bad.reg -o o.fits"), @r"
    error: bad.reg, line 3: unknown shape 'elipse'; did you mean ellipse?
      elipse(1,2,3,4,5)
    ");
    insta::assert_snapshot!(say("bare.fits --add sky.crtf -o o.fits"), @"error: sky.crtf: the region in line 2 is given in sky coordinates, but the image has none in its header (bare.fits: has no CTYPE1 and CTYPE2 in its header, so its pixels have no position on the sky)");
    insta::assert_snapshot!(say("left.reg -o o.fits"), @"error: all masks are region files: name an image with --like that gives the grid");
    insta::assert_snapshot!(say("a.fits b.fits -o b.fits"), @"error: b.fits: the output would replace an input; name another file with --output");
    insta::assert_snapshot!(say("none.fits -o o.fits"), @"error: none.fits: cannot be read: No such file or directory (os error 2)");
    assert!(!f.join("o.fits").exists());
}
