//! Takes secrets out of what programs say.
//! Must not show how long a secret is or where it was cut; what is masked once stays masked.

use serde_json::Value;

/// Shorter texts are in too many words to be taken out of them.
const SHORTEST: usize = 4;
/// Keys of values whose text is taken for a secret.
const TELLING: [&str; 7] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
];

/// The texts that nobody may see. Grows while more becomes known, never shrinks.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Vec<String>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} texts)", self.secrets.len())
    }
}

impl Mask {
    /// Takes these texts out, as they are, as JSON and YAML quote them, and in base64.
    pub fn new<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut mask = Self::default();
        for secret in secrets {
            mask.add(secret);
        }
        mask
    }

    /// Takes one more text out.
    pub fn add(&mut self, secret: impl Into<String>) {
        let secret = secret.into();
        if secret.trim().len() < SHORTEST {
            return;
        }
        let quoted = Value::from(secret.as_str()).to_string();
        self.push(base64(secret.as_bytes()));
        self.push(quoted.trim_matches('"').to_owned());
        // A program may print a text of several lines with an indent before each.
        let lines: Vec<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
        if lines.len() > 1 {
            for line in lines.into_iter().filter(|line| line.len() >= SHORTEST) {
                self.push(line);
            }
        }
        self.push(secret);
    }

    fn push(&mut self, text: String) {
        if !self.secrets.contains(&text) {
            self.secrets.push(text);
            // The longest first: a secret may contain another.
            self.secrets
                .sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    /// Takes out what another one takes out.
    pub fn extend(&mut self, other: &Self) {
        for text in &other.secrets {
            self.push(text.clone());
        }
    }

    /// Takes out the texts of values whose keys tell that they are secret.
    pub fn add_values(&mut self, values: &Value) {
        match values {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(text) if telling(key) => self.add(text.as_str()),
                        other => self.add_values(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_values(item)),
            _ => {}
        }
    }

    /// Takes out what stands in the Secrets among rendered objects.
    pub fn add_objects(&mut self, objects: &[Value]) {
        for object in objects.iter().filter(|object| object["kind"] == "Secret") {
            for (section, decode) in [("data", true), ("stringData", false)] {
                let entries = object[section].as_object().into_iter().flatten();
                for text in entries.filter_map(|(_, value)| value.as_str()) {
                    self.push_long(text);
                    if !decode {
                        self.add(text);
                    } else if let Some(plain) = unbase64(text) {
                        self.add(plain);
                    }
                }
            }
        }
    }

    fn push_long(&mut self, text: &str) {
        if text.len() >= SHORTEST {
            self.push(text.to_owned());
        }
    }

    /// The text with `***` in place of every secret.
    pub fn apply(&self, text: &str) -> String {
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

fn telling(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', '_'], "");
    // The name of a Secret or of a key in it is no secret.
    let names = ["existing", "name", "key", "file", "path"];
    let is_name = names.iter().any(|part| {
        key.starts_with(part)
            || (key.ends_with(part) && !key.ends_with("apikey") && !key.ends_with("privatekey"))
    });
    !is_name && TELLING.iter().any(|part| key.contains(part))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |group, (index, byte)| {
                group | u32::from(*byte) << (16 - 8 * index)
            });
        for index in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() {
                digit.into()
            } else {
                '='
            });
        }
    }
    text
}

/// The text that stands in base64; `None` where it is none.
fn unbase64(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut group, mut bits) = (0_u32, 0_u32);
    for character in text.trim().trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|known| *known == character)?;
        group = (group << 6 | digit as u32) & 0x00ff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_vanish_in_every_spelling() {
        let mask = Mask::new(["pa\"ss\nword-two"]);
        let told = format!(
            "{} {} | word-two",
            "pa\"ss\nword-two",
            base64(b"pa\"ss\nword-two")
        );
        assert_eq!(mask.apply(&told), "*** *** | ***");
        assert_eq!(mask.apply(r#"{"a":"pa\"ss\nword-two"}"#), r#"{"a":"***"}"#);
    }

    #[test]
    fn values_are_judged_by_their_keys_and_secrets_by_their_kind() {
        let mut mask = Mask::default();
        mask.add_values(&json!({"auth": {"password": "hunter22", "existingSecret": "redis"}, "list": [{"api_token": "tok-1234"}]}));
        mask.add_objects(&[
            json!({"kind": "Secret", "data": {"a": base64(b"inside-a")}, "stringData": {"b": "inside-b"}}),
            json!({"kind": "ConfigMap", "data": {"a": "harmless"}}),
        ]);
        let told = format!(
            "hunter22 redis tok-1234 inside-a inside-b {} harmless",
            base64(b"inside-a")
        );
        assert_eq!(mask.apply(&told), "*** redis *** *** *** *** harmless");
    }

    #[test]
    fn base64_is_the_usual_one() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar"] {
            assert_eq!(unbase64(&base64(text.as_bytes())).as_deref(), Some(text));
        }
        assert_eq!(base64(b"fooba"), "Zm9vYmE=");
        assert_eq!(unbase64("not base64!"), None);
    }
}
