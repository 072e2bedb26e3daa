//! Starting, watching and stopping external programs.
