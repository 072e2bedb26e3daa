//! Imaging: what to run, step by step, to make an image inside a clean mask.
