//! What people look at: HTML page and plots.
