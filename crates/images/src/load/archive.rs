//! An image as an archive: a tar stream of configuration, as many layers as are wanted, and what names them: OCI's index and
//! manifest, `docker save`'s list, or both.
//! Must not write a file: the stream goes to the node as it is made.

use std::collections::BTreeSet;
use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

use crate::oci::{self, IMAGE_NAME, Index, REF_NAME};
use crate::store::{Image, Store};
use crate::{Descriptor, Digest, Reference};

const LAYOUT_JSON: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Which lists name the image in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `index.json` of an OCI layout.
    Oci,
    /// `manifest.json` as `docker save` writes it. podman would take a name from an index that holds no more than a tag.
    Docker,
    /// Each engine takes the one that it knows.
    Both,
}

/// Writes an OCI archive without the layers that the receiver has.
///
/// Manifests and the configuration are always in it: they are small, and an archive without them names nothing.
pub fn archive(
    store: &Store,
    image: &Image,
    without: &BTreeSet<Digest>,
    out: &mut dyn Write,
) -> io::Result<()> {
    write(store, image, without, Form::Oci, out)
}

/// Writes the whole image for a container engine: in the form of above and in that of `docker save`, as old engines know only
/// that one. Engines take no name by digest, so it comes under a name by tag.
pub fn engine_archive(
    store: &Store,
    image: &Image,
    name: &Reference,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut image = image.clone();
    image.reference = name.clone();
    if let Some(of_platform) = image.of_platform.take() {
        image.manifest = of_platform;
    }
    write(store, &image, &BTreeSet::new(), Form::Both, out)
}

/// Writes an archive in a form that the receiver knows.
pub(super) fn write(
    store: &Store,
    image: &Image,
    without: &BTreeSet<Digest>,
    form: Form,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut tar = Builder::new(out);
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = header(EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, folder, io::empty())?;
    }
    for blob in wanted(image, without) {
        let named = |error: io::Error| {
            let store = store.path().display();
            io::Error::new(error.kind(), format!("{store}: {}: {error}", blob.digest))
        };
        let file = store.blob(&blob.digest).map_err(named)?;
        let mut header = header(EntryType::Regular, 0o644, file.limit());
        tar.append_data(
            &mut header,
            format!("blobs/sha256/{}", blob.digest.hex()),
            file,
        )?;
    }
    let mut lists = Vec::new();
    if form != Form::Docker {
        lists.push(("index.json", index(image)));
        lists.push(("oci-layout", LAYOUT_JSON.into()));
    }
    if form != Form::Oci {
        lists.push(("manifest.json", saved(image)));
    }
    for (name, bytes) in lists {
        let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
        tar.append_data(&mut header, name, bytes.as_slice())?;
    }
    tar.into_inner()?.flush()
}

/// The blobs that such an archive has.
pub(super) fn wanted<'a>(
    image: &'a Image,
    without: &BTreeSet<Digest>,
) -> impl Iterator<Item = &'a Descriptor> {
    let documents = [
        Some(&image.manifest),
        image.of_platform.as_ref(),
        Some(&image.config),
    ];
    let documents = documents.map(|it| it.map(|it| &it.digest));
    // One layer may stand twice in an image; an archive has it once.
    let mut seen = BTreeSet::new();
    image
        .blobs()
        .filter(move |blob| {
            documents.contains(&Some(&blob.digest)) || !without.contains(&blob.digest)
        })
        .filter(move |blob| seen.insert(blob.digest.clone()))
        .collect::<Vec<_>>()
        .into_iter()
}

/// An index that names this image alone.
fn index(image: &Image) -> Vec<u8> {
    let mut entry = image.manifest.clone();
    entry.annotations.clear();
    let mut annotate = |key: &str, value: String| entry.annotations.insert(key.to_owned(), value);
    annotate(IMAGE_NAME, image.reference.to_string());
    if let Some(tag) = image.reference.tag() {
        annotate(REF_NAME, tag.to_owned());
    }
    oci::bytes(&Index::new(vec![entry]))
}

/// The list that `docker save` writes. Layers that were left out are on it: the engine looks for them among its own.
fn saved(image: &Image) -> Vec<u8> {
    let path = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.hex());
    let layers: Vec<String> = image.layers.iter().map(path).collect();
    let list = serde_json::json!([{
        "Config": path(&image.config),
        "RepoTags": [image.reference.to_string()],
        "Layers": layers,
    }]);
    list.to_string().into_bytes()
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
