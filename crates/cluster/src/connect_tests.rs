//! Kubeconfigs and servers that are not what they should be.

use super::*;
use std::fs;

#[test]
fn addresses_tell_where_they_point() {
    let all = [
        ("https://127.0.0.1:6443", Locality::Loopback),
        ("https://localhost:6443", Locality::Loopback),
        ("https://[::1]:6443", Locality::Loopback),
        ("https://192.168.49.2:8443", Locality::Private),
        ("https://172.18.0.2:6443", Locality::Private),
        ("https://34.1.2.3", Locality::Public),
        ("https://ABC.eks.amazonaws.com", Locality::Name),
    ];
    for (server, expected) in all {
        assert_eq!(locality(server), expected, "{server}");
    }
}

fn kubeconfig(server: &str, extra: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
         clusters:\n- name: c\n  cluster: {{server: '{server}'}}\n\
         contexts:\n- name: dev\n  context: {{cluster: c, user: u}}\n\
         users:\n- name: u\n  user: {{{extra}}}\n"
    );
    fs::write(&path, text).unwrap();
    (dir, path)
}

async fn fails(path: &Path, context: &str) -> Error {
    let mut target = Target::new(path, context);
    target.timeouts.connect = Duration::from_millis(500);
    Cluster::connect(&target).await.unwrap_err()
}

#[tokio::test]
async fn the_context_is_taken_by_name_only() {
    let (_dir, path) = kubeconfig("https://127.0.0.1:1", "");
    let error = fails(&path, "other").await;
    assert!(error.to_string().starts_with("context other is not in"));
    assert_eq!(error.hint().unwrap(), "it holds dev");
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_a_kubeconfig_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = fails(&dir.path().join("none"), "dev").await;
    assert!(error.to_string().contains("cannot be read"), "{error}");
    let path = dir.path().join("bad");
    fs::write(&path, "users: [{token: very-secret").unwrap();
    let error = fails(&path, "dev").await;
    assert!(!format!("{error:?}{error}").contains("very-secret"));
}

#[tokio::test]
async fn nobody_at_the_address_is_told_at_once() {
    let (_dir, path) = kubeconfig("https://127.0.0.1:1", "");
    let error = fails(&path, "dev").await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.contains("nothing answers at https://127.0.0.1:1"),
        "{source}"
    );
    assert_eq!(error.class(), crate::Class::Connection);
}

#[tokio::test]
async fn a_missing_credential_plugin_is_told_before_any_request() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}";
    let (_dir, path) = kubeconfig("https://127.0.0.1:1", exec);
    let error = fails(&path, "dev").await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no-such-plugin"), "{source}");
    assert!(error.hint().unwrap().contains("install no-such-plugin"));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_as_such() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(b"HTTP/1.0 400 no\r\n\r\n").await.ok();
        }
    });
    let (_dir, path) = kubeconfig(&format!("https://{address}"), "");
    let error = fails(&path, "dev").await;
    let source = std::error::Error::source(&error).unwrap().to_string();
    server.abort();
    assert!(source.contains("no secure connection"), "{source}");
}
