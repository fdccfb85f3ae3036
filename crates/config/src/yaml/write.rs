//! Values to YAML text that every parser reads the same: what Helm would take for a boolean or a number is quoted.
//! Writes no block scalars, so that a value can stand anywhere in a template.

use serde::Serialize;
use serde_yaml::{SerializeError, SerializerOptions};

/// The YAML of a value, in block style, ending in a newline.
///
/// # Errors
/// Values that YAML cannot hold, such as a map with lists as keys.
pub fn to_yaml(value: &impl Serialize) -> Result<String, SerializeError> {
    let mut text = serde_yaml::to_string_with_options(value, options())?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// One scalar for a place inside a line (`key: HERE`): never more than one line.
pub fn scalar_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A string that is plain where that is safe everywhere, else in double quotes, with every character escaped
/// that a parser could take for a line break or drop. Flow indicators count as unsafe: the value may stand inside `[ ]`.
fn quoted(text: &str) -> String {
    if plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A word that no YAML parser, of 1.1 or 1.2, takes for anything but text.
fn plain(text: &str) -> bool {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./@".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

fn options() -> SerializerOptions {
    serde_yaml::ser_options! { prefer_block_scalars: false }
}
