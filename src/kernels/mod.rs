//! Pixels in, pixels out: pure functions of array views and plain numbers.

pub mod order_statistics;
