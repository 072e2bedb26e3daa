//! The worker's requests in Python and in Rust, compared without CASA.

use cleanloop::programs::casa::Casa;
use cleanloop::programs::casa::requests::{Checksum, Versions};

#[test]
fn a_python_without_casa_has_the_same_requests() {
    let casa = Casa::open(&["python3", "-S"].map(str::to_owned), None).expect("opened");
    // -S: without installed packages. The two are compared before this request, which then needs CASA.
    let error = casa.ask(&Versions {}, None).expect_err("no CASA").to_string();
    assert!(error.contains("No module named 'casatools'"), "{error}");
    let request = Checksum { ms: "/nowhere.ms".into(), column: "DATA".into() };
    let error = casa.ask(&request, None).expect_err("no CASA").to_string();
    assert!(!error.contains("key"), "{error}");
    assert_eq!(casa.starts(), 1);
}
