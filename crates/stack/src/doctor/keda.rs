//! KEDA and metrics-server: what must be there before anything scales.
//!
//! Must not look at the stack's own scalers.

use kedactl_cluster::{ApiServiceView, Error, ObjectRef, SaysView, WorkloadView};

use super::Check;
use crate::Live;

const METRICS: &str = "v1beta1.external.metrics.k8s.io";
const RESOURCES: &str = "v1beta1.metrics.k8s.io";
const DEFINITIONS: [&str; 4] = [
    "scaledobjects.keda.sh",
    "scaledjobs.keda.sh",
    "triggerauthentications.keda.sh",
    "clustertriggerauthentications.keda.sh",
];
const INSTALL: &str = "`kedactl up` installs KEDA, unless `releases.keda` is switched off";

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let (definitions, pods, service, webhook) = tokio::join!(
        definitions(live),
        operator(live),
        kedactl_cluster::api_service(live.cluster(), METRICS),
        webhook(live),
    );
    let expected = &live.record().config.keda.namespace;
    let service = external_metrics(service, expected);
    vec![definitions, pods, service, webhook]
}

async fn definitions(live: &Live) -> Check {
    let (code, title) = ("keda-definitions", "KEDA's definitions");
    let looks = DEFINITIONS.map(|name| async move {
        let it = ObjectRef::new(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            None,
            name,
        );
        let says = kedactl_cluster::says(live.cluster(), &it, "Established").await;
        says.map(|says| (name, says))
    });
    let found = futures_util::future::try_join_all(looks).await;
    match found {
        Ok(found) => judge_definitions(&found),
        Err(error) => Check::unread(code, title, &error),
    }
}

fn judge_definitions(found: &[(&str, Option<SaysView>)]) -> Check {
    let (code, title) = ("keda-definitions", "KEDA's definitions");
    let missing = found.iter().filter_map(|(name, says)| match says {
        None => Some(format!("{name} is not there")),
        Some(says) if !says.holds => Some(format!("{name}: {}", says.words)),
        Some(_) => None,
    });
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return Check::ok(code, title, format!("all {}", found.len()));
    }
    Check::fail(code, title, missing.join("; "), INSTALL)
}

async fn operator(live: &Live) -> Check {
    let (code, title) = ("keda-operator", "KEDA's operator");
    let namespace = &live.record().config.keda.namespace;
    match kedactl_cluster::workloads(live.cluster(), namespace).await {
        Ok(found) => judge_operator(namespace, &found),
        Err(error) => Check::unread(code, title, &error),
    }
}

fn judge_operator(namespace: &str, found: &[WorkloadView]) -> Check {
    let (code, title) = ("keda-operator", "KEDA's operator");
    let own: Vec<&WorkloadView> = found.iter().filter(|it| it.name.contains("keda")).collect();
    if !own.iter().any(|it| it.name.contains("operator")) {
        let detail = format!("no operator runs in namespace {namespace}");
        let cure = format!("{INSTALL}; where it runs in another namespace, set keda.namespace");
        return Check::fail(code, title, detail, cure);
    }
    let behind = own.iter().find(|it| it.ready < it.desired.max(1));
    match behind {
        Some(it) => Check::fail(
            code,
            title,
            format!("{}: {} of {} pods are ready", it.name, it.ready, it.desired),
            format!(
                "`kedactl logs {}` and `kubectl -n {namespace} describe deployment {}` say why",
                it.name, it.name
            ),
        ),
        None => Check::ok(code, title, format!("{} Deployments are ready", own.len())),
    }
}

/// The API through which the autoscalers read what KEDA reads, and whether it leads to the KEDA that is configured.
fn external_metrics(found: Result<Option<ApiServiceView>, Error>, expected: &str) -> Check {
    let (code, title) = ("keda-metrics", METRICS);
    let it = match found {
        Ok(Some(it)) => it,
        Ok(None) => return Check::fail(code, title, "nobody serves it", INSTALL),
        Err(error) => return Check::unread(code, title, &error),
    };
    if !it.available.holds {
        let cure = format!(
            "`kubectl get apiservice {METRICS} -o yaml` shows who serves it; its pods in namespace {expected} must be ready"
        );
        return Check::fail(code, title, it.available.words, cure);
    }
    match it.service.split_once('/') {
        Some((namespace, _)) if namespace != expected => Check::warn(
            code,
            title,
            format!("served by {}, and keda.namespace is {expected}", it.service),
            format!(
                "set keda.namespace to {namespace}: network policies let KEDA of that namespace read Redis"
            ),
        ),
        _ => Check::ok(code, title, format!("available, from {}", it.service)),
    }
}

async fn webhook(live: &Live) -> Check {
    let (code, title) = ("keda-webhook", "KEDA's admission webhook");
    let it = ObjectRef::new(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        None,
        "keda-admission",
    );
    match live.cluster().get(&it).await {
        Ok(Some(_)) => Check::ok(code, title, "registered"),
        Ok(None) => Check::warn(
            code,
            title,
            "not registered: a wrong ScaledObject is seen only after it was written",
            "set webhooks.enabled of KEDA's chart",
        ),
        Err(error) => Check::unread(code, title, &error),
    }
}

/// Who measures CPU for the API's autoscaler.
pub(super) async fn metrics_server(live: &Live) -> Vec<Check> {
    let (code, title) = ("metrics-server", RESOURCES);
    let found = kedactl_cluster::api_service(live.cluster(), RESOURCES).await;
    let check = match found {
        Ok(Some(it)) if it.available.holds => {
            Check::ok(code, title, format!("available, from {}", it.service))
        }
        Ok(Some(it)) => Check::fail(
            code,
            title,
            it.available.words,
            "on kind and minikube it needs --kubelet-insecure-tls; `kubectl -n kube-system logs deploy/metrics-server` says more",
        ),
        Ok(None) => Check::fail(
            code,
            title,
            "nobody serves it: the API is not scaled on CPU",
            "`kedactl up` installs metrics-server, unless `releases.metrics-server` is switched off",
        ),
        Err(error) => Check::unread(code, title, &error),
    };
    vec![check]
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;

    fn says(holds: bool, words: &str) -> SaysView {
        SaysView {
            holds,
            words: words.to_owned(),
        }
    }

    #[test]
    fn a_missing_definition_is_named() {
        let found = [
            ("scaledobjects.keda.sh", Some(says(true, ""))),
            ("scaledjobs.keda.sh", None),
        ];
        let it = judge_definitions(&found);
        assert_eq!(
            (it.status, it.detail.as_str()),
            (CheckStatus::Fail, "scaledjobs.keda.sh is not there")
        );
        assert_eq!(judge_definitions(&found[..1]).status, CheckStatus::Ok);
    }

    #[test]
    fn a_keda_elsewhere_is_a_warning_and_a_dead_one_a_failure() {
        let of = |holds: bool| {
            let it = ApiServiceView {
                available: says(holds, "MissingEndpoints: none"),
                service: "operators/keda-operator-metrics-apiserver".to_owned(),
            };
            Ok(Some(it))
        };
        let it = external_metrics(of(true), "keda-system");
        assert_eq!(it.status, CheckStatus::Warn);
        assert!(
            it.cure
                .unwrap()
                .starts_with("set keda.namespace to operators")
        );
        assert_eq!(
            external_metrics(of(true), "operators").status,
            CheckStatus::Ok
        );
        assert_eq!(
            external_metrics(of(false), "operators").detail,
            "MissingEndpoints: none"
        );
        assert_eq!(external_metrics(Ok(None), "x").status, CheckStatus::Fail);
    }

    #[test]
    fn an_operator_must_be_there_and_ready() {
        let pod = |name: &str, ready: u32| WorkloadView {
            namespace: "keda-system".to_owned(),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            desired: 1,
            ready,
            images: Vec::new(),
            release: None,
            chart: None,
        };
        assert_eq!(judge_operator("n", &[]).status, CheckStatus::Fail);
        let all = [pod("keda-operator", 1), pod("keda-admission-webhooks", 0)];
        let it = judge_operator("n", &all);
        assert_eq!(it.detail, "keda-admission-webhooks: 0 of 1 pods are ready");
        assert_eq!(judge_operator("n", &all[..1]).status, CheckStatus::Ok);
    }
}
