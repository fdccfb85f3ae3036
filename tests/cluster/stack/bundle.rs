//! `ci --bundle` and `up --bundle`: a kind cluster of the stack's own, KEDA and metrics-server from charts in the bundle, and every image of theirs
//! out of it: the nodes of that cluster have none of them, and nothing can be pulled.
//!
//! It must not use an image that the node's maker put there.

use crate::cluster::variable;
use crate::kind::chart;
use crate::rig::Rig;
use crate::turn;
use kedactl_exec::Run;
use kedactl_images::{Reference, Spec, Store, build, engine_archive};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `docker` of the test's engine.
fn docker(args: &[&str]) -> String {
    let run = Run::new("docker").args(args.iter().copied());
    let run = run.within(Duration::from_mins(3));
    run.run().unwrap_or_else(|error| panic!("{error}")).stdout
}

/// A node of the run's own cluster, which has the images that the charts name.
fn node(args: &[&str]) -> String {
    let node = format!("{}-control-plane", variable("KEDACTL_TEST_CLUSTER"));
    docker(&[&["exec", &node], args].concat())
}

fn template(chart: &str) -> PathBuf {
    Path::new(chart).join("templates/all.yaml")
}

/// The images that a chart names.
fn images(chart: &str) -> Vec<String> {
    let text = fs::read_to_string(template(chart)).unwrap();
    let images = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("- ");
        line.strip_prefix("image: ")
    });
    let mut images: Vec<String> = images
        .map(|it| it.trim_matches(['"', '\'']).to_owned())
        .collect();
    images.sort_unstable();
    images.dedup();
    assert!(!images.is_empty(), "{text}");
    images
}

/// Files of images, since no registry gives them.
fn archives(folder: &Path, images: &[String]) -> Vec<String> {
    let own = format!("{}-control-plane:", variable("KEDACTL_TEST_CLUSTER"));
    let mut files = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let (inside, file) = (
            format!("/bundled-{at}.tar"),
            folder.join(format!("{at}.tar")),
        );
        node(&["ctr", "-n", "k8s.io", "images", "export", &inside, image]);
        docker(&["cp", &format!("{own}{inside}"), &file.display().to_string()]);
        node(&["rm", &inside]);
        files.push(file.display().to_string());
    }
    files
}

/// From now on the chart names its image by tag and digest: the kubelet looks for exactly that digest.
fn pin(chart: &str, image: &str) {
    let listed = node(&[
        "ctr",
        "-n",
        "k8s.io",
        "images",
        "ls",
        &format!("name=={image}"),
    ]);
    let digest = listed
        .split_whitespace()
        .find(|it| it.starts_with("sha256:"))
        .unwrap();
    let text = fs::read_to_string(template(chart)).unwrap();
    let pinned = text.replace(image, &format!("{image}@{digest}"));
    assert_ne!(text, pinned);
    fs::write(template(chart), pinned).unwrap();
}

fn artifact(rig: &Rig, name: &str) -> Value {
    let path = rig
        .context
        .dir()
        .join("project/kedactl-artifacts")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn everything_comes_out_of_the_bundle() {
    let _turn = turn::beside_others();
    let mut rig = Rig::new("bundled");
    let folder = rig.context.dir().join("made");
    let keda = chart(&folder, "keda", "keda.yaml");
    let metrics = chart(&folder, "metrics-server", "metrics-server-10s.yaml");
    let node = variable("KEDACTL_TEST_NODE_IMAGE");
    rig.on_a_kind_cluster(&format!(
        "images: {{kindCluster: null}}
releases:
  keda: {{chart: '{keda}', repo: null, version: null, values: null}}
  metrics-server: {{chart: '{metrics}', repo: null, version: null, values: null}}
"
    ));
    let bundle = rig.context.dir().join("stack.tar").display().to_string();
    let (of_keda, of_metrics) = (images(&keda), images(&metrics));
    pin(&metrics, &of_metrics[0]);
    let archives = archives(&folder, &[of_keda, of_metrics].concat());
    let mut args = vec!["bundle", "create", bundle.as_str()];
    let place = rig.place();
    args.extend(place.iter().map(String::as_str));
    for archive in &archives {
        args.extend(["--from-archive", archive]);
    }
    let created = rig
        .run(&[&args[..], &["-o", "json"]].concat())
        .expect(0)
        .json();
    println!(
        "{} images, {} bytes as stored",
        created["images"].as_array().unwrap().len(),
        created["stored"]
    );
    rig.run(&["bundle", "verify", &bundle]).check(0);

    // What it was made of is gone: only the bundle is left.
    fs::remove_dir_all(&folder).unwrap();
    fs::remove_dir_all(rig.context.dir().join("state/pulled")).unwrap();
    fs::remove_dir_all(rig.context.dir().join("state/images")).unwrap();
    // The engine's own image of the nodes, which this machine's kind does not take by itself.
    let node = format!("kind.image={node}");
    let ci = ["ci", "--bundle", &bundle, "--set", &node, "--keep"];
    let load = ["--rps", "50", "--duration", "10s", "--wait-zero", "120s"];
    let slo = ["--slo", "lost=0,duplicated=0,p99<60s"];
    rig.run(&[&ci[..], &load, &slo].concat()).check(0);
    let up = artifact(&rig, "up.json");
    assert_eq!(
        (&up["changed"], &up["left_alone"]),
        (&true.into(), &serde_json::json!([]))
    );
    assert_eq!(artifact(&rig, "load.json")["audit"]["done"], 500);
    let again = rig
        .run(&["up", "--bundle", &bundle, "--set", &node, "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(again["changed"], false, "{again}");
    let diff = ["diff", "--bundle", &bundle, "--set", &node, "--exit-code"];
    rig.run(&diff).check(0);

    rig.run(&["down", "--purge"]).check(0);
}

/// What holds the engine that is played in tests/cli/bundle/nodes.rs to a real one.
#[test]
fn an_engine_takes_the_archive_and_says_a_digest_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let spec = Spec::of_programs("kedactl.local/engine-takes", &["/usr/bin/sort".into()]);
    let image = build(&store, &spec).unwrap();
    let name: Reference = "kedactl.local/engine-takes:1".parse().unwrap();
    let file = folder.path().join("image.tar");
    let mut out = fs::File::create(&file).unwrap();
    engine_archive(&store, &image, &name, &mut out).unwrap();
    docker(&["load", "--input", &file.display().to_string()]);
    let name = name.to_string();
    let said = docker(&["image", "inspect", "--format", "{{.Id}}", &name]);
    docker(&["image", "rm", &name]);
    let known = [&image.manifest.digest, &image.config.digest];
    assert!(known.iter().any(|it| it.as_str() == said.trim()), "{said}");
}
