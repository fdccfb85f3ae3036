//! How a profile is, by `minikube status -o json` and its exit code, and what it was made as, by `minikube profile list`.
//! Must not ask anything.

use serde::Deserialize;
use serde_json::Value;

/// Exit code of commands about a profile that is not there.
pub(super) const NO_PROFILE: i32 = 85;

/// How a profile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is none of that name.
    Missing,
    /// Its configuration is there, and none of its nodes is: whoever took them away did not ask minikube.
    Bodiless,
    /// Some or all of its nodes do not run.
    Stopped,
    /// Kubernetes' processes are frozen.
    Paused,
    /// Its nodes run, and the control plane or a kubelet does not.
    Unwell,
    /// All of it runs. Whether its API server answers is to be asked.
    Running,
}

/// One node as `status -o json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeStatus {
    pub(super) name: String,
    host: String,
    kubelet: String,
    #[serde(rename = "APIServer")]
    api_server: String,
}

const HOST: i32 = 1;
const CLUSTER: i32 = 2;
/// The bit of the kubeconfig: ours is written anew each time, so that it says nothing.
const KUBECONFIG: i32 = 4;

/// The nodes of an answer: one is an object, several are a list, and a missing one makes `null` of all.
pub(super) fn nodes(text: &str) -> Option<Vec<NodeStatus>> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(_) => serde_json::from_value(value).ok(),
        Value::Object(_) => Some(vec![serde_json::from_value(value).ok()?]),
        _ => None,
    }
}

/// Judges an answer; nothing where it makes no sense. The exit code is a set of bits, and decides where both say something.
pub(super) fn judge(code: i32, text: &str) -> Option<Status> {
    if code == NO_PROFILE {
        return Some(Status::Missing);
    }
    if code & !(HOST | CLUSTER | KUBECONFIG) != 0 {
        return None;
    }
    let nodes = nodes(text)?;
    if nodes.is_empty() {
        return (code == HOST | CLUSTER | KUBECONFIG).then_some(Status::Bodiless);
    }
    // Of a paused cluster the kubelet does not run either.
    let paused = nodes.iter().any(|it| it.api_server == "Paused");
    Some(if code & HOST != 0 {
        Status::Stopped
    } else if paused {
        Status::Paused
    } else if code & CLUSTER != 0 {
        Status::Unwell
    } else {
        Status::Running
    })
}

/// What a profile was made as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// `docker`, `kvm2`, …
    pub driver: String,
    /// `containerd`, `docker` or `crio`, as minikube keeps it.
    pub runtime: String,
    /// `v1.34.0`.
    pub kubernetes: String,
    /// CPUs of each node.
    pub cpus: u64,
    /// MiB of each node.
    pub memory: u64,
    /// Its nodes' machines, which are containers of that name where the driver has those: `demo`, `demo-m02`.
    pub nodes: Vec<String>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    valid: Option<Vec<Entry>>,
    #[serde(default)]
    invalid: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    name: String,
    #[serde(default)]
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    driver: String,
    #[serde(default, rename = "CPUs")]
    cpus: u64,
    #[serde(default)]
    memory: u64,
    #[serde(default, rename = "KubernetesConfig")]
    kubernetes: Kubernetes,
    #[serde(default)]
    nodes: Vec<NodeConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kubernetes {
    #[serde(default)]
    kubernetes_version: String,
    #[serde(default)]
    container_runtime: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeConfig {
    #[serde(default)]
    name: String,
}

/// The profiles of a list, and the names of those whose configuration cannot be read.
pub(super) fn profiles(text: &str) -> Option<(Vec<Profile>, Vec<String>)> {
    let listed: Listed = serde_json::from_str(text.trim()).ok()?;
    let invalid = listed.invalid.unwrap_or_default();
    let invalid = invalid.into_iter().map(|it| it.name).collect();
    let valid = listed.valid.unwrap_or_default().into_iter();
    let valid = valid.filter_map(|entry| Some(profile(&entry.name, entry.config?)));
    Some((valid.collect(), invalid))
}

fn profile(name: &str, config: Config) -> Profile {
    // As minikube names machines: a node alone bears the profile's name, and so does one without a name of its own.
    let alone = config.nodes.len() == 1;
    let machine = |node: NodeConfig| {
        if alone || node.name.is_empty() {
            name.to_owned()
        } else {
            format!("{name}-{}", node.name)
        }
    };
    Profile {
        nodes: config.nodes.into_iter().map(machine).collect(),
        name: name.to_owned(),
        driver: config.driver,
        runtime: config.kubernetes.container_runtime,
        kubernetes: config.kubernetes.kubernetes_version,
        cpus: config.cpus,
        memory: config.memory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: &str = r#"{"Name":"demo","Host":"Running","Kubelet":"Running","APIServer":"Running","Kubeconfig":"Configured","Worker":false}"#;

    fn with(text: &str, changes: &[(&str, &str)]) -> String {
        let mut value: Value = serde_json::from_str(text).unwrap();
        for (key, to) in changes {
            value[*key] = (*to).into();
        }
        value.to_string()
    }

    #[test]
    fn bits_and_states_are_judged_together() {
        assert_eq!(judge(85, "anything"), Some(Status::Missing));
        assert_eq!(judge(0, UP), Some(Status::Running));
        // Our own kubeconfig is written after this question.
        assert_eq!(judge(4, UP), Some(Status::Running));
        let down = with(
            UP,
            &[
                ("Host", "Stopped"),
                ("Kubelet", "Stopped"),
                ("APIServer", "Stopped"),
            ],
        );
        assert_eq!(judge(7, &down), Some(Status::Stopped));
        let frozen = with(UP, &[("Kubelet", "Stopped"), ("APIServer", "Paused")]);
        assert_eq!(judge(2, &frozen), Some(Status::Paused));
        let ill = with(UP, &[("APIServer", "Stopped")]);
        assert_eq!(judge(2, &ill), Some(Status::Unwell));
        // minikube prints `null` where it finds no machine.
        assert_eq!(judge(7, "null"), Some(Status::Bodiless));
        let worker = with(UP, &[("Name", "demo-m02"), ("APIServer", "Irrelevant")]);
        assert_eq!(judge(0, &format!("[{UP},{worker}]")), Some(Status::Running));
        for (code, text) in [(0, "null"), (8, UP), (1, "x"), (0, "7"), (80, "")] {
            assert_eq!(judge(code, text), None, "{code} {text}");
        }
    }

    #[test]
    fn a_list_names_machines_as_minikube_does() {
        let list = r#"{"invalid":[{"Name":"broken","Status":"","Config":null}],"valid":[
            {"Name":"demo","Status":"OK","Config":{"Name":"demo","Driver":"docker","Memory":3072,"CPUs":2,
              "KubernetesConfig":{"KubernetesVersion":"v1.34.0","ContainerRuntime":"containerd"},
              "Nodes":[{"Name":"","ControlPlane":true,"Worker":true},{"Name":"m02","ControlPlane":false,"Worker":true}]}},
            {"Name":"one","Config":{"Driver":"kvm2","Nodes":[{"Name":"m01","ControlPlane":true}]}}]}"#;
        let (valid, invalid) = profiles(list).unwrap();
        assert_eq!(invalid, ["broken"]);
        assert_eq!(valid[0].nodes, ["demo", "demo-m02"]);
        assert_eq!((valid[0].cpus, valid[0].memory), (2, 3072));
        assert_eq!(
            (valid[0].runtime.as_str(), valid[0].kubernetes.as_str()),
            ("containerd", "v1.34.0")
        );
        assert_eq!(valid[1].nodes, ["one"]);
        assert_eq!(
            profiles(r#"{"error":{"Op":"open"}}"#),
            Some((Vec::new(), Vec::new()))
        );
        assert_eq!(profiles("no"), None);
    }
}
