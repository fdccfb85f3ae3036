//! `up --bundle` before there is a cluster: the image of a kind cluster's nodes goes into the container engine.
//!
//! It must not need an engine or kind: both are played, and write down what they get.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::shop::Shop;
use kedactl_images::{Platform, Store, import};
use kedactl_tests::Outcome;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const ENGINE: &str = r#"#!/bin/sh
dir=$(dirname "$0")
case "$1 $2" in
"image inspect") cat "$dir/id" 2>/dev/null || { echo "Error: No such image" >&2; exit 1; } ;;
"load ") cat >"$dir/loaded.tar" ;;
"network ls" | "ps --all") ;;
"info --format") echo '{"version":{"Version":"5.1"}}' ;;
*) exit 1 ;;
esac
"#;

/// It can make nothing, and writes down what it was told.
const KIND: &str = r#"#!/bin/sh
dir=$(dirname "$0")
case "$1" in
version) echo "kind v0.30.0 go1.24.6 linux/amd64" ;;
get) ;;
*) printf '%s\n' "$*" >>"$dir/told"
   echo "ERROR: failed to create cluster: played" >&2; exit 1 ;;
esac
"#;

fn up(shop: &Shop, bundle: &str) -> Outcome {
    let mut sets = vec![format!("helm.program={}", shop.helm.display())];
    for (name, text, key) in [
        ("engine", ENGINE, "images.engine"),
        ("kind", KIND, "kind.program"),
    ] {
        let path = shop.context.write(&format!("played/{name}"), text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        sets.push(format!("{key}={}", path.display()));
    }
    let mut args = vec!["up", "--bundle", bundle];
    for set in &sets {
        args.extend(["--set", set]);
    }
    shop.context.run(&args)
}

#[test]
fn the_image_of_the_nodes_goes_into_an_engine_that_lacks_it() {
    let shop = Shop::new();
    let image = "hub.example.com/team/node:1";
    let node = format!("kind.image={image}");
    let created = shop.create("one.tar", &["--set", &node]);
    let entry = created["images"].as_array().unwrap().iter();
    let entry = entry.clone().find(|it| it["image"] == image).unwrap();
    let digest = entry["digest"].as_str().unwrap();
    // Named by digest too: an engine takes no such name, so it gets one by tag.
    let pinned = format!("kind.image=hub.example.com/team/node@{digest}");
    shop.create("two.tar", &["--set", &pinned]);

    for (bundle, tag) in [
        ("one.tar", "1"),
        ("two.tar", &*format!("bundle-{}", &digest[7..23])),
    ] {
        let ended = up(&shop, bundle).expect(1);
        assert!(ended.stderr.contains("image of the nodes"), "{ended:?}");
        let loaded = shop.at("played/loaded.tar");
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let found = import(&store, &loaded, &Platform::here()).unwrap();
        let name = format!("hub.example.com/team/node:{tag}");
        let found = found.iter().find(|it| it.reference.to_string() == name);
        let found = found.unwrap_or_else(|| panic!("{name} is not in the archive"));
        assert_eq!(found.manifest.digest.as_str(), digest);
        assert!(store.check().unwrap().problems.is_empty());
        let told = fs::read_to_string(shop.at("played/told")).unwrap_or_default();
        assert!(
            told.contains(&name),
            "kind makes nodes of it: {told} {ended:?}"
        );

        // An engine says the digest of the configuration, a newer one that of the manifest.
        for known in [&found.config.digest, &found.manifest.digest] {
            fs::remove_file(&loaded).unwrap_or_default();
            shop.context.write("played/id", known.as_str());
            up(&shop, bundle).check(1);
            assert!(!loaded.exists(), "it is there already");
        }
        fs::remove_file(shop.at("played/id")).unwrap();
    }

    // What a run unpacked may hold secrets: it goes, also where nothing ever came up.
    let unpacked = shop.context.dir().join("state/clusters/shop/bundle");
    assert_eq!(fs::read_dir(&unpacked).unwrap().count(), 2);
    shop.context.run(&["down", "--purge"]).check(0);
    assert!(!unpacked.exists());
}
