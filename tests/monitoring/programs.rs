//! promtool and amtool, and configurations to try them on.
//!
//! It must not know what an alert is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kedactl_config::{Config, Request, SetArg, load};
use kedactl_testkit::skipped;
use tempfile::TempDir;

/// The merged configuration of an environment.
pub(crate) fn config(env: &str, sets: &[&str]) -> Config {
    config_of(env, &[], sets)
}

/// The same with profiles (`-f`) over it.
pub(crate) fn config_of(env: &str, profiles: &[&str], sets: &[&str]) -> Config {
    let request = Request {
        env: env.into(),
        files: profiles.iter().map(PathBuf::from).collect(),
        sets: sets
            .iter()
            .map(|set| SetArg::Value((*set).into()))
            .collect(),
        ..Request::default()
    };
    let files = |_: &Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
    load(&request, &files).expect("the values are right").config
}

/// A program by its name in PATH. One that is missing is a failure where `CI` is set, else a skipped test.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} is not installed: `.ci/need` says what it is in"
        );
        skipped(&format!("{name} is not installed"));
    }
    found
}

/// A folder with files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// Runs a program in a folder: what it printed, with its complaints where it fails.
#[expect(
    clippy::disallowed_methods,
    reason = "what is tested is what these programs say"
)]
pub(crate) fn run(program: &Path, args: &[&str], folder: &Path) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    }
}
