//! Keeps the log files of processes within their size.
//! Must not move a file that a process writes to: processes hold theirs open, so its text is copied away and cut.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::layout::Layout;

/// How often sizes are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Rotates every `*.log` that outgrew its size, until dropped. What is written in the instant between copy and cut is lost.
pub(crate) async fn keep_small(layout: Layout, most_bytes: u64, keep: u32) {
    let directory = layout.dir().join("logs");
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for path in grown(&directory, most_bytes) {
            if let Err(error) = rotate(&path, keep) {
                tracing::warn!(%error, path = %path.display(), "log rotation");
            }
        }
    }
}

fn grown(directory: &Path, most_bytes: u64) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            (is_log && entry.metadata().ok()?.len() >= most_bytes).then_some(path)
        })
        .collect()
}

fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    for number in (1..keep).rev() {
        let from = numbered(path, number);
        if from.exists() {
            fs::rename(from, numbered(path, number + 1))?;
        }
    }
    if keep > 0 {
        fs::copy(path, numbered(path, 1))?;
    }
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Removes the logs of pods that are gone, all but the newest few.
pub(crate) fn forget_old_pods(layout: &Layout, alive: &dyn Fn(&str) -> bool, keep: usize) {
    let mut dead: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(layout.dir().join("logs"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let (name, _) = name.split_once(".log")?;
            (!alive(name)).then_some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    dead.sort();
    let surplus = dead.len().saturating_sub(keep);
    for (_, path) in dead.into_iter().take(surplus) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::debug!(%error, path = %path.display(), "old log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_keeps_its_writer_and_its_predecessors() {
        use std::io::Write as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut writer = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        for text in ["one", "two", "three"] {
            writer.write_all(text.as_bytes()).unwrap();
            assert_eq!(grown(directory.path(), 3), std::slice::from_ref(&path));
            rotate(&path, 2).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::read_to_string(numbered(&path, 1)).unwrap(), "three");
        assert_eq!(fs::read_to_string(numbered(&path, 2)).unwrap(), "two");
        assert!(!numbered(&path, 3).exists());
    }
}
