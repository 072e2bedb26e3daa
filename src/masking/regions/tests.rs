use super::*;
use crate::image::Header;
use crate::kernels::picture;
use rstest::rstest;

fn regions(text: &str) -> Vec<Region> {
    parse(text, Path::new("a.reg")).unwrap()
}

fn drawn(text: &str, ny: usize, nx: usize) -> Vec<String> {
    picture::draw(rasterise(&regions(text), None, (ny, nx)).unwrap().view())
}

/// A field at (40, -30) with pixels of 0.001 degrees, 100 per side; north up, east left.
fn wcs(more: &[(&str, f64)]) -> CelestialWcs {
    let mut header = Header::default();
    header.set_str("CTYPE1", "RA---SIN");
    header.set_str("CTYPE2", "DEC--SIN");
    for (key, value) in
        [("CRPIX1", 51.0), ("CRPIX2", 51.0), ("CRVAL1", 40.0), ("CRVAL2", -30.0), ("CDELT1", -1e-3), ("CDELT2", 1e-3)]
            .iter()
            .chain(more)
    {
        header.set_f64(key, *value);
    }
    CelestialWcs::from_header(&header).unwrap()
}

#[test]
fn ds9_shapes_cover_the_pixels_whose_centres_they_hold() {
    // DS9 counts pixels from 1; the first row drawn is y = 0.
    assert_eq!(drawn("image\ncircle(3,3,1.5)", 5, 6), ["......", ".###..", ".###..", ".###..", "......"]);
    assert_eq!(drawn("image;box(3,2,4,1,0)", 3, 6), ["......", "#####.", "......"]);
    assert_eq!(drawn("image;box(3,2,4,1,90)", 4, 5), ["..#..", "..#..", "..#..", "..#.."]);
    assert_eq!(drawn("image\nellipse(4,2,2,1,0)", 3, 7), ["...#...", ".#####.", "...#..."]);
    assert_eq!(drawn("image\nellipse 2 3 1 2 0 # color=red", 5, 3), [".#.", ".#.", "###", ".#.", ".#."]);
    assert_eq!(drawn("image\nannulus(3,3,0.5,1)", 5, 5), [".....", "..#..", ".#.#.", "..#..", "....."]);
    assert_eq!(drawn("polygon(1,1,5,1,1,5)", 5, 5), ["#####", "####.", "###..", "##...", "....."]);
}

#[test]
fn exclusions_of_ds9_hold_wherever_they_stand() {
    let expected = ["##.##", "##.##"];
    assert_eq!(drawn("image\n-box(3,1,1,8)\nbox(3,1,9,9)", 2, 5), expected);
    assert_eq!(drawn("image\nbox(3,1,9,9)\n-box(3,1,1,8)", 2, 5), expected);
    // Nothing but exclusions: everything else.
    assert_eq!(drawn("image\n-box(3,1,1,8)", 2, 5), expected);
}

#[test]
fn crtf_is_applied_from_top_to_bottom() {
    let whole = "centerbox[[2pix, 0pix], [9pix, 9pix]]";
    let stripe = "centerbox[[2pix, 0pix], [1pix, 8pix]]";
    assert_eq!(drawn(&format!("#CRTFv0\n{whole}\n-{stripe}"), 2, 5), ["##.##", "##.##"]);
    assert_eq!(drawn(&format!("#CRTFv0\n-{stripe}\n{whole}"), 2, 5), ["#####", "#####"]);
}

#[test]
fn crtf_shapes_cover_the_pixels_whose_centres_they_hold() {
    let draw = |shape: &str, ny, nx| drawn(&format!("#CRTFv0\n{shape}"), ny, nx);
    assert_eq!(draw("circle[[2pix, 2pix], 1.5pix], coord=J2000", 5, 5), [".....", ".###.", ".###.", ".###.", "....."]);
    assert_eq!(draw("box [[1pix, 0pix], [3pix, 1pix]]", 3, 5), [".###.", ".###.", "....."]);
    // The first semi-axis of an ellipse points up at angle 0.
    assert_eq!(draw("ellipse[[1pix, 2pix], [2pix, 1pix], 0deg]", 5, 3), [".#.", ".#.", "###", ".#.", ".#."]);
    assert_eq!(draw("rotbox[[2pix, 1pix], [4pix, 1pix], 0deg]", 3, 5), [".....", "#####", "....."]);
    assert_eq!(
        draw("poly[[0pix, 0pix], [4pix, 0pix], [0pix, 4pix]]", 5, 5),
        ["#####", "####.", "###..", "##...", "....."]
    );
    assert_eq!(draw("ann circle[[2pix, 2pix], 1pix]\ntext[[1pix, 1pix], 'A']", 1, 3), ["..."]);
}

#[rstest]
#[case("fk5;circle(40,-30,10\")")]
#[case("fk5\ncircle(2:40:00.0,-30:00:00,10\")")]
#[case("J2000; circle(2h40m0s,-30d00m00s,0.166666667')")]
#[case("fk5; circle(40d,-30d,0.00277777778d)")]
#[case("fk5; circle(0.69813170080r,-0.52359877560r,10\")")]
#[case("fk5; circle(40,-30,2.77777778p)")]
#[case("image; circle(51,51,10\")")]
#[case("#CRTFv0 CASA\ncircle[[40deg, -30deg], 10arcsec]")]
#[case("#CRTFv0\nglobal coord=J2000, color=blue\ncircle [[02:40:00.00, -30.00.00.0], 0.1666666667arcmin], corr=[I]")]
#[case("#CRTFv0\ncircle[[2h40m, -30d00m00.0], 10\"], coord=J2000")]
#[case("#CRTFv0\ncircle[[50pix, 50pix], 10arcsec]")]
fn positions_and_lengths_are_read_in_every_notation(#[case] text: &str) {
    let wcs = wcs(&[("EQUINOX", 2000.0)]);
    let mask = rasterise(&regions(text), Some(&wcs), (100, 100)).unwrap();
    // 10 arcsec are 2.78 pixels.
    let expected = Array2::from_shape_fn((100, 100), |(y, x)| (y as f64 - 50.0).hypot(x as f64 - 50.0) < 2.7777);
    assert_eq!(mask, expected, "{:?}", picture::draw(mask.slice(s![45..56, 45..56])));
}

#[test]
fn angles_of_sky_shapes_follow_each_format() {
    let wcs = wcs(&[("EQUINOX", 2000.0)]);
    // (pixels right of centre, pixels above) of the tip of the long first axis, 20 pixels away.
    for (text, right, up) in [
        ("fk5;ellipse(40,-30,72\",7\",0)", 1.0, 0.0),
        ("fk5;ellipse(40,-30,72\",7\",90)", 0.0, 1.0),
        ("fk5;box(40,-30,144\",14\",30)", 0.866, 0.5),
        ("#CRTFv0\nellipse[[40deg,-30deg],[72arcsec,7arcsec],0deg]", 0.0, 1.0),
        ("#CRTFv0\nellipse[[40deg,-30deg],[72arcsec,7arcsec],30deg]", -0.5, 0.866),
        ("#CRTFv0\nrotbox[[40deg,-30deg],[144arcsec,14arcsec],30deg]", 0.866, 0.5),
    ] {
        let mask = rasterise(&regions(text), Some(&wcs), (100, 100)).unwrap();
        let at = |along: f64, across: f64| {
            let (x, y) = (50.0 + along * right - across * up, 50.0 + along * up + across * right);
            mask[[y.round() as usize, x.round() as usize]]
        };
        assert!(at(17.0, 0.0) && at(-17.0, 0.0), "{text}");
        assert!(!at(0.0, 8.0) && !at(0.0, -8.0) && !at(23.0, 0.0), "{text}");
    }
}

#[test]
fn shapes_turn_with_the_image_and_with_the_frame() {
    // The same sky, seen by an image turned by 90 degrees: north is to the right.
    let turned = wcs(&[("EQUINOX", 2000.0), ("CROTA2", -90.0)]);
    let mask = rasterise(&regions("fk5;ellipse(40,-30,72\",7\",90)"), Some(&turned), (100, 100)).unwrap();
    let (x, y) = turned.sky_to_pixel(SkyPosition { lon_deg: 40.0, lat_deg: -30.0 + 17e-3 }).unwrap();
    assert!(mask[[y.round() as usize, x.round() as usize]]);
    assert!((y - 50.0).abs() < 0.1);
    // A galactic ellipse points to galactic north, whatever the frame of the image.
    let upright = wcs(&[("EQUINOX", 2000.0)]);
    let centre = SkyPosition { lon_deg: 40.0, lat_deg: -30.0 }.in_frame(Frame::Fk5, Frame::Galactic);
    let text = format!("galactic;ellipse({},{},72\",7\",90)", centre.lon_deg, centre.lat_deg);
    let mask = rasterise(&regions(&text), Some(&upright), (100, 100)).unwrap();
    for (angle, inside) in [(0.0, true), (180.0, true), (90.0, false), (45.0, false)] {
        let (x, y) = upright.sky_to_pixel(centre.offset(angle, 17e-3).in_frame(Frame::Galactic, Frame::Fk5)).unwrap();
        assert_eq!(mask[[y.round() as usize, x.round() as usize]], inside, "{angle}");
    }
}

#[test]
fn regions_off_the_image_or_the_projection_cover_nothing() {
    let wcs = wcs(&[]);
    for text in [
        "icrs;circle(45,-30,10\")",
        "icrs;circle(220,30,10\")",
        "icrs;polygon(220,30,221,30,220,31)",
        "image;circle(-50,20,9)",
        "image;polygon(-9,-9,-5,-9,-5,-5)",
    ] {
        let (mask, counts) = rasterise_counted(&regions(text), Some(&wcs), (100, 100)).unwrap();
        assert!(mask.iter().all(|m| !m), "{text}");
        assert_eq!(counts, [0], "{text}");
    }
    // A region that is wider than the image covers all of it.
    let (mask, counts) = rasterise_counted(&regions("icrs;circle(45,-30,30)"), Some(&wcs), (100, 100)).unwrap();
    assert!(mask.iter().all(|m| *m));
    assert_eq!(counts, [10_000]);
}

#[test]
fn messages_name_the_line_and_what_was_expected() {
    let cases = [
        "fk5\ncircel(1,2,3)",
        "fk5\ncircle(1,2)",
        "fk5\ncircle(1,2,3",
        "fk5\ncircle(1,95,3)",
        "fk5\ncircle(1:77:2,5,3)",
        "fk5\ncircle(1,5,-3)",
        "fk4\ncircle(1,5,3)",
        "image\npolygon(1,5,3,4)",
        "#CRTFv0\n\ncircle[[1deg, 2deg], 3]",
        "#CRTFv0\ncircle[[1deg, 2pix], 3deg]",
        "#CRTFv0\ncircle[[1deg, 2deg], 3deg",
        "#CRTFv0\ncircle[[1deg, 2deg], 3deg], range=[1chan, 4chan]",
        "#CRTFv0\ncircle[[1deg, 2deg], 3deg], coord=B1950",
    ];
    let said = cases.map(|text| parse(text, Path::new("a.reg")).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @"
    a.reg, line 2: unknown shape 'circel'; did you mean circle?
      circel(1,2,3)
    a.reg, line 2: circle has 2 values; circle(x,y,radius) was expected
      circle(1,2)
    a.reg, line 2: the parentheses do not match
      circle(1,2,3
    a.reg, line 2: the latitude '95' is beyond 90 degrees
      circle(1,95,3)
    a.reg, line 2: '1:77:2' is not a coordinate; degrees, 12:34:56.7, 12h34m56.7s or -12d34m56s were expected
      circle(1:77:2,5,3)
    a.reg, line 2: the length '-3' is negative
      circle(1,5,-3)
    a.reg, line 1: the coordinate system 'fk4' is not supported; fk5 (J2000), icrs, galactic, or image were expected
      fk4
    a.reg, line 2: polygon has 4 values; polygon(x1,y1,x2,y2,x3,y3,...) was expected
      polygon(1,5,3,4)
    a.reg, line 3: '3' has no unit; arcsec, arcmin, deg or pix were expected
      circle[[1deg, 2deg], 3]
    a.reg, line 2: '1deg' and '2pix' are not both pixels or both angles
      circle[[1deg, 2pix], 3deg]
    a.reg, line 2: the brackets do not match; shape[[x, y], ...] was expected
      circle[[1deg, 2deg], 3deg
    a.reg, line 2: the region is limited to a range of channels, which is not supported; remove 'range='
      circle[[1deg, 2deg], 3deg], range=[1chan, 4chan]
    a.reg, line 2: the coordinate system 'B1950' is not supported; fk5 (J2000), icrs, galactic, or image were expected
      circle[[1deg, 2deg], 3deg], coord=B1950
    ");
}

#[test]
fn sky_regions_need_sky_coordinates() {
    let error = rasterise(&regions("image\ncircle(1,1,1)\nfk5\ncircle(1,1,1)"), None, (9, 9)).unwrap_err();
    assert!(matches!(error, RegionError::NoCoordinates { line: 4 }), "{error:?}");
}

proptest::proptest! {
    #[test]
    #[ignore = "long; in `make test` and `make fuzz`"]
    fn no_region_file_does_harm(bytes in crate::util::testing::damaged(
        b"# Region file format: DS9\nfk5\ncircle(10:00:00,-30:00:00,5\")\n-ellipse(150.1d,-30,3',2',20)\nimage;polygon(1,1,9,9,4,7)\nbox(5,5,3,4,30)\n".to_vec()
    )) {
        let text = String::from_utf8_lossy(&bytes);
        for text in [text.to_string(), format!("#CRTFv0\n{text}"), "#CRTFv0\ncircle[[10:00:00, -30.00.00], 3arcsec]".into()] {
            if let Ok(regions) = parse(&text, Path::new("a.reg")) {
                let _ = rasterise(&regions, Some(&wcs(&[])), (20, 30));
                let _ = rasterise(&regions, None, (20, 30));
            }
        }
    }
}
