//! Writing to a store: blobs by rename, the index last, one writer at a time.
//! Must not leave a half-written file where a reader looks.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use super::{BLOBS, Followed, Freed, INDEX, LAYOUT, LAYOUT_JSON, Store};
use crate::digest::Hashing;
use crate::oci::{self, Descriptor, IMAGE_NAME, Index, REF_NAME};
use crate::{Digest, ImageError, Reference};

/// Files that are being written; nothing else lies there while nobody writes.
const INGEST: &str = "ingest";
const BUFFER: usize = 1 << 20;

/// The one writer of a store; others wait until it is gone.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) store: Store,
    index: Index,
    _lock: File,
}

impl Store {
    /// Becomes the store's writer; makes the folder where it is missing.
    pub(crate) fn write(&self) -> Result<Writer, ImageError> {
        if self.packed.is_some() {
            return Err(self.damaged(self.path(), "a tar file cannot be added to"));
        }
        for folder in [BLOBS, INGEST] {
            let folder = self.path.join(folder);
            fs::create_dir_all(&folder).map_err(ImageError::writing(&folder))?;
        }
        let path = self.path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(ImageError::writing(&path))?;
        let mut writer = Writer {
            index: self.index()?,
            store: self.clone(),
            _lock: lock,
        };
        writer.clear_ingest()?;
        Ok(writer)
    }

    /// Removes every blob that no image and no document needs.
    pub fn collect(&self) -> Result<Freed, ImageError> {
        self.write()?.collect()
    }

    /// Keeps the newest `keep` images of each repository, forgets older ones and removes what only they needed.
    pub fn keep_newest(&self, keep: usize) -> Result<Freed, ImageError> {
        let images = self.images()?;
        let mut writer = self.write()?;
        for (position, image) in images.iter().enumerate() {
            let newer = images[position + 1..].iter();
            let newer = newer.filter(|other| other.reference.name() == image.reference.name());
            if newer.count() >= keep {
                writer.forget(&image.reference.to_string());
                if let Some(sbom) = &image.sbom {
                    writer.forget(&sbom.reference.to_string());
                }
            }
        }
        writer.save()?;
        writer.collect()
    }
}

impl Writer {
    /// Writes a blob. One that is there already is replaced: should the disk have spoilt it, it is whole again.
    pub(crate) fn blob(
        &mut self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(Digest, u64), ImageError> {
        let ingest = self.store.path.join(INGEST);
        let refused = ImageError::writing(&ingest);
        let file = NamedTempFile::new_in(&ingest).map_err(&refused)?;
        let mut hashing = Hashing::new(BufWriter::with_capacity(BUFFER, file));
        fill(&mut hashing).map_err(&refused)?;
        let (digest, size, buffer) = hashing.finish();
        let file = buffer
            .into_inner()
            .map_err(|error| refused(error.into_error()))?;
        settle(file, &self.store.blob_path(&digest))?;
        Ok((digest, size))
    }

    /// A file for a blob that comes in pieces.
    pub(crate) fn ingest(&self) -> Result<NamedTempFile, ImageError> {
        let ingest = self.store.path.join(INGEST);
        NamedTempFile::new_in(&ingest).map_err(ImageError::writing(&ingest))
    }

    /// Takes a file of [`Writer::ingest`] in, whose bytes have this digest.
    pub(crate) fn adopt(&mut self, file: NamedTempFile, digest: &Digest) -> Result<(), ImageError> {
        settle(file, &self.store.blob_path(digest))
    }

    /// Writes a JSON document as a blob.
    pub(crate) fn document(
        &mut self,
        media_type: &str,
        document: &impl Serialize,
    ) -> Result<Descriptor, ImageError> {
        let bytes = oci::bytes(document);
        let (digest, size) = self.blob(|out| out.write_all(&bytes))?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Names an image; it becomes the newest one.
    pub(crate) fn image(&mut self, name: &Reference, manifest: Descriptor) {
        self.attached(name, manifest);
        if let Some(entry) = self.index.manifests.last_mut() {
            entry
                .annotations
                .insert(IMAGE_NAME.to_owned(), name.to_string());
        }
    }

    /// Names a document about an image.
    pub(crate) fn attached(&mut self, name: &Reference, mut manifest: Descriptor) {
        let name = name.to_string();
        self.forget(&name);
        manifest.annotations.insert(REF_NAME.to_owned(), name);
        self.index.manifests.push(manifest);
    }

    /// Makes what was named visible to readers.
    pub(crate) fn commit(mut self) -> Result<(), ImageError> {
        self.save()
    }

    fn save(&mut self) -> Result<(), ImageError> {
        self.put(LAYOUT, LAYOUT_JSON.as_bytes())?;
        self.put(INDEX, &oci::bytes(&self.index))
    }

    fn forget(&mut self, name: &str) {
        let named =
            |entry: &Descriptor| entry.annotations.get(REF_NAME).map(String::as_str) == Some(name);
        self.index.manifests.retain(|entry| !named(entry));
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let path = self.store.path.join(name);
        let ingest = self.store.path.join(INGEST);
        let mut file = NamedTempFile::new_in(&ingest).map_err(ImageError::writing(&ingest))?;
        file.write_all(bytes).map_err(ImageError::writing(&path))?;
        settle(file, &path)
    }

    /// Removes what a writer that was killed left.
    fn clear_ingest(&mut self) -> Result<(), ImageError> {
        for path in files(&self.store.path.join(INGEST))? {
            fs::remove_file(&path).map_err(ImageError::writing(&path))?;
        }
        Ok(())
    }

    fn collect(&mut self) -> Result<Freed, ImageError> {
        let mut needed = BTreeSet::new();
        for entry in &self.index.manifests {
            let Followed {
                of_platform,
                manifest,
            } = self.store.follow(entry)?;
            needed.insert(entry.digest.clone());
            needed.extend(of_platform.map(|it| it.digest));
            needed.insert(manifest.config.digest);
            needed.extend(manifest.layers.into_iter().map(|layer| layer.digest));
        }
        let needed: BTreeSet<_> = needed
            .iter()
            .map(|digest| self.store.blob_path(digest))
            .collect();
        let mut freed = Freed::default();
        for path in files(&self.store.path.join(BLOBS))? {
            if !needed.contains(&path) {
                freed.bytes += fs::metadata(&path)
                    .map_err(ImageError::reading(&path))?
                    .len();
                freed.blobs += 1;
                fs::remove_file(&path).map_err(ImageError::writing(&path))?;
            }
        }
        self.forget_unknown()?;
        Ok(freed)
    }
}

/// Moves a complete file to its place; it gets the mode that everybody may read.
fn settle(file: NamedTempFile, path: &Path) -> Result<(), ImageError> {
    let refused = ImageError::writing(path);
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))
        .map_err(&refused)?;
    file.persist(path).map_err(|error| refused(error.error))?;
    Ok(())
}

/// The files of a folder, sorted.
pub(super) fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, ImageError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(ImageError::reading(folder))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(ImageError::reading(folder))?.path());
    }
    paths.sort();
    Ok(paths)
}
