//! What people and scripts meet around campaigns: the machine's check, help, errors, formats, the documentation.

mod doctor;
mod formats;
mod help;
mod schemas;
