//! A registry with what a public one has: names of others' making, lists of platforms, documents beside them; and a bad road to it.
//!
//! It must not assert anything about what is tested.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kedactl_images::{Credentials, Digest, Image, Reference, Store, push};
use kedactl_plan::Discard;
use kedactl_testkit::{Registry, RegistryOptions};
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry and the store from which it is filled.
pub(crate) struct Hub {
    pub(crate) registry: Registry,
    pub(crate) scratch: crate::support::Scratch,
}

impl Hub {
    pub(crate) fn new(options: &RegistryOptions) -> Self {
        Self {
            registry: Registry::start(options),
            scratch: crate::support::Scratch::new(),
        }
    }

    /// Whoever asks for `hub.example.com` asks this registry.
    pub(crate) fn mirrors(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("hub.example.com".to_owned(), self.registry.host())])
    }

    /// An image under `hub.example.com/NAME`.
    pub(crate) fn publish(&self, name: &str, mark: &str, who: &Credentials) -> Image {
        let image = self.scratch.image(mark);
        let target: Reference = format!("{}/{name}", self.registry.host()).parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(push(&self.scratch.store, &image, &target, who, &Discard))
            .unwrap();
        image
    }

    /// A list of manifests for several platforms under a name: ours, another one, and an attestation.
    pub(crate) fn publish_list(&self, repository: &str, tag: &str, mark: &str) -> (Image, Digest) {
        let image = self.publish(
            &format!("{repository}:{mark}"),
            mark,
            &Credentials::Anonymous,
        );
        let read = |store: &Store, digest: &Digest| store.read(digest).unwrap();
        let config = String::from_utf8(read(&self.scratch.store, &image.config.digest)).unwrap();
        let foreign = config
            .replace("\"amd64\"", "\"s390x\"")
            .replace("\"arm64\"", "\"s390x\"");
        let config = self.blob(repository, foreign.as_bytes());
        let manifest = read(&self.scratch.store, &image.manifest.digest);
        let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["config"]["digest"] = config.as_str().into();
        manifest["config"]["size"] = foreign.len().into();
        let foreign = manifest.to_string();
        let other = self.manifest(
            repository,
            Digest::of(foreign.as_bytes()).as_str(),
            MANIFEST,
            &foreign,
        );
        let own = &image.manifest;
        let here = kedactl_images::Platform::here();
        let about = "vnd.docker.reference.type";
        let list = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": other, "size": foreign.len(), "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {about: "attestation-manifest"}},
            {"mediaType": MANIFEST, "digest": other, "size": foreign.len(), "platform": {"os": "linux", "architecture": "s390x"}},
            {"mediaType": MANIFEST, "digest": own.digest, "size": own.size, "platform": here},
        ]});
        let list = self.manifest(repository, tag, INDEX, &list.to_string());
        (image, list)
    }

    fn blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"");
        let location = begun
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .expect("a place to upload to");
        let at = location
            .trim()
            .find("/v2/")
            .map(|at| &location.trim()[at..])
            .unwrap();
        let put = self.request(
            "PUT",
            &format!("{at}&digest={digest}"),
            "application/octet-stream",
            bytes,
        );
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        digest
    }

    pub(crate) fn manifest(&self, repository: &str, name: &str, kind: &str, text: &str) -> Digest {
        let put = self.request(
            "PUT",
            &format!("/v2/{repository}/manifests/{name}"),
            kind,
            text.as_bytes(),
        );
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        Digest::of(text.as_bytes())
    }

    fn request(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.registry.host()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            self.registry.host()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// What happens on the road to a request whose path has these letters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// This status, with `Retry-After: 0`.
    Status(u16),
    /// The answer ends after so many bytes of its body.
    Cut(usize),
    /// One bit of the body is turned.
    Flip,
    /// This status, and a time to wait that nobody has.
    Later(u16),
}

/// A proxy in front of a registry.
pub(crate) struct Road {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Road {
    /// The first `times` requests whose path has `part` meet the fault. Without `ranges` every answer is a whole one.
    pub(crate) fn to(
        registry: &Registry,
        part: &str,
        fault: Fault,
        times: usize,
        ranges: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, part, upstream) = (Arc::clone(&seen), part.to_owned(), registry.host());
        let left = Mutex::new(times);
        std::thread::spawn(move || {
            // It ends with the process of the tests; nobody connects after the test.
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let served = serve(stream, &upstream, &log, ranges, |path| {
                    let mut left = left.lock().unwrap();
                    let hit = path.contains(&part) && *left > 0;
                    *left -= usize::from(hit);
                    hit.then_some(fault)
                });
                drop(served);
            }
        });
        Self { address, seen }
    }

    pub(crate) fn mirrors(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("hub.example.com".to_owned(), self.address.clone())])
    }

    /// The requests that came, each with its range.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request, one answer, and the connection ends.
fn serve(
    stream: TcpStream,
    upstream: &str,
    log: &Mutex<Vec<String>>,
    ranges: bool,
    fault: impl Fn(&str) -> Option<Fault>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let (mut head, mut range) = (String::new(), String::new());
    let mut path = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let small = line.to_ascii_lowercase();
        if path.is_empty() {
            line.split(' ')
                .nth(1)
                .unwrap_or_default()
                .clone_into(&mut path);
        } else if small.starts_with("connection:") {
            continue;
        } else if let Some(asked) = small.strip_prefix("range:") {
            range = format!(" {}", asked.trim());
            if !ranges {
                continue;
            }
        }
        head += &line;
    }
    log.lock().unwrap().push(format!("{path}{range}"));
    let fault = fault(&path);
    if let Some(Fault::Status(code) | Fault::Later(code)) = fault {
        let wait = if matches!(fault, Some(Fault::Later(_))) {
            3600
        } else {
            0
        };
        return write!(
            out,
            "HTTP/1.1 {code} No\r\nRetry-After: {wait}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        );
    }
    let mut server = TcpStream::connect(upstream)?;
    write!(server, "{head}Connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let body = answer
        .windows(4)
        .position(|it| it == b"\r\n\r\n")
        .map_or(answer.len(), |at| at + 4);
    match fault {
        Some(Fault::Cut(length)) => answer.truncate(body + length),
        Some(Fault::Flip) => {
            if let Some(byte) = answer.last_mut() {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    out.write_all(&answer)
}
