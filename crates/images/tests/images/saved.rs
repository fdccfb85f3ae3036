//! Images out of files: what other programs saved, and what engines are given.
//!
//! It must not need a container engine.

use crate::pull::sound;
use crate::support::Scratch;
use kedactl_images::{Digest, Image, ImageError, Platform, archive, engine_archive, import};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn an_archive_gives_its_images_by_tag_and_by_digest() {
    let source = Scratch::new();
    let image = source.image("a");
    let file = source.dir.path().join("saved.tar");
    let mut out = fs::File::create(&file).unwrap();
    archive(&source.store, &image, &BTreeSet::new(), &mut out).unwrap();
    let target = Scratch::new();
    let found = import(&target.store, &file, &Platform::here()).unwrap();
    let digest = &image.manifest.digest;
    let names: Vec<String> = found.iter().map(|it| it.reference.to_string()).collect();
    assert_eq!(
        names,
        [
            image.reference.pinned(digest).to_string(),
            image.reference.to_string()
        ]
    );
    assert!(found.iter().all(|it| it.manifest.digest == *digest));
    sound(&target.store);

    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = import(&Scratch::new().store, &file, &Platform::here())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("other bytes than its digest says"),
        "{error}"
    );
    fs::write(&file, "nothing").unwrap();
    let error = import(&Scratch::new().store, &file, &Platform::here()).unwrap_err();
    assert!(matches!(error, ImageError::Archive { .. }), "{error}");
}

#[test]
fn what_docker_saved_before_it_wrote_layouts_is_read_too() {
    let source = Scratch::new();
    let image = source.image("a");
    let read = |digest: &Digest| source.store.read(digest).unwrap();
    let file = source.dir.path().join("saved.tar");
    let mut tar = tar::Builder::new(fs::File::create(&file).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    add("c.json", &read(&image.config.digest));
    add("1/layer.tar", &read(&image.layers[0].digest));
    add("2/layer.tar", &read(&image.layers[1].digest));
    let manifest = r#"[{"Config": "c.json", "RepoTags": ["team/app:1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]"#;
    add("manifest.json", manifest.as_bytes());
    tar.finish().unwrap();
    let target = Scratch::new();
    let found = import(&target.store, &file, &Platform::here()).unwrap();
    assert_eq!(found[0].reference.to_string(), "docker.io/team/app:1");
    let digests = |image: &Image| {
        image
            .layers
            .iter()
            .map(|it| it.digest.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(digests(&found[0]), digests(&image));
    assert_eq!(found[0].config.digest, image.config.digest);
}

#[test]
fn an_engine_gets_both_lists_and_a_name_by_tag() {
    let source = Scratch::new();
    let image = source.image("a");
    let file = source.dir.path().join("engine.tar");
    let mut out = fs::File::create(&file).unwrap();
    let name = "hub.example.com/team/node:1".parse().unwrap();
    engine_archive(&source.store, &image, &name, &mut out).unwrap();
    // The list of layouts, and the one of old engines alone.
    let target = Scratch::new();
    let found = import(&target.store, &file, &Platform::here()).unwrap();
    assert!(found.iter().any(|it| it.reference == name));
    assert!(
        found
            .iter()
            .all(|it| it.manifest.digest == image.manifest.digest)
    );
    let old = source.dir.path().join("old.tar");
    let mut tar = tar::Builder::new(fs::File::create(&old).unwrap());
    let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.ends_with("index.json") || path.ends_with("oci-layout") {
            continue;
        }
        let mut header = entry.header().clone();
        tar.append_data(&mut header, path, entry).unwrap();
    }
    tar.finish().unwrap();
    let target = Scratch::new();
    let found = import(&target.store, &old, &Platform::here()).unwrap();
    assert_eq!(found[0].reference, name);
    assert_eq!(found[0].config.digest, image.config.digest);
}
