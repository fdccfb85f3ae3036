//! Peers that are Python packages: a virtual environment beside the build's files, made once.
//!
//! It must not install anything outside the build's directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The interpreter of an environment in which `imports` work; `packages` are installed where they do not.
pub(crate) fn environment(name: &str, imports: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/bench-{name}"));
    let python = dir.join("bin/python");
    if run(&python, &["-c", imports]).is_err() {
        let place = dir.display().to_string();
        run(Path::new("python3"), &["-m", "venv", &place])?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(&python, &[&install, packages].concat())?;
    }
    Ok(python)
}

/// Runs a program to its end and returns what it printed.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts its peers itself"
)]
pub(crate) fn run(program: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| program.display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed: {}",
        program.display(),
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
