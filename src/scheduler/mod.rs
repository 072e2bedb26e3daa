//! Where the work of many measurement sets runs.

pub mod local;
