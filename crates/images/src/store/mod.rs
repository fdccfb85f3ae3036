//! A folder of images in the OCI layout: blobs by digest, shared by all images, and one index of names.
//! Must not change a blob: what is there is complete and is what its name says, or `check` says so.

mod check;
mod known;
mod writer;

pub use check::Checked;
pub(crate) use known::Origin;
pub(crate) use writer::Writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oci::{Descriptor, IMAGE_NAME, Index, Manifest, REF_NAME};
use crate::{Digest, ImageError, Reference, sbom};

const LAYOUT: &str = "oci-layout";
const LAYOUT_JSON: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";

/// An image of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its whole name.
    pub reference: Reference,
    /// Its manifest, whose digest is the image's.
    pub manifest: Descriptor,
    /// Its configuration; container runtimes call this digest the image id.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The bill of materials: a manifest of its own, and the document.
    pub sbom: Option<Attached>,
}

/// A document about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Name under which it is pushed beside the image.
    pub reference: Reference,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The manifest's configuration and the document itself.
    pub blobs: Vec<Descriptor>,
}

impl Image {
    /// Every blob that a node needs, the manifest first.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.manifest, &self.config]
            .into_iter()
            .chain(&self.layers)
    }

    /// Bytes of all its blobs.
    pub fn size(&self) -> u64 {
        self.blobs().map(|blob| blob.size).sum()
    }
}

/// What garbage collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A folder of images. Opening it reads nothing; writing to it makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The store in a folder, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every image, the newest last.
    pub fn images(&self) -> Result<Vec<Image>, ImageError> {
        let _lock = self.lock_shared()?;
        let index = self.index()?;
        index
            .manifests
            .iter()
            .filter(|entry| entry.annotations.contains_key(IMAGE_NAME))
            .map(|entry| self.open(entry, &index))
            .collect()
    }

    /// The newest image of each repository, in the order of building.
    pub fn newest(&self) -> Result<Vec<Image>, ImageError> {
        let images = self.images()?;
        let newest = images.iter().enumerate().filter(|(position, image)| {
            let newer = images[position + 1..].iter();
            newer
                .into_iter()
                .all(|other| other.reference.name() != image.reference.name())
        });
        Ok(newest.map(|(_, image)| image.clone()).collect())
    }

    /// One image by its whole name, or the newest of a repository by the repository's last part: `kedactl-api`.
    pub fn image(&self, name: &str) -> Result<Image, ImageError> {
        let whole = name.parse::<Reference>().ok();
        let mut images = self.images()?;
        images.retain(|image| {
            let path = image.reference.repository();
            whole.as_ref() == Some(&image.reference)
                || (!name.contains(':')
                    && (image.reference.name() == name || path.rsplit('/').next() == Some(name)))
        });
        images.pop().ok_or_else(|| ImageError::Unknown {
            name: name.to_owned(),
            store: self.path.clone(),
        })
    }

    /// The `CycloneDX` document of an image.
    pub fn sbom(&self, image: &Image) -> Result<Option<Vec<u8>>, ImageError> {
        let document = image.sbom.as_ref().and_then(|sbom| sbom.blobs.last());
        document.map(|blob| self.read(&blob.digest)).transpose()
    }

    /// Path of a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join(BLOBS).join(digest.hex())
    }

    /// A blob's bytes, compared with its digest. For documents; layers are streamed.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.blob(digest);
        let wrong = |reason: &str| ImageError::Blob {
            store: self.path.clone(),
            digest: digest.clone(),
            reason: reason.to_owned(),
        };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(wrong("is missing"));
            }
            other => other.map_err(ImageError::reading(&path))?,
        };
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(wrong("has other bytes than its digest says"))
        }
    }

    /// The manifest that an entry of the index points at.
    pub(crate) fn manifest(&self, entry: &Descriptor) -> Result<Manifest, ImageError> {
        let bytes = self.read(&entry.digest)?;
        self.parsed(&self.blob(&entry.digest), &bytes)
    }

    fn open(&self, entry: &Descriptor, index: &Index) -> Result<Image, ImageError> {
        let name = entry.annotations.get(IMAGE_NAME).map_or("", String::as_str);
        let reference: Reference = name.parse()?;
        let manifest = self.manifest(entry)?;
        Ok(Image {
            sbom: self.attached(&sbom::reference(&reference, &entry.digest)?, index)?,
            reference,
            manifest: entry.clone(),
            config: manifest.config,
            layers: manifest.layers,
        })
    }

    fn attached(
        &self,
        reference: &Reference,
        index: &Index,
    ) -> Result<Option<Attached>, ImageError> {
        let name = reference.to_string();
        let entry = index
            .manifests
            .iter()
            .find(|it| it.annotations.get(REF_NAME) == Some(&name));
        let Some(entry) = entry else {
            return Ok(None);
        };
        let manifest = self.manifest(entry)?;
        Ok(Some(Attached {
            reference: reference.clone(),
            manifest: entry.clone(),
            blobs: [manifest.config]
                .into_iter()
                .chain(manifest.layers)
                .collect(),
        }))
    }

    /// The index; empty where the folder is not there yet.
    fn index(&self) -> Result<Index, ImageError> {
        let layout = self.path.join(LAYOUT);
        match fs::read_to_string(&layout) {
            Ok(text) if text.trim() == LAYOUT_JSON => {}
            Ok(_) => return Err(self.damaged(&layout, "its version is not 1.0.0")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.join(INDEX).exists() {
                    return Err(self.damaged(&layout, "the file is missing"));
                }
                return Ok(Index::new(Vec::new()));
            }
            Err(error) => return Err(ImageError::reading(&layout)(error)),
        }
        let path = self.path.join(INDEX);
        let bytes = fs::read(&path).map_err(ImageError::reading(&path))?;
        self.parsed(&path, &bytes)
    }

    fn parsed<T: DeserializeOwned>(&self, path: &Path, bytes: &[u8]) -> Result<T, ImageError> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(path, &error.to_string()))
    }

    fn damaged(&self, path: &Path, reason: &str) -> ImageError {
        ImageError::Layout {
            path: if path.starts_with(&self.path) {
                path.to_owned()
            } else {
                self.path.clone()
            },
            reason: reason.to_owned(),
        }
    }

    /// Keeps writers out while it lives. A store that is not there needs no lock.
    fn lock_shared(&self) -> Result<Option<File>, ImageError> {
        let path = self.path.join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ImageError::reading(&path)(error)),
        };
        file.lock_shared().map_err(ImageError::reading(&path))?;
        Ok(Some(file))
    }
}
