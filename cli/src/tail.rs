//! The ends of log files, and what is added to them; follows a file through rotation.
//!
//! It must not keep a file in memory: at most its last megabyte is read to find the last lines.

use crate::error::{Code, Error};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const LAST: u64 = 1 << 20;

/// A place in a log file up to which everything was shown.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    inode: u64,
    at: u64,
    partial: Vec<u8>,
}

impl Tail {
    /// The last `lines` lines, and the place behind them.
    pub(crate) fn open(path: &Path, lines: usize) -> Result<(Vec<String>, Self), Error> {
        let mut tail = Self::from_start(path);
        let size = fs::metadata(path).map_or(0, |meta| meta.len());
        tail.at = size.saturating_sub(LAST);
        let cut = tail.at > 0;
        let mut all = tail.read().map_err(|error| {
            Error::new(Code::Io, format!("{} could not be read", path.display())).source(error)
        })?;
        // The first line may be a half, since the reading began somewhere.
        let from = all
            .len()
            .saturating_sub(lines)
            .max(usize::from(cut && !all.is_empty()));
        Ok((all.split_off(from), tail))
    }

    /// A file of which nothing was shown yet; it need not exist.
    pub(crate) fn from_start(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            inode: 0,
            at: 0,
            partial: Vec::new(),
        }
    }

    /// The whole lines that were added since; a file that cannot be read now has none.
    pub(crate) fn more(&mut self) -> Vec<String> {
        self.read().unwrap_or_default()
    }

    fn read(&mut self) -> io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        let meta = file.metadata()?;
        if self.inode != 0 && (meta.ino() != self.inode || meta.len() < self.at) {
            // Rotated or truncated: what is there now is all new.
            self.at = 0;
        }
        self.inode = meta.ino();
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = std::mem::take(&mut self.partial);
        self.at += file.take(8 * LAST).read_to_end(&mut bytes)? as u64;
        let end = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        self.partial = bytes.split_off(end);
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

/// Every line of a log that holds `part`, its rotated predecessors first.
pub(crate) fn everything(path: &Path, part: &str) -> Result<Vec<String>, Error> {
    let mut files = vec![path.to_owned()];
    for number in 1.. {
        let older = path.with_extension(format!("log.{number}"));
        if !older.exists() {
            break;
        }
        files.push(older);
    }
    let mut found = Vec::new();
    for file in files.iter().rev() {
        let lines = matching(file, part).map_err(|error| {
            Error::new(Code::Io, format!("{} could not be read", file.display())).source(error)
        })?;
        found.extend(lines);
    }
    Ok(found)
}

fn matching(path: &Path, part: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    // A line that is no text is none of ours.
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        if let Ok(line) = String::from_utf8(line?)
            && line.contains(part)
        {
            found.push(line);
        }
    }
    Ok(found)
}

/// Names of the logs in `dir` that match one of `services` (all, where none is given), sorted.
pub(crate) fn names(dir: &Path, services: &[String]) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(dir).map_err(|error| {
        Error::new(Code::Io, format!("{} could not be read", dir.display())).source(error)
    })?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            Some(
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(".log")?
                    .to_owned(),
            )
        })
        .filter(|name| services.is_empty() || services.iter().any(|service| matches(name, service)))
        .collect();
    names.sort();
    Ok(names)
}

/// `api` matches `api-5d8f7-x2k9p`, and a whole name matches itself.
fn matches(name: &str, service: &str) -> bool {
    name.strip_prefix(service)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::{Tail, everything, matches};
    use std::fs;

    #[test]
    fn a_tail_follows_growth_halves_and_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        let (lines, mut tail) = Tail::open(&path, 1).unwrap();
        assert_eq!(lines, ["two"]);
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail.more(), ["three"]);
        fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        assert!(tail.more().is_empty());
        fs::write(&path, "four\n").unwrap();
        assert_eq!(tail.more(), ["four"]);
        assert!(tail.more().is_empty());
    }

    #[test]
    fn everything_about_a_word_is_found_in_rotated_files_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api-5d8.log");
        fs::write(&path, "five x\nsix\nseven x").unwrap();
        fs::write(dir.path().join("api-5d8.log.1"), "three x\nfour\n").unwrap();
        fs::write(dir.path().join("api-5d8.log.2"), b"one x\n\xff x\n").unwrap();
        let found = everything(&path, " x").unwrap();
        assert_eq!(found, ["one x", "three x", "five x", "seven x"]);
    }

    #[test]
    fn a_service_matches_its_processes_alone() {
        assert!(
            matches("api-5d8-x2", "api")
                && matches("redis-0", "redis-0")
                && matches("proxy", "proxy")
        );
        assert!(!matches("apical", "api") && !matches("redis-0", "redis-00"));
    }
}
