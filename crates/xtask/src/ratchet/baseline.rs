//! The checked-in figures: `key = number` lines, so that a change is one readable line of a diff.
//!
//! It must not know what the figures mean.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;

const HEAD: &str = "# Written by `cargo xtask ratchet --accept`; a figure may only get better.\n";

/// Figures by key.
#[derive(Default)]
pub(super) struct Baseline(BTreeMap<String, f64>);

impl Baseline {
    /// Reads the file; a missing one has no figures.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut figures = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (key, value) = line
                .split_once(" = ")
                .with_context(|| format!("bad line `{line}`"))?;
            let value = value
                .parse()
                .with_context(|| format!("bad number in `{line}`"))?;
            figures.insert(key.to_owned(), value);
        }
        Ok(Self(figures))
    }

    /// Writes figures in the order given.
    pub(super) fn write<'a>(
        file: &Path,
        figures: impl Iterator<Item = (&'a str, f64)>,
    ) -> anyhow::Result<()> {
        let lines: Vec<String> = figures
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        std::fs::write(file, format!("{HEAD}{}\n", lines.join("\n")))
            .with_context(|| file.display().to_string())
    }

    /// Returns a figure.
    pub(super) fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let baseline = Baseline::parse("# head\na = 1\nb = 0.25\n").unwrap();
        assert_eq!(
            (baseline.get("a"), baseline.get("b"), baseline.get("c")),
            (Some(1.0), Some(0.25), None)
        );
        assert!(Baseline::parse("a: 1").is_err());
        assert!(Baseline::parse("a = x").is_err());
    }
}
