//! Where the work of many measurement sets runs.
