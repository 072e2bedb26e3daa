//! The spherical projections of FITS WCS paper II (Calabretta & Greisen 2002), on native unit vectors.
//!
//! A native vector is (cos theta cos phi, cos theta sin phi, sin theta); the plane's coordinates are radians. Vectors
//! instead of angles keep all digits next to the reference point.

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

/// Rounding by which coordinates may exceed the projection's rim, radians.
const RIM: f64 = 1e-12;
/// Halvings that find the auxiliary angle of MOL to the last bit.
const HALVINGS: usize = 54;

/// A projection. Each is compared with wcslib in the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Projection {
    /// Orthographic; with a slant also NCP.
    Sin,
    /// Gnomonic.
    Tan,
    /// Zenithal equidistant.
    Arc,
    /// Stereographic.
    Stg,
    /// Zenithal equal area.
    Zea,
    /// Plate carrée.
    Car,
    /// Sanson-Flamsteed.
    Sfl,
    /// Hammer-Aitoff.
    Ait,
    /// Mollweide.
    Mol,
}

impl Projection {
    /// The projection of a code in CTYPE.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "SIN" | "NCP" => Self::Sin,
            "TAN" => Self::Tan,
            "ARC" => Self::Arc,
            "STG" => Self::Stg,
            "ZEA" => Self::Zea,
            "CAR" => Self::Car,
            "SFL" => Self::Sfl,
            "AIT" => Self::Ait,
            "MOL" => Self::Mol,
            _ => return None,
        })
    }

    /// Whether the reference point is the native pole; otherwise it is on the native equator.
    pub(super) fn is_zenithal(self) -> bool {
        matches!(self, Self::Sin | Self::Tan | Self::Arc | Self::Stg | Self::Zea)
    }

    /// Coordinates in the plane; `None` for what the projection does not show.
    pub(super) fn project(self, [x, y, z]: [f64; 3]) -> Option<(f64, f64)> {
        let r = x.hypot(y);
        // Distance from the pole in the plane over that in space.
        let stretch = match self {
            Self::Sin if z >= 0.0 => 1.0,
            Self::Tan if z > 0.0 => 1.0 / z,
            Self::Arc if r > 0.0 => r.atan2(z) / r,
            Self::Arc if z > 0.0 => 1.0,
            Self::Stg if z > -1.0 => 2.0 / (1.0 + z),
            Self::Zea if z > -1.0 => (2.0 / (1.0 + z)).sqrt(),
            Self::Car | Self::Sfl | Self::Ait | Self::Mol => return Some(self.project_angles(y.atan2(x), r, z)),
            _ => return None,
        };
        Some((stretch * y, -stretch * x))
    }

    /// The projections about a point of the equator; `r` and `z` are cosine and sine of the latitude.
    fn project_angles(self, phi: f64, r: f64, z: f64) -> (f64, f64) {
        match self {
            Self::Sfl => (phi * r, z.atan2(r)),
            Self::Ait => {
                let (sin, cos) = (phi / 2.0).sin_cos();
                let gamma = (2.0 / (1.0 + r * cos)).sqrt();
                (2.0 * gamma * r * sin, gamma * z)
            }
            Self::Mol => {
                let (sin, cos) = auxiliary_angle(z).sin_cos();
                (2.0 * SQRT_2 / PI * phi * cos, SQRT_2 * sin)
            }
            _ => (phi, z.atan2(r)),
        }
    }

    /// The native vector at coordinates in the plane; `None` outside the projection.
    pub(super) fn unproject(self, x: f64, y: f64) -> Option<[f64; 3]> {
        let distance = x.hypot(y);
        // Distance from the pole in space over that in the plane, and the height.
        let (shrink, z) = match self {
            Self::Sin if distance <= 1.0 => (1.0, (1.0 - distance * distance).sqrt()),
            Self::Tan => {
                let z = 1.0 / distance.hypot(1.0);
                (z, z)
            }
            Self::Arc if distance <= PI + RIM => {
                (if distance > 0.0 { distance.sin() / distance } else { 1.0 }, distance.cos())
            }
            Self::Stg => {
                let quarter = distance * distance / 4.0;
                (1.0 / (1.0 + quarter), (1.0 - quarter) / (1.0 + quarter))
            }
            Self::Zea if distance <= 2.0 => {
                let quarter = distance * distance / 4.0;
                ((1.0 - quarter).sqrt(), 1.0 - 2.0 * quarter)
            }
            Self::Car | Self::Sfl | Self::Ait | Self::Mol => {
                let (phi, theta) = self.unproject_angles(x, y)?;
                let within = |angle: f64, most: f64| (angle.abs() <= most + RIM).then_some(angle.clamp(-most, most));
                let ((sin_phi, cos_phi), (sin, cos)) =
                    (within(phi, PI)?.sin_cos(), within(theta, FRAC_PI_2)?.sin_cos());
                return Some([cos * cos_phi, cos * sin_phi, sin]);
            }
            _ => return None,
        };
        Some([-shrink * y, shrink * x, z])
    }

    /// Native longitude and latitude, which may be beyond the sphere.
    fn unproject_angles(self, x: f64, y: f64) -> Option<(f64, f64)> {
        match self {
            Self::Sfl => {
                let cos = y.cos();
                // At the poles all longitudes are one point.
                let phi = if cos > RIM {
                    x / cos
                } else if x.abs() <= RIM {
                    0.0
                } else {
                    return None;
                };
                Some((phi, y))
            }
            Self::Ait => {
                let z2 = 1.0 - (x / 4.0).powi(2) - (y / 2.0).powi(2);
                if z2 < 0.5 - RIM {
                    return None;
                }
                let z = z2.sqrt();
                // The latitude from sine and cosine, which keeps its digits next to the poles.
                let (east, towards) = (z * x / 2.0, 2.0 * z2 - 1.0);
                Some((2.0 * east.atan2(towards), (y * z).atan2(east.hypot(towards))))
            }
            Self::Mol => {
                let sin = y / SQRT_2;
                if sin.abs() > 1.0 + RIM {
                    return None;
                }
                let gamma = sin.clamp(-1.0, 1.0).asin();
                let theta = ((2.0 * gamma + (2.0 * gamma).sin()) / PI).clamp(-1.0, 1.0).asin();
                let cos = gamma.cos();
                let phi = if cos > RIM {
                    PI * x / (2.0 * SQRT_2 * cos)
                } else if x.abs() <= RIM {
                    0.0
                } else {
                    return None;
                };
                Some((phi, theta))
            }
            _ => Some((x, y)),
        }
    }
}

/// Mollweide's gamma: 2 gamma + sin 2 gamma = pi sin theta. By halving: Newton's steps shrink to nothing at the poles.
fn auxiliary_angle(sin_theta: f64) -> f64 {
    let (mut low, mut high) = (-FRAC_PI_2, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if 2.0 * middle + (2.0 * middle).sin() < PI * sin_theta {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [&str; 9] = ["SIN", "TAN", "ARC", "STG", "ZEA", "CAR", "SFL", "AIT", "MOL"];

    proptest! {
        #[test]
        fn the_plane_leads_back(code in 0..ALL.len(), phi in -179.0..179.0f64, theta in -89.0..89.0f64) {
            let projection = Projection::from_code(ALL[code]).unwrap();
            let ((sp, cp), (st, ct)) = (phi.to_radians().sin_cos(), theta.to_radians().sin_cos());
            let v = [ct * cp, ct * sp, st];
            if let Some((x, y)) = projection.project(v) {
                prop_assume!(x.hypot(y) < 20.0);
                let back = projection.unproject(x, y).unwrap();
                let apart = (0..3).map(|i| (back[i] - v[i]).powi(2)).sum::<f64>().sqrt();
                prop_assert!(apart < 1e-7, "{projection:?} {phi} {theta}: {apart}");
            }
        }
    }

    #[test]
    fn the_reference_point_is_the_origin() {
        for code in ALL {
            let projection = Projection::from_code(code).unwrap();
            let v = if projection.is_zenithal() { [0.0, 0.0, 1.0] } else { [1.0, 0.0, 0.0] };
            let (x, y) = projection.project(v).unwrap();
            assert!(x.hypot(y) < 1e-15, "{code}");
            let back = projection.unproject(0.0, 0.0).unwrap();
            assert!((0..3).all(|i| (back[i] - v[i]).abs() < 1e-15), "{code}");
        }
    }
}
