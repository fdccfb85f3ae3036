//! Reads a whole store and compares every blob with its digest.
//! Must not mend anything: it says what is wrong.

use std::collections::BTreeSet;

use super::{Followed, Store};
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
            match self.follow(entry) {
                Err(error) => checked.problems.push(error),
                Ok(Followed {
                    of_platform,
                    manifest,
                }) => {
                    needed.extend(of_platform.map(|it| it.digest));
                    for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
                        if needed.insert(blob.digest.clone()) {
                            checked.problems.extend(self.missing(blob));
                        }
                    }
                }
            }
        }
        for name in self.blob_names()? {
            self.hash(&name, &needed, &mut checked)?;
        }
        Ok(checked)
    }

    /// Hashes one blob.
    pub fn verify(&self, blob: &Descriptor) -> Result<(), ImageError> {
        if let Some(error) = self.missing(blob) {
            return Err(error);
        }
        let path = self.blob_path(&blob.digest);
        let file = self.blob(&blob.digest);
        let (found, _) = file
            .and_then(Digest::of_reader)
            .map_err(ImageError::reading(&path))?;
        if found == blob.digest {
            return Ok(());
        }
        Err(self.wrong(&blob.digest, "has other bytes than its digest says"))
    }

    fn missing(&self, blob: &Descriptor) -> Option<ImageError> {
        let reason = match self.blob(&blob.digest) {
            Ok(found) if found.limit() == blob.size => return None,
            Ok(found) => format!("has {} bytes, {} are right", found.limit(), blob.size),
            Err(_) => "is missing".to_owned(),
        };
        Some(self.wrong(&blob.digest, &reason))
    }

    fn hash(
        &self,
        name: &str,
        needed: &BTreeSet<Digest>,
        checked: &mut Checked,
    ) -> Result<(), ImageError> {
        let Some(digest) = Digest::parse(&format!("sha256:{name}")) else {
            let path = self.path().join(super::BLOBS).join(name);
            checked
                .problems
                .push(self.damaged(&path, "its name is no digest"));
            return Ok(());
        };
        let file = self.blob(&digest);
        let (found, size) = file
            .and_then(Digest::of_reader)
            .map_err(ImageError::reading(&self.blob_path(&digest)))?;
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
}
