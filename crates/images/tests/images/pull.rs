//! Pulling from a real registry: what comes, what does not come twice, and what a bad road does to it.
//!
//! It must not use the network beyond 127.0.0.1.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::hub::{Fault, Hub, MANIFEST, Road};
use crate::support::Scratch;
use kedactl_images::{
    ContainerdSocket, Credentials, How, Image, ImageError, Platform, Pulled, Requested, Store,
    Upstream, load, pull, push,
};
use kedactl_plan::Discard;
use kedactl_testkit::{Containerd, Registry, RegistryOptions};
use std::collections::BTreeMap;
use std::fs;

const HTPASSWD: &str = "me:$2b$04$yrbGMFi69LAg9uKTx2M9JuABbDfG3qFqBTOiUbjRxq5FbeMDgZ3zi\n";

fn blocking<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn pulled_as(
    store: &Store,
    name: &str,
    mirrors: &BTreeMap<String, String>,
    platform: &Platform,
    credentials: &Credentials,
) -> Result<Pulled, ImageError> {
    let wanted: Requested = name.parse()?;
    let upstream = Upstream {
        credentials,
        mirrors,
        platform,
    };
    blocking(pull(store, &wanted, &upstream, &Discard))
}

fn pulled(
    store: &Store,
    name: &str,
    mirrors: &BTreeMap<String, String>,
) -> Result<Pulled, ImageError> {
    pulled_as(
        store,
        name,
        mirrors,
        &Platform::here(),
        &Credentials::Anonymous,
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

pub(crate) fn sound(store: &Store) {
    let checked = store.check().unwrap();
    assert!(checked.problems.is_empty(), "{:?}", checked.problems);
}

#[test]
fn an_image_comes_whole_and_what_is_there_does_not_come_again() {
    let hub = Hub::new(&RegistryOptions::default());
    let published = hub.publish("team/app:1", "a", &Credentials::Anonymous);
    let target = Scratch::new();
    let first = pulled(&target.store, "hub.example.com/team/app:1", &hub.mirrors()).unwrap();
    assert_eq!(
        first.image.reference.to_string(),
        "hub.example.com/team/app:1"
    );
    assert_eq!(first.image.manifest.digest, published.manifest.digest);
    assert_eq!(first.fetched, published.size() - published.manifest.size);
    sound(&target.store);
    let again = pulled(&target.store, "hub.example.com/team/app:1", &hub.mirrors()).unwrap();
    assert_eq!((again.fetched, again.image), (0, first.image.clone()));
    // A spoilt blob is as good as none.
    let layer = target
        .store
        .path()
        .join("blobs/sha256")
        .join(first.image.layers[0].digest.hex());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[700] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let mended = pulled(&target.store, "hub.example.com/team/app:1", &hub.mirrors()).unwrap();
    assert_eq!(mended.fetched, first.image.layers[0].size);
    sound(&target.store);
    hub.publish("team/app:2", "b", &Credentials::Anonymous);
    let next = pulled(&target.store, "hub.example.com/team/app:2", &hub.mirrors()).unwrap();
    assert!(
        next.fetched < first.fetched,
        "the layer of libraries is there"
    );
}

#[test]
fn of_a_list_comes_the_one_platform_and_a_name_by_digest_keeps_the_list() {
    let hub = Hub::new(&RegistryOptions::default());
    let (own, list) = hub.publish_list("team/many", "1", "a");
    let target = Scratch::new();
    let tagged = pulled(&target.store, "hub.example.com/team/many:1", &hub.mirrors()).unwrap();
    assert_eq!(tagged.image.manifest.digest, own.manifest.digest);
    assert_eq!(tagged.digest, list);
    assert_eq!(tagged.image.of_platform, None);

    let pinned = format!("hub.example.com/team/many:1@{list}");
    let pinned = pulled(&target.store, &pinned, &hub.mirrors()).unwrap();
    assert_eq!(
        pinned.image.reference.to_string(),
        format!("hub.example.com/team/many@{list}")
    );
    assert_eq!(pinned.image.manifest.digest, list);
    assert_eq!(
        pinned.image.of_platform.as_ref().unwrap().digest,
        own.manifest.digest
    );
    assert_eq!(pinned.fetched, 0, "its blobs are those of the other name");
    sound(&target.store);
    assert_eq!(
        target.store.collect().unwrap().blobs,
        0,
        "all of it is needed"
    );

    let foreign: Platform = "linux/s390x".parse().unwrap();
    let other = Scratch::new();
    let it = pulled_as(
        &other.store,
        "hub.example.com/team/many:1",
        &hub.mirrors(),
        &foreign,
        &Credentials::Anonymous,
    );
    assert_ne!(it.unwrap().image.manifest.digest, own.manifest.digest);
    let none: Platform = "linux/riscv64".parse().unwrap();
    let error = pulled_as(
        &other.store,
        "hub.example.com/team/many:1",
        &hub.mirrors(),
        &none,
        &Credentials::Anonymous,
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("is not there for linux/riscv64, only for linux/s390x, linux/"),
        "{error}"
    );
    // One manifest without a list says in its configuration what it is for.
    let error = pulled_as(
        &other.store,
        "hub.example.com/team/many:a",
        &hub.mirrors(),
        &none,
        &Credentials::Anonymous,
    );
    assert!(matches!(error.unwrap_err(), ImageError::NoPlatform { .. }));
}

#[test]
fn a_name_by_digest_is_found_on_a_node() {
    if !Containerd::can_run() {
        return;
    }
    let hub = Hub::new(&RegistryOptions::default());
    let (own, list) = hub.publish_list("team/many", "1", "a");
    let target = Scratch::new();
    let mut images: Vec<Image> = Vec::new();
    for digest in [&list, &own.manifest.digest] {
        let name = format!("hub.example.com/team/many:1@{digest}");
        images.push(pulled(&target.store, &name, &hub.mirrors()).unwrap().image);
    }
    let node = Containerd::start();
    let nodes = [ContainerdSocket::new(node.socket())];
    let loaded = blocking(load(&target.store, &images, &nodes, &Discard)).unwrap();
    assert_eq!([loaded[0].how, loaded[1].how], [How::Full, How::Delta]);
    let again = blocking(load(&target.store, &images, &nodes, &Discard)).unwrap();
    assert!(again.iter().all(|it| it.how == How::Present), "{again:?}");
    for image in &images {
        let name = image.reference.to_string();
        assert!(name.contains("@sha256:"));
        let output = node.run_in(&name, &["/usr/bin/sort", "/srv/mark"]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "a",
            "{name}: {output:?}"
        );
    }
}

#[test]
fn a_bad_road_is_travelled_again_from_where_it_ended() {
    let hub = Hub::new(&RegistryOptions::default());
    let published = hub.publish("team/app:1", "a", &Credentials::Anonymous);
    let big = published.layers.iter().max_by_key(|it| it.size).unwrap();
    let part = format!("blobs/{}", big.digest);
    for (fault, times, ranges) in [
        (Fault::Status(429), 3, true),
        (Fault::Status(503), 2, true),
        (Fault::Cut(5000), 1, true),
        (Fault::Cut(0), 3, true),
        (Fault::Cut(70_000), 2, false),
    ] {
        let road = Road::to(&hub.registry, &part, fault, times, ranges);
        let target = Scratch::new();
        let pulled = pulled(&target.store, "hub.example.com/team/app:1", &road.mirrors());
        let pulled = pulled.unwrap_or_else(|error| panic!("{fault:?}: {}", chain(&error)));
        assert_eq!(pulled.image.manifest.digest, published.manifest.digest);
        sound(&target.store);
        let asked: Vec<String> = road
            .seen()
            .into_iter()
            .filter(|it| it.contains(&part))
            .collect();
        assert_eq!(asked.len(), times + 1, "{asked:?}");
        let went_on = matches!(fault, Fault::Cut(length) if length > 0);
        assert_eq!(
            asked[times].contains("bytes="),
            went_on,
            "{fault:?}: {asked:?}"
        );
    }
}

#[test]
fn what_does_not_get_better_is_told_and_leaves_nothing_behind() {
    let hub = Hub::new(&RegistryOptions::default());
    let published = hub.publish("team/app:1", "a", &Credentials::Anonymous);
    let blob = format!("blobs/{}", published.layers[1].digest);
    for (part, fault, times, words) in [
        (&*blob, Fault::Flip, 9, "gave bytes of sha256:"),
        ("manifests", Fault::Flip, 9, "gave bytes of sha256:"),
        (
            &*blob,
            Fault::Status(500),
            99,
            "refused to give blob sha256:",
        ),
        (
            "manifests",
            Fault::Later(429),
            1,
            "refused to give the manifest 1",
        ),
        (
            &*blob,
            Fault::Status(404),
            1,
            "refused to give blob sha256:",
        ),
    ] {
        let road = Road::to(&hub.registry, part, fault, times, true);
        let target = Scratch::new();
        let error =
            pulled(&target.store, "hub.example.com/team/app:1", &road.mirrors()).unwrap_err();
        assert!(
            chain(&error).contains(words),
            "{fault:?}: {}",
            chain(&error)
        );
        assert!(
            target.store.images().unwrap().is_empty(),
            "no name for half an image"
        );
        let ingest = target.store.path().join("ingest");
        assert_eq!(
            fs::read_dir(ingest).map_or(0, Iterator::count),
            0,
            "{fault:?}"
        );
    }
    let missing = pulled(
        &Scratch::new().store,
        "hub.example.com/team/none:1",
        &hub.mirrors(),
    )
    .unwrap_err();
    assert!(
        chain(&missing).contains("MANIFEST_UNKNOWN")
            || chain(&missing).contains("manifest unknown"),
        "{}",
        chain(&missing)
    );
    hub.manifest(
        "team/app",
        "odd",
        MANIFEST,
        &fs::read_to_string(
            hub.scratch
                .store
                .path()
                .join("blobs/sha256")
                .join(published.manifest.digest.hex()),
        )
        .unwrap(),
    );
    let there = pulled(
        &Scratch::new().store,
        "hub.example.com/team/app:odd",
        &hub.mirrors(),
    );
    there.unwrap();
}

#[test]
fn a_login_is_used_and_a_wrong_one_is_refused_without_being_shown() {
    let given = |password: &str| Credentials::Given {
        username: "me".to_owned(),
        password: password.to_owned(),
    };
    let hub = Hub::new(&RegistryOptions {
        htpasswd: Some(HTPASSWD.to_owned()),
        ..RegistryOptions::default()
    });
    hub.publish("team/app:1", "a", &given("hunter2"));
    let target = Scratch::new();
    let name = "hub.example.com/team/app:1";
    for wrong in [Credentials::Anonymous, given("letmein")] {
        let error = pulled_as(
            &target.store,
            name,
            &hub.mirrors(),
            &Platform::here(),
            &wrong,
        )
        .unwrap_err();
        let text = format!("{} {error:?}", chain(&error));
        assert!(
            text.contains("refused") && !text.contains("letmein"),
            "{text}"
        );
    }
    pulled_as(
        &target.store,
        name,
        &hub.mirrors(),
        &Platform::here(),
        &given("hunter2"),
    )
    .unwrap();
}

#[test]
fn a_list_of_which_one_platform_is_here_is_refused_with_the_name_to_take() {
    let hub = Hub::new(&RegistryOptions::default());
    let (own, list) = hub.publish_list("team/many", "1", "a");
    let target = Scratch::new();
    let name = format!("hub.example.com/team/many@{list}");
    let image = pulled(&target.store, &name, &hub.mirrors()).unwrap().image;
    let other = Registry::start(&RegistryOptions::default());
    let to = image.reference.mirrored(&other.host()).unwrap();
    let pushed = push(
        &target.store,
        &image,
        &to,
        &Credentials::Anonymous,
        &Discard,
    );
    let error = blocking(pushed).unwrap_err();
    assert!(matches!(error, ImageError::PartOfList { .. }), "{error:?}");
    let (text, hint) = (error.to_string(), error.hint().unwrap());
    assert!(text.contains(list.as_str()), "{text}");
    let here = format!("@{}", own.manifest.digest);
    assert!(hint.contains(&here), "{hint}");
    // What the hint says works: the one manifest is taken.
    let name = format!("hub.example.com/team/many{here}");
    let image = pulled(&target.store, &name, &hub.mirrors()).unwrap().image;
    let to = image.reference.mirrored(&other.host()).unwrap();
    blocking(push(
        &target.store,
        &image,
        &to,
        &Credentials::Anonymous,
        &Discard,
    ))
    .unwrap();
}
