//! Brings an image onto nodes: only the blobs that each lacks, and believed only when the node names the digest.
//! Must not trust an exit code, and must not touch a node that has the image already.

mod abort;
mod archive;
mod containerd;
mod crio;
mod docker;
mod runtime;

pub use archive::{archive, engine_archive};
pub use runtime::Runtime;

use abort::Waiting;
use runtime::State;

use std::collections::BTreeSet;
use std::time::Duration;

use kedactl_plan::{Sink, Step};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::store::{Image, Store};
use crate::{Digest, Feed, ImageError, NodeShell};

/// How long Kubernetes may take to see an image that its containerd has; it hears of it by an event.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// How an image came onto a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was there, whole.
    Present,
    /// Only missing blobs were sent.
    Delta,
    /// The whole archive was sent, because the node lacked everything or did not take the delta.
    Full,
}

/// One image on one node, verified there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// The node.
    pub node: String,
    /// The image's whole name.
    pub image: String,
    /// The digest that the node names.
    pub digest: Digest,
    /// How it came there.
    pub how: How,
    /// Bytes of blobs that were sent.
    pub sent: u64,
    /// Milliseconds from the first question to the node to the last answer about this image.
    pub took_ms: u64,
}

/// Loads images onto nodes of containerd, as [`load_by`] does.
pub async fn load<N: NodeShell + Clone>(
    store: &Store,
    images: &[Image],
    nodes: &[N],
    sink: &dyn Sink,
) -> Result<Vec<Loaded>, ImageError> {
    load_by(Runtime::Containerd, store, images, nodes, sink).await
}

/// Loads images onto nodes, all nodes at once, and verifies each on each; results in the order of nodes, then images.
///
/// A node that does not take an image is an error that names both; the other nodes are finished first.
pub async fn load_by<N: NodeShell + Clone>(
    runtime: Runtime,
    store: &Store,
    images: &[Image],
    nodes: &[N],
    sink: &dyn Sink,
) -> Result<Vec<Loaded>, ImageError> {
    let step = Step::start(sink, "images/load", "image load");
    let total = (images.len() * nodes.len()) as u64;
    let mut running = JoinSet::new();
    for (position, node) in nodes.iter().enumerate() {
        let (store, images, node) = (store.clone(), images.to_vec(), node.clone());
        running.spawn(async move {
            let start = Instant::now();
            let asked: Vec<&Image> = images.iter().collect();
            let before = runtime.states(&node, &asked).await?;
            let mut loaded: Vec<Loaded> = Vec::new();
            for (image, mut before) in images.iter().zip(before) {
                // What was sent for one image may be what another shares with it.
                if loaded.iter().any(|it| it.how != How::Present) {
                    before = runtime.state(&node, image).await?;
                }
                loaded.push(load_one(runtime, &store, image, &node, before, start).await?);
            }
            Ok((position, loaded))
        });
    }
    let mut done: Vec<(usize, Vec<Loaded>)> = Vec::new();
    let mut failed: Option<ImageError> = None;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok((position, loaded))) => {
                let note = format!("on {}", nodes[position].name());
                done.push((position, loaded));
                step.progress((done.len() * images.len()) as u64, Some(total), note);
            }
            Ok(Err(error)) => failed = failed.or(Some(error)),
            // A task of ours neither panics nor is cancelled but with this very future.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    if let Some(error) = failed {
        step.failed(&error, error.hint());
        return Err(error);
    }
    done.sort_by_key(|(position, _)| *position);
    let loaded: Vec<Loaded> = done.into_iter().flat_map(|(_, loaded)| loaded).collect();
    let sent: u64 = loaded.iter().map(|it| it.sent).sum();
    let changed = loaded.iter().any(|it| it.how != How::Present);
    step.done(format!("{total} verified, {sent} bytes sent"), changed);
    Ok(loaded)
}

async fn load_one(
    runtime: Runtime,
    store: &Store,
    image: &Image,
    node: &impl NodeShell,
    before: State,
    start: Instant,
) -> Result<Loaded, ImageError> {
    let loaded = |how, sent| Loaded {
        node: node.name().to_owned(),
        image: image.reference.to_string(),
        digest: image.manifest.digest.clone(),
        how,
        sent,
        took_ms: start.elapsed().as_millis() as u64,
    };
    if before.lacks(image).is_none() {
        return Ok(loaded(How::Present, 0));
    }
    let has_any = image
        .blobs()
        .any(|blob| before.blobs.contains(&blob.digest));
    let mut reason = String::new();
    if has_any {
        match send(runtime, store, image, node, before.blobs).await {
            Ok(sent) => return Ok(loaded(How::Delta, sent)),
            Err(why) => {
                tracing::debug!(node = node.name(), image = %image.reference, why, "delta refused");
                reason = format!("{why}; after that the whole archive: ");
            }
        }
    }
    match send(runtime, store, image, node, BTreeSet::new()).await {
        Ok(sent) => Ok(loaded(How::Full, sent)),
        Err(why) => {
            withdraw(runtime, image, node).await;
            Err(refusal(store, image, node.name(), format!("{reason}{why}")))
        }
    }
}

/// Sends what the node lacks and looks at what it has then; the error is what went wrong, in words.
async fn send(
    runtime: Runtime,
    store: &Store,
    image: &Image,
    node: &impl NodeShell,
    has: BTreeSet<Digest>,
) -> Result<u64, String> {
    let sent = archive::wanted(image, &has).map(|blob| blob.size).sum();
    let (source, packed) = (store.clone(), image.clone());
    let waiting = Waiting::default();
    let watch = waiting.watch();
    let form = runtime.form();
    let feed: Feed =
        Box::new(move |out| archive::write(&source, &packed, &has, form, &mut watch.over(out)));
    let words = |error: &dyn std::error::Error| match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    runtime
        .import(node, feed)
        .await
        .map_err(|error| words(&error))?;
    let deadline = Instant::now() + VISIBLE_WITHIN;
    loop {
        let state = runtime
            .state(node, image)
            .await
            .map_err(|error| words(&error))?;
        match state.lacks(image) {
            None => return Ok(sent),
            // Only this comes by itself.
            Some(_) if !state.visible && state.complete && Instant::now() < deadline => {
                sleep(LOOK_EVERY).await;
            }
            Some(lacks) => return Err(lacks),
        }
    }
}

/// Leaves no name behind that leads to half an image.
async fn withdraw(runtime: Runtime, image: &Image, node: &impl NodeShell) {
    let state = runtime.state(node, image).await;
    if state.is_ok_and(|state| state.digest.is_some() && !(state.complete && state.unpacked))
        && let Err(error) = runtime.forget(node, image).await
    {
        tracing::warn!(node = node.name(), image = %image.reference, %error, "half an image stays");
    }
}

/// Writes one whole image as an archive that nodes of this runtime take, for programs that bring it there themselves.
pub fn whole(
    runtime: Runtime,
    store: &Store,
    image: &Image,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    archive::write(store, image, &BTreeSet::new(), runtime.form(), out)
}

/// Whether every node has every image, whoever brought them; else an error that names node and image.
pub async fn verify<N: NodeShell>(
    runtime: Runtime,
    images: &[Image],
    nodes: &[N],
) -> Result<(), ImageError> {
    let asked: Vec<&Image> = images.iter().collect();
    for node in nodes {
        let states = runtime.states(node, &asked).await?;
        let lacking = images.iter().zip(states);
        let lacking = lacking.filter_map(|(image, state)| Some((image, state.lacks(image)?)));
        if let Some((image, reason)) = lacking.into_iter().next() {
            return Err(ImageError::NotLoaded {
                node: node.name().to_owned(),
                image: Box::new(image.reference.clone()),
                reason,
            });
        }
    }
    Ok(())
}

/// Blames the store where it is to blame: a spoilt blob never becomes what the manifest names.
fn refusal(store: &Store, image: &Image, node: &str, reason: String) -> ImageError {
    let spoilt = image.blobs().find_map(|blob| store.verify(blob).err());
    if spoilt.is_some()
        && let Err(error) = store.believe_nothing()
    {
        tracing::warn!(%error, "the next build may believe a spoilt layer");
    }
    spoilt.unwrap_or_else(|| ImageError::NotLoaded {
        node: node.to_owned(),
        image: Box::new(image.reference.clone()),
        reason,
    })
}
