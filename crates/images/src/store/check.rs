//! Reads a whole store and compares every blob with its digest.
//! Must not mend anything: it says what is wrong.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use super::writer::files;
use super::{BLOBS, Store};
use crate::oci::{Descriptor, IMAGE_NAME, INDEX as INDEX_TYPE};
use crate::{Digest, ImageError};

/// What a check saw.
#[derive(Debug, Default)]
pub struct Checked {
    /// Number of named images.
    pub images: usize,
    /// Number of blobs that were read and hashed.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them nothing needs.
    pub unneeded: usize,
    /// Everything that is wrong, one by one.
    pub problems: Vec<ImageError>,
}

impl Store {
    /// Hashes every blob and follows every name to its end. An error is a store that cannot be read at all.
    pub fn check(&self) -> Result<Checked, ImageError> {
        let _lock = self.lock_shared()?;
        let index = self.index()?;
        let mut checked = Checked::default();
        if index.media_type != INDEX_TYPE {
            checked
                .problems
                .push(self.damaged(self.path(), "its index is of another type"));
        }
        let mut needed = BTreeSet::new();
        for entry in &index.manifests {
            checked.images += usize::from(entry.annotations.contains_key(IMAGE_NAME));
            needed.insert(entry.digest.clone());
            match self.manifest(entry) {
                Err(error) => checked.problems.push(error),
                Ok(manifest) => {
                    for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                        if needed.insert(blob.digest.clone()) {
                            checked.problems.extend(self.missing(blob));
                        }
                    }
                }
            }
        }
        for path in files(&self.path.join(BLOBS))? {
            self.hash(&path, &needed, &mut checked)?;
        }
        Ok(checked)
    }

    /// Hashes one blob.
    pub(crate) fn verify(&self, blob: &Descriptor) -> Result<(), ImageError> {
        if let Some(error) = self.missing(blob) {
            return Err(error);
        }
        let path = self.blob(&blob.digest);
        let file = File::open(&path).map_err(ImageError::reading(&path))?;
        let (found, _) = Digest::of_reader(file).map_err(ImageError::reading(&path))?;
        if found == blob.digest {
            return Ok(());
        }
        Err(self.wrong(&blob.digest, "has other bytes than its digest says"))
    }

    fn missing(&self, blob: &Descriptor) -> Option<ImageError> {
        let reason = match fs::metadata(self.blob(&blob.digest)) {
            Ok(found) if found.len() == blob.size => return None,
            Ok(found) => format!("has {} bytes, {} are right", found.len(), blob.size),
            Err(_) => "is missing".to_owned(),
        };
        Some(self.wrong(&blob.digest, &reason))
    }

    fn hash(
        &self,
        path: &Path,
        needed: &BTreeSet<Digest>,
        checked: &mut Checked,
    ) -> Result<(), ImageError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(digest) = Digest::parse(&format!("sha256:{name}")) else {
            checked
                .problems
                .push(self.damaged(path, "its name is no digest"));
            return Ok(());
        };
        let file = File::open(path).map_err(ImageError::reading(path))?;
        let (found, size) = Digest::of_reader(file).map_err(ImageError::reading(path))?;
        checked.blobs += 1;
        checked.bytes += size;
        checked.unneeded += usize::from(!needed.contains(&digest));
        // A damaged manifest was reported where it was followed.
        let told = checked
            .problems
            .iter()
            .any(|it| matches!(it, ImageError::Blob { digest: d, .. } if *d == digest));
        if found != digest && !told {
            checked
                .problems
                .push(self.wrong(&digest, "has other bytes than its digest says"));
        }
        Ok(())
    }

    fn wrong(&self, digest: &Digest, reason: &str) -> ImageError {
        ImageError::Blob {
            store: self.path.clone(),
            digest: digest.clone(),
            reason: reason.to_owned(),
        }
    }
}
