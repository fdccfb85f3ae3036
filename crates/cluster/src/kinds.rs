//! What is known of a kind without asking: its path, whether it lives in a namespace, and when its turn comes.
//! Must not be the only source: kinds that are not here are asked for.

/// The order in which objects are applied; deletion goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Namespaces.
    Namespaces,
    /// Custom resource definitions; the next phase waits until they are established.
    Definitions,
    /// Accounts, rights, limits, configuration, claims.
    Configuration,
    /// Services, before the pods that look them up.
    Services,
    /// What runs pods.
    Workloads,
    /// What needs running pods: autoscalers, ingress, webhooks, API services.
    Around,
    /// Custom resources that others refer to.
    Custom,
    /// KEDA's `ScaledObjects` and `ScaledJobs`.
    Scalers,
}

/// Every phase in order.
pub const PHASES: [Phase; 8] = [
    Phase::Namespaces,
    Phase::Definitions,
    Phase::Configuration,
    Phase::Services,
    Phase::Workloads,
    Phase::Around,
    Phase::Custom,
    Phase::Scalers,
];

/// One kind as an API server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `deployments`.
    pub(crate) plural: String,
    /// Whether its objects live in a namespace.
    pub(crate) namespaced: bool,
}

struct Known {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
    phase: Phase,
}

const fn known(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
    phase: Phase,
) -> Known {
    Known {
        group,
        kind,
        plural,
        namespaced,
        phase,
    }
}

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known("", "Namespace", "namespaces", false, Phase::Namespaces),
    known("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", false, Phase::Definitions),
    known("scheduling.k8s.io", "PriorityClass", "priorityclasses", false, Phase::Configuration),
    known("storage.k8s.io", "StorageClass", "storageclasses", false, Phase::Configuration),
    known("", "ResourceQuota", "resourcequotas", true, Phase::Configuration),
    known("", "LimitRange", "limitranges", true, Phase::Configuration),
    known("", "ServiceAccount", "serviceaccounts", true, Phase::Configuration),
    known("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", false, Phase::Configuration),
    known("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", false, Phase::Configuration),
    known("rbac.authorization.k8s.io", "Role", "roles", true, Phase::Configuration),
    known("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true, Phase::Configuration),
    known("", "ConfigMap", "configmaps", true, Phase::Configuration),
    known("", "Secret", "secrets", true, Phase::Configuration),
    known("", "PersistentVolume", "persistentvolumes", false, Phase::Configuration),
    known("", "PersistentVolumeClaim", "persistentvolumeclaims", true, Phase::Configuration),
    known("networking.k8s.io", "NetworkPolicy", "networkpolicies", true, Phase::Configuration),
    known("policy", "PodDisruptionBudget", "poddisruptionbudgets", true, Phase::Configuration),
    known("", "Service", "services", true, Phase::Services),
    known("", "Pod", "pods", true, Phase::Workloads),
    known("apps", "Deployment", "deployments", true, Phase::Workloads),
    known("apps", "StatefulSet", "statefulsets", true, Phase::Workloads),
    known("apps", "DaemonSet", "daemonsets", true, Phase::Workloads),
    known("apps", "ReplicaSet", "replicasets", true, Phase::Workloads),
    known("batch", "Job", "jobs", true, Phase::Workloads),
    known("batch", "CronJob", "cronjobs", true, Phase::Workloads),
    known("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, Phase::Around),
    known("networking.k8s.io", "Ingress", "ingresses", true, Phase::Around),
    known("apiregistration.k8s.io", "APIService", "apiservices", false, Phase::Around),
    known("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false, Phase::Around),
    known("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false, Phase::Around),
    known("coordination.k8s.io", "Lease", "leases", true, Phase::Configuration),
    known("", "Event", "events", true, Phase::Around),
    known("keda.sh", "TriggerAuthentication", "triggerauthentications", true, Phase::Custom),
    known("keda.sh", "ClusterTriggerAuthentication", "clustertriggerauthentications", false, Phase::Custom),
    known("keda.sh", "ScaledObject", "scaledobjects", true, Phase::Scalers),
    known("keda.sh", "ScaledJob", "scaledjobs", true, Phase::Scalers),
];

fn find(group: &str, kind: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|it| it.group == group && it.kind == kind)
}

/// The kind, where it is known without asking.
pub(crate) fn built_in(group: &str, kind: &str) -> Option<Kind> {
    find(group, kind).map(|it| Kind {
        plural: it.plural.to_owned(),
        namespaced: it.namespaced,
    })
}

/// When an object of that kind is applied. A kind that is not known is a custom resource.
pub fn phase(group: &str, kind: &str) -> Phase {
    find(group, kind).map_or(Phase::Custom, |it| it.phase)
}

/// Kinds that hold what cannot be made again: never pruned, and deleted by a purge alone.
pub(crate) fn holds_data(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        (
            "",
            "Namespace" | "PersistentVolumeClaim" | "PersistentVolume"
        ) | ("apiextensions.k8s.io", "CustomResourceDefinition")
    )
}

/// Kinds that run pods from a template.
pub(crate) fn runs_pods(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        (
            "apps",
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"
        ) | ("batch", "Job")
            | ("", "Pod")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_need_comes_first() {
        let order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "Secret"),
            ("", "Service"),
            ("apps", "Deployment"),
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("keda.sh", "TriggerAuthentication"),
            ("keda.sh", "ScaledObject"),
        ];
        let phases: Vec<Phase> = order.iter().map(|(g, k)| phase(g, k)).collect();
        assert!(phases.is_sorted());
        assert_eq!(phase("example.org", "Widget"), Phase::Custom);
    }

    #[test]
    fn no_kind_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        assert!(KNOWN.iter().all(|it| seen.insert((it.group, it.kind))));
    }
}
