//! What the test cluster promises to all other tests.
//!
//! It must not test kedactl.

use crate::cluster::Cluster;
use crate::namespace::SAMPLE;
use kedactl_testkit::until;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);

fn pod(name: &str, command: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      terminationGracePeriodSeconds: 0\n      containers:\n      - name: main\n        image: {SAMPLE}\n        command: {command}\n{more}"
    )
}

#[test]
fn every_node_is_ready() {
    let cluster = Cluster::of_this_run();
    cluster.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "nodes",
        "--all",
        "--timeout=60s",
    ]);
    assert!(!cluster.node_addresses().is_empty());
}

#[test]
fn names_are_resolved_and_unknown_ones_refused_at_once() {
    let cluster = Cluster::of_this_run();
    let namespace = cluster.namespace("dns");
    namespace.apply(&pod("client", "[sleep, '1000000']", ""));
    namespace.until_available("client");
    let found = namespace
        .inside(
            "deploy/client",
            &["nslookup", "kubernetes.default.svc.cluster.local"],
        )
        .unwrap();
    let service = cluster.json(&["-n", "default", "get", "service", "kubernetes"]);
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    assert!(found.contains(address), "{found}");
    let refused = namespace.inside(
        "deploy/client",
        &["timeout", "5", "nslookup", "nowhere.example.test"],
    );
    let words = refused.unwrap_err().to_string();
    assert!(
        !words.contains("143") && !words.contains("124"),
        "not refused but timed out: {words}"
    );
}

#[test]
fn a_claim_binds_and_keeps_what_is_written() {
    let cluster = Cluster::of_this_run();
    let namespace = cluster.namespace("claim");
    namespace.apply(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 16Mi}}\n",
    );
    let volume = "        volumeMounts: [{name: data, mountPath: /data}]\n      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n";
    namespace.apply(&pod(
        "writer",
        "[sh, -c, 'echo kept >>/data/file; exec sleep 1000000']",
        volume,
    ));
    namespace.until_available("writer");
    namespace.kubectl(&["delete", "pod", "-l", "app=writer", "--wait"]);
    namespace.until_available("writer");
    until("two lines, one of each pod", SOON, || {
        namespace
            .inside("deploy/writer", &["cat", "/data/file"])
            .is_ok_and(|text| text == "kept\nkept\n")
    });
}

#[test]
fn a_node_port_answers_on_every_node() {
    let cluster = Cluster::of_this_run();
    let namespace = cluster.namespace("nodeport");
    namespace.apply(&pod("web", "[httpd, -f, -p, '8080', -h, /www]", ""));
    namespace.apply("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: NodePort\n  selector: {app: web}\n  ports: [{port: 80, targetPort: 8080}]\n");
    namespace.until_available("web");
    let service = cluster.json(&["-n", &namespace.name, "get", "service", "web"]);
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    for address in cluster.node_addresses() {
        until(&format!("http://{address}:{port}/"), SOON, || {
            get(&address, port).is_some_and(|reply| reply.contains("200 OK"))
        });
    }
}

fn get(address: &str, port: u64) -> Option<String> {
    let mut stream = TcpStream::connect(format!("{address}:{port}")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

#[test]
fn metrics_of_nodes_and_pods_are_there() {
    let cluster = Cluster::of_this_run();
    until("kubectl top nodes", SOON, || {
        cluster
            .try_kubectl(&["top", "nodes", "--no-headers"])
            .is_ok_and(|text| text.contains("control-plane"))
    });
    until("kubectl top pods", SOON, || {
        cluster
            .try_kubectl(&[
                "-n",
                "kube-system",
                "top",
                "pods",
                "--no-headers",
                "-l",
                "k8s-app=kube-dns",
            ])
            .is_ok_and(|text| text.contains("coredns"))
    });
}
