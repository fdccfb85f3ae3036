//! The store: names, damage, garbage, writers beside each other.
//!
//! It must not look into images.

use crate::support::{self, Scratch, spec};
use kedactl_images::{Freed, Image, ImageError, Spec, build, build_changed};
use kedactl_testkit::until;
use std::fs::{self, File};
use std::time::Duration;

#[test]
fn an_image_is_found_by_its_whole_name_and_the_newest_by_its_last_part() {
    let scratch = Scratch::new();
    assert!(scratch.store.images().unwrap().is_empty());
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    assert_eq!(scratch.store.image("test-program").unwrap(), b);
    assert_eq!(scratch.store.image(&a.reference.to_string()).unwrap(), a);
    scratch.image("a");
    assert_eq!(
        scratch.store.image("kedactl.local/test-program").unwrap(),
        a,
        "built last"
    );
    let error = scratch.store.image("other").unwrap_err();
    assert!(matches!(error, ImageError::Unknown { .. }), "{error}");
}

#[test]
fn every_kind_of_damage_is_found() {
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let path = |digest: &kedactl_images::Digest| {
        scratch.store.path().join("blobs/sha256").join(digest.hex())
    };
    let problems = || -> Vec<String> {
        let checked = scratch.store.check().unwrap();
        checked.problems.iter().map(ToString::to_string).collect()
    };
    assert!(problems().is_empty());
    for blob in image.blobs().chain(&image.sbom.as_ref().unwrap().blobs) {
        let path = path(&blob.digest);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let found = problems();
        assert!(
            found.len() == 1 && found[0].contains(blob.digest.as_str()),
            "{found:?}"
        );
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(!problems().is_empty(), "cut: {}", blob.media_type);
        fs::remove_file(&path).unwrap();
        assert!(
            problems().iter().any(|it| it.ends_with("is missing")),
            "{:?}",
            problems()
        );
        fs::write(&path, &whole).unwrap();
    }
    assert!(problems().is_empty());
    fs::write(scratch.store.path().join("index.json"), "{").unwrap();
    assert!(
        scratch
            .store
            .check()
            .unwrap_err()
            .to_string()
            .contains("index.json")
    );
}

#[test]
fn a_spoilt_blob_is_whole_again_after_a_build() {
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let layer = scratch
        .store
        .path()
        .join("blobs/sha256")
        .join(image.layers[0].digest.hex());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[1000] ^= 1;
    fs::write(&layer, bytes).unwrap();
    scratch.image("a");
    assert!(scratch.store.check().unwrap().problems.is_empty());
}

#[test]
fn a_layer_is_read_again_when_one_of_its_files_has_changed_and_only_then() {
    let scratch = Scratch::new();
    let program = scratch.dir.path().join("program");
    fs::copy(support::program("sort"), &program).unwrap();
    let spec = Spec::of_programs("kedactl.local/known", std::slice::from_ref(&program));
    let built = || build_changed(&scratch.store, &spec).unwrap();
    let first = built();
    let spoil = |image: &Image| {
        let layer = &image.layers.last().unwrap().digest;
        let path = scratch.store.path().join("blobs/sha256").join(layer.hex());
        let mut bytes = fs::read(&path).unwrap();
        bytes[1000] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    let whole = || scratch.store.check().unwrap().problems.is_empty();

    // Once it is old enough, nothing is read: what is spoilt stays so, until a build that believes nothing.
    until(
        "a program that is old enough",
        Duration::from_secs(30),
        || {
            built();
            spoil(&first);
            let left_alone = {
                built();
                !whole()
            };
            build(&scratch.store, &spec).unwrap();
            assert!(whole());
            left_alone
        },
    );

    // Other bytes of the same length, and a time that was set back: the file system's own time tells.
    let before = fs::metadata(&program).unwrap().modified().unwrap();
    let mut bytes = fs::read(&program).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&program, bytes).unwrap();
    File::options()
        .write(true)
        .open(&program)
        .unwrap()
        .set_modified(before)
        .unwrap();
    assert_ne!(built().manifest, first.manifest);
}

#[test]
fn garbage_is_what_no_name_leads_to() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    assert_eq!(scratch.store.collect().unwrap(), Freed::default());
    fs::write(
        scratch.store.path().join("ingest/left"),
        "by a killed build",
    )
    .unwrap();
    let freed = scratch.store.keep_newest(1).unwrap();
    // Its manifest, configuration and programs; its bill of materials and that one's manifest.
    assert_eq!(freed.blobs, 5, "{freed:?}");
    assert_eq!(scratch.store.images().unwrap(), [b]);
    assert!(scratch.store.image(&a.reference.to_string()).is_err());
    let checked = scratch.store.check().unwrap();
    assert_eq!((checked.problems.len(), checked.unneeded), (0, 0));
    assert_eq!(
        fs::read_dir(scratch.store.path().join("ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn writers_beside_each_other_lose_nothing() {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for mark in 0..6 {
            let store = &scratch.store;
            scope.spawn(move || build(store, &spec(&mark.to_string())).unwrap());
        }
    });
    assert_eq!(scratch.store.images().unwrap().len(), 6);
    assert!(scratch.store.check().unwrap().problems.is_empty());
}
