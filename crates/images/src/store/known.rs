//! What files of this machine became: the blob of a layer, by what the files say of themselves without being read.
//! Must not believe a file that may have changed unseen: within the grain of its file system's clock, or while it was read.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Store, Writer};
use crate::digest::Digest;
use crate::{ImageError, oci};

/// One small file for each layer that was ever made.
pub(super) const KNOWN: &str = "known";
/// The coarsest clock of a file system in use (FAT). git's index takes the same care with files that are as young as itself.
const GRAIN: Duration = Duration::from_secs(2);

/// What a layer is made of, by the identities of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Digest of names, modes, contents at hand, and identities.
    pub(crate) key: Digest,
    /// When the youngest of its files changed last.
    pub(crate) youngest: SystemTime,
}

impl Origin {
    /// Whether a change from now on would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        now.duration_since(self.youngest)
            .is_ok_and(|age| age > GRAIN)
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    digest: Digest,
    size: u64,
}

impl Store {
    /// The blob that was made of this, if it is still there in its whole length.
    pub(crate) fn known(&self, origin: &Origin) -> Option<(Digest, u64)> {
        let text = fs::read(self.path.join(KNOWN).join(origin.key.hex())).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        let there = fs::metadata(self.blob_path(&entry.digest)).ok()?;
        (there.len() == entry.size).then_some((entry.digest, entry.size))
    }

    /// From now on every layer is made again once: one of them was found spoilt.
    pub(crate) fn believe_nothing(&self) -> Result<(), ImageError> {
        let folder = self.path.join(KNOWN);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ImageError::writing(&folder)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Writer {
    /// Notes what became of a layer. One whose files are too young is not noted: it is made again the next time.
    pub(crate) fn know(&mut self, origin: &Origin, blob: &(Digest, u64)) -> Result<(), ImageError> {
        if !origin.is_settled(SystemTime::now()) {
            return Ok(());
        }
        let folder = self.store.path.join(KNOWN);
        fs::create_dir_all(&folder).map_err(ImageError::writing(&folder))?;
        let entry = Entry {
            digest: blob.0.clone(),
            size: blob.1,
        };
        self.put(
            &format!("{KNOWN}/{}", origin.key.hex()),
            &oci::bytes(&entry),
        )
    }

    /// Forgets layers whose blob is gone; how many bytes that was is not worth a word.
    pub(super) fn forget_unknown(&self) -> Result<(), ImageError> {
        for path in super::writer::files(&self.store.path.join(KNOWN))? {
            let entry = fs::read(&path).map(|text| serde_json::from_slice::<Entry>(&text));
            let there =
                matches!(&entry, Ok(Ok(entry)) if self.store.blob_path(&entry.digest).exists());
            if !there {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(ImageError::writing(&path)(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn origin(name: &str, youngest: SystemTime) -> Origin {
        Origin {
            key: Digest::of(name.as_bytes()),
            youngest,
        }
    }

    fn old(name: &str) -> Origin {
        origin(name, SystemTime::now() - MINUTE)
    }

    #[test]
    fn what_was_made_of_old_files_is_known_and_of_young_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let mut writer = store.write().unwrap();
        let blob = writer.blob(|out| out.write_all(b"layer")).unwrap();
        let (other, young) = (old("other"), origin("young", SystemTime::now() + MINUTE));
        let old = old("old");
        writer.know(&old, &blob).unwrap();
        writer.know(&young, &blob).unwrap();
        assert_eq!(store.known(&old), Some(blob.clone()));
        assert_eq!(store.known(&young), None);
        assert_eq!(store.known(&other), None);

        fs::write(store.blob_path(&blob.0), b"cut").unwrap();
        assert_eq!(store.known(&old), None, "not in its whole length");
        fs::remove_file(store.blob_path(&blob.0)).unwrap();
        writer.forget_unknown().unwrap();
        assert_eq!(fs::read_dir(dir.path().join(KNOWN)).unwrap().count(), 0);
    }

    #[test]
    fn a_note_that_is_no_note_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let it = old("it");
        fs::create_dir_all(dir.path().join(KNOWN)).unwrap();
        fs::write(dir.path().join(KNOWN).join(it.key.hex()), "{").unwrap();
        assert_eq!(store.known(&it), None);
    }
}
