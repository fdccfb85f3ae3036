//! Causes on the way to the cluster: the wrong one, none, and a user who may not.
//!
//! It must leave nothing on the cluster but what a cause is made of.

use super::{recovered, refused, text};
use crate::rig::Rig;
use kedactl_tests::Outcome;
use serde_json::{Value, json};

/// A kubeconfig of the run's cluster, changed; its context is `production`.
fn kubeconfig(rig: &Rig, name: &str, change: impl Fn(&mut Value)) -> String {
    let view = ["config", "view", "--raw", "--minify"];
    let mut file = rig.cluster.json(&view);
    file["contexts"][0]["name"] = "production".into();
    file["current-context"] = "production".into();
    change(&mut file);
    text(&rig.context.write(name, &file.to_string())).to_owned()
}

/// `up` by a way that ends before images matter.
fn no_way(rig: &Rig, way: &[&str]) -> Outcome {
    by_way(rig, &[way, &["--set", "images.build=[]"]].concat())
}

/// `up` by a way of its own, with the stack's values.
fn by_way(rig: &Rig, way: &[&str]) -> Outcome {
    let values = rig.values();
    let mut args = vec!["up", "--provider", "context"];
    args.extend(values.iter().map(String::as_str));
    rig.run(&[&args, way].concat())
}

/// A cluster is let in by its UID alone, whatever its context is called and wherever it points.
pub(super) fn another_cluster(rig: &Rig) {
    let uid = rig.cluster_uid();
    let file = kubeconfig(rig, "production.json", |_| ());
    let way = ["--kubeconfig", &file, "--context", "production"];
    let allow = format!("--allow-cluster {}", &uid[..8]);
    let named = [
        "[KD0801]",
        &uid,
        "is not allowed yet",
        "context production",
        &allow,
    ];
    refused("a cluster that was never allowed", 5, &named, || {
        no_way(rig, &way)
    });
    let named = ["[KD0801]", &uid, "ffffffff was allowed"];
    refused("another cluster than the allowed one", 5, &named, || {
        no_way(rig, &[&way[..], &["--allow-cluster", "ffffffff"]].concat())
    });
    refused("no context", 65, &["[KD0102]", "--context NAME"], || {
        no_way(rig, &way[..2])
    });
    let named = ["[KD0701]", "context staging", "it holds production"];
    refused("a context that is not in the file", 1, &named, || {
        no_way(rig, &[&way[..2], &["--context", "staging"]].concat())
    });
}

pub(super) fn no_way_there(rig: &Rig) {
    let up = |file: &str| no_way(rig, &["--kubeconfig", file, "--context", "production"]);
    let missing = rig.context.dir().join("no-such-file");
    let named = ["[KD0701]", text(&missing), "cannot be read"];
    refused("no kubeconfig", 1, &named, || up(text(&missing)));
    let garbled = rig.context.write("garbled.yaml", "clusters: [{name: x");
    let named = ["[KD0701]", text(&garbled), "is not YAML"];
    refused("a garbled kubeconfig", 1, &named, || up(text(&garbled)));
    let nobody = format!("https://127.0.0.1:{}", kedactl_testkit::free_port());
    let file = kubeconfig(rig, "nobody.json", |it| {
        it["clusters"][0]["cluster"]["server"] = nobody.clone().into();
    });
    let named = [
        "[KD0702]",
        "context production",
        &nobody,
        "refused",
        "is the cluster running",
    ];
    refused("no API server", 8, &named, || up(&file));
}

/// The context leads to another cluster than the one that the stack is on.
pub(super) fn bound_to_another(rig: &Rig) {
    let record = rig.context.dir().join("state/clusters").join(&rig.name);
    let record = record.join("stack.json");
    let (uid, other) = (rig.cluster_uid(), "0b5c7f3a-1111-4222-8333-444455556666");
    let text = std::fs::read_to_string(&record).unwrap();
    assert!(text.contains(&uid), "{text}");
    std::fs::write(&record, text.replace(&uid, other)).unwrap();
    let named = ["[KD0801]", other, &uid, "--allow-cluster"];
    refused(
        "a stack that is bound to another cluster",
        5,
        &named,
        || by_way(rig, &[]),
    );
    refused("its queue", 5, &named, || rig.run(&["queue", "ls"]));
    recovered(rig, &[]);
    by_way(rig, &[]).check(0);
}

/// An account of the cluster that may do everything but write one kind.
pub(super) struct User<'r> {
    rig: &'r Rig,
    name: String,
}

impl<'r> User<'r> {
    pub(super) fn new(rig: &'r Rig) -> Self {
        let user = Self {
            rig,
            name: format!("user-{}", rig.name),
        };
        let (name, cluster) = (user.name.as_str(), &rig.cluster);
        cluster.kubectl(&["create", "namespace", name]);
        cluster.kubectl(&["-n", name, "create", "serviceaccount", name]);
        user.may("networkpolicies", &["get", "list", "watch"]);
        let account = format!("--serviceaccount={name}:{name}");
        let role = format!("--clusterrole={name}");
        cluster.kubectl(&["create", "clusterrolebinding", name, &role, &account]);
        user
    }

    /// Everything in every group that is needed, but of one only some verbs of one resource.
    fn may(&self, resource: &str, verbs: &[&str]) {
        let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": self.name},
        "rules": [
            {"resources": ["*"], "verbs": ["*"], "apiGroups": ["", "apiextensions.k8s.io",
                "apiregistration.k8s.io", "apps", "autoscaling", "coordination.k8s.io", "discovery.k8s.io",
                "keda.sh", "policy", "storage.k8s.io"]},
            {"resources": [resource], "verbs": verbs, "apiGroups": ["networking.k8s.io"]},
        ]});
        let file = self.rig.context.write("role.json", &role.to_string());
        self.rig.cluster.kubectl(&["apply", "-f", text(&file)]);
    }

    /// Options that lead there as this user; a token is given anew each time.
    fn up(&self) -> Outcome {
        let (rig, name) = (self.rig, self.name.as_str());
        let token = rig.cluster.kubectl(&["-n", name, "create", "token", name]);
        let file = kubeconfig(rig, "user.json", |it| {
            it["users"][0]["user"] = json!({"token": token.trim()});
        });
        let uid = rig.cluster_uid();
        let way = ["--kubeconfig", &file, "--context", "production"];
        by_way(rig, &[&way[..], &["--allow-cluster", &uid[..8]]].concat())
    }

    pub(super) fn lacks_a_right(&self) {
        let who = format!("system:serviceaccount:{0}:{0}", self.name);
        let what = format!(
            "create, patch networkpolicies.networking.k8s.io in namespace {}",
            self.rig.namespace()
        );
        let question = format!(
            "auth can-i create networkpolicies.networking.k8s.io -n {}",
            self.rig.namespace()
        );
        let named = ["[KD0707]", &who, "may not", &what, &question];
        refused("no right to write one kind", 1, &named, || self.up());
    }

    pub(super) fn may_now(&self) {
        self.may("networkpolicies", &["*"]);
        self.up().check(0);
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let cluster = &self.rig.cluster;
        for kind in ["clusterrolebinding", "clusterrole", "namespace"] {
            let gone = [
                "delete",
                kind,
                &self.name,
                "--ignore-not-found",
                "--wait=false",
            ];
            drop(cluster.try_kubectl(&gone));
        }
    }
}
