//! The archive that is given away: programs, manual pages, completions, licences, bill of materials, and its checksum.
//!
//! It must not put a time, an owner or the order of a folder into the archive: the same files give the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use flate2::{Compression, GzBuilder};
use kedactl_images::{Digest, bill_of_programs};

const PROGRAMS: [&str; 4] = [
    "kedactl",
    "kedactl-api",
    "kedactl-worker",
    "kedactl-webhook",
];
const DOCUMENTS: [&str; 4] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "docs/install.md",
];

/// Files by their place in the archive, with their modes.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// Builds for a target and packs.
pub(crate) fn run(target: Option<&str>, profile: &str, out: &Path) -> anyhow::Result<ExitCode> {
    let built = build(target, profile)?;
    let target = match target {
        Some(target) => target.to_owned(),
        None => host()?,
    };
    let crates = crate::generate::linked("kedactl", &target)?.join("\n");
    let version = env!("CARGO_PKG_VERSION");
    let archive = pack(
        &files(&built, version, &crates)?,
        &format!("kedactl-{version}-{target}"),
        out,
    )?;
    println!("{}", archive.display());
    Ok(ExitCode::SUCCESS)
}

/// The folder with the programs. Only the package itself is built: what the tests of the workspace need is in no archive.
fn build(target: Option<&str>, profile: &str) -> anyhow::Result<PathBuf> {
    let mut args = vec![
        "build",
        "--locked",
        "--package",
        "kedactl",
        "--bins",
        "--profile",
        profile,
    ];
    args.extend(target.iter().flat_map(|target| ["--target", target]));
    if crate::run::status(Path::new("cargo"), &args)? != 0 {
        bail!("the build failed");
    }
    let all = crate::run::target()?;
    Ok(target
        .map_or_else(|| all.clone(), |target| all.join(target))
        .join(crate::run::folder(profile)))
}

fn host() -> anyhow::Result<String> {
    let version = crate::run::output("rustc", &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

fn files(built: &Path, version: &str, crates: &str) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut programs = Vec::new();
    for name in PROGRAMS {
        let path = built.join(name);
        let bytes =
            fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        programs.push((format!("bin/{name}"), Digest::of(&bytes)));
        files.insert(format!("bin/{name}"), (0o755, bytes));
    }
    for name in DOCUMENTS {
        let bytes = fs::read(crate::generate::root().join(name))
            .with_context(|| format!("{name} cannot be read"))?;
        let name = name.rsplit('/').next().unwrap_or(name);
        files.insert(format!("share/doc/kedactl/{name}"), (0o644, bytes));
    }
    for (shell, at) in kedactl::shipped::COMPLETIONS {
        let script = kedactl::shipped::completion(shell);
        files.insert(at.to_owned(), (0o644, script.into_bytes()));
    }
    for (name, page) in kedactl::shipped::manual() {
        files.insert(format!("share/man/man1/{name}"), (0o644, page.into_bytes()));
    }
    let bill = bill_of_programs("kedactl", version, &programs, crates);
    files.insert("share/doc/kedactl/sbom.cdx.json".to_owned(), (0o644, bill));
    Ok(files)
}

/// Writes `NAME.tar.gz`, its bill of materials and its line of a checksum file into a folder, and answers the archive.
fn pack(files: &Files, name: &str, out: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let archive = out.join(format!("{name}.tar.gz"));
    let bytes = compressed(files, name)?;
    let mut sums = String::new();
    let mut write = |file: String, bytes: &[u8]| -> anyhow::Result<()> {
        let path = out.join(&file);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        sums += &format!("{}  {file}\n", Digest::of(bytes).hex());
        Ok(())
    };
    write(format!("{name}.tar.gz"), &bytes)?;
    if let Some((_, bill)) = files.get("share/doc/kedactl/sbom.cdx.json") {
        write(format!("{name}.cdx.json"), bill)?;
    }
    fs::write(out.join(format!("{name}.sha256")), sums)?;
    Ok(archive)
}

fn compressed(files: &Files, name: &str) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    let mut folders = vec![name.to_owned()];
    for at in files.keys() {
        for (end, _) in at.match_indices('/') {
            folders.push(format!("{name}/{}", &at[..end]));
        }
    }
    folders.sort();
    folders.dedup();
    for folder in folders {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, format!("{folder}/"), io::empty())?;
    }
    for (at, (mode, bytes)) in files {
        let mut header = header(tar::EntryType::Regular, *mode, bytes.len() as u64);
        tar.append_data(&mut header, format!("{name}/{at}"), bytes.as_slice())?;
    }
    let mut gzip = tar.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn stand_ins() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in PROGRAMS {
            fs::write(dir.path().join(name), name).unwrap();
        }
        dir
    }

    #[test]
    fn an_archive_holds_all_that_an_installation_needs_and_the_same_bytes_twice() {
        let built = stand_ins();
        let files = files(
            built.path(),
            "9.9.9",
            "kedactl 9.9.9 MIT\nserde 1.0.2 MIT\n",
        )
        .unwrap();
        let bytes = compressed(&files, "kedactl-9.9.9-x").unwrap();
        assert_eq!(bytes, compressed(&files, "kedactl-9.9.9-x").unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
            let (mode, path) = (
                header.mode().unwrap(),
                entry.path().unwrap().display().to_string(),
            );
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(path, (mode, text));
        }
        let at = |path: &str| {
            let entry = found.get(&format!("kedactl-9.9.9-x/{path}"));
            entry.unwrap_or_else(|| panic!("{path} is not in {:?}", found.keys()))
        };
        assert_eq!(
            at("bin/kedactl-worker"),
            &(0o755, "kedactl-worker".to_owned())
        );
        assert!(
            at("share/man/man1/kedactl-images-build.1")
                .1
                .contains(".TH")
        );
        assert!(
            at("share/bash-completion/completions/kedactl")
                .1
                .contains("_kedactl")
        );
        assert!(
            at("share/doc/kedactl/LICENSE-MIT")
                .1
                .contains("Permission is hereby granted")
        );
        let bill = &at("share/doc/kedactl/sbom.cdx.json").1;
        assert!(
            bill.contains("pkg:cargo/serde@1.0.2") && bill.contains("bin/kedactl-api"),
            "{bill}"
        );
    }

    #[test]
    fn a_checksum_file_names_what_lies_beside_it() {
        let (built, out) = (stand_ins(), tempfile::tempdir().unwrap());
        let files = files(built.path(), "1.0.0", "").unwrap();
        let archive = pack(&files, "kedactl-1.0.0-x", out.path()).unwrap();
        let sums = fs::read_to_string(out.path().join("kedactl-1.0.0-x.sha256")).unwrap();
        let lines: Vec<_> = sums
            .lines()
            .map(|line| line.split_once("  ").unwrap())
            .collect();
        let names: Vec<_> = lines.iter().map(|(_, name)| *name).collect();
        assert_eq!(
            names,
            ["kedactl-1.0.0-x.tar.gz", "kedactl-1.0.0-x.cdx.json"]
        );
        assert_eq!(lines[0].0, Digest::of(&fs::read(archive).unwrap()).hex());
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = files(empty.path(), "1", "").unwrap_err().to_string();
        assert!(error.contains("/kedactl cannot be read"), "{error}");
    }

    /// The text of a step of the release workflow.
    fn step(job: &str, name: &str) -> String {
        let path = crate::generate::root().join(".github/workflows/release.yml");
        let text = fs::read_to_string(path).unwrap();
        let workflow: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let step = steps.iter().find(|it| it["name"] == name).unwrap();
        step["run"].as_str().unwrap().to_owned()
    }

    /// Runs a step as a runner does.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test runs what the workflow runs"
    )]
    fn run_step(script: &str, dir: &Path, reference: &str) -> std::process::Output {
        std::process::Command::new("bash")
            .args(["-eo", "pipefail", "-c", script])
            .current_dir(dir)
            .env("GITHUB_REF_NAME", reference)
            .output()
            .unwrap()
    }

    #[test]
    fn the_workflow_builds_with_a_command_line_that_exists() {
        let line =
            step("build", "build").replace("${{ matrix.target }}", "aarch64-unknown-linux-gnu");
        let words = line.strip_prefix("cargo ").unwrap().split_whitespace();
        let parsed = <crate::Cli as clap::Parser>::try_parse_from(words).unwrap();
        let crate::Task::Dist {
            target,
            profile,
            out,
        } = parsed.task
        else {
            panic!("{line}");
        };
        assert_eq!(target.as_deref(), Some("aarch64-unknown-linux-gnu"));
        assert_eq!(
            (profile.as_str(), out.as_path()),
            ("dist", Path::new("archives"))
        );
    }

    #[test]
    fn the_workflow_refuses_a_tag_of_another_version() {
        let script = step("build", "version");
        let tag = |name: &str| run_step(&script, &crate::generate::root(), name);
        assert!(
            tag(concat!("v", env!("CARGO_PKG_VERSION")))
                .status
                .success()
        );
        let other = tag("v0.0.0");
        assert!(!other.status.success());
        let told = String::from_utf8_lossy(&other.stderr).into_owned();
        assert!(told.contains("the tag is v0.0.0 and the version"), "{told}");
    }

    #[test]
    fn the_workflow_publishes_checksums_that_hold_and_none_of_a_spoilt_archive() {
        let (built, out) = (stand_ins(), tempfile::tempdir().unwrap());
        let files = files(built.path(), "1.0.0", "").unwrap();
        let archives: Vec<_> = ["kedactl-1.0.0-b", "kedactl-1.0.0-a"]
            .iter()
            .map(|name| pack(&files, name, out.path()).unwrap())
            .collect();
        let script = step("release", "checksums");
        fs::write(&archives[0], "cut").unwrap();
        assert!(!run_step(&script, out.path(), "v1").status.success());
        pack(&files, "kedactl-1.0.0-b", out.path()).unwrap();
        let run = run_step(&script, out.path(), "v1");
        assert!(run.status.success(), "{run:?}");
        let sums = fs::read_to_string(out.path().join("SHA256SUMS")).unwrap();
        assert_eq!(sums.lines().count(), 4);
        assert!(
            run_step("sha256sum --check SHA256SUMS", out.path(), "v1")
                .status
                .success()
        );
    }
}
