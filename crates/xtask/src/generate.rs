//! Writes the documents that are generated from the code, or says which have drifted.
//!
//! It must not hold text of its own: every word comes from the crates.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, path::Path};

/// Writes (or with `check` compares) each generated document.
pub(crate) fn run(check: bool) -> anyhow::Result<ExitCode> {
    let mut drifted = false;
    for (path, text) in documents() {
        let file = root().join(path);
        let present = fs::read_to_string(&file).unwrap_or_default();
        if present == text {
            continue;
        }
        drifted = true;
        if check {
            println!("{path} has drifted; run `cargo xtask gen`");
        } else {
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            fs::write(&file, text).with_context(|| format!("{path} could not be written"))?;
            println!("{path} written");
        }
    }
    Ok(ExitCode::from(u8::from(check && drifted)))
}

fn documents() -> Vec<(&'static str, String)> {
    vec![
        ("docs/errors.md", kedactl::error::reference()),
        ("docs/cli.md", kedactl::reference()),
        ("docs/lint.md", kedactl_lint::reference()),
        ("docs/events.schema.json", kedactl::events_schema()),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
