//! The state of a plane between major cycles, as tclean keeps it.

use crate::kernels::bitmask::BitMask;

/// The state of one channel (of the polarisation that decides: Stokes I, or the first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelMaskState {
    /// The clean mask as the last call left it: what the next call starts from.
    pub mask: BitMask,
    /// Union of all positive masks so far. An initial mask is not part of it.
    pub posmask: BitMask,
    /// Calls so far.
    pub cycles: u32,
    /// The plane is left alone from the next call on. Never unset.
    pub skip: bool,
}

impl ChannelMaskState {
    /// The state before the first call.
    pub fn new(ny: usize, nx: usize) -> Self {
        Self::with_mask(BitMask::new(ny, nx))
    }

    /// The state before the first call of a run that starts from a mask (tclean's `mask`, or that of an earlier run).
    pub fn with_mask(mask: BitMask) -> Self {
        let (ny, nx) = mask.dim();
        Self { mask, posmask: BitMask::new(ny, nx), cycles: 0, skip: false }
    }
}
