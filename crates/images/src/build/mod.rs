//! From a specification to an image in a store: its layers, a configuration, a manifest, a bill of materials.
//! Must not read a clock, a variable or anything that the specification does not name.

mod closure;
mod elf;
mod layer;
mod search;
mod spec;
mod tree;

pub use layer::{Content, USER};
pub use spec::{ExtraFile, Layered, Program, Spec};
pub use tree::tree;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use closure::Closure;
use layer::{Entry, Layer};

use crate::oci::{self, Descriptor, Manifest};
use crate::sbom::{self, Inventory};
use crate::store::{Image, Origin, Store, Writer};
use crate::{Digest, ImageError, Reference};

/// Where programs look for certificate authorities in the image.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Builds the image into the store; the same specification and files give the same digest everywhere.
///
/// Blocks: files are read and hashed, and what the store has is written again, so that a spoilt store is whole.
pub fn build(store: &Store, spec: &Spec) -> Result<Image, ImageError> {
    make(store, spec, |_| None)
}

/// The same, but a layer whose files have not changed by what their file system says of them (device, inode, size, times)
/// is not read again.
///
/// Blocks: files are looked at, and those that changed are read and hashed.
pub fn build_changed(store: &Store, spec: &Spec) -> Result<Image, ImageError> {
    make(store, spec, |origin| store.known(origin))
}

fn make(
    store: &Store,
    spec: &Spec,
    known: impl Fn(&Origin) -> Option<(Digest, u64)>,
) -> Result<Image, ImageError> {
    // A wrong name shall not cost the work first.
    Reference::new(&spec.repository, "tag").map_err(|error| match error {
        ImageError::Reference { reason, .. } => ImageError::Reference {
            text: spec.repository.clone(),
            reason,
        },
        other => other,
    })?;
    let mut sources: Vec<_> = spec.programs.iter().map(|it| it.source.clone()).collect();
    sources.extend(programs_in_layers(spec)?);
    let closure = closure::closure(&sources, &spec.opened, &spec.roots)?;
    let mut writer = store.write()?;
    let (mut descriptors, mut history) = (Vec::new(), Vec::new());
    for (made_of, layer) in layers(spec, &closure)? {
        if !layer.is_empty() {
            let (digest, size) = blob(&mut writer, &layer, &known)?;
            descriptors.push(Descriptor::new(oci::LAYER, digest, size));
            history.push(made_of);
        }
    }
    let config = writer.document(oci::CONFIG, &config(spec, &closure, &descriptors, history))?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: oci::MANIFEST.to_owned(),
        artifact_type: None,
        config,
        layers: descriptors,
        subject: None,
        annotations: BTreeMap::new(),
    };
    let manifest = writer.document(oci::MANIFEST, &manifest)?;
    let reference = Reference::new(&spec.repository, manifest.digest.short())?;
    let inventory = Inventory::of(spec, &closure.files)?;
    attach(&mut writer, &reference, &manifest, &inventory)?;
    writer.image(&reference, manifest);
    writer.commit()?;
    store.image(&reference.to_string())
}

/// The blob of a layer: the known one, or one that is made now and known from then on.
fn blob(
    writer: &mut Writer,
    layer: &Layer,
    known: impl Fn(&Origin) -> Option<(Digest, u64)>,
) -> Result<(Digest, u64), ImageError> {
    let origin = layer.origin();
    if let Some(blob) = origin.as_ref().and_then(known) {
        return Ok(blob);
    }
    let blob = writer.blob(|out| layer.write(out))?;
    // What changed while it was read is something else now.
    if let Some(origin) = origin.filter(|it| layer.origin().as_ref() == Some(it)) {
        writer.know(&origin, &blob)?;
    }
    Ok(blob)
}

/// The layers by what they are made of, from what seldom changes to what changes with every build.
fn layers(spec: &Spec, closure: &Closure) -> Result<Vec<(String, Layer)>, ImageError> {
    let mut layers = vec![("libraries".to_owned(), libraries(spec, closure)?)];
    for more in &spec.layers {
        let mut layer = Layer::default();
        for file in &more.files {
            put(spec, &mut layer, &file.at, entry(file))?;
        }
        layers.push((more.made_of.clone(), layer));
    }
    layers.push(("programs".to_owned(), programs(spec)?));
    Ok(layers)
}

/// The ELF files of the layers between, programs before libraries: the first file of a closure names the loader.
fn programs_in_layers(spec: &Spec) -> Result<Vec<PathBuf>, ImageError> {
    let (mut programs, mut libraries) = (Vec::new(), Vec::new());
    for file in spec.layers.iter().flat_map(|layer| &layer.files) {
        let Content::File(source) = &file.content else {
            continue;
        };
        let mut magic = Vec::new();
        let opened = fs::File::open(source).map_err(ImageError::reading(source))?;
        let read = opened.take(4).read_to_end(&mut magic);
        read.map_err(ImageError::reading(source))?;
        if magic != b"\x7fELF" {
            continue;
        }
        if file.executable && !file.at.contains(".so") {
            programs.push(source.clone());
        } else {
            libraries.push(source.clone());
        }
    }
    programs.append(&mut libraries);
    Ok(programs)
}

/// The layer that images share: the loader, libraries, users, certificates.
fn libraries(spec: &Spec, closure: &Closure) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    let text = |text: &str| Entry::File {
        content: Content::Bytes(text.as_bytes().to_vec()),
        mode: 0o644,
    };
    layer.add("/etc/passwd", text(PASSWD));
    layer.add("/etc/group", text(GROUP));
    layer.add("/etc/nsswitch.conf", text(NSSWITCH));
    layer.add(
        "/tmp",
        Entry::Folder {
            mode: 0o1777,
            owner: 0,
        },
    );
    if let Some(bundle) = &spec.certificates {
        let content = Content::File(bundle.clone());
        layer.add(
            BUNDLE,
            Entry::File {
                content,
                mode: 0o644,
            },
        );
    }
    for (at, source) in &closure.files {
        let content = Content::File(source.clone());
        let mode = 0o755;
        layer.add(at, Entry::File { content, mode });
    }
    for file in &spec.shared_files {
        put(spec, &mut layer, &file.at, entry(file))?;
    }
    Ok(layer)
}

/// The layer that changes with every build: programs and the image's own files and folders.
fn programs(spec: &Spec) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    for at in &spec.writable {
        check_path(spec, at)?;
        layer.add(
            at,
            Entry::Folder {
                mode: 0o755,
                owner: USER,
            },
        );
    }
    let programs = spec.programs.iter().map(|program| {
        let content = Content::File(program.source.clone());
        (
            &program.at,
            Entry::File {
                content,
                mode: 0o755,
            },
        )
    });
    for (at, entry) in programs {
        put(spec, &mut layer, at, entry)?;
    }
    for file in &spec.files {
        put(spec, &mut layer, &file.at, entry(file))?;
    }
    Ok(layer)
}

fn entry(file: &ExtraFile) -> Entry {
    Entry::File {
        content: file.content.clone(),
        mode: if file.executable { 0o755 } else { 0o644 },
    }
}

fn put(spec: &Spec, layer: &mut Layer, at: &str, entry: Entry) -> Result<(), ImageError> {
    check_path(spec, at)?;
    if layer.add(at, entry).is_some() {
        return Err(refused(spec, format!("{at} is given twice")));
    }
    Ok(())
}

/// A place in the image is absolute and goes straight down.
fn check_path(spec: &Spec, at: &str) -> Result<(), ImageError> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let parts = at.strip_prefix('/').map(|rest| rest.split('/').all(plain));
    if parts == Some(true) {
        return Ok(());
    }
    Err(refused(
        spec,
        format!("`{at}` is not an absolute path without `.` and `..`"),
    ))
}

fn refused(spec: &Spec, reason: String) -> ImageError {
    ImageError::Spec {
        name: spec.repository.clone(),
        reason,
    }
}

fn config(
    spec: &Spec,
    closure: &Closure,
    layers: &[Descriptor],
    history: Vec<String>,
) -> oci::Config {
    let env = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let ports = spec.ports.iter();
    oci::Config {
        architecture: closure.architecture.to_owned(),
        os: "linux".to_owned(),
        execution: oci::Execution {
            user: format!("{USER}:{USER}"),
            exposed_ports: ports
                .map(|port| (format!("{port}/tcp"), BTreeMap::new()))
                .collect(),
            env: [PATH.to_owned()].into_iter().chain(env).collect(),
            entrypoint: spec.command(),
            cmd: spec.arguments.clone(),
            working_dir: spec.working_dir.clone(),
            stop_signal: spec.stop_signal.clone(),
            labels: spec.labels.clone(),
        },
        rootfs: oci::RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.digest.clone()).collect(),
        },
        history: history
            .into_iter()
            .map(|created_by| oci::History { created_by })
            .collect(),
    }
}

/// Puts the bill of materials beside the image, as a document about it.
fn attach(
    writer: &mut Writer,
    image: &Reference,
    subject: &Descriptor,
    inventory: &Inventory,
) -> Result<(), ImageError> {
    let document = inventory.cyclonedx(image, &subject.digest);
    let (digest, size) = writer.blob(|out| out.write_all(&document))?;
    let empty = writer.blob(|out| out.write_all(oci::EMPTY_JSON))?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: oci::MANIFEST.to_owned(),
        artifact_type: Some(sbom::MEDIA_TYPE.to_owned()),
        config: Descriptor::new(oci::EMPTY, empty.0, empty.1),
        layers: vec![Descriptor::new(sbom::MEDIA_TYPE, digest, size)],
        subject: Some(subject.clone()),
        annotations: BTreeMap::new(),
    };
    let mut descriptor = writer.document(oci::MANIFEST, &manifest)?;
    descriptor.artifact_type = Some(sbom::MEDIA_TYPE.to_owned());
    writer.attached(&sbom::reference(image, &subject.digest)?, descriptor);
    Ok(())
}

/// The image that `programs` of unpacked or installed packages make, with nothing but what they need.
///
/// `repository` names it; the first program is the command. Its bill of materials names the packages.
pub fn of_programs(
    store: &Store,
    repository: &str,
    programs: &[&Path],
) -> Result<Image, ImageError> {
    let sources: Vec<_> = programs.iter().map(|path| path.to_path_buf()).collect();
    build(store, &Spec::of_programs(repository, &sources))
}
