//! A bundle that is there: its table of contents, its configuration, and files of it for programs that need files.
//! Must not believe a document whose digest is another.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kedactl_config::Whole;
use kedactl_images::{Descriptor, Digest, Image, ImageError, Store, bytes};
use kedactl_render::Templates;
use serde_json::Value as Json;

use crate::contents::{BUNDLE, CHART, CONFIGURATION, FORMAT, TEMPLATES, TITLE, VALUES};
use crate::{BundleError, Contents};

/// An open bundle.
#[derive(Debug, Clone)]
pub struct Bundle {
    path: PathBuf,
    store: Store,
    contents: Contents,
    /// The documents of its own entry.
    documents: Vec<Descriptor>,
    digest: Digest,
}

impl Bundle {
    /// Opens a folder or a tar file. Reads the documents; layers are not looked at.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let no_bundle = |reason: String| BundleError::NoBundle {
            path: path.to_owned(),
            reason,
        };
        let store = layout(path)?;
        let entries = store
            .entries()
            .map_err(|error| no_bundle(error.to_string()))?;
        let own = entries
            .iter()
            .find(|it| it.artifact_type.as_deref() == Some(BUNDLE));
        let own = own.ok_or_else(|| no_bundle("its index names none".to_owned()))?;
        let manifest = store.manifest(own)?;
        let document: Json = parsed(path, &store.read(&manifest.config.digest)?)?;
        if document["format"] != FORMAT {
            let reason = format!(
                "it has format {}, this kedactl reads {FORMAT}",
                document["format"]
            );
            return Err(no_bundle(reason));
        }
        let contents =
            serde_json::from_value(document).map_err(|error| no_bundle(error.to_string()))?;
        let index = kedactl_images::Index::new(entries);
        Ok(Self {
            path: path.to_owned(),
            contents,
            documents: manifest.layers,
            digest: Digest::of(&bytes(&index)),
            store,
        })
    }

    /// Whether there is a bundle, of whatever version.
    pub(crate) fn is_one(path: &Path) -> bool {
        let entries = layout(path).and_then(|store| Ok(store.entries()?));
        entries.is_ok_and(|all| {
            all.iter()
                .any(|it| it.artifact_type.as_deref() == Some(BUNDLE))
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of its index: two bundles with the same one are the same.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What is in it.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Its images and blobs.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its images.
    pub fn images(&self) -> Result<Vec<Image>, ImageError> {
        self.store.images()
    }

    /// Refuses a bundle that another version of this program made.
    pub fn of_this_version(&self) -> Result<(), BundleError> {
        let here = env!("CARGO_PKG_VERSION");
        if self.contents.kedactl == here {
            return Ok(());
        }
        Err(BundleError::Foreign {
            path: self.path.clone(),
            made: self.contents.kedactl.clone(),
            here: here.to_owned(),
        })
    }

    /// The configuration, whose relative paths lead to a folder that [`Bundle::unpack`] fills.
    pub fn configuration(&self, folder: &Path) -> Result<Whole, BundleError> {
        Ok(Whole {
            values: parsed(&self.path, &self.document(CONFIGURATION)?)?,
            file: folder.join("configuration.json"),
        })
    }

    /// The templates, all of them.
    pub fn templates(&self) -> Result<Templates, BundleError> {
        let texts: BTreeMap<String, String> = parsed(&self.path, &self.document(TEMPLATES)?)?;
        let all = texts.into_iter();
        Ok(all.fold(Templates::embedded(), |all, (name, text)| {
            all.with(&name, text)
        }))
    }

    /// Writes the charts and values files for helm. Values may hold secrets: the files are this user's alone.
    pub fn unpack(&self, folder: &Path) -> Result<(), BundleError> {
        for document in &self.documents {
            let title = document.annotations.get(TITLE);
            let Some(title) =
                title.filter(|_| [CHART, VALUES].contains(&document.media_type.as_str()))
            else {
                continue;
            };
            // The name is a text of the bundle: it must not lead out of the folder.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if title.starts_with('/') || title.contains("..") || !title.chars().all(plain) {
                return Err(BundleError::NoBundle {
                    path: self.path.clone(),
                    reason: format!("`{title}` is no name of a file in it"),
                });
            }
            private(&folder.join(title), &self.store.read(&document.digest)?)?;
        }
        Ok(())
    }

    fn document(&self, media_type: &str) -> Result<Vec<u8>, BundleError> {
        let found = self.documents.iter().find(|it| it.media_type == media_type);
        let found = found.ok_or_else(|| BundleError::NoBundle {
            path: self.path.clone(),
            reason: format!("it has no {media_type}"),
        })?;
        Ok(self.store.read(&found.digest)?)
    }
}

fn layout(path: &Path) -> Result<Store, BundleError> {
    let there = fs::metadata(path).map_err(BundleError::reading(path))?;
    if there.is_dir() {
        return Ok(Store::new(path));
    }
    Store::packed(path).map_err(|error| match error {
        ImageError::Layout { path, reason } => BundleError::NoBundle { path, reason },
        other => other.into(),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, BundleError> {
    serde_json::from_slice(bytes).map_err(|error| BundleError::NoBundle {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// A file that only this user can read: values may hold secrets. What stands there already and is the same is kept.
fn private(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(BundleError::writing(parent))?;
    }
    let new = path.with_extension("new");
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path))
        .map_err(BundleError::writing(path))
}
