//! Versions of wsclean.

use std::fmt;

/// Version number of wsclean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `3` of 3.1.0.
    pub major: u32,
    /// `1` of 3.1.0.
    pub minor: u32,
    /// `0` of 3.1.0.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    pub(super) fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        Some(Self { major, minor, patch: parts.next().and_then(Result::ok).unwrap_or(0) })
    }
}
