//! What objects say about each other: targets, selectors, ports, accounts, authentications.
//! Kubernetes takes dangling names without a word and then does nothing; here they are errors.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PodSpec, Service, ServicePort};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::RenderError;
use crate::error::Place;
use crate::object::{Manifests, Object, Rendered};
use crate::trigger;

/// Checks a whole set.
pub(crate) fn check(manifests: &Manifests) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    for it in &manifests.objects {
        let metadata = it.object.metadata();
        if !seen.insert((
            it.object.kind(),
            metadata.namespace.as_deref(),
            it.object.name(),
        )) {
            return Err(refuse(it, "metadata.name", "the object is rendered twice"));
        }
        match &it.object {
            Object::Deployment(deployment) => self::deployment(it, deployment, manifests)?,
            Object::Service(service) => self::service(it, service, manifests)?,
            Object::NetworkPolicy(policy) => {
                let selector = policy
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.pod_selector.as_ref());
                let every = selector.is_none_or(|it| *it == LabelSelector::default());
                if !every && !selects_pods(selector, manifests) {
                    return Err(refuse(it, "spec.podSelector", "selects no pods"));
                }
            }
            Object::PodDisruptionBudget(budget) => {
                let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                if !selects_pods(selector, manifests) {
                    return Err(refuse(it, "spec.selector", "selects no pods"));
                }
            }
            Object::Ingress(ingress) => self::ingress(it, ingress, manifests)?,
            Object::HorizontalPodAutoscaler(hpa) => {
                let spec = hpa.spec.as_ref();
                let target = spec.map_or("", |spec| spec.scale_target_ref.name.as_str());
                scaled(it, target, manifests)?;
                if spec.is_none_or(|spec| spec.behavior.is_none()) {
                    let message =
                        "must be given: without it the HPA takes an older path that overshoots";
                    return Err(refuse(it, "spec.behavior", message));
                }
            }
            Object::ScaledObject(object) => {
                scaled(it, &object.spec.scale_target_ref.name, manifests)?;
                kedactl_autoscale::render_hpa(object)
                    .map_err(|error| refuse(it, "spec", &error.to_string()))?;
                for (at, trigger) in object.spec.triggers.iter().enumerate() {
                    trigger::check(it, at, &trigger.kind, &trigger.metadata)?;
                    let Some(reference) = &trigger.authentication_ref else {
                        continue;
                    };
                    let path = format!("spec.triggers[{at}].authenticationRef.name");
                    known(
                        it,
                        &path,
                        "TriggerAuthentication",
                        &reference.name,
                        manifests,
                    )?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The target of an autoscaler: it exists, and its `replicas` are the autoscaler's.
fn scaled(it: &Rendered, target: &str, manifests: &Manifests) -> Result<(), RenderError> {
    known(
        it,
        "spec.scaleTargetRef.name",
        "Deployment",
        target,
        manifests,
    )?;
    let replicas = manifests
        .deployment(target)
        .and_then(|found| found.spec.as_ref()?.replicas);
    if replicas.is_some() {
        let message = format!("Deployment `{target}` sets spec.replicas, which this object owns");
        return Err(refuse(it, "spec.scaleTargetRef.name", &message));
    }
    Ok(())
}

fn deployment(it: &Rendered, deployment: &Deployment, all: &Manifests) -> Result<(), RenderError> {
    let Some(spec) = &deployment.spec else {
        return Err(refuse(it, "spec", "is missing"));
    };
    let labels = spec
        .template
        .metadata
        .as_ref()
        .and_then(|it| it.labels.as_ref());
    let selector = spec.selector.match_labels.as_ref();
    if selector.is_none_or(BTreeMap::is_empty) || !selects(selector, labels) {
        return Err(refuse(
            it,
            "spec.selector",
            "does not select the labels of its own pods",
        ));
    }
    let Some(pod) = &spec.template.spec else {
        return Err(refuse(it, "spec.template.spec", "is missing"));
    };
    if let Some(account) = &pod.service_account_name {
        known(
            it,
            "spec.template.spec.serviceAccountName",
            "ServiceAccount",
            account,
            all,
        )?;
    }
    if pod.containers.is_empty() {
        return Err(refuse(it, "spec.template.spec.containers", "is empty"));
    }
    for (at, container) in pod.containers.iter().enumerate() {
        let path = format!("spec.template.spec.containers[{at}]");
        self::container(it, &path, container, pod)?;
    }
    Ok(())
}

fn container(
    it: &Rendered,
    path: &str,
    container: &Container,
    pod: &PodSpec,
) -> Result<(), RenderError> {
    if container.name.is_empty() || container.image.as_ref().is_none_or(String::is_empty) {
        return Err(refuse(it, path, "a container needs a name and an image"));
    }
    let ports: BTreeSet<&str> = container
        .ports
        .iter()
        .flatten()
        .filter_map(|port| port.name.as_deref())
        .collect();
    for (kind, probe) in [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ] {
        let port = probe
            .as_ref()
            .and_then(|probe| Some(&probe.http_get.as_ref()?.port));
        if let Some(IntOrString::String(port)) = port
            && !ports.contains(port.as_str())
        {
            let message = format!("the container has no port `{port}`");
            return Err(refuse(it, &format!("{path}.{kind}.httpGet.port"), &message));
        }
    }
    for mount in container.volume_mounts.iter().flatten() {
        if !pod
            .volumes
            .iter()
            .flatten()
            .any(|volume| volume.name == mount.name)
        {
            let message = format!("the pod has no volume `{}`", mount.name);
            return Err(refuse(it, &format!("{path}.volumeMounts"), &message));
        }
    }
    let mut names = BTreeSet::new();
    for variable in container.env.iter().flatten() {
        if !names.insert(&variable.name) {
            let message = format!("`{}` is set twice", variable.name);
            return Err(refuse(it, &format!("{path}.env"), &message));
        }
    }
    Ok(())
}

fn service(it: &Rendered, service: &Service, all: &Manifests) -> Result<(), RenderError> {
    let Some(spec) = &service.spec else {
        return Err(refuse(it, "spec", "is missing"));
    };
    let pods = all.objects.iter().find_map(|other| match &other.object {
        Object::Deployment(found) => {
            let template = &found.spec.as_ref()?.template;
            let labels = template.metadata.as_ref().and_then(|it| it.labels.as_ref());
            selects(spec.selector.as_ref(), labels)
                .then_some(template.spec.as_ref())
                .flatten()
        }
        _ => None,
    });
    let Some(pods) = pods else {
        return Err(refuse(it, "spec.selector", "selects no pods"));
    };
    for (at, port) in spec.ports.iter().flatten().enumerate() {
        let named = |name: &str| {
            let ports = pods
                .containers
                .iter()
                .flat_map(|container| container.ports.iter().flatten());
            ports
                .filter_map(|port| port.name.as_deref())
                .any(|known| known == name)
        };
        if let Some(IntOrString::String(name)) = &port.target_port
            && !named(name)
        {
            let message = format!("the pods have no port `{name}`");
            return Err(refuse(
                it,
                &format!("spec.ports[{at}].targetPort"),
                &message,
            ));
        }
    }
    Ok(())
}

/// The backends of an Ingress: Services of the set, by a port that they have.
fn ingress(it: &Rendered, ingress: &Ingress, all: &Manifests) -> Result<(), RenderError> {
    let rules = ingress
        .spec
        .iter()
        .flat_map(|spec| spec.rules.iter().flatten());
    for (at, rule) in rules.enumerate() {
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        for (of, path) in paths.enumerate() {
            let at = format!("spec.rules[{at}].http.paths[{of}].backend.service");
            let Some(backend) = &path.backend.service else {
                return Err(refuse(it, &at, "is missing"));
            };
            known(it, &format!("{at}.name"), "Service", &backend.name, all)?;
            let service = all.service(&backend.name).and_then(|it| it.spec.as_ref());
            let port = backend.port.clone().unwrap_or_default();
            let has = |known: &ServicePort| {
                (port.name.is_some() && known.name == port.name) || Some(known.port) == port.number
            };
            if !service.is_some_and(|service| service.ports.iter().flatten().any(has)) {
                let port = port.name.or_else(|| port.number.map(|it| it.to_string()));
                let port = port.unwrap_or_default();
                let message = format!("Service `{}` has no port `{port}`", backend.name);
                return Err(refuse(it, &format!("{at}.port"), &message));
            }
        }
    }
    Ok(())
}

/// Whether the labels of a selector are those of some Deployment's pods.
fn selects_pods(selector: Option<&LabelSelector>, all: &Manifests) -> bool {
    let wanted = selector.and_then(|selector| selector.match_labels.as_ref());
    all.objects.iter().any(|other| match &other.object {
        Object::Deployment(found) => {
            let template = found.spec.as_ref().map(|spec| &spec.template);
            let metadata = template.and_then(|template| template.metadata.as_ref());
            selects(wanted, metadata.and_then(|it| it.labels.as_ref()))
        }
        _ => false,
    })
}

type Labels = BTreeMap<String, String>;

fn selects(selector: Option<&Labels>, labels: Option<&Labels>) -> bool {
    let has = |(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    selector.is_some_and(|selector| selector.iter().all(has))
}

fn known(
    it: &Rendered,
    path: &str,
    kind: &str,
    name: &str,
    all: &Manifests,
) -> Result<(), RenderError> {
    let names = || {
        let of_kind = all
            .objects
            .iter()
            .filter(|other| other.object.kind() == kind);
        of_kind.map(|other| other.object.name())
    };
    if names().any(|known| known == name) {
        return Ok(());
    }
    let near = kedactl_config::nearest(name, names());
    let meant = near
        .map(|near| format!(", did you mean `{near}`?"))
        .unwrap_or_default();
    Err(refuse(
        it,
        path,
        &format!("there is no {kind} `{name}`{meant}"),
    ))
}

/// An error at a field of an object.
pub(crate) fn refuse(it: &Rendered, path: &str, message: &str) -> RenderError {
    let object = format!("{} `{}`", it.object.kind(), it.object.name());
    RenderError::new(&it.template, Place::Field(object, path.to_owned()), message)
}
