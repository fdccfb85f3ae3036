//! Autoscalers of either kind, and who owns the number of replicas.
//! What only KEDA has is `keda`'s.

use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::pod::Container;
use crate::rule::rules;
use crate::set::{Scaler, Set};

rules! {
    OWNED_REPLICAS "KL0801" Error "`replicas` is set on a target of an autoscaler",
        why "Every apply sets the number back, whatever the load is; with server-side apply the second one fails with a conflict.",
        cure "remove `spec.replicas`; the autoscaler owns it",
        peers "kube-score deployment-targeted-by-hpa-does-not-have-replicas-configured";
    NO_TARGET "KL0802" Error "an autoscaler scales something that is not there",
        why "It does nothing, and says so only in its conditions.",
        cure "name a workload of the same namespace",
        peers "kube-linter dangling-horizontalpodautoscaler, kube-score horizontalpodautoscaler-has-target";
    TWO_SCALERS "KL0803" Error "two autoscalers scale the same target",
        why "Each undoes what the other did, for ever.",
        cure "keep one; KEDA makes an HPA of its own from a ScaledObject, and takes a `cpu` trigger too",
        peers "";
    NO_BEHAVIOR "KL0804" Warning "an autoscaler does not say how fast it may move",
        why "Without `behavior` Kubernetes takes an older path that overshoots: twice the pods for one burst.",
        cure "set `behavior` with both directions; Kubernetes' defaults written out are fine",
        peers "";
    RANGE "KL0805" Error "the fewest pods are more than the most",
        why "The API server or KEDA refuses the object.",
        cure "set the minimum below the maximum",
        peers "";
    NO_BASE "KL0806" Error "CPU or memory is scaled in per cent of a request that is not there",
        why "The autoscaler computes nothing and stays where it is; its condition says FailedGetResourceMetric.",
        cure "set the request of every container of the target",
        peers "";
    FIXED "KL0807" Note "an autoscaler has no room to move",
        why "The fewest and the most pods are the same number.",
        cure "raise the maximum, or set `replicas` and remove the autoscaler",
        peers "polaris hpaMaxAvailability";
    ALONE "KL0808" Note "an autoscaler may leave a single pod",
        why "While load is low, the loss of one node is an outage until the pod runs elsewhere.",
        cure "set `minReplicas: 2`, or say at the object why one is enough",
        peers "kube-score horizontalpodautoscaler-replicas, polaris hpaMinAvailability";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    let mut targets: BTreeMap<(String, String), Vec<&Scaler<'_>>> = BTreeMap::new();
    for scaler in &set.scalers {
        range(scaler, out);
        target(set, scaler, out);
        let name = scaler.target().key("name").shown();
        targets
            .entry((scaler.target_kind().to_owned(), name))
            .or_default()
            .push(scaler);
    }
    for scalers in targets.values() {
        for (at, scaler) in scalers.iter().enumerate() {
            let other = scalers
                .iter()
                .take(at)
                .find(|other| other.object.beside(scaler.object));
            if let Some(other) = other {
                let message = format!(
                    "{} `{}` scales it as well",
                    other.object.kind(),
                    other.object.name()
                );
                out.add(TWO_SCALERS, scaler.at, &scaler.target(), message);
            }
        }
    }
}

/// What an autoscaler says about its range and its speed.
fn range(scaler: &Scaler<'_>, out: &mut Findings<'_>) {
    let (least, most) = (scaler.least(), scaler.most());
    let (key, behavior) = if scaler.keda {
        (
            "minReplicaCount",
            "advanced.horizontalPodAutoscalerConfig.behavior",
        )
    } else {
        ("minReplicas", "behavior")
    };
    let at = scaler.spec.key(key);
    if least > most {
        out.add(
            RANGE,
            scaler.at,
            &at,
            format!("{least} is more than {most}"),
        );
    } else if least == most {
        out.add(FIXED, scaler.at, &at, format!("both are {most}"));
    }
    if !scaler.keda && least < 2 {
        out.add(ALONE, scaler.at, &at, format!("it may be {least}"));
    }
    let behavior = scaler.spec.dig(behavior);
    if !behavior.exists() && most > 1 {
        out.add(NO_BEHAVIOR, scaler.at, &behavior, "it is missing");
    }
}

/// The target: it is there, leaves `replicas` alone, and has the requests that per cent are of.
fn target(set: &Set<'_>, scaler: &Scaler<'_>, out: &mut Findings<'_>) {
    let name = scaler.target().key("name");
    let kind = scaler.target_kind();
    let mut objects = set.objects.iter().enumerate();
    let Some((at, owner)) = objects.find(|(_, it)| scaler.targets(it)) else {
        let mut beside = set.objects.iter().filter(|it| it.beside(scaler.object));
        if beside.any(|it| it.kind() == kind) {
            let message = format!("there is no {kind} `{}`", name.shown());
            out.add(NO_TARGET, scaler.at, &name, message);
        }
        return;
    };
    let replicas = owner.root().dig("spec.replicas");
    if replicas.exists() {
        let (kind, name) = (scaler.object.kind(), scaler.object.name());
        out.add(
            OWNED_REPLICAS,
            at,
            &replicas,
            format!("{kind} `{name}` owns it"),
        );
    }
    let pod = set.pods.iter().find(|pod| pod.at == at);
    for (resource, path) in scaled_resources(scaler) {
        let without = pod.and_then(|pod| pod.regular().find(|it| !requests(it, &resource)));
        if let Some(container) = without {
            let (kind, name) = (owner.kind(), owner.name());
            let who = format!("container `{}` of {kind} `{name}`", container.name());
            out.add(
                NO_BASE,
                scaler.at,
                &path,
                format!("{who} has no request of {resource}"),
            );
        }
    }
}

/// Whether a container asks for a resource; a limit without a request is one.
fn requests(container: &Container<'_>, resource: &str) -> bool {
    let resources = container.spec.key("resources");
    ["requests", "limits"]
        .iter()
        .any(|list| resources.key(list).key(resource).exists())
}

/// The resources that an autoscaler reads in per cent of requests, and where it says so.
fn scaled_resources<'a>(scaler: &Scaler<'a>) -> Vec<(String, crate::view::At<'a>)> {
    if scaler.keda {
        let triggers = scaler.spec.key("triggers").items().into_iter();
        return triggers
            .filter(|it| matches!(it.key("type").text(), Some("cpu" | "memory")))
            .filter(|it| it.key("metricType").text() != Some("AverageValue"))
            .map(|it| (it.key("type").shown(), it))
            .collect();
    }
    let metrics = scaler.spec.key("metrics").items().into_iter();
    metrics
        .filter(|it| it.dig("resource.target.averageUtilization").exists())
        .map(|it| (it.dig("resource.name").shown(), it))
        .collect()
}
