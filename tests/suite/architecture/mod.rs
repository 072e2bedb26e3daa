//! The shape of the library: its layers, the sizes of its parts, and its public surface.

mod layers;
mod library;
mod source;
mod surface;
