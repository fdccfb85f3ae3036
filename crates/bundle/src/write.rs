//! Writes a layout: one folder, or one tar file in one stream; every blob once, hashed on its way.
//! Must not leave half a bundle under the name that was asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use kedactl_images::{Descriptor, Digest, INDEX, Image, Index, MANIFEST, Manifest, Store, bytes};
use serde_json::Value as Json;
use tar::{Builder, EntryType, Header};

use crate::{Bundle, BundleError};

const LAYOUT: &str = "oci-layout";
const LAYOUT_JSON: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const BUFFER: usize = 1 << 20;

/// What a layout shall hold.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    entries: Vec<Descriptor>,
    blobs: BTreeMap<Digest, Blob>,
}

#[derive(Debug)]
enum Blob {
    Bytes(Vec<u8>),
    /// In a store, with its length.
    Stored(Store, u64),
}

impl Layout {
    /// Adds bytes as a blob.
    pub(crate) fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.blobs.insert(digest.clone(), Blob::Bytes(bytes));
        Descriptor::new(media_type, digest, size)
    }

    /// Adds a document that is no image, and its manifest.
    pub(crate) fn artifact(
        &mut self,
        kind: Option<&str>,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Descriptor {
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: kind.map(str::to_owned),
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let mut descriptor = self.blob(MANIFEST, bytes(&manifest));
        descriptor.artifact_type = kind.map(str::to_owned);
        descriptor
    }

    /// Names something in the index.
    pub(crate) fn entry(&mut self, entry: Descriptor) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    /// Adds an image of a store with the documents about it.
    pub(crate) fn image(&mut self, store: &Store, image: &Image) {
        for blob in image.blobs() {
            self.stored(store, blob);
        }
        self.entry(image.manifest.clone());
        if let Some(about) = &image.sbom {
            for blob in [&about.manifest].into_iter().chain(&about.blobs) {
                self.stored(store, blob);
            }
            self.entry(about.manifest.clone());
        }
    }

    fn stored(&mut self, store: &Store, blob: &Descriptor) {
        let stored = || Blob::Stored(store.clone(), blob.size);
        self.blobs.entry(blob.digest.clone()).or_insert_with(stored);
    }

    /// Bytes of all blobs, each counted once.
    pub(crate) fn size(&self) -> u64 {
        self.blobs.values().map(Blob::size).sum()
    }

    /// Writes it, in the place of an earlier bundle if there is one; the digest of its index.
    pub(crate) fn write(self, at: &Path) -> Result<Digest, BundleError> {
        free(at)?;
        let index = bytes(&Index::new(self.entries.clone()));
        debug_assert_eq!(Index::new(Vec::new()).media_type, INDEX);
        if let Some(parent) = at.parent().filter(|it| !it.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(BundleError::writing(parent))?;
        }
        clear(at);
        let beside = beside(at);
        let guard = Unfinished(beside.clone());
        if is_tar(at) {
            self.tar(&beside, &index)?;
        } else {
            self.folder(&beside, &index)?;
        }
        replace(&beside, at)?;
        drop(guard);
        Ok(Digest::of(&index))
    }

    fn folder(&self, at: &Path, index: &[u8]) -> Result<(), BundleError> {
        let blobs = at.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(BundleError::writing(&blobs))?;
        for (digest, blob) in &self.blobs {
            let path = blobs.join(digest.hex());
            let mut file = File::create(&path).map_err(BundleError::writing(&path))?;
            blob.copy(digest, &path, &mut file)?;
        }
        for (name, bytes) in [(LAYOUT, LAYOUT_JSON), ("index.json", index)] {
            let path = at.join(name);
            fs::write(&path, bytes).map_err(BundleError::writing(&path))?;
        }
        Ok(())
    }

    fn tar(&self, at: &Path, index: &[u8]) -> Result<(), BundleError> {
        let refused = |error| BundleError::writing(at)(error);
        let file = File::create(at).map_err(refused)?;
        let mut tar = Builder::new(BufWriter::with_capacity(BUFFER, file));
        // Whoever reads the stream knows first what comes.
        for (name, bytes) in [(LAYOUT, LAYOUT_JSON), ("index.json", index)] {
            let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
            tar.append_data(&mut header, name, bytes).map_err(refused)?;
        }
        for folder in ["blobs/", "blobs/sha256/"] {
            let mut header = header(EntryType::Directory, 0o755, 0);
            tar.append_data(&mut header, folder, io::empty())
                .map_err(refused)?;
        }
        for (digest, blob) in &self.blobs {
            let size = blob.size();
            let mut header = header(EntryType::Regular, 0o644, size);
            header
                .set_path(format!("blobs/sha256/{}", digest.hex()))
                .map_err(refused)?;
            header.set_cksum();
            let out = tar.get_mut();
            out.write_all(header.as_bytes()).map_err(refused)?;
            blob.copy(digest, at, out)?;
            let over = (size % 512) as usize;
            let padding = [0; 512];
            let padding = if over == 0 { &[] } else { &padding[over..] };
            out.write_all(padding).map_err(refused)?;
        }
        let mut out = tar.into_inner().map_err(refused)?;
        out.flush().map_err(refused)
    }
}

impl Blob {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stored(_, size) => *size,
        }
    }

    /// Copies it; a store that has other bytes than its name says is told about.
    fn copy(&self, digest: &Digest, to: &Path, out: &mut impl Write) -> Result<(), BundleError> {
        let refused = BundleError::writing(to);
        match self {
            Self::Bytes(bytes) => out.write_all(bytes).map_err(refused),
            Self::Stored(store, size) => {
                let blob = Descriptor::new("", digest.clone(), *size);
                // Looked at before, so that a write error is not taken for a spoilt blob; both come from the same cache.
                store.verify(&blob)?;
                let copied = store
                    .blob(digest)
                    .and_then(|mut from| io::copy(&mut from.by_ref(), out));
                copied.map(drop).map_err(refused)
            }
        }
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// A name that ends in `.tar` is one file.
fn is_tar(at: &Path) -> bool {
    at.extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("tar"))
}

/// Refuses to take the place of anything but a bundle or an empty folder.
pub(crate) fn free(at: &Path) -> Result<(), BundleError> {
    let taken = || BundleError::Taken {
        path: at.to_owned(),
    };
    let Ok(there) = fs::symlink_metadata(at) else {
        return Ok(());
    };
    let empty = there.is_dir() && fs::read_dir(at).is_ok_and(|mut it| it.next().is_none());
    if empty || there.is_dir() != is_tar(at) && Bundle::is_one(at) {
        return Ok(());
    }
    Err(taken())
}

fn beside(at: &Path) -> PathBuf {
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    at.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Removes what runs that were killed were writing.
fn clear(at: &Path) {
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    let folder = at.parent().filter(|it| !it.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter();
    for entry in entries.flatten().flatten() {
        let file = entry.file_name();
        let pid = file.to_str().and_then(|it| it.strip_prefix('.'));
        let pid = pid.and_then(|it| it.strip_prefix(&*name)?.strip_prefix('.'));
        let pid = pid.and_then(|it| it.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            drop(Unfinished(entry.path()));
        }
    }
}

/// Puts what is complete where the earlier one was.
fn replace(from: &Path, to: &Path) -> Result<(), BundleError> {
    let refused = |error| BundleError::writing(to)(error);
    if to.is_dir() {
        let old = beside(&to.with_extension("old"));
        fs::rename(to, &old).map_err(refused)?;
        fs::rename(from, to).map_err(refused)?;
        return fs::remove_dir_all(&old).map_err(refused);
    }
    fs::rename(from, to).map_err(refused)
}

/// Removes what was begun and not finished.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // One of the two fits, or there is nothing any more.
        drop(fs::remove_dir_all(&self.0));
        drop(fs::remove_file(&self.0));
    }
}

/// The Chart.yaml of a chart as the document that Helm puts in front of its archive.
pub(crate) fn json(document: &Json) -> Vec<u8> {
    bytes(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        let blob = layout.blob("text/plain", b"x".to_vec());
        let entry = layout.artifact(Some(crate::contents::BUNDLE), blob, Vec::new());
        layout.entry(entry);
        layout
    }

    #[test]
    fn what_a_killed_run_left_goes_and_what_a_running_one_writes_stays() {
        let dir = tempfile::tempdir().unwrap();
        for at in ["b.tar", "b"].map(|name| dir.path().join(name)) {
            // No process has this number: the highest one is 2^22.
            let name = at.file_name().unwrap().to_string_lossy();
            let dead = at.with_file_name(format!(".{name}.99999999"));
            let alive = at.with_file_name(format!(".{name}.1"));
            for it in [&dead, &alive] {
                fs::write(it, "half").unwrap();
            }
            layout().write(&at).unwrap();
            assert!(!dead.exists() && alive.exists());
        }
    }

    #[test]
    fn a_bundle_takes_the_place_of_a_bundle_and_of_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for at in ["b.tar", "b"].map(|name| dir.path().join(name)) {
            let first = layout().write(&at).unwrap();
            assert_eq!(layout().write(&at).unwrap(), first);
            assert!(Bundle::is_one(&at));
        }
        let mine = dir.path().join("mine.tar");
        fs::write(&mine, "mine").unwrap();
        let refused = layout().write(&mine).unwrap_err();
        assert!(matches!(refused, BundleError::Taken { .. }));
        assert_eq!(fs::read(&mine).unwrap(), b"mine");
        // A folder where a file is to be, and the other way.
        let wrong = dir.path().join("folder.tar");
        fs::create_dir(&wrong).unwrap();
        fs::write(wrong.join("file"), "mine").unwrap();
        assert!(layout().write(&wrong).is_err());
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 4, "nothing half is left");
    }
}
