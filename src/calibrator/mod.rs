//! Calibration: what to run to solve for gains and to apply them.
