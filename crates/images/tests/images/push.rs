//! Pushing to a real registry: what is sent, what is not, who may, and what is read back.
//!
//! It must not use the network beyond 127.0.0.1.

use crate::support::Scratch;
use kedactl_images::{Credentials, Digest, Image, ImageError, Pushed, push};
use kedactl_plan::Discard;
use kedactl_testkit::{Registry, RegistryOptions};
use std::fs;
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `hunter2` for the user `me`, with few rounds.
const HTPASSWD: &str = "me:$2b$04$yrbGMFi69LAg9uKTx2M9JuABbDfG3qFqBTOiUbjRxq5FbeMDgZ3zi\n";

fn try_push(
    scratch: &Scratch,
    image: &Image,
    to: &str,
    who: &Credentials,
) -> Result<Pushed, ImageError> {
    let target = image.reference.moved(to)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(push(&scratch.store, image, &target, who, &Discard))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn an_image_and_its_bill_of_materials_arrive_and_nothing_is_sent_twice() {
    let registry = Registry::start(&RegistryOptions::default());
    let scratch = Scratch::new();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    let to = format!("{}/team", registry.host());
    let first = try_push(&scratch, &a, &to, &Credentials::Anonymous).unwrap();
    assert_eq!(
        (first.sent, first.present),
        (5, 0),
        "configuration, two layers, {{}}, the bill"
    );
    let path = format!(
        "/v2/team/test-program/manifests/{}",
        a.reference.tag().unwrap()
    );
    let answer = registry.get(&path, MANIFEST);
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(Digest::of(body.as_bytes()), a.manifest.digest, "{answer}");
    let sbom = format!(
        "/v2/team/test-program/manifests/{}",
        a.sbom.as_ref().unwrap().reference.tag().unwrap()
    );
    assert!(
        registry
            .get(&sbom, MANIFEST)
            .contains("application/vnd.cyclonedx+json")
    );
    let again = try_push(&scratch, &a, &to, &Credentials::Anonymous).unwrap();
    assert_eq!((again.sent, again.sent_bytes), (0, 0));
    let next = try_push(&scratch, &b, &to, &Credentials::Anonymous).unwrap();
    assert_eq!(
        (next.sent, next.present),
        (3, 2),
        "the libraries and {{}} are there"
    );
}

#[test]
fn a_login_is_taken_from_dockers_file_or_given_and_a_wrong_one_is_refused() {
    let registry = Registry::start(&RegistryOptions {
        htpasswd: Some(HTPASSWD.to_owned()),
        ..RegistryOptions::default()
    });
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let to = format!("{}/team", registry.host());
    let given = |password: &str| Credentials::Given {
        username: "me".to_owned(),
        password: password.to_owned(),
    };
    for wrong in [Credentials::Anonymous, given("letmein")] {
        let error = try_push(&scratch, &image, &to, &wrong).unwrap_err();
        assert!(matches!(error, ImageError::Registry { .. }), "{error}");
        assert!(!chain(&error).contains("letmein"), "{error}");
    }
    assert_eq!(
        try_push(&scratch, &image, &to, &given("hunter2"))
            .unwrap()
            .sent,
        5
    );
    let file = scratch.dir.path().join("config.json");
    let login = format!(
        r#"{{"auths": {{"{}": {{"auth": "bWU6aHVudGVyMg=="}}}}}}"#,
        registry.host()
    );
    fs::write(&file, login).unwrap();
    let docker = Credentials::DockerConfig(file);
    assert_eq!(try_push(&scratch, &image, &to, &docker).unwrap().present, 5);
}

#[test]
fn a_registry_that_holds_other_bytes_is_found_out() {
    let registry = Registry::start(&RegistryOptions::default());
    let scratch = Scratch::new();
    let (a, b) = (scratch.image("a"), scratch.image("b"));
    let to = registry.host();
    try_push(&scratch, &a, &to, &Credentials::Anonymous).unwrap();
    // The blob of the manifest that is pushed next is there already, and holds something else.
    let hex = b.manifest.digest.hex();
    let place = registry
        .data()
        .join("blobs/sha256")
        .join(&hex[..2])
        .join(hex);
    fs::create_dir_all(&place).unwrap();
    fs::copy(blob(&registry, a.manifest.digest.hex()), place.join("data")).unwrap();
    let error = try_push(&scratch, &b, &to, &Credentials::Anonymous).unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains("digest") || text.contains("refused to take the manifest"),
        "{text}"
    );
}

fn blob(registry: &Registry, hex: &str) -> std::path::PathBuf {
    registry
        .data()
        .join("blobs/sha256")
        .join(&hex[..2])
        .join(hex)
        .join("data")
}

#[test]
fn a_spoilt_layer_is_refused_by_the_registry() {
    let registry = Registry::start(&RegistryOptions::default());
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let layer = scratch
        .store
        .path()
        .join("blobs/sha256")
        .join(image.layers[1].digest.hex());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[600] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let error = try_push(&scratch, &image, &registry.host(), &Credentials::Anonymous).unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains(image.layers[1].digest.as_str()) && text.contains("DIGEST_INVALID"),
        "{text}"
    );
}

#[test]
fn plain_http_goes_to_this_machine_alone() {
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 5];
        std::io::Read::read_exact(&mut stream, &mut first).unwrap();
        first
    });
    // 0.0.0.0 leads here too and is not loopback: anything but 127.0.0.0/8, ::1 and localhost is foreign.
    let to = format!("0.0.0.0:{port}");
    try_push(&scratch, &image, &to, &Credentials::Anonymous).unwrap_err();
    assert_eq!(
        heard.join().unwrap()[0],
        0x16,
        "a TLS handshake and no request in clear text"
    );
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let scratch = Scratch::new();
    let image = scratch.image("a");
    let to = format!("127.0.0.1:{}", kedactl_testkit::free_port());
    let error = try_push(
        &scratch,
        &image,
        &to,
        &Credentials::DockerConfig(Path::new("/not/there").into()),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), format!("{to} refused to let us in"));
}
