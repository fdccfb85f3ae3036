//! The real kind, asked about the cluster that is there: what the scripted one plays is what it says.
//! Must not change that cluster: other tests use it.

use std::os::unix::fs::PermissionsExt as _;

use kedactl_tools::CancellationToken;
use kedactl_tools::kind::Kind;

use crate::lab::variable;

#[tokio::test]
async fn clusters_nodes_and_kubeconfig_are_read_and_nothing_is_there_for_an_unknown_name() {
    let directory = tempfile::tempdir().unwrap();
    let never = CancellationToken::new();
    let name = variable("KEDACTL_TEST_CLUSTER");
    let kind = Kind::open(None, "docker", directory.path()).unwrap();
    assert!(kind.clusters(&never).await.unwrap().contains(&name));
    let nodes = kind.nodes(&name, &never).await.unwrap();
    assert!(
        nodes.contains(&format!("{name}-control-plane")),
        "{nodes:?}"
    );
    let path = kind.write_kubeconfig(&name, &never).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&Kind::context(&name)));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let unknown = format!("{name}-not");
    assert!(kind.nodes(&unknown, &never).await.unwrap().is_empty());
    assert!(!kind.delete(&unknown, &never).await.unwrap());
    kind.write_kubeconfig(&unknown, &never).await.unwrap_err();
}
