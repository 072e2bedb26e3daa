//! CASA's auto-multithresh, plane by plane, with the state that tclean keeps.
