//! Network policies: every pod under one in both directions, and no policy for nobody.
//! Looks at what is selected, not at what is let through.

use crate::finding::Findings;
use crate::pod::Pod;
use crate::rule::rules;
use crate::selector;
use crate::set::Set;
use crate::view::At;

rules! {
    OPEN_POD "KL0651" Warning "no network policy holds for a pod",
        why "Everything in the cluster may connect to it, and from it an intruder reaches everything: databases, the metadata service of the cloud, the neighbours.",
        cure "add a default-deny NetworkPolicy for the namespace in both directions, and open what is needed",
        peers "kube-score pod-networkpolicy, polaris missingNetworkPolicy, NSA/CISA: network policies, CIS 5.3.2, CKV2_K8S_6";
    IDLE_POLICY "KL0652" Warning "a network policy selects no pods",
        why "It protects nothing, and reads as if it did.",
        cure "make `podSelector` the labels of the pods",
        peers "kube-score networkpolicy-targets-pod";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        if pod.spec.key("hostNetwork").flag() == Some(true) {
            continue;
        }
        let missing: Vec<&str> = ["Ingress", "Egress"]
            .into_iter()
            .filter(|way| !covered(set, pod, way))
            .collect();
        if !missing.is_empty() {
            let message = format!("none for {}", missing.join(" and "));
            out.add(OPEN_POD, pod.at, &pod.metadata.key("labels"), message);
        }
    }
    for (at, object) in set.of_kind("networking.k8s.io", "NetworkPolicy") {
        let selector = object.root().dig("spec.podSelector");
        let named = |pod: &Pod<'_>| pod.owner.beside(object) && fits(&selector, pod);
        if !selector::is_empty(&selector)
            && set.has_pods_beside(object)
            && !set.pods.iter().any(named)
        {
            out.add(
                IDLE_POLICY,
                at,
                &selector,
                "no pod of these objects has such labels",
            );
        }
    }
}

fn fits(selector: &At<'_>, pod: &Pod<'_>) -> bool {
    selector::is_empty(selector) || selector::fits(selector, &pod.metadata.key("labels"))
}

/// Whether some policy holds for the pod in a direction.
fn covered(set: &Set<'_>, pod: &Pod<'_>, way: &str) -> bool {
    set.of_kind("networking.k8s.io", "NetworkPolicy")
        .any(|(_, policy)| {
            let spec = policy.root().key("spec");
            let types = spec.key("policyTypes").items();
            // Without types it is Ingress, and Egress where it has such rules.
            let holds = if types.is_empty() {
                way == "Ingress" || spec.key("egress").exists()
            } else {
                types.iter().any(|it| it.text() == Some(way))
            };
            holds && policy.beside(pod.owner) && fits(&spec.key("podSelector"), pod)
        })
}
