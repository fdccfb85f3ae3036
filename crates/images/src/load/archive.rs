//! An image as an archive: a tar stream of configuration, as many layers as are wanted, and what names them: OCI's index and
//! manifest, `docker save`'s list, or both.
//! Must not write a file: the stream goes to the node as it is made.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

use crate::oci::{self, IMAGE_NAME, Index, REF_NAME};
use crate::store::{Image, Store};
use crate::{Descriptor, Digest};

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
/// The manifest and the configuration are always in it: they are small, and an archive without them names nothing.
pub fn archive(
    store: &Store,
    image: &Image,
    without: &BTreeSet<Digest>,
    out: &mut dyn Write,
) -> io::Result<()> {
    write(store, image, without, Form::Oci, out)
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
        let path = store.blob(&blob.digest);
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(&path).map_err(named)?;
        let size = file.metadata().map_err(named)?.len();
        let mut header = header(EntryType::Regular, 0o644, size);
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
    let documents = [&image.manifest.digest, &image.config.digest];
    // One layer may stand twice in an image; an archive has it once.
    let mut seen = BTreeSet::new();
    image
        .blobs()
        .filter(move |blob| documents.contains(&&blob.digest) || !without.contains(&blob.digest))
        .filter(move |blob| seen.insert(blob.digest.clone()))
        .collect::<Vec<_>>()
        .into_iter()
}

/// An index that names this image alone.
fn index(image: &Image) -> Vec<u8> {
    let mut entry = image.manifest.clone();
    let name = image.reference.to_string();
    entry.annotations = [
        (IMAGE_NAME, name),
        (REF_NAME, image.reference.tag().to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
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
