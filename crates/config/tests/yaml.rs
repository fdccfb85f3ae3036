//! Whatever is written is read back as the same, and awkward strings are quoted.
//! Tests the YAML seam only, not the configuration.

use std::collections::BTreeMap;

use kedactl_config::{documents, scalar_text, to_yaml};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Strings that some YAML parser takes for something else (Helm's reads YAML 1.1).
const AWKWARD: &[&str] = &[
    "",
    " ",
    "y",
    "Y",
    "yes",
    "Yes",
    "no",
    "N",
    "n",
    "on",
    "On",
    "off",
    "OFF",
    "true",
    "True",
    "FALSE",
    "null",
    "Null",
    "~",
    "1",
    "-1",
    "+1",
    "012",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "1,000",
    "1.5",
    "1.",
    ".5",
    "1e3",
    "1E3",
    "-.inf",
    ".Inf",
    ".nan",
    ".NaN",
    "inf",
    "nan",
    "190:20:30",
    "12:30",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "=",
    "<<",
    "-",
    "- a",
    "?",
    "? a",
    ":",
    "a:",
    "a: b",
    "a #b",
    "#a",
    "@a",
    "`a",
    "%a",
    "!a",
    "!!str a",
    "&a",
    "*a",
    "|",
    ">",
    "|-",
    "{a}",
    "[a]",
    "{",
    "]",
    ",",
    "a,b",
    "'a'",
    "\"a\"",
    "a\\b",
    "---",
    "--- a",
    "...",
    " lead",
    "trail ",
    "\ttab",
    "tab\t",
    "a\tb",
    "two\nlines",
    "two\nlines\n",
    "\n",
    "\r\n",
    "\r",
    "\u{0}",
    "\u{1}",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffe}",
    "é",
    "日本",
    "🦀",
    "{{ x }}",
    "${X}",
    "kq:{default}:live",
    "127.0.0.1:6379",
    "[::1]:1",
    "a b",
    "1 ",
    "0.0.0.0:8000",
    "e3",
    "0",
    "-0",
    "00",
    "08",
    "1__0",
    "0_",
    "_1",
];

/// What YAML 1.1 resolves to something other than a string, after go-yaml's tables.
fn ambiguous(plain: &str) -> bool {
    let word = plain.to_ascii_lowercase();
    let words = [
        "", "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<", ".inf",
        "-.inf", "+.inf", ".nan",
    ];
    let numeric = plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && plain.chars().any(|c| c.is_ascii_digit())
        && plain
            .chars()
            .all(|c| c.is_ascii_hexdigit() || "+-._:xXoOTZ ".contains(c));
    words.contains(&word.as_str()) || numeric
}

#[test]
fn awkward_strings_survive_and_are_quoted() {
    let map: BTreeMap<&str, &str> = AWKWARD.iter().map(|text| (*text, *text)).collect();
    let text = to_yaml(&map).unwrap();
    assert_eq!(documents(&text).unwrap(), [json!(map)]);
    for line in text.lines() {
        let plain = line.split(": ").next().unwrap();
        assert!(
            plain.starts_with(['"', '\'', '?']) || !ambiguous(plain),
            "{line}"
        );
    }
    for awkward in AWKWARD {
        let scalar = scalar_text(&json!(awkward));
        assert!(!scalar.contains('\n'), "{scalar}");
        assert!(scalar.starts_with('"') || !ambiguous(&scalar), "{scalar}");
        assert_eq!(
            documents(&format!("a: {scalar}\n")).unwrap(),
            [json!({"a": awkward})]
        );
        assert_eq!(
            documents(&format!("[x, {scalar}, {{k: {scalar}}}]\n")).unwrap(),
            [json!(["x", awkward, {"k": awkward}])]
        );
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+0-9a-fxo_.:,#&*!|>%@`'\"{}\\[\\] \n\t~?=yYnNtTfF]{0,12}",
        prop::sample::select(AWKWARD).prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(text(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_survives_a_round_trip(value in value()) {
        prop_assume!(value != Json::Null);
        let text = to_yaml(&value).unwrap();
        prop_assert_eq!(documents(&text).unwrap(), vec![value], "{}", text);
    }

    #[test]
    fn any_string_survives_as_a_scalar(text in text()) {
        let scalar = scalar_text(&json!(text));
        prop_assert!(!scalar.contains(['\n', '\r']));
        let read = documents(&format!("a:\n  - {scalar}\n  - [{scalar}]\n")).unwrap();
        prop_assert_eq!(read, vec![json!({"a": [text.clone(), [text]]})]);
    }
}
