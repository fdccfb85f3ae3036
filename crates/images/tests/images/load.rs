//! Loading into a real containerd: only what is missing, and nothing that was cut or tampered with.
//!
//! It must not believe the loader: what the node has is asked of the node.

use crate::support::{Scratch, program, spec};
use kedactl_exec::{ExecError, Output};
use kedactl_images::{
    ContainerdSocket, Feed, How, Image, ImageError, Loaded, NodeShell, Spec, Store, build,
    build_changed, load,
};
use kedactl_plan::{Collect, Kind};
use kedactl_testkit::Containerd;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Loads into containerds of this machine.
pub(crate) fn blocking(
    store: &Store,
    images: &[Image],
    nodes: &[&Containerd],
) -> Result<Vec<Loaded>, ImageError> {
    let shells: Vec<_> = nodes
        .iter()
        .map(|node| ContainerdSocket::new(node.socket()))
        .collect();
    run(store, images, &shells)
}

fn run<N: NodeShell + Clone>(
    store: &Store,
    images: &[Image],
    nodes: &[N],
) -> Result<Vec<Loaded>, ImageError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(load(store, images, nodes, &Collect::default()))
}

fn has(node: &Containerd, image: &Image) -> bool {
    let name = format!("name=={}", image.reference);
    let ready = node.ctr(&["images", "check", "-q", &name]);
    String::from_utf8_lossy(&ready.stdout).trim() == image.reference.to_string()
}

#[test]
fn the_second_build_of_a_program_sends_one_layer() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    let first = blocking(&scratch.store, std::slice::from_ref(&a), &[&node]).unwrap();
    assert_eq!((first[0].how, first[0].sent), (How::Full, a.size()));
    assert!(has(&node, &a));
    let second = blocking(&scratch.store, std::slice::from_ref(&b), &[&node]).unwrap();
    let documents = b.manifest.size + b.config.size;
    assert_eq!(
        (second[0].how, second[0].sent),
        (How::Delta, documents + b.layers[1].size)
    );
    assert!(has(&node, &b));
    let third = blocking(&scratch.store, &[a.clone(), b.clone()], &[&node]).unwrap();
    assert!(
        third
            .iter()
            .all(|it| it.how == How::Present && it.sent == 0),
        "{third:?}"
    );
    let output = node.run_in(&b.reference.to_string(), &["/usr/bin/sort", "/srv/mark"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "b",
        "{output:?}"
    );
}

#[test]
fn every_node_gets_every_image_and_the_events_tell() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let nodes = [Containerd::start(), Containerd::start()];
    let images = [scratch.image("a"), scratch.image("b")];
    let shells: Vec<_> = nodes
        .iter()
        .map(|node| ContainerdSocket::new(node.socket()))
        .collect();
    let sink = Collect::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let loaded = runtime
        .block_on(load(&scratch.store, &images, &shells, &sink))
        .unwrap();
    let names: Vec<_> = loaded
        .iter()
        .map(|it| (it.node.as_str(), it.image.clone()))
        .collect();
    let expected: Vec<_> = shells
        .iter()
        .flat_map(|shell| {
            images
                .iter()
                .map(|image| (shell.name(), image.reference.to_string()))
        })
        .collect();
    assert_eq!(names, expected);
    for node in &nodes {
        assert!(images.iter().all(|image| has(node, image)));
    }
    let events = sink.take();
    assert!(
        matches!(
            events.last().unwrap().kind,
            Kind::Done { changed: true, .. }
        ),
        "{events:?}"
    );
}

#[test]
fn a_name_that_points_at_another_image_is_put_right() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    blocking(&scratch.store, &[a.clone(), b.clone()], &[&node]).unwrap();
    let (a_name, b_name) = (a.reference.to_string(), b.reference.to_string());
    assert!(
        node.ctr(&["images", "tag", "--force", &a_name, &b_name])
            .status
            .success()
    );
    let loaded = blocking(&scratch.store, std::slice::from_ref(&b), &[&node]).unwrap();
    assert_ne!(loaded[0].how, How::Present);
    let listed = node.ctr(&["images", "ls", &format!("name=={b_name}")]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(b.manifest.digest.as_str()));
}

#[test]
fn a_blob_that_vanished_from_the_node_is_sent_again() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let image = scratch.image("a");
    blocking(&scratch.store, std::slice::from_ref(&image), &[&node]).unwrap();
    assert!(
        node.ctr(&["content", "rm", image.layers[0].digest.as_str()])
            .status
            .success()
    );
    assert!(!has(&node, &image));
    blocking(&scratch.store, std::slice::from_ref(&image), &[&node]).unwrap();
    assert!(has(&node, &image));
}

/// What happens to the stream between us and the node.
#[derive(Debug, Clone, Copy)]
enum Wire {
    /// One bit at this share of the stream is turned, every time.
    Flip(u64),
    /// The stream ends here, without an error for the sender.
    Cut(u64),
    /// The first stream is cut, later ones arrive.
    CutOnce(u64),
    /// The node says that it has every blob of this archive already.
    Lie,
}

/// A node behind a bad wire.
#[derive(Clone)]
struct Bad {
    node: ContainerdSocket,
    wire: Wire,
    imports: Arc<AtomicUsize>,
    claimed: Vec<String>,
}

impl NodeShell for Bad {
    fn name(&self) -> &'static str {
        "behind-a-bad-wire"
    }

    async fn run(&self, argv: &[&str], input: Option<Feed>) -> Result<Output, ExecError> {
        let Some(feed) = input else {
            let mut output = self.node.run(argv, None).await?;
            if matches!(self.wire, Wire::Lie) && self.imports.load(Ordering::SeqCst) == 0 {
                output.stdout = format!("{}\n{}", self.claimed.join("\n"), output.stdout);
            }
            return Ok(output);
        };
        let first = self.imports.fetch_add(1, Ordering::SeqCst) == 0;
        let wire = self.wire;
        let bad: Feed = Box::new(move |out| match wire {
            Wire::Flip(at) => feed(&mut Tampering {
                out,
                at,
                seen: 0,
                flip: true,
            }),
            Wire::Cut(at) => feed(&mut Tampering {
                out,
                at,
                seen: 0,
                flip: false,
            }),
            Wire::CutOnce(at) if first => feed(&mut Tampering {
                out,
                at,
                seen: 0,
                flip: false,
            }),
            Wire::CutOnce(_) | Wire::Lie => feed(out),
        });
        self.node.run(argv, Some(bad)).await
    }
}

pub(crate) struct Tampering<'a> {
    pub(crate) out: &'a mut dyn Write,
    pub(crate) at: u64,
    pub(crate) seen: u64,
    pub(crate) flip: bool,
}

impl Write for Tampering<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bytes = bytes.to_vec();
        let all = bytes.len();
        let position = self.at.checked_sub(self.seen).filter(|it| *it < all as u64);
        if let Some(position) = position {
            if self.flip {
                bytes[position as usize] ^= 0x10;
            } else {
                bytes.truncate(position as usize);
            }
        } else if !self.flip && self.seen > self.at {
            bytes.clear();
        }
        self.seen += all as u64;
        self.out.write_all(&bytes)?;
        Ok(all)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn behind(wire: Wire, node: &Containerd) -> Bad {
    Bad {
        node: ContainerdSocket::new(node.socket()),
        wire,
        imports: Arc::default(),
        claimed: Vec::new(),
    }
}

/// Takes everything away, as if nothing was ever sent: else a delta needs less than what is spoilt on the way.
fn wipe(node: &Containerd) {
    let listed = node.ctr(&["content", "ls", "-q"]);
    for digest in String::from_utf8_lossy(&listed.stdout).lines() {
        node.ctr(&["content", "rm", digest]);
    }
}

#[test]
fn a_load_that_is_cut_or_tampered_with_is_an_error_and_never_an_image() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let image = scratch.image("a");
    let mut archive = Vec::new();
    kedactl_images::archive(
        &scratch.store,
        &image,
        &std::collections::BTreeSet::new(),
        &mut archive,
    )
    .unwrap();
    let length = archive.len() as u64;
    // In the manifest, the configuration, the libraries, the program, the index.
    let manifest = 3 * 512 + image.manifest.size / 2;
    let config = 3 * 512 + image.manifest.size.next_multiple_of(512) + 512 + image.config.size / 2;
    let index = length - 4 * 512 - 300;
    let places = [manifest, config, length / 3, length * 9 / 10, index];
    for at in places {
        for wire in [Wire::Flip(at), Wire::Cut(at)] {
            let error = run(
                &scratch.store,
                std::slice::from_ref(&image),
                &[behind(wire, &node)],
            )
            .unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, ImageError::NotLoaded { .. }),
                "{wire:?}: {text}"
            );
            assert!(
                text.starts_with("node behind-a-bad-wire did not take kedactl.local/test-program:"),
                "{text}"
            );
            let left = node.ctr(&["images", "ls", "-q"]);
            assert!(
                left.stdout.is_empty(),
                "{wire:?}: half an image is left: {left:?}"
            );
            wipe(&node);
        }
    }
    blocking(&scratch.store, std::slice::from_ref(&image), &[&node]).unwrap();
    assert!(has(&node, &image));
}

#[test]
fn the_whole_archive_follows_a_delta_that_the_node_did_not_take() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let image = scratch.image("a");
    let mut liar = behind(Wire::Lie, &node);
    liar.claimed = image
        .layers
        .iter()
        .map(|layer| layer.digest.to_string())
        .collect();
    let loaded = run(
        &scratch.store,
        std::slice::from_ref(&image),
        &[liar.clone()],
    )
    .unwrap();
    assert_eq!((loaded[0].how, loaded[0].sent), (How::Full, image.size()));
    assert_eq!(liar.imports.load(Ordering::SeqCst), 2);
    assert!(has(&node, &image));
    let next = scratch.image("b");
    let once = behind(Wire::CutOnce(3000), &node);
    let loaded = run(&scratch.store, std::slice::from_ref(&next), &[once]).unwrap();
    assert_eq!(loaded[0].how, How::Full);
    assert!(has(&node, &next));
}

#[test]
fn a_spoilt_store_is_blamed_rather_than_the_node() {
    if !Containerd::can_run() {
        return;
    }
    let scratch = Scratch::new();
    let node = Containerd::start();
    let image = scratch.image("a");
    let layer = scratch
        .store
        .path()
        .join("blobs/sha256")
        .join(image.layers[0].digest.hex());
    let mut bytes = std::fs::read(&layer).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    // The libraries are old, so their layer is not read again: it stays spoilt until somebody notices.
    let again = || build_changed(&scratch.store, &spec("a")).unwrap();
    assert_eq!(again(), image);
    let error = blocking(&scratch.store, std::slice::from_ref(&image), &[&node]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has other bytes than its digest says"),
        "{error}"
    );
    assert_eq!(again(), image);
    blocking(&scratch.store, &[image], &[&node]).unwrap();
}

#[test]
fn a_node_without_containerd_is_named() {
    let scratch = Scratch::new();
    let mut spec = Spec::of_programs("kedactl.local/x", &[program("sort")]);
    spec.certificates = None;
    let image = build(&scratch.store, &spec).unwrap();
    let gone = ContainerdSocket::new(scratch.dir.path().join("no.sock"));
    let error = run(&scratch.store, &[image], &[gone]).unwrap_err();
    assert!(
        error.to_string().ends_with("no.sock cannot take images"),
        "{error}"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no.sock"), "{cause}");
}
