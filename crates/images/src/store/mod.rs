//! Images in the OCI layout: blobs by digest, shared by all images, and one index of names; a folder, or one tar file to read.
//! Must not change a blob: what is there is complete and is what its name says, or `check` says so.

mod check;
mod known;
mod packed;
mod writer;

pub use check::Checked;
pub(crate) use known::Origin;
pub(crate) use packed::Packed;
pub(crate) use writer::Writer;

use std::fs::File;
use std::io::{self, Read as _, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oci::{Descriptor, IMAGE_NAME, Index, Manifest, Platforms, REF_NAME};
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
    /// What its name leads to, whose digest is the image's: its manifest, or the list of manifests for all platforms, where
    /// the name is one by the digest of such a list.
    pub manifest: Descriptor,
    /// The manifest that is here, where `manifest` is a list.
    pub of_platform: Option<Descriptor>,
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
        self.documents().chain(self.content())
    }

    /// Manifests, outermost first.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.manifest].into_iter().chain(&self.of_platform)
    }

    /// What manifests list: the configuration and the layers.
    pub(crate) fn content(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.config].into_iter().chain(&self.layers)
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

/// A folder of images, or a tar file of one. Opening a folder reads nothing; writing to it makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
    packed: Option<Arc<Packed>>,
}

/// What an entry of an index leads to.
pub(crate) struct Followed {
    /// The manifest, where the entry is a list of them.
    pub(crate) of_platform: Option<Descriptor>,
    pub(crate) manifest: Manifest,
}

impl Store {
    /// The store in a folder, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            packed: None,
        }
    }

    /// A layout in one tar file, which is read where it lies and cannot be written to.
    pub fn packed(path: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let path = path.into();
        let packed = Some(Arc::new(Packed::open(&path)?));
        Ok(Self { path, packed })
    }

    /// Its folder, or its file.
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

    /// Every entry of its index: images, and whatever else it holds.
    pub fn entries(&self) -> Result<Vec<Descriptor>, ImageError> {
        let _lock = self.lock_shared()?;
        Ok(self.index()?.manifests)
    }

    /// Path of a blob.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(BLOBS).join(digest.hex())
    }

    /// A blob to be read as a stream; its limit is its length. Nothing compares it with its digest.
    pub fn blob(&self, digest: &Digest) -> io::Result<Take<File>> {
        self.file(&format!("{BLOBS}/{}", digest.hex()))
    }

    fn file(&self, name: &str) -> io::Result<Take<File>> {
        if let Some(packed) = &self.packed {
            return packed.file(name);
        }
        let file = File::open(self.path.join(name))?;
        let length = file.metadata()?.len();
        Ok(file.take(length))
    }

    /// Names of the files of its folder of blobs.
    fn blob_names(&self) -> Result<Vec<String>, ImageError> {
        if let Some(packed) = &self.packed {
            let prefix = format!("{BLOBS}/");
            let names = packed.names().filter_map(|it| it.strip_prefix(&prefix));
            return Ok(names.map(str::to_owned).collect());
        }
        let name = |path: PathBuf| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let files = writer::files(&self.path.join(BLOBS))?;
        Ok(files.into_iter().map(name).collect())
    }

    /// A blob's bytes, compared with its digest. For documents; layers are streamed.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        match self.blob(digest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.wrong(digest, "is missing"));
            }
            other => other
                .and_then(|mut blob| blob.read_to_end(&mut bytes))
                .map_err(ImageError::reading(&path))?,
        };
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.wrong(digest, "has other bytes than its digest says"))
        }
    }

    fn wrong(&self, digest: &Digest, reason: &str) -> ImageError {
        ImageError::Blob {
            store: self.path.clone(),
            digest: digest.clone(),
            reason: reason.to_owned(),
        }
    }

    /// The manifest that an entry of the index points at.
    pub fn manifest(&self, entry: &Descriptor) -> Result<Manifest, ImageError> {
        let bytes = self.read(&entry.digest)?;
        self.parsed(&self.blob_path(&entry.digest), &bytes)
    }

    /// Follows an entry of the index: a list of manifests leads to the one of them that is here.
    pub(crate) fn follow(&self, entry: &Descriptor) -> Result<Followed, ImageError> {
        if !entry.is_index() {
            return Ok(Followed {
                of_platform: None,
                manifest: self.manifest(entry)?,
            });
        }
        let path = self.blob_path(&entry.digest);
        let list: Platforms = self.parsed(&path, &self.read(&entry.digest)?)?;
        let mut listed = list.manifests.into_iter().map(|it| it.manifest);
        let here = listed.find(|it| self.blob(&it.digest).is_ok());
        let here =
            here.ok_or_else(|| self.wrong(&entry.digest, "lists manifests of which none is here"))?;
        let manifest = self.manifest(&here)?;
        Ok(Followed {
            of_platform: Some(here),
            manifest,
        })
    }

    fn open(&self, entry: &Descriptor, index: &Index) -> Result<Image, ImageError> {
        let name = entry.annotations.get(IMAGE_NAME).map_or("", String::as_str);
        let reference: Reference = name.parse()?;
        let Followed {
            of_platform,
            manifest,
        } = self.follow(entry)?;
        Ok(Image {
            sbom: self.attached(&sbom::reference(&reference, &entry.digest)?, index)?,
            reference,
            manifest: entry.clone(),
            of_platform,
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
        match self.text(LAYOUT) {
            Ok(text) if version(&text).as_deref() == Some("1.0.0") => {}
            Ok(_) => return Err(self.damaged(&layout, "its version is not 1.0.0")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.packed.is_some() || self.path.join(INDEX).exists() {
                    return Err(self.damaged(&layout, "the file is missing"));
                }
                return Ok(Index::new(Vec::new()));
            }
            Err(error) => return Err(ImageError::reading(&layout)(error)),
        }
        let path = self.path.join(INDEX);
        let text = self.text(INDEX).map_err(ImageError::reading(&path))?;
        self.parsed(&path, text.as_bytes())
    }

    fn text(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(name)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn parsed<T: DeserializeOwned>(&self, path: &Path, bytes: &[u8]) -> Result<T, ImageError> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(path, &error.to_string()))
    }

    pub(crate) fn damaged(&self, path: &Path, reason: &str) -> ImageError {
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
        if self.packed.is_some() {
            return Ok(None);
        }
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

/// The version that a layout says it has; other tools write it with other blanks.
fn version(text: &str) -> Option<String> {
    let file: serde_json::Value = serde_json::from_str(text).ok()?;
    file["imageLayoutVersion"].as_str().map(str::to_owned)
}
