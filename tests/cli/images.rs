//! `kedactl images` as a user sees it, with a real containerd and a real registry at the other end.
//!
//! It must not test what is in an image; crates/images does.

use crate::context;
use kedactl_testkit::{Containerd, Registry, RegistryOptions};
use kedactl_tests::{Context, Outcome};
use serde_json::Value;
use std::path::PathBuf;

const SORT: &str = "sorter=/usr/bin/sort";

fn build(context: &Context, image: &str) -> Value {
    let built = context.run(&["images", "build", image, "-o", "json"]);
    built.expect(0).json()["images"][0].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every file of the store, with its bytes.
fn blobs(context: &Context) -> Vec<PathBuf> {
    let folder = context.dir().join("state/images/blobs/sha256");
    let entries = std::fs::read_dir(folder).expect("a store");
    let entries = entries.map(|entry| entry.expect("a file of the store").path());
    entries.collect()
}

#[test]
fn the_same_digest_comes_twice_in_two_folders_with_another_umask_and_time_zone() {
    let plain = context();
    let first = build(&plain, SORT);
    assert_eq!(first, build(&plain, SORT), "twice");
    let program = env!("CARGO_BIN_EXE_kedactl-under-test");
    let other = Context::new("/bin/sh");
    let script = format!(
        "umask 077; export TZ=Asia/Tokyo LANG=tr_TR.UTF-8; exec {program} images build {SORT} -o json"
    );
    let second = other.run(&["-c", &script]).expect(0).json();
    assert_eq!(first, second["images"][0], "elsewhere");
    let names = |context: &Context| {
        let mut names: Vec<_> = blobs(context)
            .iter()
            .map(|it| it.file_name().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&plain), names(&other), "the bill of materials too");
}

#[test]
fn the_platforms_images_are_built_from_the_services_and_listed() {
    let context = context();
    let (api, worker) = (
        env!("CARGO_BIN_EXE_api-under-test"),
        env!("CARGO_BIN_EXE_worker-under-test"),
    );
    let built = context
        .run(&[
            "images", "build", "--api", api, "--worker", worker, "-o", "json",
        ])
        .expect(0)
        .json();
    let names: Vec<&str> = built["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| text(&it["image"]))
        .collect();
    assert!(
        names[0].starts_with("kedactl.local/kedactl-api:"),
        "{names:?}"
    );
    assert!(
        names[1].starts_with("kedactl.local/kedactl-worker:"),
        "{names:?}"
    );
    let layer = |image: usize| &built["images"][image]["layers"][0];
    assert_eq!(layer(0), layer(1), "one layer of libraries for both");
    let listed = context
        .run(&["images", "list", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(listed, built);
    let table = context.run(&["images", "list"]).expect(0).stdout;
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    let sbom = context
        .dir()
        .join("state/images/blobs/sha256")
        .join(&text(&built["images"][1]["sbom"])[7..]);
    let sbom = std::fs::read_to_string(sbom).unwrap();
    assert!(sbom.contains("pkg:cargo/kedactl-services@") && sbom.contains("pkg:cargo/redis@"));
    assert!(
        !sbom.contains("pkg:cargo/insta@"),
        "what only tests use is not in it"
    );
}

#[test]
fn what_cannot_be_built_or_found_is_said() {
    let context = context();
    insta::assert_snapshot!(context.run(&["images", "list"]).block(context.dir()), @r#"
        exit: 0
        --- stdout ---
        no images
        --- stderr ---
    "#);
    insta::assert_snapshot!(context.run(&["images", "build", "sorter"]).block(context.dir()), @r#"
        exit: 64
        --- stdout ---
        --- stderr ---
        error[KD0101]: `sorter` is not NAME=PROGRAM[,PROGRAM]
        hint: `kedactl help COMMAND` lists what is accepted
    "#);
    let script = context.write("run.sh", "#!/bin/sh\n");
    let image = format!("script={}", script.display());
    insta::assert_snapshot!(context.run(&["images", "build", &image]).block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0601]: [DIR]/project/run.sh cannot go into an image: it is not an ELF file
        hint: name programs of this machine: ELF files whose libraries are installed
    "#);
    insta::assert_snapshot!(context.run(&["images", "build", "Script=/bin/sh"]).block(context.dir()), @r#"
        exit: 64
        --- stdout ---
        --- stderr ---
        error[KD0101]: `kedactl.local/Script` is not an image name: its repository must be of a-z, 0-9 and single `.`, `_`, `-` between them, in parts divided by `/`
        hint: an image's name is registry/repository:tag, the repository in lower case
    "#);
    insta::assert_snapshot!(context.run(&["images", "load", "--node", "n1"]).block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0602]: no image was built in [DIR]/state/images
        hint: `kedactl images list` shows what is there, `kedactl images build` makes the platform's
    "#);
    insta::assert_snapshot!(context.run(&["images", "push", "localhost:1", "nobody"]).block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0602]: no image nobody in [DIR]/state/images
        hint: `kedactl images list` shows what is there, `kedactl images build` makes the platform's
    "#);
    context.run(&["images", "load"]).check(64);
    context
        .run(&["images", "load", "--node", "a", "--kind-cluster", "b"])
        .check(64);
    context
        .run(&["images", "push", "localhost:1", "--username", "me"])
        .check(64);
}

#[test]
fn damage_is_found_and_a_build_mends_it() {
    let context = context();
    build(&context, SORT);
    insta::assert_snapshot!(filtered(&context.run(&["images", "check"])), @r#"
        exit: Some(0)
        N images, N blobs, N MB read, N needed by no image
    "#);
    let biggest = blobs(&context)
        .into_iter()
        .max_by_key(|it| it.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&biggest).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&biggest, bytes).unwrap();
    let outcome = context.run(&["images", "check", "-o", "json"]).expect(4);
    assert!(text(&outcome.json()["problems"][0]).ends_with("has other bytes than its digest says"));
    assert!(outcome.stderr.contains("KD0603"), "{outcome:?}");
    build(&context, SORT);
    context.run(&["images", "check"]).check(0);
}

/// Sizes differ between machines; words do not.
fn filtered(outcome: &Outcome) -> String {
    let word = |word: &str| {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            "N".to_owned()
        } else {
            word.to_owned()
        }
    };
    let words: Vec<String> = outcome.stdout.split_whitespace().map(word).collect();
    format!("exit: {:?}\n{}", outcome.code, words.join(" "))
}

#[test]
fn an_image_is_loaded_and_the_node_names_it() {
    if !Containerd::can_run() {
        return;
    }
    let (context, node) = (context(), Containerd::start());
    let image = build(&context, SORT);
    let socket = node.socket().display().to_string();
    let load = |more: &[&str]| {
        context.run(&[&["images", "load", "--containerd", &socket][..], more].concat())
    };
    let loaded = load(&["-o", "json"]).expect(0).json();
    assert_eq!(
        (&loaded["loaded"][0]["how"], &loaded["loaded"][0]["digest"]),
        (&"full".into(), &image["digest"])
    );
    let there = node.ctr(&["images", "ls", "-q"]);
    assert_eq!(
        String::from_utf8_lossy(&there.stdout).trim(),
        text(&image["image"])
    );
    let again = load(&["sorter"]).expect(0);
    assert!(
        again.stdout.contains("was there") && again.stderr.contains("image load"),
        "{again:?}"
    );
}

#[test]
fn a_node_that_cannot_be_reached_is_named_with_a_cure() {
    let context = context();
    build(&context, SORT);
    let outcome = context.run(&[
        "images",
        "load",
        "--node",
        "n1",
        "--engine",
        "/not/there/docker",
        "-q",
    ]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0605]: node n1 cannot take images
          caused by: could not start `/not/there/docker`
          caused by: No such file or directory (os error 2)
        hint: `docker ps` must show the node's container running; --engine names another program
    "#);
    let outcome = context.run(&[
        "images",
        "load",
        "--kind-cluster",
        "k",
        "--engine",
        "true",
        "-q",
    ]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 1
        --- stdout ---
        --- stderr ---
        error[KD0605]: no node of kind cluster k was found
        hint: `kind get clusters` and `docker ps` show what runs
    "#);
}

#[test]
fn an_image_is_pushed_and_a_password_is_never_shown() {
    let (context, registry) = (context(), Registry::start(&RegistryOptions::default()));
    let image = build(&context, SORT);
    let to = format!("{}/team", registry.host());
    let pushed = context
        .run(&["images", "push", &to, "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(pushed["pushed"][0]["digest"], image["digest"]);
    assert_eq!(pushed["pushed"][0]["sent"], 5);
    let again = context.run(&["images", "push", &to]).expect(0);
    assert!(again.stdout.contains("0 blobs, 0.0 kB"), "{again:?}");
    let closed = Registry::start(&RegistryOptions {
        htpasswd: Some(
            "me:$2b$04$yrbGMFi69LAg9uKTx2M9JuABbDfG3qFqBTOiUbjRxq5FbeMDgZ3zi\n".to_owned(),
        ),
        ..RegistryOptions::default()
    });
    let password = context.write("password", "hunter2\n").display().to_string();
    let push = |user: &str| {
        let to = format!("{}/team", closed.host());
        context.run(&[
            "images",
            "push",
            &to,
            "-vv",
            "--username",
            user,
            "--password-file",
            &password,
        ])
    };
    let (good, bad) = (push("me").expect(0), push("you").expect(1));
    assert!(
        bad.stderr.contains("KD0606") && bad.stderr.contains("docker login"),
        "{bad:?}"
    );
    for outcome in [good, bad] {
        let all = outcome.stdout + &outcome.stderr;
        // The password, and the pairs of it and a user as they go over the wire.
        for secret in ["hunter2", "bWU6aHVudGVyMg", "eW91Omh1bnRlcjI"] {
            assert!(!all.contains(secret), "{all}");
        }
    }
}
