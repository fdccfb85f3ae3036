//! What the user of the kubeconfig must be allowed to do.
//!
//! Must not try: the API server is asked.

use std::collections::BTreeSet;

use kedactl_cluster::{Granted, Right, rights};

use super::Check;
use crate::Live;

const TITLE: &str = "permissions";

/// Kinds that `up` writes into the stack's namespace.
const WRITTEN: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("coordination.k8s.io/v1", "Lease"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
];

/// Kinds that are read there, with what for.
const READ: &[(&str, &str)] = &[
    ("v1", "Event"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("apps/v1", "ReplicaSet"),
];

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let config = &live.record().config;
    let wanted = wanted(&config.namespace, config.ingress.is_some());
    let check = match rights(live.cluster(), &wanted).await {
        Ok(answers) => judge(&answers),
        Err(error) => Check::unread("rights", TITLE, &error),
    };
    vec![check]
}

fn wanted(namespace: &str, ingress: bool) -> Vec<Right> {
    let right = |verb: &str, (api_version, kind): (&str, &str), part: &str| Right {
        verb: verb.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        part: part.to_owned(),
        namespace: Some(namespace.to_owned()),
    };
    let ingress = ingress.then_some(("networking.k8s.io/v1", "Ingress"));
    let mut all = Vec::new();
    for kind in WRITTEN.iter().copied().chain(ingress) {
        for verb in ["list", "create", "patch", "delete"] {
            all.push(right(verb, kind, ""));
        }
    }
    all.extend(READ.iter().map(|kind| right("list", *kind, "")));
    all.push(right("get", ("v1", "Pod"), "log"));
    all.push(right("create", ("v1", "Pod"), "portforward"));
    all.push(right("patch", ("v1", "Service"), "status"));
    all
}

fn judge(answers: &[Granted]) -> Check {
    let refused: Vec<&Granted> = answers.iter().filter(|it| !it.allowed).collect();
    if refused.is_empty() {
        let detail = format!("all {} that are needed", answers.len());
        return Check::ok("rights", TITLE, detail);
    }
    // One line a kind: the verbs follow each other.
    let mut lines: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for it in refused {
        let of = match it.right.part.as_str() {
            "" => it.right.kind.clone(),
            part => format!("{}/{part}", it.right.kind),
        };
        match lines.iter_mut().find(|(known, _)| *known == of) {
            Some((_, verbs)) => drop(verbs.insert(&it.right.verb)),
            None => lines.push((of, BTreeSet::from([it.right.verb.as_str()]))),
        }
    }
    let told: Vec<String> = lines
        .into_iter()
        .map(|(of, verbs)| format!("{} {of}", verbs.into_iter().collect::<Vec<_>>().join(", ")))
        .collect();
    Check::fail(
        "rights",
        TITLE,
        format!("not allowed: {}", told.join("; ")),
        "ask who runs the cluster for a role with these, or name another context",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_by_kind() {
        let answers: Vec<Granted> = wanted("keda", false)
            .into_iter()
            .map(|right| Granted {
                allowed: right.kind != "Secret" && right.part != "portforward",
                reason: String::new(),
                resource: String::new(),
                right,
            })
            .collect();
        let it = judge(&answers);
        assert_eq!(
            it.detail,
            "not allowed: create, delete, list, patch Secret; create Pod/portforward"
        );
        let all = answers.into_iter().map(|it| Granted {
            allowed: true,
            ..it
        });
        assert!(judge(&all.collect::<Vec<_>>()).cure.is_none());
    }
}
