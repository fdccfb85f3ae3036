//! Pushes an image and its bill of materials to a registry by the distribution protocol.
//! Must not send what is there, must not use plain HTTP beyond this machine, and believes only the digest it reads back.

mod credentials;

pub use credentials::Credentials;

use std::time::Duration;

use kedactl_plan::{Sink, Step};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference as Target, RegistryOperation};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::store::{Image, Store};
use crate::{Descriptor, Digest, ImageError, Reference, oci};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const SILENT_AT_MOST: Duration = Duration::from_mins(1);
const CHUNK: usize = 256 * 1024;

/// One image in a registry, its digest read back from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Its name there.
    pub image: String,
    /// Its digest.
    pub digest: Digest,
    /// Number of blobs that were sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Number of blobs that were there already.
    pub present: u64,
}

/// Pushes one image under `target`, its bill of materials beside it.
pub async fn push(
    store: &Store,
    image: &Image,
    target: &Reference,
    credentials: &Credentials,
    sink: &dyn Sink,
) -> Result<Pushed, ImageError> {
    let step = Step::start(
        sink,
        format!("images/push/{}", target.repository()),
        format!("push of {target}"),
    );
    match push_all(store, image, target, credentials, &step).await {
        Ok(pushed) => {
            step.done(
                format!("{} blobs sent, {} there", pushed.sent, pushed.present),
                pushed.sent > 0,
            );
            Ok(pushed)
        }
        Err(error) => {
            step.failed(&error, error.hint());
            Err(error)
        }
    }
}

async fn push_all(
    store: &Store,
    image: &Image,
    target: &Reference,
    credentials: &Credentials,
    step: &Step<'_>,
) -> Result<Pushed, ImageError> {
    let auth = credentials.of(target.registry()).await?;
    let registry = Registry::open(target, &auth).await?;
    let mut pushed = Pushed {
        image: target.to_string(),
        digest: image.manifest.digest.clone(),
        sent: 0,
        sent_bytes: 0,
        present: 0,
    };
    let blobs: Vec<&Descriptor> = image.content().collect();
    registry
        .blobs(store, target, &blobs, &mut pushed, step)
        .await?;
    if let Some(of_platform) = &image.of_platform {
        let inner = target.pinned(&of_platform.digest);
        registry.manifest(store, &inner, of_platform, None).await?;
    }
    let of_list = image.of_platform.as_ref();
    registry
        .manifest(store, target, &image.manifest, of_list)
        .await?;
    if let Some(sbom) = &image.sbom {
        let beside = sbom.reference.at(&target.name())?;
        let blobs: Vec<&Descriptor> = sbom.blobs.iter().collect();
        registry
            .blobs(store, &beside, &blobs, &mut pushed, step)
            .await?;
        registry
            .manifest(store, &beside, &sbom.manifest, None)
            .await?;
    }
    Ok(pushed)
}

/// A registry that has let us in.
struct Registry {
    client: Client,
    auth: RegistryAuth,
}

impl Registry {
    async fn open(target: &Reference, auth: &RegistryAuth) -> Result<Self, ImageError> {
        crate::tls::prepare();
        let config = ClientConfig {
            protocol: if target.is_loopback() {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            // One request with a length for each blob: every registry takes it, and none has to keep chunks.
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_WITHIN),
            read_timeout: Some(SILENT_AT_MOST),
            user_agent: concat!("kedactl/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(refused(target, "be asked"))?;
        client
            .auth(&address(target), auth, RegistryOperation::Push)
            .await
            .map_err(refused(target, "let us in"))?;
        Ok(Self {
            client,
            auth: auth.clone(),
        })
    }

    /// Sends the blobs that are not there.
    async fn blobs(
        &self,
        store: &Store,
        target: &Reference,
        blobs: &[&Descriptor],
        pushed: &mut Pushed,
        step: &Step<'_>,
    ) -> Result<(), ImageError> {
        let at = address(target);
        for (done, blob) in blobs.iter().enumerate() {
            let digest = blob.digest.as_str();
            let exists = self.client.blob_exists(&at, digest).await;
            if exists.map_err(refused(target, &format!("tell about blob {digest}")))? {
                pushed.present += 1;
                continue;
            }
            step.progress(
                done as u64,
                Some(blobs.len() as u64),
                format!("blob {}", blob.digest.short()),
            );
            let stream = stream(store, &blob.digest)?;
            self.client
                .push_blob_stream(&at, stream, digest, Some(blob.size))
                .await
                .map_err(refused(target, &format!("take blob {digest}")))?;
            pushed.sent += 1;
            pushed.sent_bytes += blob.size;
        }
        Ok(())
    }

    /// Sends the manifest and reads it back.
    async fn manifest(
        &self,
        store: &Store,
        target: &Reference,
        manifest: &Descriptor,
        of_list: Option<&Descriptor>,
    ) -> Result<(), ImageError> {
        let at = address(target);
        let bytes = store.read(&manifest.digest)?;
        let media_type = if manifest.media_type.is_empty() {
            oci::MANIFEST
        } else {
            &manifest.media_type
        };
        let content_type = http::HeaderValue::from_str(media_type)
            .map_err(|_| store.damaged(store.path(), "a manifest's media type is no word"))?;
        self.client
            .push_manifest_raw(&at, bytes, content_type)
            .await
            .map_err(|error| manifest_refused(target, manifest, of_list, error))?;
        let back = self
            .client
            .pull_manifest_raw(&at, &self.auth, &[media_type])
            .await;
        let (bytes, _) = back.map_err(refused(target, "give the manifest back"))?;
        let found = Digest::of(&bytes);
        if found == manifest.digest {
            return Ok(());
        }
        Err(ImageError::NotPushed {
            image: Box::new(target.clone()),
            expected: manifest.digest.clone(),
            found: found.to_string(),
        })
    }
}

/// A list of which one manifest is sent may be refused for that.
fn manifest_refused(
    target: &Reference,
    manifest: &Descriptor,
    of_list: Option<&Descriptor>,
    error: OciDistributionError,
) -> ImageError {
    // The library hands the registry's own words on in one of two forms.
    let said = match &error {
        OciDistributionError::RegistryError { envelope, .. } => envelope
            .errors
            .iter()
            .any(|it| it.code == OciErrorCode::ManifestBlobUnknown),
        OciDistributionError::ServerError { message, .. } => {
            message.contains("MANIFEST_BLOB_UNKNOWN")
        }
        _ => false,
    };
    match of_list {
        Some(here) if said => ImageError::PartOfList {
            registry: target.registry().to_owned(),
            list: manifest.digest.clone(),
            here: here.digest.clone(),
            source: Box::new(error),
        },
        _ => refused(target, "take the manifest")(error),
    }
}

fn stream(
    store: &Store,
    digest: &Digest,
) -> Result<
    impl futures_util::Stream<Item = Result<bytes::Bytes, OciDistributionError>> + use<>,
    ImageError,
> {
    let blob = store
        .blob(digest)
        .map_err(ImageError::reading(&store.blob_path(digest)))?;
    let length = blob.limit();
    let file = File::from_std(blob.into_inner()).take(length);
    Ok(futures_util::stream::try_unfold(
        file,
        |mut file| async move {
            let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
            let read = file.read_buf(&mut chunk).await?;
            Ok((read > 0).then(|| (chunk.freeze(), file)))
        },
    ))
}

pub(crate) fn address(target: &Reference) -> Target {
    let (registry, repository) = (target.registry().to_owned(), target.repository().to_owned());
    match target.digest() {
        Some(digest) => Target::with_digest(registry, repository, digest.to_string()),
        None => Target::with_tag(
            registry,
            repository,
            target.tag().unwrap_or_default().to_owned(),
        ),
    }
}

pub(crate) fn refused(
    target: &Reference,
    action: &str,
) -> impl Fn(OciDistributionError) -> ImageError {
    let (registry, action) = (target.registry().to_owned(), action.to_owned());
    move |source| ImageError::Registry {
        registry: registry.clone(),
        action: action.clone(),
        source: Box::new(source),
    }
}
