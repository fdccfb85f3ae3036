//! The golden vectors: cases of upstream's own tests, read from the data files beside this one.
//!
//! Must not hold numbers: a case is a line of data, and every case that fails is named in one message.

#![expect(
    clippy::unwrap_used,
    reason = "a vector that cannot be read must stop the test"
)]

mod case;
mod hpa;
mod keda;
mod replicas;

use case::Case;

type Check = fn(&Case) -> Result<(), String>;

const GROUPS: &[(&str, &str, Check)] = &[
    ("A", include_str!("a-average.txt"), replicas::average),
    ("B", include_str!("b-value.txt"), replicas::value),
    ("C", include_str!("c-cpu.txt"), replicas::cpu),
    ("D", include_str!("d-pods.txt"), replicas::pods),
    ("E", include_str!("e-legacy-clamp.txt"), hpa::legacy_clamp),
    ("F", include_str!("f-legacy-window.txt"), hpa::legacy_window),
    (
        "G",
        include_str!("g-behavior-window.txt"),
        hpa::behavior_window,
    ),
    ("H", include_str!("h-behavior-rate.txt"), hpa::behavior_rate),
    ("J", include_str!("j-sync.txt"), hpa::sync),
    ("K", include_str!("k-keda.txt"), keda::request_scale),
    ("L", include_str!("l-jobs.txt"), keda::jobs),
];

#[test]
fn all_147_vectors_hold() {
    let mut total = 0;
    let mut failures = Vec::new();
    for (letter, text, check) in GROUPS {
        for case in case::read(text) {
            assert!(
                case.name.starts_with(letter),
                "{} stands in the file of {letter}",
                case.name
            );
            total += 1;
            if let Err(problem) = check(&case) {
                failures.push(format!("{}: {problem}", case.name));
            }
        }
    }
    assert_eq!(total, 147, "the data files lost or gained a vector");
    assert!(
        failures.is_empty(),
        "{} vectors fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// The one case beside the numbered ones: a fallback that trips.
#[test]
fn the_fallback_vector_holds() {
    let cases = case::read(include_str!("m-fallback.txt"));
    assert_eq!(cases.len(), 1);
    keda::fallback(&cases[0]).unwrap();
}
