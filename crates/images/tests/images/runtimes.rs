//! Loading into a real Docker engine and a real storage of podman, as nodes of minikube have them.
//!
//! It must not believe the loader: what the engine has is asked of the engine.

use crate::load::Tampering;
use crate::support::Scratch;
use kedactl_exec::{ExecError, Output, Run};
use kedactl_images::{
    Feed, How, Image, ImageError, Loaded, NodeShell, Runtime, Store, load_by, verify,
};
use kedactl_plan::Collect;
use kedactl_testkit::{DockerEngine, PodmanStorage};
use std::path::PathBuf;

/// Commands of this machine, with the engine's own client first on the path, and what happens to a stream on its way.
#[derive(Clone)]
struct Node {
    bin: PathBuf,
    /// One bit is turned there (`true`), or the stream ends.
    wire: Option<(u64, bool)>,
    /// What it says that it has: layers that it has not.
    claims: Option<String>,
}

impl NodeShell for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = format!("PATH={}:{}", self.bin.display(), path.display());
        let run = Run::new("env").arg(path).args(argv.iter().copied());
        let Some(feed) = input else {
            let mut output = run.run()?;
            if let Some(claims) = &self.claims {
                output.stdout = format!("{claims}\n{}", output.stdout);
            }
            return Ok(output);
        };
        match self.wire {
            None => run.run_fed(feed),
            Some((at, flip)) => run.run_fed(move |out| {
                feed(&mut Tampering {
                    out,
                    at,
                    seen: 0,
                    flip,
                })
            }),
        }
    }
}

fn node(bin: PathBuf) -> Node {
    Node {
        bin,
        wire: None,
        claims: None,
    }
}

fn load(
    runtime: Runtime,
    store: &Store,
    images: &[Image],
    node: &Node,
) -> Result<Vec<Loaded>, ImageError> {
    blocking(load_by(
        runtime,
        store,
        images,
        std::slice::from_ref(node),
        &Collect::default(),
    ))
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(work)
}

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The file that makes an image this one, as a container of it would see it.
fn mark(engine: &DockerEngine, image: &Image) -> String {
    let name = image.reference.to_string();
    let container = text(&engine.run(&["create", &name]));
    let tar = text(&engine.run(&["cp", &format!("{container}:/srv/mark"), "-"]));
    text(&engine.run(&["rm", &container]));
    // One header of 512 bytes, then the file.
    tar.get(512..513).unwrap_or_default().to_owned()
}

#[test]
fn a_docker_engine_gets_the_layers_that_it_lacks() {
    if !DockerEngine::can_run() {
        return;
    }
    let (scratch, engine) = (Scratch::new(), DockerEngine::start());
    let node = node(engine.path());
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    let load = |images: &[Image], node: &Node| load(Runtime::Docker, &scratch.store, images, node);
    let first = load(std::slice::from_ref(&a), &node).unwrap();
    assert_eq!((first[0].how, first[0].sent), (How::Full, a.size()));
    let second = load(std::slice::from_ref(&b), &node).unwrap();
    let documents = b.manifest.size + b.config.size;
    assert_eq!(
        (second[0].how, second[0].sent),
        (How::Delta, documents + b.layers[1].size)
    );
    let third = load(&[a.clone(), b.clone()], &node).unwrap();
    assert!(third.iter().all(|it| it.how == How::Present), "{third:?}");
    assert_eq!(
        (mark(&engine, &a), mark(&engine, &b)),
        ("a".into(), "b".into())
    );

    // A name that points at another image is put right.
    let (a_name, b_name) = (a.reference.to_string(), b.reference.to_string());
    text(&engine.run(&["tag", &a_name, &b_name]));
    let error = blocking(verify(
        Runtime::Docker,
        std::slice::from_ref(&b),
        std::slice::from_ref(&node),
    ));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("its name points at")
    );
    assert_ne!(
        load(std::slice::from_ref(&b), &node).unwrap()[0].how,
        How::Present
    );
    assert_eq!(mark(&engine, &b), "b");
}

#[test]
fn what_a_docker_engine_got_cut_or_tampered_with_is_an_error_and_never_an_image() {
    if !DockerEngine::can_run() {
        return;
    }
    let (scratch, engine) = (Scratch::new(), DockerEngine::start());
    let image = scratch.image("a");
    let good = node(engine.path());
    let load = |node: &Node| {
        load(
            Runtime::Docker,
            &scratch.store,
            std::slice::from_ref(&image),
            node,
        )
    };
    let config = 3 * 512 + image.manifest.size.next_multiple_of(512) + 512 + image.config.size / 2;
    for at in [config, image.size() / 2, image.size() - 2000] {
        for flip in [true, false] {
            let mut bad = good.clone();
            bad.wire = Some((at, flip));
            let error = load(&bad).unwrap_err();
            assert!(
                matches!(error, ImageError::NotLoaded { .. }),
                "{at} {flip}: {error}"
            );
            let named = text(&engine.run(&[
                "image",
                "ls",
                "-q",
                "--no-trunc",
                &image.reference.to_string(),
            ]));
            assert_ne!(named, image.config.digest.to_string());
        }
    }
    // An engine that does not have what it was said to have: the whole archive follows.
    let mut liar = good.clone();
    let layers: Vec<String> = image
        .layers
        .iter()
        .map(|it| it.digest.to_string())
        .collect();
    liar.claims = Some(serde_json::to_string(&layers).unwrap());
    let loaded = load(&liar).unwrap();
    assert_eq!((loaded[0].how, loaded[0].sent), (How::Full, image.size()));
    assert_eq!(mark(&engine, &image), "a");
}

#[test]
fn a_storage_of_podman_gets_whole_images_under_their_whole_names() {
    if !PodmanStorage::can_run() {
        return;
    }
    let (scratch, storage) = (Scratch::new(), PodmanStorage::new());
    let node = node(storage.path());
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    let images = [a.clone(), b.clone()];
    let load = |node: &Node| load(Runtime::CriO, &scratch.store, &images, node);
    let first = load(&node).unwrap();
    assert!(first.iter().all(|it| it.how == How::Full), "{first:?}");
    assert!(load(&node).unwrap().iter().all(|it| it.how == How::Present));
    let (a_name, b_name) = (a.reference.to_string(), b.reference.to_string());
    let mounted = text(&storage.run(&["image", "mount", &b_name]));
    let mark = std::fs::read_to_string(PathBuf::from(mounted).join("srv/mark"));
    text(&storage.run(&["image", "unmount", &b_name]));
    assert_eq!(mark.unwrap(), "b");

    text(&storage.run(&["tag", &a_name, &b_name]));
    let again = load(&node).unwrap();
    assert_eq!((again[0].how, again[1].how), (How::Present, How::Full));

    text(&storage.run(&["image", "rm", "-f", &a_name, &b_name]));
    let mut bad = node.clone();
    for wire in [(a.size() / 2, true), (a.size() / 2, false)] {
        bad.wire = Some(wire);
        let error = load(&bad).unwrap_err();
        assert!(matches!(error, ImageError::NotLoaded { .. }), "{error}");
    }
}
