//! Looks for secrets in everything that was kept, in every form in which they may stand there.
//!
//! It must not say the secret itself, only where it stands and in which form.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flate2::read::GzDecoder;
use memchr::memmem;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

/// How deep packed things are unpacked: a release's record is base64 of base64 of gzip.
const DEPTH: usize = 5;
/// A run of letters that is worth decoding.
const LONG: usize = 64;

/// A text that nobody may see.
pub(super) struct Canary {
    pub(super) name: &'static str,
    /// Each form with its name.
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    pub(super) fn new(name: &'static str, secret: &str) -> Self {
        assert!(secret.len() >= 16, "{name} is too short to be told");
        let bytes = secret.as_bytes();
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("reversed", bytes.iter().rev().copied().collect()),
            ("hex", hex(bytes).into_bytes()),
            ("hex", hex(bytes).to_uppercase().into_bytes()),
            ("percent", percent(bytes).into_bytes()),
            ("JSON", quoted(secret).into_bytes()),
        ];
        // In base64 a text looks different by its place in what was encoded: three ways, without the ends that others share.
        for before in 0..3 {
            let text = [vec![b'x'; before], bytes.to_vec()].concat();
            let code = STANDARD_NO_PAD.encode(&text);
            let (from, to) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
            let code = &code[from..to];
            forms.push(("base64", code.as_bytes().to_vec()));
            let safe = code.replace('+', "-").replace('/', "_");
            forms.push(("base64", safe.into_bytes()));
        }
        let mut known = BTreeSet::new();
        forms.retain(|(_, form)| known.insert(form.clone()));
        Self { name, forms }
    }

    /// The forms in which it stands in a text.
    fn in_(&self, text: &[u8]) -> impl Iterator<Item = &'static str> {
        let found = self.forms.iter();
        let found = found.filter(move |(_, form)| memmem::find(text, form).is_some());
        found.map(|(name, _)| *name)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    })
}

fn quoted(secret: &str) -> String {
    let text = serde_json::Value::from(secret).to_string();
    text.trim_matches('"').to_owned()
}

/// Everything that a secret is looked for in, by the place where it was.
#[derive(Default)]
pub(super) struct Evidence {
    places: Vec<(String, Vec<u8>)>,
}

impl Evidence {
    pub(super) fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.places.push((place.into(), bytes.into()));
    }

    /// Every file below a folder but these, names and contents; how many there were.
    pub(super) fn folder(&mut self, place: &str, folder: &Path, but: &[&Path]) -> usize {
        let mut files = crate::interrupts::files(folder);
        files.retain(|path| !but.contains(&path.as_path()));
        for path in &files {
            // A socket has nothing to read.
            let bytes = std::fs::read(path).unwrap_or_default();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            self.add(format!("{place}: name of {name}"), name.as_bytes());
            self.add(format!("{place}: {name}"), bytes);
        }
        files.len()
    }

    /// How many places begin so.
    pub(super) fn count(&self, place: &str) -> usize {
        let places = self.places.iter();
        places.filter(|(known, _)| known.starts_with(place)).count()
    }

    /// Where which secret stands, and how.
    pub(super) fn of(&self, canaries: &[Canary]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (place, bytes) in &self.places {
            for text in unpacked(bytes, DEPTH) {
                for canary in canaries {
                    let forms = canary.in_(&text);
                    found.extend(forms.map(|form| format!("{place}: {} ({form})", canary.name)));
                }
            }
        }
        found
    }
}

/// The bytes, and what is packed in them.
fn unpacked(bytes: &[u8], depth: usize) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.to_vec()];
    if depth == 0 {
        return all;
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        // What is cut off is looked at as far as it goes.
        let _cut = GzDecoder::new(bytes).read_to_end(&mut plain);
        all.extend(unpacked(&plain, depth - 1));
        return all;
    }
    // Programs are no texts: what looks like base64 in them is not.
    if bytes.contains(&0) {
        return all;
    }
    for run in bytes.split(|byte| !is_base64(*byte)) {
        if run.len() >= LONG
            && let Ok(plain) = STANDARD.decode(run)
            && (plain.starts_with(&[0x1f, 0x8b]) || plain.iter().all(|byte| is_base64(*byte)))
        {
            all.extend(unpacked(&plain, depth - 1));
        }
    }
    all
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    const SECRET: &str = "c4n/a+r\"y=of the test";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    /// Where a secret was seen in these bytes.
    fn seen(bytes: impl Into<Vec<u8>>) -> bool {
        let mut evidence = Evidence::default();
        evidence.add("place", bytes);
        !evidence.of(&[Canary::new("it", SECRET)]).is_empty()
    }

    #[test]
    fn a_secret_is_seen_in_every_form_and_nothing_else_is() {
        assert!(seen(format!("a {SECRET} b")));
        assert!(seen(serde_json::json!({"a": SECRET}).to_string()));
        assert!(seen(format!(
            "redis://:{}@host",
            percent(SECRET.as_bytes())
        )));
        assert!(seen(hex(SECRET.as_bytes()).to_uppercase()));
        for before in ["", "u", "u:", "user:"] {
            let code = STANDARD.encode(format!("{before}{SECRET}{before}"));
            assert!(seen(format!("Basic {code}")), "{before}");
        }
        // As the record of a release stands in a list of Secrets.
        let record = STANDARD.encode(
            STANDARD.encode(gzip(
                format!(
                    "{{\"password\":{:?},\"more\":\"{}\"}}",
                    SECRET,
                    "x".repeat(99)
                )
                .as_bytes(),
            )),
        );
        assert!(seen(
            serde_json::json!({"data": {"release": record}}).to_string()
        ));
        assert!(seen(gzip(
            format!("a file in a layer: {SECRET}").as_bytes()
        )));
        assert!(!seen(SECRET.replace('4', "5")));
        assert!(!seen(gzip(b"nothing")));
    }

    #[test]
    fn every_file_of_a_folder_is_looked_at_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("deep/er");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join("file"), format!("x{SECRET}")).unwrap();
        std::fs::write(folder.path().join(hex(SECRET.as_bytes())), "").unwrap();
        let mut evidence = Evidence::default();
        assert_eq!(evidence.folder("state", folder.path(), &[]), 2);
        let found = evidence.of(&[Canary::new("it", SECRET)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.contains("state: deep/er/file: it (raw)"), "{found:?}");
    }
}
