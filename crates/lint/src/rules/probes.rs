//! How the kubelet learns that a container works.
//! Judges containers of pods that are meant to run on.

use crate::finding::Findings;
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::set::Set;

rules! {
    NO_LIVENESS "KL0311" Warning "a container has no liveness probe",
        why "A process that hangs stays in service for ever.",
        cure "add a livenessProbe on a path that depends on nothing but the process itself",
        peers "kube-linter no-liveness-probe, kube-score pod-probes, polaris livenessProbeMissing, CKV_K8S_8";
    NO_READINESS "KL0312" Warning "a container has no readiness probe",
        why "Traffic comes before the process can take it, and a rollout goes on over pods that do not work.",
        cure "add a readinessProbe on a path that says whether requests can be served now",
        peers "kube-linter no-readiness-probe, kube-score pod-probes, polaris readinessProbeMissing, CKV_K8S_9";
    SAME_PROBES "KL0313" Warning "liveness and readiness ask the same",
        why "When a dependency fails, every pod is restarted at once where it should only step aside.",
        cure "let liveness ask for the process alone (`/healthz`) and readiness for its dependencies as well (`/readyz`)",
        peers "kube-score pod-probes-identical";
    PROBE_PORT "KL0314" Error "a probe names a port that the container does not have",
        why "The probe fails for ever, and the container is restarted for ever.",
        cure "name a port of `ports`, or give its number",
        peers "kube-linter liveness-port readiness-port startup-port";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        for container in pod.regular() {
            ports(pod, container, out);
            if !pod.ends() && pod.owner.kind() != "PodTemplate" {
                both(pod, container, out);
            }
        }
    }
}

fn both(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let (live, ready) = (
        container.spec.key("livenessProbe"),
        container.spec.key("readinessProbe"),
    );
    let name = container.name();
    if !live.exists() {
        out.add(NO_LIVENESS, pod.at, &live, format!("container `{name}`"));
    }
    if !ready.exists() {
        out.add(NO_READINESS, pod.at, &ready, format!("container `{name}`"));
    }
    for action in ["httpGet", "tcpSocket", "exec", "grpc"] {
        let (one, two) = (live.key(action), ready.key(action));
        if one.exists() && one.value == two.value {
            out.add(
                SAME_PROBES,
                pod.at,
                &two,
                format!("both probes of container `{name}` are this"),
            );
        }
    }
}

fn ports(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for action in ["httpGet", "tcpSocket"] {
            let port = container.spec.key(probe).key(action).key("port");
            if let Some(name) = port.text()
                && name.parse::<u16>().is_err()
                && !container.has_port(name)
            {
                out.add(
                    PROBE_PORT,
                    pod.at,
                    &port,
                    format!("there is no port `{name}`"),
                );
            }
        }
    }
}
