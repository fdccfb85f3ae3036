//! What is in an image, and that the same input makes the same bytes.
//!
//! It must not need a container runtime but for running what was built.

use crate::support::{Scratch, program, spec};
use kedactl_images::{Content, ExtraFile, Service, Spec, Store, build, of_programs, service};
use kedactl_testkit::Containerd;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[test]
fn the_same_input_makes_the_same_digest_in_any_folder() {
    let (first, second) = (Scratch::new(), Scratch::new());
    let image = first.image("a");
    assert_eq!(image.reference, first.image("a").reference, "twice");
    assert_eq!(image, second.image("a"), "in another folder");
    assert_ne!(image.reference, first.image("b").reference);
    assert_eq!(image.reference.tag(), Some(image.manifest.digest.short()));
}

#[test]
fn times_and_modes_of_files_do_not_matter() {
    let scratch = Scratch::new();
    let copy = |folder: &str, mode: u32| {
        let folder = scratch.dir.path().join(folder);
        fs::create_dir(&folder).unwrap();
        let path = folder.join("sort");
        fs::write(&path, fs::read(program("sort")).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        of_programs(&scratch.store, "kedactl.local/x", &[&path]).unwrap()
    };
    assert_eq!(copy("one", 0o700), copy("two", 0o644));
}

#[test]
fn images_share_the_layer_of_libraries_and_differ_in_the_programs() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    assert_eq!(a.layers.len(), 2);
    assert_eq!(a.layers[0], b.layers[0]);
    assert_ne!(a.layers[1], b.layers[1]);
    assert!(a.layers[0].size > 1_000_000, "libc is in it: {a:?}");
}

#[test]
fn the_configuration_says_how_the_image_runs() {
    let scratch = Scratch::new();
    let spec = service(Service::Api, &program("sort"), "0.1.0");
    let image = build(&scratch.store, &spec).unwrap();
    assert!(
        image
            .reference
            .to_string()
            .starts_with("kedactl.local/kedactl-api:")
    );
    let config = blob(&scratch.store, image.config.digest.hex());
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/kedactl-api");
    assert!(config["config"]["ExposedPorts"]["8000/tcp"].is_object());
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.version"],
        "0.1.0"
    );
    assert_eq!(
        config["rootfs"]["diff_ids"][1],
        image.layers[1].digest.as_str()
    );
    assert_eq!(config["created"], serde_json::Value::Null);
}

#[test]
fn the_bill_of_materials_names_crates_and_the_packages_of_libraries() {
    let scratch = Scratch::new();
    let spec = service(Service::Worker, &program("sort"), "0.1.0");
    let image = build(&scratch.store, &spec).unwrap();
    let text = scratch.store.sbom(&image).unwrap().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let purls: Vec<&str> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|component| component["purl"].as_str())
        .collect();
    assert!(
        purls.iter().any(|purl| purl.starts_with("pkg:cargo/axum@")),
        "{purls:?}"
    );
    if Path::new("/var/lib/dpkg/status").exists() {
        for package in ["pkg:deb/debian/libc6@", "pkg:deb/debian/coreutils@"] {
            assert!(
                purls.iter().any(|purl| purl.starts_with(package)),
                "{package}: {purls:?}"
            );
        }
    }
    let subject = &document["metadata"]["component"];
    assert_eq!(subject["version"], image.manifest.digest.as_str());
}

#[test]
fn an_image_of_an_installed_package_runs_with_nothing_of_this_machine() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let redis = ["redis-server", "redis-cli"].map(program);
    let mut spec = Spec::of_programs("kedactl.local/redis", &redis);
    spec.writable.push("/data".to_owned());
    spec.env = BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]);
    let image = build(&scratch.store, &spec).unwrap();
    let node = Containerd::start();
    crate::load::blocking(&scratch.store, std::slice::from_ref(&image), &[&node]).unwrap();
    let name = image.reference.to_string();
    for program in ["/usr/bin/redis-server", "/usr/bin/redis-cli"] {
        let output = node.run_in(&name, &[program, "--version"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains('7'),
            "{program}: {output:?}"
        );
    }
}

/// Debian's programs read files beside them; without those Alertmanager does not start.
#[test]
fn prometheus_and_alertmanager_run_with_what_is_packed_beside_them() {
    let names = ["prometheus", "prometheus-alertmanager"];
    let [Ok(prometheus), Ok(alertmanager)] = names.map(kedactl_exec::find) else {
        kedactl_testkit::skipped("no prometheus or no prometheus-alertmanager is installed");
        return;
    };
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let config = "route: {receiver: none}\nreceivers: [{name: none}]\n";
    let mut of_alertmanager = kedactl_images::alertmanager(&alertmanager);
    of_alertmanager.files.push(ExtraFile {
        at: "/etc/alertmanager.yml".to_owned(),
        content: Content::Bytes(config.as_bytes().to_vec()),
        executable: false,
    });
    of_alertmanager.writable.push("/data".to_owned());
    let specs = [kedactl_images::prometheus(&prometheus), of_alertmanager];
    let [prometheus, alertmanager] = specs.map(|spec| build(&scratch.store, &spec).unwrap());
    let images = [prometheus.clone(), alertmanager.clone()];
    crate::load::blocking(&scratch.store, &images, &[&node]).unwrap();
    let said = node.run_in(
        &prometheus.reference.to_string(),
        &["/usr/bin/prometheus", "--version"],
    );
    assert!(said.status.success(), "{said:?}");
    // It reads its own templates before it listens, which it cannot at an address that is nobody's.
    let arguments = [
        "/usr/bin/alertmanager",
        "--config.file=/etc/alertmanager.yml",
        "--storage.path=/data",
        "--cluster.listen-address=",
        "--web.listen-address=192.0.2.1:9093",
    ];
    let said = node.run_in(&alertmanager.reference.to_string(), &arguments);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        text.contains("Completed loading of configuration file") && text.contains("192.0.2.1"),
        "{said:?}"
    );
}

#[test]
fn what_makes_no_image_is_refused_by_name() {
    let scratch = Scratch::new();
    let refused = |change: &dyn Fn(&mut Spec)| {
        let mut spec = spec("a");
        change(&mut spec);
        build(&scratch.store, &spec).unwrap_err().to_string()
    };
    let file = |at: &str| ExtraFile {
        at: at.to_owned(),
        content: Content::Bytes(Vec::new()),
        executable: false,
    };
    let outside = refused(&|spec| spec.files = vec![file("/srv/../etc/passwd")]);
    assert!(
        outside.contains("`/srv/../etc/passwd` is not an absolute path"),
        "{outside}"
    );
    let twice = refused(&|spec| spec.files = vec![file("/usr/bin/sort")]);
    assert!(twice.contains("/usr/bin/sort is given twice"), "{twice}");
    let name = refused(&|spec| spec.repository = "Not A Name".to_owned());
    assert!(name.contains("is not an image name"), "{name}");
    let script = scratch.dir.path().join("run.sh");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let script = refused(&|spec| spec.programs[0].source.clone_from(&script));
    assert!(script.ends_with("it is not an ELF file"), "{script}");
    let missing = refused(&|spec| spec.programs[0].source = "/not/there".into());
    assert_eq!(missing, "could not read /not/there");
}

fn blob(store: &Store, hex: &str) -> Vec<u8> {
    fs::read(store.path().join("blobs/sha256").join(hex)).expect("a blob")
}
