//! Background and rms maps.
