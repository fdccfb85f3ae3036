//! Pulls an image into a store by the distribution protocol: one platform, every blob compared with its digest.
//! Must not fetch what is there and whole, and must not name an image before all of it is.

mod again;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _};
use kedactl_plan::{Sink, Step};

use crate::oci::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Manifest, Platform, Platforms};
use crate::platforms::choose;
use crate::store::Writer;
use crate::{Credentials, Descriptor, Digest, Image, ImageError, Reference, Requested, Store};
use registry::{Document, Source};

/// Blobs of one image that come at the same time.
const TOGETHER: usize = 3;
/// Bytes between two words about progress, at least.
const TOLD_EVERY: u64 = 5_000_000;

/// Where images come from, and for whom.
#[derive(Debug, Clone)]
pub struct Upstream<'a> {
    /// Logins.
    pub credentials: &'a Credentials,
    /// Where another registry (and folder) is asked in place of one: `docker.io` → `mirror.example.com/hub`.
    pub mirrors: &'a BTreeMap<String, String>,
    /// What shall run the images.
    pub platform: &'a Platform,
}

/// An image that was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// As it is in the store.
    pub image: Image,
    /// What the registry calls it: the list of manifests for all platforms, or the one manifest.
    pub digest: Digest,
    /// Bytes that came over the network.
    pub fetched: u64,
}

/// Pulls one image, under the name that nodes look for.
pub async fn pull(
    store: &Store,
    wanted: &Requested,
    from: &Upstream<'_>,
    sink: &dyn Sink,
) -> Result<Pulled, ImageError> {
    let name = wanted.reference();
    let step = Step::start(
        sink,
        format!("images/pull/{name}"),
        format!("pull of {wanted}"),
    );
    match pull_all(store, wanted, from, &step).await {
        Ok(pulled) => {
            let note = format!(
                "{}, {:.1} MB fetched",
                pulled.digest,
                pulled.fetched as f64 / 1e6
            );
            step.done(note, pulled.fetched > 0);
            Ok(pulled)
        }
        Err(error) => {
            step.failed(&error, error.hint());
            Err(error)
        }
    }
}

async fn pull_all(
    store: &Store,
    wanted: &Requested,
    from: &Upstream<'_>,
    step: &Step<'_>,
) -> Result<Pulled, ImageError> {
    let name = wanted.reference();
    let at = place(name, from.mirrors)?;
    let source = Source::open(&at, from.credentials).await?;
    let outer = source.manifest(&at).await?;
    let inner = match of_platform(wanted, &outer, from.platform)? {
        Some(chosen) => Some(source.manifest(&at.pinned(&chosen.digest)).await?),
        None => None,
    };
    let manifest: Manifest = parsed(wanted, inner.as_ref().unwrap_or(&outer))?;
    // Waits for another writer on a thread that may wait.
    let opened = store.clone();
    let mut writer = joined(tokio::task::spawn_blocking(move || opened.write()).await)?;
    let fetched = blobs(store, &mut writer, &source, &manifest, step).await?;
    if inner.is_none() {
        fits(store, wanted, &manifest, from.platform)?;
    }
    let target = match &inner {
        // A name by digest leads to exactly that; a name by tag to what runs, which is all that other programs understand.
        Some(inner) if name.digest().is_some() => {
            document(&mut writer, inner)?;
            document(&mut writer, &outer)?
        }
        Some(inner) => document(&mut writer, inner)?,
        None => document(&mut writer, &outer)?,
    };
    writer.image(name, target);
    writer.commit()?;
    Ok(Pulled {
        image: store.image(&name.to_string())?,
        digest: outer.digest,
        fetched,
    })
}

/// Where an image is asked for.
fn place(name: &Reference, mirrors: &BTreeMap<String, String>) -> Result<Reference, ImageError> {
    match mirrors.get(name.registry()) {
        Some(mirror) => name.at(&format!(
            "{}/{}",
            mirror.trim_end_matches('/'),
            name.repository()
        )),
        None => Ok(name.clone()),
    }
}

/// The manifest to ask for next, where the first one is a list.
fn of_platform(
    wanted: &Requested,
    outer: &Document,
    platform: &Platform,
) -> Result<Option<Descriptor>, ImageError> {
    match outer.media_type.as_str() {
        INDEX | DOCKER_INDEX => {
            let list: Platforms = parsed(wanted, outer)?;
            let chosen =
                choose(&list.manifests, platform).map_err(|has| ImageError::NoPlatform {
                    image: Box::new(wanted.clone()),
                    platform: platform.to_string(),
                    has,
                })?;
            Ok(Some(chosen.manifest.clone()))
        }
        MANIFEST | DOCKER_MANIFEST => Ok(None),
        other => Err(ImageError::NoImage {
            image: Box::new(wanted.clone()),
            reason: format!("its manifest is of type `{other}`"),
        }),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(
    wanted: &Requested,
    document: &Document,
) -> Result<T, ImageError> {
    serde_json::from_slice(&document.bytes).map_err(|error| ImageError::NoImage {
        image: Box::new(wanted.clone()),
        reason: error.to_string(),
    })
}

/// Fetches what is not there, or is there and spoilt; how many bytes that were.
async fn blobs(
    store: &Store,
    writer: &mut Writer,
    source: &Source,
    manifest: &Manifest,
    step: &Step<'_>,
) -> Result<u64, ImageError> {
    let mut seen = BTreeSet::new();
    let mut missing = Vec::new();
    for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
        if !seen.insert(blob.digest.clone()) {
            continue;
        }
        let (kept, wanted) = (store.clone(), blob.clone());
        let whole =
            joined(tokio::task::spawn_blocking(move || Ok(kept.verify(&wanted).is_ok())).await)?;
        if !whole {
            missing.push((blob, writer.ingest()?));
        }
    }
    let total: u64 = missing.iter().map(|(blob, _)| blob.size).sum();
    let (fetched, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let more = |bytes: u64| {
        let now = fetched.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Often enough for a bar, seldom enough for a log.
        if now - told.load(Ordering::Relaxed) > (total / 10).max(TOLD_EVERY) {
            told.store(now, Ordering::Relaxed);
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            let note = format!("{:.1} of {:.1} MB", megabytes(now), megabytes(total));
            step.progress(now, Some(total), note);
        }
    };
    let fetching = missing.into_iter().map(|(blob, file)| {
        let more = &more;
        async move { Ok::<_, ImageError>((source.blob(blob, file, more).await?, &blob.digest)) }
    });
    let mut arriving = futures_util::stream::iter(fetching).buffer_unordered(TOGETHER);
    while let Some((file, digest)) = arriving.try_next().await? {
        writer.adopt(file, digest)?;
    }
    Ok(fetched.load(Ordering::Relaxed))
}

/// An image without a list is for the platform that its configuration names.
fn fits(
    store: &Store,
    wanted: &Requested,
    manifest: &Manifest,
    platform: &Platform,
) -> Result<(), ImageError> {
    let config = store.read(&manifest.config.digest)?;
    let has: Result<Platform, _> = serde_json::from_slice(&config);
    let has = has.map_err(|error| ImageError::NoImage {
        image: Box::new(wanted.clone()),
        reason: format!("its configuration cannot be read: {error}"),
    })?;
    if platform.runs(&has) {
        return Ok(());
    }
    Err(ImageError::NoPlatform {
        image: Box::new(wanted.clone()),
        platform: platform.to_string(),
        has: vec![has.to_string()],
    })
}

fn document(writer: &mut Writer, document: &Document) -> Result<Descriptor, ImageError> {
    let (digest, size) = writer.blob(|out| out.write_all(&document.bytes))?;
    Ok(Descriptor::new(&document.media_type, digest, size))
}

fn joined<T>(
    result: Result<Result<T, ImageError>, tokio::task::JoinError>,
) -> Result<T, ImageError> {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
