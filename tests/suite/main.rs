//! Integration tests, one folder a subject.
mod architecture;
mod batch;
mod campaign;
mod data;
mod imaging;
mod masks;
mod quality;
mod report;
mod support;
mod users;
