//! What is in measurement sets, and what is wrong with them.

mod continuum;
pub(crate) mod damage;
pub(crate) mod faults;
pub(crate) mod inspect;
pub(crate) mod runs;
