//! The pods that objects make: where their template stands, and their containers.
//! Knows which kinds make pods, and judges none of them.

use crate::Object;
use crate::view::At;

/// Group, kind and path of the pod template of every kind that makes pods.
const MAKERS: &[(&str, &str, &str)] = &[
    ("", "Pod", ""),
    ("", "PodTemplate", "template"),
    ("", "ReplicationController", "spec.template"),
    ("apps", "Deployment", "spec.template"),
    ("apps", "StatefulSet", "spec.template"),
    ("apps", "DaemonSet", "spec.template"),
    ("apps", "ReplicaSet", "spec.template"),
    ("batch", "Job", "spec.template"),
    ("batch", "CronJob", "spec.jobTemplate.spec.template"),
    ("keda.sh", "ScaledJob", "spec.jobTargetRef.template"),
];

/// A pod, or the template of pods.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    /// Place of the object that makes it.
    pub(crate) at: usize,
    pub(crate) owner: &'a Object,
    pub(crate) metadata: At<'a>,
    pub(crate) spec: At<'a>,
    containers: Vec<Container<'a>>,
}

/// One container.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) spec: At<'a>,
    pub(crate) role: Role,
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Before the others; with `restartPolicy: Always`, beside them.
    Init,
    Regular,
    Ephemeral,
}

impl<'a> Pod<'a> {
    /// The pod of an object that makes some. `at` is the object's place in its set.
    pub(crate) fn of(at: usize, owner: &'a Object) -> Option<Self> {
        let (_, _, path) = MAKERS
            .iter()
            .find(|(group, kind, _)| owner.is(group, kind))?;
        let root = owner.root();
        let template = if path.is_empty() {
            root
        } else {
            root.dig(path)
        };
        let spec = template.key("spec");
        let roles = [
            ("initContainers", Role::Init),
            ("containers", Role::Regular),
            ("ephemeralContainers", Role::Ephemeral),
        ];
        let containers = roles.iter().flat_map(|(key, role)| {
            let container = |spec| Container { spec, role: *role };
            spec.key(key).items().into_iter().map(container)
        });
        Some(Self {
            at,
            owner,
            metadata: template.key("metadata"),
            containers: containers.collect(),
            spec,
        })
    }

    /// All containers, in the order of the API: init, regular, ephemeral.
    pub(crate) fn containers(&self) -> &[Container<'a>] {
        &self.containers
    }

    /// The containers that run while the pod runs.
    pub(crate) fn regular(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers
            .iter()
            .filter(|container| container.role == Role::Regular)
    }

    /// A field of the pod's security context.
    pub(crate) fn security(&self, field: &str) -> At<'a> {
        self.spec.key("securityContext").dig(field)
    }

    pub(crate) fn windows(&self) -> bool {
        self.spec.dig("os.name").text() == Some("windows")
    }

    /// Whether the pods end by themselves.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.owner.kind(), "Job" | "CronJob" | "ScaledJob")
    }

    /// Whether its owner keeps a number of such pods.
    pub(crate) fn replicated(&self) -> bool {
        matches!(
            self.owner.kind(),
            "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController"
        )
    }
}

impl<'a> Container<'a> {
    pub(crate) fn name(&self) -> &'a str {
        self.spec.key("name").text().unwrap_or_default()
    }

    /// A field of the container's security context.
    pub(crate) fn security(&self, field: &str) -> At<'a> {
        self.spec.key("securityContext").dig(field)
    }

    /// Command and arguments, in order.
    pub(crate) fn argv(&self) -> Vec<At<'a>> {
        let command = self.spec.key("command").items();
        command
            .into_iter()
            .chain(self.spec.key("args").items())
            .collect()
    }

    /// Whether it has a port of this name.
    pub(crate) fn has_port(&self, name: &str) -> bool {
        let ports = self.spec.key("ports").items();
        ports
            .iter()
            .any(|port| port.key("name").text() == Some(name))
    }
}
