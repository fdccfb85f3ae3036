//! Builds the programs and runs one of them in the foreground.
//!
//! It must not interpret the program's output: its exit code is the task's.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Builds the programs with a profile and runs `name` with `args`.
pub(crate) fn program(name: &str, profile: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let bins = [
        "--bin",
        "kedactl",
        "--bin",
        "kedactl-api",
        "--bin",
        "kedactl-worker",
        "--bin",
        "kedactl-webhook",
        "--bin",
        name,
    ];
    let build = [&["build", "--locked", "--profile", profile], &bins[..]].concat();
    if status(Path::new("cargo"), &build)? != 0 {
        bail!("the build failed");
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(ExitCode::from(status(
        &target()?.join(folder(profile)).join(name),
        &args,
    )?))
}

/// Where in the target folder a profile's programs are.
pub(crate) fn folder(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

/// Runs a program in this repository and returns what it printed.
#[expect(
    clippy::disallowed_methods,
    reason = "a developer's task asks cargo itself"
)]
pub(crate) fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let run = std::process::Command::new(program)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .with_context(|| format!("`{program}` did not start"))?;
    if !run.status.success() {
        bail!(
            "`{program}` failed: {}",
            String::from_utf8_lossy(&run.stderr)
        );
    }
    Ok(String::from_utf8(run.stdout)?)
}

/// The target folder that this program was built into.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let profile = here.parent().and_then(|debug| debug.parent());
    profile
        .map(PathBuf::from)
        .context("this program is not in a target folder")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer's task hands its terminal to the program"
)]
pub(crate) fn status(program: &Path, args: &[&str]) -> anyhow::Result<u8> {
    let mut command = std::process::Command::new(program);
    command.args(args);
    // What cargo said of this program to this program. Build scripts that look at it (ring's) would run again for another
    // value, and with them everything that is built upon them.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    let status = command.status();
    let status = status.with_context(|| format!("`{}` did not start", program.display()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
