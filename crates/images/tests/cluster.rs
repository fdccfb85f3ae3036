//! Loading onto the nodes of a real Kubernetes cluster, by its container engine.
//!
//! It must not run where no cluster was prepared: `./test --all` names one in `KEDACTL_TEST_CLUSTER`, and a run without
//! one fails rather than prove nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kedactl_exec::Run;
use kedactl_images::{
    Content, DockerContainer, ExtraFile, How, Image, Loaded, Spec, Store, build, kind_nodes, load,
};
use kedactl_plan::Discard;
use std::path::Path;

/// What one test put onto the nodes; it is taken away again.
struct Put {
    nodes: Vec<DockerContainer>,
    images: Vec<Image>,
}

impl Drop for Put {
    fn drop(&mut self) {
        for node in &self.nodes {
            for image in &self.images {
                let name = image.reference.to_string();
                // The next test does not depend on it.
                drop(on(
                    node,
                    &["ctr", "-n", "k8s.io", "images", "rm", "--sync", &name],
                ));
            }
        }
    }
}

fn on(node: &DockerContainer, argv: &[&str]) -> Option<String> {
    let run = Run::new(&node.engine)
        .args(["exec", &node.container])
        .args(argv);
    run.run().ok().map(|output| output.stdout)
}

#[expect(clippy::disallowed_methods, reason = "the one setting of this target")]
fn cluster() -> String {
    std::env::var("KEDACTL_TEST_CLUSTER").expect("KEDACTL_TEST_CLUSTER names a kind cluster")
}

fn image(store: &Store, mark: &str) -> Image {
    let mut spec = Spec::of_programs("kedactl.local/cluster-test", &["/usr/bin/sort".into()]);
    spec.files.push(ExtraFile {
        at: "/srv/mark".to_owned(),
        content: Content::Bytes(format!("{} {mark}", std::process::id()).into()),
        executable: false,
    });
    build(store, &spec).unwrap()
}

#[test]
fn kubernetes_sees_an_image_on_every_node_after_only_the_missing_blobs_were_sent() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("store"));
    let images = [image(&store, "a"), image(&store, "b")];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let nodes = runtime
        .block_on(kind_nodes(Path::new("docker"), &cluster()))
        .unwrap();
    let put = Put {
        nodes,
        images: images.to_vec(),
    };
    let load = |image: &Image| -> Vec<Loaded> {
        let images = std::slice::from_ref(image);
        runtime
            .block_on(load(&store, images, &put.nodes, &Discard))
            .unwrap()
    };
    load(&images[0]);
    let loaded = load(&images[1]);
    assert_eq!(loaded.len(), put.nodes.len());
    for (node, loaded) in put.nodes.iter().zip(&loaded) {
        println!("{loaded:?}");
        assert_eq!(loaded.how, How::Delta);
        assert!(loaded.sent < images[1].size() / 5, "{loaded:?}");
        let name = images[1].reference.to_string();
        let seen = on(node, &["crictl", "inspecti", "-o", "json", &name]).unwrap();
        assert!(seen.contains(images[1].config.digest.as_str()), "{seen}");
    }
    assert!(load(&images[1]).iter().all(|it| it.how == How::Present));
}
