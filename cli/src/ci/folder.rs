//! The folder in which a run leaves its files.
//!
//! It must not mix runs: an earlier one's files go first, and a folder with anything else in it is refused.

use crate::error::{Code, Error};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// In every folder that a run wrote to: by it the next run knows what it may clear.
const MARK: &str = "run.json";

/// A folder of one run.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it, or clears what an earlier run left there.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refused = |what: &str, error: io::Error| {
            let message = format!("{} could not be {what}", path.display());
            Error::new(Code::Io, message).source(error)
        };
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused("read", error)),
            Ok(mut entries) => {
                let empty = entries.next().is_none();
                if !empty && !path.join(MARK).is_file() {
                    let message =
                        format!("{} has files that no run of CI left there", path.display());
                    return Err(Error::new(Code::Usage, message).hint(
                        "name an empty folder, or one that is not there yet, with --artifacts DIR",
                    ));
                }
                clear(path).map_err(|error| refused("cleared", error))?;
            }
        }
        fs::create_dir_all(path).map_err(|error| refused("made", error))?;
        let path = fs::canonicalize(path).map_err(|error| refused("found", error))?;
        let folder = Self(path);
        folder.write(MARK, "{}\n")?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        write(&self.join(name), text)
    }

    pub(crate) fn write_json(
        &self,
        name: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), Error> {
        self.write(name, &(crate::output::json(value)? + "\n"))
    }

    /// Writes what the run came to, under the name that marks the folder.
    pub(crate) fn finish(&self, run: &serde_json::Value) -> Result<(), Error> {
        self.write_json(MARK, run)
    }

    /// Every file in it, by its path from here.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.0.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(name) = path.strip_prefix(&self.0) {
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        found
    }
}

/// Writes a file that the user named.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| {
        let message = format!("{} could not be written", path.display());
        Error::new(Code::Io, message).source(error)
    })
}

/// The mark goes last: a run that is cut off here can go on.
fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != MARK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_again_and_somebody_elses_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        fs::create_dir(folder.join("logs")).unwrap();
        folder.write("logs/api.log", "old").unwrap();
        folder.write("junit.xml", "old").unwrap();
        assert_eq!(folder.files(), ["junit.xml", "logs/api.log", "run.json"]);
        assert_eq!(Folder::open(&path).unwrap().files(), ["run.json"]);

        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("thesis.txt"), "x").unwrap();
        let refused = Folder::open(&theirs).unwrap_err();
        assert_eq!(refused.code(), Code::Usage);
        assert!(theirs.join("thesis.txt").exists());
        let file = Folder::open(&theirs.join("thesis.txt")).unwrap_err();
        assert_eq!(file.code(), Code::Io);
    }
}
