//! The one beam to which all beams of a cube can be convolved.

use super::Beam;

/// A beam that must enclose another one with no room to spare is widened by this until the test of convolution,
/// which knows only finite precision, accepts it. CASA's value, and CASA's reason.
const WIDENING: f64 = 1.001;

/// The smallest beam to which all `beams` can be convolved, found as CASA finds it (`CasaImageBeamSet::getCommonBeam`
/// of 6.7): the beam of the largest area if it will do; otherwise the ellipse that encloses it and a beam that
/// does not fit, widened by 0.1 % at a time until both can be convolved to it, and so on with that in place of the
/// largest. Beams of zero width (blank channels) are left out. `None` if no beam remains.
///
/// ```text
/// 2.0" x 1.0", 0 deg   and   1.9" x 1.0", 0 deg    ->  2.0" x 1.0", 0 deg
/// 2.0" x 1.0", 0 deg   and   1.5" x 1.2", 0 deg    ->  2.0" x 1.2", 0 deg, and 0.1 %
/// ```
pub fn common_beam(beams: &[Beam]) -> Option<Beam> {
    let mut beams: Vec<Beam> = beams.iter().copied().filter(|b| b.major_deg > 0.0 && b.minor_deg > 0.0).collect();
    let first = *beams.first()?;
    if beams.iter().all(|b| *b == first) {
        return Some(first);
    }
    loop {
        // The first of equally large ones.
        let largest =
            (0..beams.len()).rev().max_by(|&i, &j| area(&beams[i]).total_cmp(&area(&beams[j]))).expect("not empty");
        let max = beams[largest];
        // CASA goes on with the last beam that does not fit.
        let Some(problem) = beams.iter().rfind(|b| **b != max && !can_be_convolved(b, &max)).copied() else {
            return Some(max);
        };
        beams[largest] = enclosing(&max, &problem);
    }
}

fn area(beam: &Beam) -> f64 {
    beam.major_deg * beam.minor_deg
}

/// Whether a beam exists that turns `from` into `to` by convolution (Wild 1970, in the form that AIPS and CASA use).
fn can_be_convolved(from: &Beam, to: &Beam) -> bool {
    let square = |beam: &Beam| {
        let (major, minor) = (beam.major_deg.to_radians().powi(2), beam.minor_deg.to_radians().powi(2));
        let (sin, cos) = unwound(beam.pa_deg).to_radians().sin_cos();
        (
            major * cos * cos + minor * sin * sin,
            major * sin * sin + minor * cos * cos,
            2.0 * (minor - major) * sin * cos,
        )
    };
    let (to_square, from_square) = (square(to), square(from));
    let alpha = to_square.0 - from_square.0;
    let beta = to_square.1 - from_square.1;
    let gamma = to_square.2 - from_square.2;
    let sum = alpha + beta;
    let difference = (alpha - beta).hypot(gamma);
    !(alpha < 0.0 || beta < 0.0 || sum < difference)
}

/// Position angle within (-90, 90] degrees.
fn unwound(pa_deg: f64) -> f64 {
    let pa = pa_deg.rem_euclid(180.0);
    if pa > 90.0 { pa - 180.0 } else { pa }
}

/// The ellipse around `max` (the larger area) and `problem` that touches both.
fn enclosing(max: &Beam, problem: &Beam) -> Beam {
    let turn = (unwound(problem.pa_deg) - unwound(max.pa_deg)).to_radians();
    if turn.abs() == std::f64::consts::FRAC_PI_2 {
        // At right angles the two major axes are the answer.
        let (long, short) = if max.major_deg >= problem.major_deg { (max, problem) } else { (problem, max) };
        return Beam { major_deg: long.major_deg, minor_deg: short.major_deg, pa_deg: unwound(long.pa_deg) };
    }
    // In the frame of `max`'s axes, squeezed until it is a circle of radius 1, the other one is an ellipse that
    // reaches beyond it along its major axis only.
    let (sin, cos) = turn.sin_cos();
    let (major, minor) = (problem.major_deg.powi(2), problem.minor_deg.powi(2));
    let squeezed = [
        (major * cos * cos + minor * sin * sin) / max.major_deg.powi(2),
        (major - minor) * sin * cos / (max.major_deg * max.minor_deg),
        (major * sin * sin + minor * cos * cos) / max.minor_deg.powi(2),
    ];
    let (reach, _, angle) = axes(squeezed);
    let (sin, cos) = angle.sin_cos();
    let enclosing = [
        (reach * cos * cos + sin * sin) * max.major_deg.powi(2),
        (reach - 1.0) * sin * cos * max.major_deg * max.minor_deg,
        (reach * sin * sin + cos * cos) * max.minor_deg.powi(2),
    ];
    let (major, minor, angle) = axes(enclosing);
    let mut beam = Beam {
        major_deg: major.sqrt(),
        minor_deg: minor.sqrt(),
        pa_deg: unwound(angle.to_degrees() + unwound(max.pa_deg)),
    };
    while !(can_be_convolved(max, &beam) && can_be_convolved(problem, &beam)) {
        beam.major_deg *= WIDENING;
        beam.minor_deg *= WIDENING;
    }
    beam
}

/// Eigenvalues of the symmetric matrix `[xx, xy, yy]`, larger first, and the angle of the larger one's vector from x.
fn axes([xx, xy, yy]: [f64; 3]) -> (f64, f64, f64) {
    let (mean, half) = (0.5 * (xx + yy), 0.5 * (xx - yy));
    let spread = half.hypot(xy);
    (mean + spread, mean - spread, 0.5 * (2.0 * xy).atan2(xx - yy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beam(major: f64, minor: f64, pa_deg: f64) -> Beam {
        Beam { major_deg: major / 3600.0, minor_deg: minor / 3600.0, pa_deg }
    }

    fn assert_close(found: Beam, expected: Beam, tolerance: f64) {
        let close = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs();
        assert!(
            close(found.major_deg, expected.major_deg)
                && close(found.minor_deg, expected.minor_deg)
                && (found.pa_deg - expected.pa_deg).abs() < 1e-3,
            "{found:?} instead of {expected:?}"
        );
    }

    #[test]
    fn picture() {
        let wide = beam(2.0, 1.0, 0.0);
        assert_eq!(common_beam(&[wide, beam(1.9, 1.0, 0.0)]), Some(wide));
        assert_close(common_beam(&[beam(1.5, 1.2, 0.0), wide]).unwrap(), beam(2.0, 1.2, 0.0), 1.001e-3);
        assert_eq!(common_beam(&[wide, wide]), Some(wide));
        assert_eq!(common_beam(&[beam(0.0, 0.0, 0.0), wide]), Some(wide));
        assert_eq!(common_beam(&[]), None);
    }

    #[test]
    fn what_casa_finds_for_a_cube() {
        // Beams of an eight-channel cube and its common beam, from a tclean run of casatasks 6.7.0.31.
        let beams = [
            (0.8302884697914124, 0.5561599731445312, -82.44498443603516),
            (0.8302986025810242, 0.5561577081680298, -82.44379425048828),
            (0.8302933573722839, 0.5561527013778687, -82.44353485107422),
            (0.8302711844444275, 0.5561473369598389, -82.44268035888672),
            (0.8302828073501587, 0.5561282634735107, -82.44103240966797),
            (0.8302844762802124, 0.5561179518699646, -82.44171142578125),
            (0.8302547335624695, 0.5561242699623108, -82.43998718261719),
            (0.830247700214386, 0.5561210513114929, -82.43907928466797),
        ]
        .map(|(major, minor, pa)| beam(major, minor, pa));
        let expected = beam(0.8311298995089728, 0.5567175046613075, -82.44418434563745);
        assert_close(common_beam(&beams).unwrap(), expected, 1e-9);
        // One odd channel that encloses all others is the common beam itself.
        let odd = beam(1.027414321899414, 0.7279096841812134, -80.09639739990234);
        let mut with_odd = beams.to_vec();
        with_odd[2] = odd;
        assert_eq!(common_beam(&with_odd), Some(odd));
    }

    proptest! {
        #[test]
        fn every_beam_can_be_convolved_to_it(
            beams in proptest::collection::vec((1.0..2.0f64, 0.5..1.0f64, -90.0..90.0f64), 1..6)
        ) {
            let beams: Vec<Beam> = beams.into_iter().map(|(major, ratio, pa)| beam(major, ratio * major, pa)).collect();
            let common = common_beam(&beams).unwrap();
            for beam in &beams {
                prop_assert!(*beam == common || can_be_convolved(beam, &common));
            }
            let longest = beams.iter().map(|b| b.major_deg).fold(0.0, f64::max);
            prop_assert!(common.major_deg < 1.2 * longest);
        }
    }
}
