//! What containers ask for and may not exceed.
//! Judges one container at a time; amounts are read as Kubernetes reads them.

use kedactl_config::parse_milli;

use crate::finding::Findings;
use crate::pod::{Pod, Role};
use crate::rule::rules;
use crate::set::Set;
use crate::view::At;

rules! {
    NO_REQUEST "KL0301" Warning "a container does not say what it needs",
        why "The scheduler then packs nodes by guess, the pod is the first to be evicted, and an HPA on CPU cannot compute anything.",
        cure "set `resources.requests.cpu` and `memory`",
        peers "kube-linter unset-cpu-requirements unset-memory-requirements, kube-score container-resources, polaris cpuRequestsMissing memoryRequestsMissing, CKV_K8S_10, CKV_K8S_12";
    NO_LIMIT "KL0302" Warning "a container has no limit",
        why "One leak takes the memory of the node, and the kernel then kills whatever it finds first.",
        cure "set `resources.limits.memory` and `cpu`",
        peers "kube-linter unset-cpu-requirements unset-memory-requirements, kube-score container-resources, polaris cpuLimitsMissing memoryLimitsMissing, CKV_K8S_11, CKV_K8S_13";
    NO_DISK "KL0303" Warning "disk of the node is not counted",
        why "Logs and temporary files fill the node's disk, and the kubelet then evicts the pods of others too.",
        cure "set `ephemeral-storage` in requests and limits",
        peers "kube-score container-ephemeral-storage-request-and-limit";
    ABOVE_LIMIT "KL0304" Error "a request is above its limit",
        why "The API server refuses the pod.",
        cure "raise the limit or lower the request",
        peers "";
    NOT_A_QUANTITY "KL0305" Error "an amount is not a quantity",
        why "The API server refuses the pod.",
        cure "write it as Kubernetes does: `100m`, `0.5`, `128Mi`",
        peers "";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        for container in pod.containers() {
            let resources = container.spec.key("resources");
            for list in ["requests", "limits"] {
                for (_, amount) in resources.key(list).entries() {
                    if milli(&amount).is_none() {
                        out.add(
                            NOT_A_QUANTITY,
                            pod.at,
                            &amount,
                            format!("`{}`", amount.shown()),
                        );
                    }
                }
            }
            for (key, limit) in resources.key("limits").entries() {
                let request = resources.key("requests").key(key);
                if let (Some(asked), Some(most)) = (milli(&request), milli(&limit))
                    && asked > most
                {
                    let message = format!("{} is above {}", request.shown(), limit.shown());
                    out.add(ABOVE_LIMIT, pod.at, &request, message);
                }
            }
            if container.role == Role::Regular {
                missing(pod, &resources, container.name(), out);
            }
        }
    }
}

/// An ephemeral container cannot have resources, and an init container's count only where they are the larger ones.
fn missing(pod: &Pod<'_>, resources: &At<'_>, name: &str, out: &mut Findings<'_>) {
    let (requests, limits) = (resources.key("requests"), resources.key("limits"));
    for key in ["cpu", "memory"] {
        // A limit without a request is the request.
        if !requests.key(key).exists() && !limits.key(key).exists() {
            let message = format!("container `{name}` has no request of {key}");
            out.add(NO_REQUEST, pod.at, &requests.key(key), message);
        }
        if !limits.key(key).exists() {
            let message = format!("container `{name}` has no limit of {key}");
            out.add(NO_LIMIT, pod.at, &limits.key(key), message);
        }
    }
    for (list, what) in [(requests, "request"), (limits, "limit")] {
        let at = list.key("ephemeral-storage");
        if !at.exists() {
            out.add(
                NO_DISK,
                pod.at,
                &at,
                format!("container `{name}` has no {what}"),
            );
        }
    }
}

/// An amount in thousandths; YAML may have read it as a number.
fn milli(at: &At<'_>) -> Option<i128> {
    at.exists().then(|| parse_milli(&at.shown())).flatten()
}
