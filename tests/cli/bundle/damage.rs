//! A bundle that is broken in every way: each damage is named.
//!
//! It must not damage the bundle that it copies from.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::shop::{Shop, tree};
use kedactl_images::Digest;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A copy of a bundle, broken.
fn broken(shop: &Shop, what: impl FnOnce(&Path)) {
    let at = shop.at("broken");
    drop(fs::remove_dir_all(&at));
    for (path, bytes) in tree(&shop.at("whole")) {
        let to = at.join(path.strip_prefix(shop.at("whole")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    what(&at);
}

#[test]
fn every_blob_that_is_spoilt_or_gone_is_named() {
    let shop = Shop::new();
    shop.create("whole", &[]);
    let blobs = tree(&shop.at("whole/blobs"));
    assert!(blobs.len() > 10, "{}", blobs.len());
    for (path, bytes) in blobs {
        let digest = format!("sha256:{}", path.file_name().unwrap().to_string_lossy());
        for gone in [false, true] {
            if gone {
                fs::remove_file(&path).unwrap();
            } else {
                let mut bytes = bytes.clone();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&path, bytes).unwrap();
            }
            let outcome = shop.bundle(&["verify", "whole"]).expect(4);
            let told = outcome.stdout + &outcome.stderr;
            assert!(told.contains(&digest), "{digest}: {told}");
        }
        fs::write(&path, bytes).unwrap();
    }
    shop.bundle(&["verify", "whole"]).check(0);

    // Without helm nothing can be rendered, and that is said; damage is found all the same.
    let no_helm = [
        "bundle",
        "verify",
        "whole",
        "--set",
        "helm.program=/nowhere",
    ];
    let refused = shop.context.run(&no_helm).expect(1);
    assert!(refused.stderr.contains("KD0202"), "{refused:?}");
    let (path, _) = tree(&shop.at("whole/blobs")).remove(0);
    fs::remove_file(path).unwrap();
    shop.context.run(&no_helm).check(4);
}

#[test]
fn an_image_that_is_taken_out_is_named_with_its_place() {
    let shop = Shop::new();
    shop.create("whole", &[]);
    // The index no longer names it.
    let gone = "hub.example.com/team/reloader:2";
    broken(&shop, |at| {
        let path = at.join("index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let entries = index["manifests"].as_array_mut().unwrap();
        entries.retain(|it| it["annotations"]["io.containerd.image.name"] != gone);
        fs::write(path, index.to_string()).unwrap();
    });
    let found = shop.problems("broken", &[]);
    let leads = format!("{gone} leads to nothing");
    assert!(found.iter().any(|it| it.starts_with(&leads)), "{found:?}");

    // The table of contents no longer has it either: the objects still lead to it.
    broken(&shop, |at| {
        edited(at, |contents| {
            let images = contents["images"].as_array_mut().unwrap();
            images.retain(|it| it["image"] != gone);
        });
    });
    let found = shop.problems("broken", &[]);
    let place = "probable image of Deployment keda-system/operator of release keda, \
                 spec.template.spec.containers[0].args[0] (an argument)";
    assert_eq!(found, [format!("{gone} is not inside; {place}")]);
}

#[test]
fn what_another_version_made_or_a_bad_road_cut_is_refused() {
    let shop = Shop::new();
    shop.create("whole", &[]);
    broken(&shop, |at| {
        edited(at, |contents| contents["kedactl"] = "0.0.1".into());
    });
    let found = shop.problems("broken", &[]);
    assert!(found[0].contains("made by kedactl 0.0.1"), "{found:?}");
    for command in ["up", "plan", "diff"] {
        let refused = shop.context.run(&[command, "--bundle", "broken"]);
        let refused = refused.expect(65).stderr;
        assert!(
            refused.contains("KD1202") && refused.contains("use kedactl 0.0.1"),
            "{command}: {refused}"
        );
    }
    broken(&shop, |at| {
        edited(at, |contents| contents["format"] = 2.into());
    });
    let foreign = shop.bundle(&["verify", "broken"]).expect(65);
    assert!(foreign.stderr.contains("it has format 2"), "{foreign:?}");

    shop.create("whole.tar", &[]);
    let bytes = fs::read(shop.at("whole.tar")).unwrap();
    for part in [0, 1, 2] {
        fs::write(shop.at("cut.tar"), &bytes[..bytes.len() * part / 3]).unwrap();
        let cut = shop.bundle(&["verify", "cut.tar"]);
        assert!(matches!(cut.code, Some(4 | 65)), "{part}: {cut:?}");
    }
}

/// Changes a bundle's table of contents as somebody would who also mends the digests above it.
fn edited(at: &Path, change: impl FnOnce(&mut Value)) {
    let path = |digest: &Value| at.join("blobs/sha256").join(&digest.as_str().unwrap()[7..]);
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let put = |value: &Value| {
        let bytes = value.to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        fs::write(at.join("blobs/sha256").join(&digest[7..]), &bytes).unwrap();
        (Value::from(digest), Value::from(bytes.len()))
    };
    let mut index = read(&at.join("index.json"));
    let own = index["manifests"].as_array_mut().unwrap().iter_mut();
    let own = own
        .into_iter()
        .find(|it| !it["artifactType"].is_null())
        .unwrap();
    let mut manifest = read(&path(&own["digest"]));
    let mut contents = read(&path(&manifest["config"]["digest"]));
    for old in [&own["digest"], &manifest["config"]["digest"]] {
        fs::remove_file(path(old)).unwrap();
    }
    change(&mut contents);
    (manifest["config"]["digest"], manifest["config"]["size"]) = put(&contents);
    (own["digest"], own["size"]) = put(&manifest);
    fs::write(at.join("index.json"), index.to_string()).unwrap();
}
