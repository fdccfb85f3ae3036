//! Images that are made, and their way to the nodes.
//! Reads no real file: the reader is a map.

mod support;

use kedactl_config::{BuiltImage, Delivery, TunnelMode};
use support::{problems, project, set};

#[test]
fn what_is_made_and_how_it_is_delivered_by_default() {
    let kind = set("kind", &["name=shop"]).unwrap().config;
    assert_eq!(kind.images.build, [BuiltImage::Api, BuiltImage::Worker]);
    assert_eq!(kind.images.engine, "docker");
    // Its name is the stack's, which may be given on the command line.
    assert_eq!(kind.delivery(), Ok(Delivery::Own));
    assert_eq!(
        set("local", &[]).unwrap().config.delivery(),
        Ok(Delivery::None)
    );
    for (way, expected) in [
        (
            "images.registry=ghcr.io/acme",
            Delivery::Registry("ghcr.io/acme".into()),
        ),
        (
            "images.loadCommand=[ctr, images, import, '-']",
            Delivery::Command(["ctr", "images", "import", "-"].map(String::from).to_vec()),
        ),
        (
            "images.kindCluster=ci",
            Delivery::Nodes {
                kind_cluster: "ci".into(),
            },
        ),
        ("images.build=[]", Delivery::None),
    ] {
        assert_eq!(
            set("context", &[way]).unwrap().config.delivery(),
            Ok(expected),
            "{way}"
        );
    }
    let other = set("kind", &["images.registry=localhost:5000/x"])
        .unwrap()
        .config;
    assert_eq!(
        other.delivery(),
        Ok(Delivery::Registry("localhost:5000/x".into()))
    );
}

#[test]
fn a_cluster_without_a_way_for_images_is_told_what_to_set() {
    let told = set("context", &[]).unwrap().config.delivery().unwrap_err();
    insta::assert_snapshot!(told);
    let own = set("minikube", &[]).unwrap().config.delivery();
    assert_eq!(own, Ok(Delivery::Own));
    let astray = problems("minikube", "images: {kindCluster: other}\n");
    assert!(
        astray.contains("has no effect with `provider: minikube`"),
        "{astray}"
    );
    let foreign = ["queue={kind: list, listName: x}"];
    let error = set("kind", &foreign)
        .unwrap()
        .config
        .delivery()
        .unwrap_err();
    assert!(error.contains("name it with worker.image"), "{error}");
}

#[test]
fn an_image_that_is_named_is_not_made() {
    let loaded = project("kind", "worker: {image: 'shop/huey:2.5'}\n").unwrap();
    assert_eq!(loaded.config.images.build, [BuiltImage::Api]);
    assert!(loaded.to_text(false).contains("build:\n    - api\n"));
    // The later layer wins, whichever of the two it gives; one that gives both has both.
    let both = "images: {build: [worker]}\nworker: {image: 'shop/worker:1'}\n";
    let both = project("kind", both).unwrap();
    assert_eq!(both.config.images.build, [BuiltImage::Worker]);
    let [build, image] = ["images.build=[api]", "api.image=shop/api:1"];
    let made = |sets: &[&str]| set("kind", sets).unwrap().config.images.build;
    assert_eq!(made(&[build, image]), []);
    assert_eq!(made(&[image, build]), [BuiltImage::Api]);
    assert_eq!(made(&["images.build=[redis]"]), [BuiltImage::Redis]);
    let watched = [
        "monitoring.profile=minimal",
        "images.build=[prometheus, alertmanager]",
        "monitoring.images.prometheus=quay.io/prometheus/prometheus:v3.5.0",
    ];
    assert_eq!(made(&watched), [BuiltImage::Alertmanager]);
}

#[test]
fn images_of_the_monitoring_are_made_for_our_own_chart_alone() {
    let build = "images.build=[prometheus, alertmanager]";
    for (profile, runs) in [("minimal", true), ("modern", false), ("none", false)] {
        let chosen = format!("monitoring.profile={profile}");
        let loaded = set("kind", &[&chosen, build]);
        assert_eq!(loaded.is_ok(), runs, "{profile}");
        if let Err(error) = loaded {
            let told = error.to_string();
            let words = "`prometheus` has no effect: no release is our own chart of the monitoring";
            assert!(told.contains(words), "{told}");
        }
    }
    // Processes have no images.
    set("local", &[build]).unwrap();
}

#[test]
fn contradictions_of_images_are_told() {
    insta::assert_snapshot!(problems(
        "kind",
        "
images:
  build: [api, redis, api]
  registry: ghcr.io/acme
  kindCluster: other
  loadCommand: [x]
releases: {redis: null}
"
    ));
    let text = "images: {build: [apy], registry: Acme, loadCommand: [1], engine: ''}\n";
    insta::assert_snapshot!(problems("kind", text), @r#"
    the configuration is not valid:
      p/kedactl.yaml:1:18: images.build[0]: expected one of `api`, `worker`, `webhook`, `redis`, `prometheus`, `alertmanager`, found the text `apy`, did you mean `api`?
      p/kedactl.yaml:1:34: images.registry: expected a registry: `host`, `host:port` or `host/path`, such as `registry.example.com:5000/team`, found the text `Acme`
      p/kedactl.yaml:1:54: images.loadCommand[0]: expected text, found the number `1`
      p/kedactl.yaml:1:66: images.engine: expected at least 1 characters, found 0
    hint: write it in quotes: "1"
    "#);
}

#[test]
fn the_tunnel_is_off_where_an_ingress_is() {
    let kind = set("kind", &["tunnel.mode=node-port"])
        .unwrap()
        .config
        .tunnel;
    assert_eq!((kind.enabled, kind.mode), (true, TunnelMode::NodePort));
    let cloud = set("cloud", &["ingress.host=tasks.example.com"]).unwrap();
    assert!(!cloud.config.tunnel.enabled);
}

#[test]
fn the_tunnel_of_minikube_is_for_its_own_clusters() {
    let told = problems("kind", "tunnel: {mode: minikube}\n");
    assert!(
        told.contains("tunnel.mode: `minikube` has an effect for the provider `minikube` only"),
        "{told}"
    );
    set("minikube", &["tunnel.mode=minikube"]).unwrap();
}
