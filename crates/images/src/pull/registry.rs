//! Reading from one repository of a registry: manifests whole, blobs as streams that go on where they were cut.
//! Must not use plain HTTP beyond this machine, and hands nothing on that it did not compare with its digest.

use std::io::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::again::{ATTEMPTS, Attempts, FIRST_PAUSE, Trouble, passing};
use crate::digest::Hashing;
use crate::oci::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
use crate::push::{address, refused};
use crate::{Credentials, Descriptor, Digest, ImageError, Reference};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const SILENT_AT_MOST: Duration = Duration::from_mins(1);
/// No manifest is larger.
const MANIFEST_LIMIT: usize = 4 << 20;

/// One repository, as far as it is read.
pub(super) struct Source {
    /// The name under which the registry is asked.
    at: Reference,
    http: reqwest::Client,
    login: Client,
    auth: RegistryAuth,
    token: Mutex<Option<String>>,
}

/// A manifest as the registry gave it.
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) media_type: String,
}

impl Source {
    pub(super) async fn open(
        at: &Reference,
        credentials: &Credentials,
    ) -> Result<Self, ImageError> {
        crate::tls::prepare();
        let auth = credentials.of(at.registry()).await?;
        let plain = at.is_loopback();
        let agent = concat!("kedactl/", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig {
            protocol: if plain {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            connect_timeout: Some(CONNECT_WITHIN),
            read_timeout: Some(SILENT_AT_MOST),
            user_agent: agent,
            ..ClientConfig::default()
        };
        let login = Client::try_from(config).map_err(refused(at, "be asked"))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENT_AT_MOST)
            .user_agent(agent)
            .https_only(!plain)
            .build()
            .map_err(|error| refused(at, "be asked")(error.into()))?;
        let source = Self {
            at: at.clone(),
            http,
            login,
            auth,
            token: Mutex::new(None),
        };
        source.log_in().await?;
        Ok(source)
    }

    /// The name under which the registry is asked.
    pub(super) fn at(&self) -> &Reference {
        &self.at
    }

    pub(super) async fn log_in(&self) -> Result<(), ImageError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let asked = self
                .login
                .auth(&address(&self.at), &self.auth, RegistryOperation::Pull)
                .await;
            match asked {
                Ok(token) => {
                    *self.token.lock().await = token;
                    break;
                }
                Err(OciDistributionError::RequestError(error))
                    if passing(&error) && attempt < ATTEMPTS =>
                {
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(refused(&self.at, "let us in")(error)),
            }
        }
        Ok(())
    }

    /// A manifest by tag or digest; one by digest has that digest.
    pub(super) async fn manifest(&self, name: &Reference) -> Result<Document, ImageError> {
        let which = name.digest().map_or_else(
            || name.tag().unwrap_or_default().to_owned(),
            ToString::to_string,
        );
        let action = format!("give the manifest {which}");
        let accepted = [INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST].join(", ");
        let mut attempts = Attempts::new();
        loop {
            let request = self
                .get(&format!("manifests/{which}"))
                .header(ACCEPT, &accepted);
            let answered = match self.answer(request).await {
                Ok(answer) => whole(answer).await,
                Err(trouble) => Err(trouble),
            };
            match answered {
                Ok((headers, bytes)) => return self.checked(name, &headers, bytes),
                Err(trouble) => self.again(trouble, &mut attempts, &action).await?,
            }
        }
    }

    fn checked(
        &self,
        name: &Reference,
        headers: &HeaderMap,
        bytes: Vec<u8>,
    ) -> Result<Document, ImageError> {
        let digest = Digest::of(&bytes);
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|it| it.to_str().ok())
                .unwrap_or_default()
        };
        let said = Digest::parse(text("docker-content-digest"));
        if let Some(expected) = name.digest().or(said.as_ref()).filter(|it| **it != digest) {
            return Err(ImageError::OtherBytes {
                registry: self.at.registry().to_owned(),
                expected: expected.clone(),
                found: digest,
            });
        }
        let inside: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let media_type = inside["mediaType"]
            .as_str()
            .unwrap_or(text(CONTENT_TYPE.as_str()));
        let media_type = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        Ok(Document {
            bytes,
            digest,
            media_type,
        })
    }

    /// Streams a blob into a file and compares it with its digest; `more` is told of every byte that comes.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        file: NamedTempFile,
        more: impl Fn(u64),
    ) -> Result<NamedTempFile, ImageError> {
        let action = format!("give blob {}", blob.digest);
        let mut hashing = Hashing::new(file);
        let mut attempts = Attempts::new();
        while hashing.size() < blob.size {
            let had = hashing.size();
            let Some(trouble) = self.part(blob, &mut hashing, &more).await? else {
                break;
            };
            if hashing.size() > had {
                attempts = Attempts::new();
            }
            self.again(trouble, &mut attempts, &action).await?;
        }
        let (found, size, file) = hashing.finish();
        if found == blob.digest && size == blob.size {
            return Ok(file);
        }
        Err(ImageError::OtherBytes {
            registry: self.at.registry().to_owned(),
            expected: blob.digest.clone(),
            found,
        })
    }

    /// One request for what is still missing. Nothing: it came to its end.
    async fn part(
        &self,
        blob: &Descriptor,
        hashing: &mut Hashing<NamedTempFile>,
        more: &impl Fn(u64),
    ) -> Result<Option<Trouble>, ImageError> {
        let had = hashing.size();
        let mut request = self.get(&format!("blobs/{}", blob.digest));
        if had > 0 {
            request = request.header(RANGE, format!("bytes={had}-"));
        }
        let answer = match self.answer(request).await {
            Ok(answer) => answer,
            Err(trouble) => return Ok(Some(trouble)),
        };
        // A registry without ranges sends everything again: what is there already is passed over.
        let mut skip = if answer.status() == StatusCode::PARTIAL_CONTENT {
            0
        } else {
            had
        };
        let mut stream = answer.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Some(Trouble::Passing(error.into(), None))),
            };
            let new = chunk
                .get(skip.min(chunk.len() as u64) as usize..)
                .unwrap_or_default();
            skip = skip.saturating_sub(chunk.len() as u64);
            // One byte too many is enough to know.
            let room = (blob.size + 1).saturating_sub(hashing.size()) as usize;
            let new = &new[..new.len().min(room)];
            hashing
                .write_all(new)
                .map_err(ImageError::writing(std::path::Path::new(
                    "a blob that comes in",
                )))?;
            more(new.len() as u64);
            if hashing.size() > blob.size {
                return Ok(None);
            }
        }
        if hashing.size() < blob.size {
            let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Ok(Some(Trouble::Passing(cut.into(), None)));
        }
        Ok(None)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let scheme = if self.at.is_loopback() {
            "http"
        } else {
            "https"
        };
        // Docker's own registry has another name on the network.
        let at = address(&self.at);
        let (host, repository) = (at.resolve_registry(), self.at.repository());
        self.http
            .get(format!("{scheme}://{host}/v2/{repository}/{path}"))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let request = match (&*self.token.lock().await, &self.auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        let answer = request.send().await.map_err(|error| {
            if passing(&error) {
                Trouble::Passing(error.into(), None)
            } else {
                Trouble::Final(error.into())
            }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let wait = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|it| it.to_str().ok()?.trim().parse().ok());
        let url = answer.url().to_string();
        let message = answer.text().await.unwrap_or_default();
        let error = match status {
            StatusCode::UNAUTHORIZED => OciDistributionError::UnauthorizedError { url },
            _ => OciDistributionError::ServerError {
                code: status.as_u16(),
                // Where an answer was redirected to may carry a signature.
                url: url.split('?').next().unwrap_or_default().to_owned(),
                message: message.chars().take(300).collect(),
            },
        };
        let later = matches!(
            status.as_u16(),
            401 | 408 | 425 | 429 | 500 | 502 | 503 | 504
        );
        Err(if later {
            Trouble::Passing(error, wait.map(Duration::from_secs))
        } else {
            Trouble::Final(error)
        })
    }
}

async fn whole(answer: Response) -> Result<(HeaderMap, Vec<u8>), Trouble> {
    let headers = answer.headers().clone();
    let mut bytes = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Trouble::Passing(error.into(), None))?;
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MANIFEST_LIMIT {
            let message = Some("a manifest of more than 4 MiB".to_owned());
            return Err(Trouble::Final(OciDistributionError::GenericError(message)));
        }
    }
    Ok((headers, bytes))
}
