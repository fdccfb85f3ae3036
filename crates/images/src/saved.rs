//! Images out of files that other programs saved: an OCI archive, or what `docker save` has written since ever.
//! Must not trust a file: every blob gets the digest that it has.

use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;

use crate::oci::{self, IMAGE_NAME, Index, MANIFEST, Manifest, Platform, Platforms, REF_NAME};
use crate::platforms::choose;
use crate::store::{Packed, Writer};
use crate::{Descriptor, Digest, Image, ImageError, Requested, Store};

const LAYER: &str = oci::LAYER;

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Takes every named image of an archive into the store, for one platform where it has several.
pub fn import(
    store: &Store,
    archive: &Path,
    platform: &Platform,
) -> Result<Vec<Image>, ImageError> {
    let packed = Packed::open(archive).map_err(|error| match error {
        ImageError::Layout { path, reason } => ImageError::Archive { path, reason },
        other => other,
    })?;
    let mut import = Import {
        archive,
        packed,
        writer: store.write()?,
        platform,
        names: Vec::new(),
    };
    if import.packed.file("index.json").is_ok() {
        import.layout()?;
    } else {
        import.docker()?;
    }
    let Import { names, writer, .. } = import;
    if names.is_empty() {
        return Err(wrong(
            archive,
            "none of its images has a whole name".to_owned(),
        ));
    }
    writer.commit()?;
    names.iter().map(|name| store.image(name)).collect()
}

struct Import<'a> {
    archive: &'a Path,
    packed: Packed,
    writer: Writer,
    platform: &'a Platform,
    names: Vec<String>,
}

impl Import<'_> {
    /// An OCI layout with an index of names.
    fn layout(&mut self) -> Result<(), ImageError> {
        let index: Index = self.json("index.json")?;
        for entry in index.manifests {
            let Some(name) = name(&entry) else { continue };
            self.entry(&name, entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &Requested, mut entry: Descriptor) -> Result<(), ImageError> {
        entry.annotations.clear();
        let mut inner = None;
        if entry.is_index() {
            let list: Platforms = self.json(&path(&entry.digest))?;
            let chosen = choose(&list.manifests, self.platform);
            let chosen = chosen.map_err(|has| ImageError::NoPlatform {
                image: Box::new(name.clone()),
                platform: self.platform.to_string(),
                has,
            })?;
            let mut chosen = chosen.manifest.clone();
            chosen.annotations.clear();
            inner = Some(chosen);
        }
        let of_platform = inner.as_ref().unwrap_or(&entry).clone();
        let manifest: Manifest = self.json(&path(&of_platform.digest))?;
        for blob in [&entry, &of_platform, &manifest.config]
            .into_iter()
            .chain(&manifest.layers)
        {
            self.copy(blob)?;
        }
        // Whoever names it by digest means what the archive's own entry has.
        let pinned = name.reference().pinned(&entry.digest);
        self.writer.image(&pinned, entry);
        self.names.push(pinned.to_string());
        if let Some(tagged) = name.tagged() {
            self.writer.image(tagged, of_platform);
            self.names.push(tagged.to_string());
        }
        Ok(())
    }

    fn copy(&mut self, blob: &Descriptor) -> Result<(), ImageError> {
        let (found, size) = self.take(&path(&blob.digest))?;
        if found == blob.digest && size == blob.size {
            return Ok(());
        }
        let reason = format!("blob {} has other bytes than its digest says", blob.digest);
        Err(wrong(self.archive, reason))
    }

    /// The form that `docker save` had before it wrote layouts.
    fn docker(&mut self) -> Result<(), ImageError> {
        let saved: Vec<Saved> = self.json("manifest.json")?;
        for image in saved {
            let tags = image.repo_tags.unwrap_or_default();
            let names: Vec<Requested> =
                tags.iter().map(|it| it.parse()).collect::<Result<_, _>>()?;
            if names.is_empty() {
                continue;
            }
            let (config, size) = self.take(&image.config)?;
            let config = Descriptor::new(oci::CONFIG, config, size);
            let mut layers = Vec::new();
            for layer in &image.layers {
                let (digest, size) = self.take(layer)?;
                layers.push(Descriptor::new(LAYER, digest, size));
            }
            let manifest = Manifest {
                schema_version: 2,
                media_type: MANIFEST.to_owned(),
                artifact_type: None,
                config,
                layers,
                subject: None,
                annotations: std::collections::BTreeMap::new(),
            };
            let manifest = self.writer.document(MANIFEST, &manifest)?;
            for name in names {
                self.writer.image(name.reference(), manifest.clone());
                self.names.push(name.reference().to_string());
            }
        }
        Ok(())
    }

    /// A file of the archive as a blob of the store.
    fn take(&mut self, name: &str) -> Result<(Digest, u64), ImageError> {
        let mut file = self.file(name)?;
        self.writer.blob(|out| io::copy(&mut file, out).map(drop))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, ImageError> {
        let mut bytes = Vec::new();
        let read = self.file(name)?.read_to_end(&mut bytes);
        read.map_err(ImageError::reading(self.archive))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| wrong(self.archive, format!("{name}: {error}")))
    }

    fn file(&self, name: &str) -> Result<io::Take<std::fs::File>, ImageError> {
        let missing = |_| wrong(self.archive, format!("{name} is missing in it"));
        self.packed.file(name).map_err(missing)
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The whole name of an entry; a bare tag is none.
fn name(entry: &Descriptor) -> Option<Requested> {
    let whole = entry.annotations.get(IMAGE_NAME);
    let other = entry
        .annotations
        .get(REF_NAME)
        .filter(|it| it.contains([':', '/']));
    whole.or(other)?.parse().ok()
}

fn wrong(archive: &Path, reason: String) -> ImageError {
    ImageError::Archive {
        path: archive.to_owned(),
        reason,
    }
}
