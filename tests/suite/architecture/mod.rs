//! The shape of the library: its layers, the sizes of its parts, and its public surface.

mod layers;
mod source;
mod surface;
