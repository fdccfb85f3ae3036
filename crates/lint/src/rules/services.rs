//! Services and Ingresses: what they lead to, and what they show to the outside.
//! What they lead to is looked for among the objects of the set alone.

use crate::Object;
use crate::finding::Findings;
use crate::pod::Pod;
use crate::rule::rules;
use crate::selector;
use crate::set::Set;
use crate::view::At;

rules! {
    DANGLING "KL0601" Warning "a Service selects no pods",
        why "It has no endpoints: every connection is refused, and nothing says so.",
        cure "make `selector` the labels of the pods",
        peers "kube-linter dangling-service, kube-score service-targets-pod";
    TARGET_PORT "KL0602" Error "a Service names a port that its pods do not have",
        why "The endpoints stay empty for this port, and connections are refused.",
        cure "name a port of the containers, or give its number",
        peers "";
    EXPOSED "KL0603" Note "a Service is reachable from outside the cluster",
        why "It is a way in past the ingress and its TLS, and in a cloud each one costs a load balancer.",
        cure "make it `ClusterIP` and use an Ingress, or say at the object why it is meant",
        peers "kube-linter exposed-services, kube-score service-type";
    METRICS_OUT "KL0604" Warning "metrics are reachable from outside",
        why "Metrics tell an intruder versions, names, load and errors, and have no password.",
        cure "give metrics a ClusterIP Service of their own",
        peers "";
    EXTERNAL_IPS "KL0605" Error "a Service claims external addresses",
        why "With `externalIPs` a Service takes over traffic of the whole cluster to any address (CVE-2020-8554).",
        cure "use type LoadBalancer or an Ingress",
        peers "CVE-2020-8554";
    NO_TLS "KL0606" Warning "an Ingress serves a host without TLS",
        why "Passwords, tokens and tasks cross the network in the clear.",
        cure "add the host to `spec.tls` with the Secret of its certificate",
        peers "polaris tlsSettingsMissing";
    NO_BACKEND "KL0607" Error "an Ingress leads to a Service or port that is not there",
        why "Every request is answered with 503.",
        cure "name a Service of the namespace, and a port of it",
        peers "kube-score ingress-targets-service";
    SNIPPET "KL0608" Error "an Ingress brings configuration for the ingress controller",
        why "Snippets run inside the controller, which can read every Secret of the cluster (CVE-2021-25742).",
        cure "remove the annotation; most of what snippets do has an annotation of its own",
        peers "CKV_K8S_152, CKV_K8S_153, CKV_K8S_154";
    NOT_HEADLESS "KL0609" Warning "a StatefulSet has no headless Service",
        why "Its pods have no names in DNS, which is what a StatefulSet is for.",
        cure "set `serviceName` to a Service with `clusterIP: None` that selects its pods",
        peers "kube-score statefulset-has-servicename";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for (at, object) in set.of_kind("", "Service") {
        let spec = object.root().key("spec");
        leads_somewhere(set, at, object, &spec, out);
        exposure(at, &spec, out);
    }
    for (at, object) in set.of_kind("networking.k8s.io", "Ingress") {
        ingress(set, at, object, out);
    }
    for (at, object) in set.of_kind("apps", "StatefulSet") {
        headless(set, at, object, out);
    }
}

fn leads_somewhere(
    set: &Set<'_>,
    at: usize,
    object: &Object,
    spec: &At<'_>,
    out: &mut Findings<'_>,
) {
    let selector = spec.key("selector");
    if selector.entries().is_empty() || !set.has_pods_beside(object) {
        return;
    }
    let pods: Vec<&Pod<'_>> = set
        .pods
        .iter()
        .filter(|pod| {
            pod.owner.beside(object) && selector::plain(&selector, &pod.metadata.key("labels"))
        })
        .collect();
    if pods.is_empty() {
        out.add(
            DANGLING,
            at,
            &selector,
            "no pod of these objects has such labels",
        );
        return;
    }
    for port in spec.key("ports").items() {
        let target = port.key("targetPort");
        if let Some(name) = target.text()
            && name.parse::<u16>().is_err()
            && !pods
                .iter()
                .any(|pod| pod.containers().iter().any(|it| it.has_port(name)))
        {
            out.add(
                TARGET_PORT,
                at,
                &target,
                format!("the pods have no port `{name}`"),
            );
        }
    }
}

fn exposure(at: usize, spec: &At<'_>, out: &mut Findings<'_>) {
    let kind = spec.key("type");
    let outside = kind
        .text()
        .filter(|it| matches!(*it, "NodePort" | "LoadBalancer"));
    if let Some(outside) = outside {
        out.add(EXPOSED, at, &kind, format!("it is of type {outside}"));
        for port in spec.key("ports").items() {
            let names = [port.key("name"), port.key("targetPort")];
            let metrics = |it: &At<'_>| it.text().is_some_and(|name| name.contains("metrics"));
            if let Some(name) = names.iter().find(|it| metrics(it)) {
                out.add(METRICS_OUT, at, name, format!("port `{}`", name.shown()));
            }
        }
    }
    let addresses = spec.key("externalIPs");
    if !addresses.items().is_empty() {
        out.add(EXTERNAL_IPS, at, &addresses, "it is set");
    }
}

fn ingress(set: &Set<'_>, at: usize, object: &Object, out: &mut Findings<'_>) {
    let root = object.root();
    for (key, value) in root.dig("metadata.annotations").entries() {
        if key.ends_with("-snippet") {
            out.add(SNIPPET, at, &value, format!("`{key}`"));
        }
    }
    let spec = root.key("spec");
    let hosts: Vec<&str> = spec
        .key("tls")
        .items()
        .iter()
        .flat_map(|tls| tls.key("hosts").items())
        .filter_map(|host| host.text())
        .collect();
    for rule in spec.key("rules").items() {
        let host = rule.key("host");
        let name = host.text().unwrap_or_default();
        let wildcard = name
            .split_once('.')
            .map(|(_, domain)| format!("*.{domain}"));
        if !hosts.contains(&name) && !wildcard.is_some_and(|it| hosts.contains(&it.as_str())) {
            out.add(NO_TLS, at, &host, format!("`{name}` is in no `tls.hosts`"));
        }
        for path in rule.dig("http.paths").items() {
            backend(set, at, object, &path.key("backend"), out);
        }
    }
    backend(set, at, object, &spec.key("defaultBackend"), out);
}

fn backend(set: &Set<'_>, at: usize, object: &Object, backend: &At<'_>, out: &mut Findings<'_>) {
    let service = backend.key("service");
    let Some(name) = service.key("name").text() else {
        return;
    };
    let beside = || {
        set.of_kind("", "Service")
            .filter(|(_, it)| it.beside(object))
    };
    if beside().next().is_none() {
        return;
    }
    let Some((_, found)) = beside().find(|(_, it)| it.name() == name) else {
        out.add(
            NO_BACKEND,
            at,
            &service.key("name"),
            format!("there is no Service `{name}`"),
        );
        return;
    };
    let (by_name, by_number) = (service.dig("port.name"), service.dig("port.number"));
    let has = |port: &At<'_>| {
        (by_name.exists() && port.key("name").value == by_name.value)
            || (by_number.exists() && port.key("port").value == by_number.value)
    };
    if !found.root().dig("spec.ports").items().iter().any(has) {
        let port = if by_name.exists() { by_name } else { by_number };
        out.add(
            NO_BACKEND,
            at,
            &port,
            format!("Service `{name}` has no port {}", port.shown()),
        );
    }
}

fn headless(set: &Set<'_>, at: usize, object: &Object, out: &mut Findings<'_>) {
    let named = object.root().dig("spec.serviceName");
    let beside = || {
        set.of_kind("", "Service")
            .filter(|(_, it)| it.beside(object))
    };
    let Some(name) = named.text().filter(|name| !name.is_empty()) else {
        out.add(NOT_HEADLESS, at, &named, "`serviceName` is missing");
        return;
    };
    if beside().next().is_none() {
        return;
    }
    let found = beside().find(|(_, it)| it.name() == name);
    let headless =
        found.is_some_and(|(_, it)| it.root().dig("spec.clusterIP").text() == Some("None"));
    if !headless {
        out.add(
            NOT_HEADLESS,
            at,
            &named,
            format!("there is no headless Service `{name}`"),
        );
    }
}
