//! `kedactl bundle` as a user sees it: made once with a registry, and proved without one.
//!
//! It must not use the network beyond 127.0.0.1.

mod damage;
mod nodes;
mod shop;

use kedactl_testkit::skipped;
use kedactl_tests::Context;
use shop::{CHART, Shop, helms, names, tree};
use std::fs;

#[test]
fn a_bundle_has_everything_and_is_the_same_each_time() {
    let mut shop = Shop::new();
    for helm in helms(&shop.context) {
        shop.helm = helm;
        shop.configure();
        let first = shop.create("one", &[]);
        let all = names(&first);
        let api = all
            .iter()
            .find(|it| it.starts_with("kedactl.local/kedactl-api:"));
        assert!(api.is_some(), "{all:?}");
        let others = ["check:1", "operator:1", "reloader:2", "worker:1"];
        let others = others.map(|it| format!("hub.example.com/team/{it}"));
        assert_eq!(
            all.iter()
                .filter(|it| it.starts_with("hub"))
                .collect::<Vec<_>>(),
            others.iter().collect::<Vec<_>>()
        );
        let sum: u64 = first["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["size"].as_u64().unwrap())
            .sum();
        assert!(
            first["stored"].as_u64().unwrap() < sum / 3,
            "layers that are shared are in it once"
        );

        // Again, elsewhere, as a file, with other times: the same.
        fs::write(shop.at("charts/x/templates/all.yaml"), CHART).unwrap();
        let again = shop.create("two", &[]);
        assert_eq!(first["digest"], again["digest"]);
        let bytes = |name: &str| {
            tree(&shop.at(name))
                .into_iter()
                .map(|it| it.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(bytes("one"), bytes("two"));
        assert_eq!(shop.create("one.tar", &[])["digest"], first["digest"]);
        let tar = fs::read(shop.at("one.tar")).unwrap();
        shop.create("one.tar", &[]);
        assert_eq!(
            fs::read(shop.at("one.tar")).unwrap(),
            tar,
            "replaced by the same"
        );
        let held = String::from_utf8_lossy(&tar).contains(&*shop.context.dir().to_string_lossy());
        assert!(!held, "a path of this machine is in it");

        for path in ["one", "one.tar"] {
            let verified = shop
                .bundle(&["verify", path, "-o", "json"])
                .expect(0)
                .json();
            assert_eq!(
                (&verified["images"], &verified["problems"]),
                (&5.into(), &serde_json::json!([]))
            );
            let list = shop.bundle(&["list", path]).expect(0).stdout;
            assert!(
                list.contains("x 1.2.3 (release keda)") && list.contains("made from programs"),
                "{list}"
            );
        }
        let left: Vec<_> = fs::read_dir(shop.at("."))
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert!(
            !left
                .iter()
                .any(|it| it.to_string_lossy().starts_with(".one")),
            "{left:?}"
        );
    }
}

#[test]
fn it_is_proved_where_there_is_no_network() {
    let shop = Shop::new();
    shop.create("one.tar", &[]);
    let calls = shop.at("helm/calls");
    fs::remove_file(&calls).unwrap();
    let program = env!("CARGO_BIN_EXE_kedactl-under-test");
    let inside = Context::new("/usr/bin/unshare");
    let bundle = shop.at("one.tar").display().to_string();
    let outcome = inside.run(&[
        "-rn",
        program,
        "bundle",
        "verify",
        &bundle,
        "--set",
        &format!("helm.program={}", shop.helm.display()),
    ]);
    if outcome.stderr.contains("unshare:") {
        skipped("no network namespace can be made");
    } else {
        outcome.check(0);
        let calls = fs::read_to_string(&calls).unwrap();
        assert!(calls.contains("template keda"), "{calls}");
        assert!(
            !calls.contains("pull") && !calls.contains("--repo"),
            "{calls}"
        );
    }
}

#[test]
fn what_cannot_be_had_is_an_error_with_its_place_and_what_is_left_out_is_told() {
    let shop = Shop::new();
    let chart = CHART.replace("team/reloader:2", "team/nowhere:2");
    shop.context.write("charts/x/templates/all.yaml", &chart);
    let refused = shop.bundle(&["create", "one", "-q"]).expect(1);
    let words = "hub.example.com/team/nowhere:2 could not be had; it is named in Deployment keda-system/operator of release keda, \
                 spec.template.spec.containers[0].args[0] (an argument)";
    assert!(
        refused.stderr.contains(words) && refused.stderr.contains("KD1201"),
        "{refused:?}"
    );
    assert!(
        refused
            .stderr
            .contains("--without hub.example.com/team/nowhere:2"),
        "{refused:?}"
    );
    assert!(!shop.at("one").exists());
    let without = [
        "--without",
        "hub.example.com/team/nowhere:2",
        "--image",
        "hub.example.com/team/extra:1",
    ];
    let created = shop.create("one", &without);
    assert!(names(&created).contains(&"hub.example.com/team/extra:1".to_owned()));
    shop.bundle(&["verify", "one"]).check(0);
    let list = shop.bundle(&["list", "one"]).expect(0).stdout;
    assert!(
        list.contains("left out on purpose: hub.example.com/team/nowhere:2"),
        "{list}"
    );

    // What is asked for elsewhere each time is inside in vain.
    let always = CHART.replace("imagePullPolicy: IfNotPresent", "imagePullPolicy: Always");
    shop.context.write("charts/x/templates/all.yaml", &always);
    let said = shop.bundle(&["create", "two"]).expect(0).stderr;
    assert!(
        said.contains("hub.example.com/team/check:1 in Pod check"),
        "{said}"
    );
    let found = shop.problems("two", &[]);
    assert!(
        found.len() == 1 && found[0].contains("imagePullPolicy Always"),
        "{found:?}"
    );
    // A name that is none.
    shop.context.write(
        "charts/x/templates/all.yaml",
        &CHART.replace("team/check:1", "Team/Check"),
    );
    let refused = shop.bundle(&["create", "three"]).expect(1);
    assert!(
        refused
            .stderr
            .contains("`hub.example.com/Team/Check` is no image"),
        "{refused:?}"
    );
}

#[test]
fn values_on_top_are_held_against_what_is_inside() {
    let shop = Shop::new();
    shop.create("one.tar", &[]);
    shop.context.write(
        "more.yaml",
        "worker: {image: 'registry.example.com/other:1'}\n",
    );
    let found = shop.problems("one.tar", &["-f", "more.yaml"]);
    assert!(
        found[0].starts_with(
            "registry.example.com/other:1 is not inside; certain image of Deployment keda/worker"
        ),
        "{found:?}"
    );
    let found = shop.problems(
        "one.tar",
        &[
            "--set",
            "releases.keda.chart=oci://example.com/x",
            "--set",
            "releases.keda.version=1",
        ],
    );
    assert!(found[0].contains("oci://example.com/x"), "{found:?}");
    let up = [
        "up",
        "--bundle",
        "one.tar",
        "--set",
        "releases.keda.chart=oci://example.com/x",
        "--set",
        "releases.keda.version=1",
    ];
    let refused = shop.context.run(&up).expect(4);
    assert!(
        refused
            .stderr
            .contains("release keda has a chart that is not in the bundle"),
        "{refused:?}"
    );
}

#[test]
fn wrong_uses_are_refused_with_a_cure() {
    let shop = Shop::new();
    shop.create("one", &[]);
    fs::create_dir(shop.at("taken")).unwrap();
    shop.context.write("taken/file", "mine");
    let refused = |args: &[&str], code: i32, words: &str| {
        let outcome = shop.context.run(args).expect(code);
        assert!(
            outcome.stderr.contains(words) && outcome.stderr.contains("hint: "),
            "{outcome:?}"
        );
    };
    refused(
        &["bundle", "create", "taken"],
        64,
        "is there already and is no bundle",
    );
    assert_eq!(fs::read_to_string(shop.at("taken/file")).unwrap(), "mine");
    refused(
        &["bundle", "create", "two", "--provider", "local"],
        64,
        "the provider is local",
    );
    refused(
        &["bundle", "create", "two", "--platform", "linux/s390x"],
        64,
        "images.build makes images for",
    );
    refused(&["bundle", "verify", "taken"], 65, "is no bundle");
    refused(&["bundle", "list", "kedactl.yaml"], 65, "is not a tar file");
    refused(
        &["bundle", "verify", "nowhere"],
        1,
        "could not read nowhere",
    );
    refused(
        &["up", "--bundle", "one", "--provider", "local"],
        64,
        "a bundle is for a cluster",
    );
    refused(
        &["up", "--bundle", "one", "--set", "redis.profile=bitnami"],
        64,
        "redis.profile is chosen when a bundle is made",
    );
    refused(
        &["up", "--bundle", "one", "--project", "."],
        64,
        "--project has no effect",
    );
    refused(
        &[
            "up",
            "--bundle",
            "one",
            "--set",
            "images.build=[api, worker]",
            "--kubeconfig",
            "none",
            "--provider",
            "context",
            "--context",
            "c",
            "--set",
            "images.kindCluster=c",
        ],
        65,
        "the bundle has no image of it",
    );
    shop.context
        .run(&["bundle", "create", "two", "--platform", "linux"])
        .check(64);
    shop.context.run(&["up", "--outside", "a:1"]).check(64);
}
