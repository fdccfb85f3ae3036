//! A Deployment's pod template, read once into what a process needs; what a process cannot have is refused by name.
//! Must not start anything, and must not change a value but for addresses and paths that mean something else here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, EnvVar, KeyToPath, PodSpec, Probe as ProbeSpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kedactl_exec::{Signal, signal_named};
use serde::Serialize;

use super::hooks::{PreStop, Probe};
use crate::desired::{Desired, digest};
use crate::{LocalError, programs};

/// Kubernetes' default.
const DEFAULT_GRACE_SECONDS: u64 = 30;

/// All that is needed to run a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Template {
    pub(crate) workload: String,
    pub(crate) image: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, Text)>,
    /// Ports by name with the number that the manifest gives them.
    pub(crate) ports: BTreeMap<String, u16>,
    /// Where Secrets are mounted.
    pub(crate) secret_mounts: Vec<SecretMount>,
    /// Where `ConfigMaps` are mounted.
    pub(crate) config_mounts: Vec<ConfigMount>,
    pub(crate) startup: Option<Probe>,
    pub(crate) readiness: Option<Probe>,
    pub(crate) liveness: Option<Probe>,
    pub(crate) grace: Duration,
    pub(crate) stop_signal: String,
    pub(crate) pre_stop: Option<PreStop>,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub(crate) deletion_cost: i64,
    pub(crate) replicas: Option<u32>,
    /// Most pods above the wanted number during an update, and most that may lack.
    pub(crate) surge: Amount,
    pub(crate) unavailable: Amount,
}

/// A Secret as files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SecretMount {
    /// The directory that the manifest names.
    pub(crate) path: String,
    /// The Secret.
    pub(crate) secret: String,
    /// Its keys and the files that they become; a key that is not named here is not mounted.
    pub(crate) items: Vec<(String, String)>,
}

/// A `ConfigMap` as files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigMount {
    /// The directory that the manifest names.
    pub(crate) path: String,
    /// The `ConfigMap`.
    pub(crate) config_map: String,
    /// Files and their texts.
    pub(crate) files: BTreeMap<String, String>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Text {
    /// As it stands.
    Plain(String),
    /// The pod's name.
    PodName,
    /// A key of a Secret: the file of that name.
    SecretKey { secret: String, key: String },
}

/// A number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Amount {
    /// So many.
    Count(u32),
    /// Per cent of the wanted number.
    Percent(u32),
}

impl Template {
    /// Reads a Deployment. `Err` names the first thing that a process of this machine cannot have.
    pub(crate) fn of(deployment: &Deployment, desired: &Desired) -> Result<Self, LocalError> {
        let config = &desired.config;
        let workload = deployment.metadata.name.clone().unwrap_or_default();
        let refuse = |message: &str| refusal(&workload, message);
        let spec = deployment
            .spec
            .as_ref()
            .ok_or_else(|| refuse("it has no spec"))?;
        let pod = spec
            .template
            .spec
            .as_ref()
            .ok_or_else(|| refuse("its template has no spec"))?;
        let [container] = pod.containers.as_slice() else {
            return Err(refuse(
                "a pod here is one process, so it must have exactly one container",
            ));
        };
        if pod
            .init_containers
            .as_ref()
            .is_some_and(|list| !list.is_empty())
        {
            return Err(refuse("init containers are not run"));
        }
        let image = container.image.clone().unwrap_or_default();
        let command = container.command.clone().unwrap_or_default();
        let ports = ports(container);
        let probe = |spec: &Option<ProbeSpec>| {
            spec.as_ref()
                .map(|spec| Probe::of(spec, &ports))
                .transpose()
                .map_err(&refuse)
        };
        let rolling = spec
            .strategy
            .as_ref()
            .and_then(|strategy| strategy.rolling_update.as_ref());
        let lifecycle = container.lifecycle.as_ref();
        Ok(Self {
            program: programs::of_workload(&workload, config, &image, &command)?,
            args: command
                .iter()
                .skip(1)
                .chain(container.args.iter().flatten())
                .cloned()
                .collect(),
            env: environment(container).map_err(&refuse)?,
            secret_mounts: secret_mounts(pod, container),
            config_mounts: config_mounts(pod, container, desired)
                .map_err(|message| refuse(&message))?,
            startup: probe(&container.startup_probe)?,
            readiness: probe(&container.readiness_probe)?,
            liveness: probe(&container.liveness_probe)?,
            grace: Duration::from_secs(
                pod.termination_grace_period_seconds
                    .and_then(|s| u64::try_from(s).ok())
                    .unwrap_or(DEFAULT_GRACE_SECONDS),
            ),
            stop_signal: stop_signal(container).map_err(&refuse)?,
            pre_stop: lifecycle
                .and_then(|lifecycle| lifecycle.pre_stop.as_ref())
                .map(|hook| PreStop::of(hook, &ports))
                .transpose()
                .map_err(&refuse)?,
            deletion_cost: deletion_cost(deployment),
            replicas: spec.replicas.and_then(|count| u32::try_from(count).ok()),
            surge: Amount::of(rolling.and_then(|rolling| rolling.max_surge.as_ref())),
            unavailable: Amount::of(rolling.and_then(|rolling| rolling.max_unavailable.as_ref())),
            workload,
            image,
            ports,
        })
    }

    /// Name of a template: pods of another name are replaced. How many there are, and how they are replaced, does not count.
    pub(crate) fn hash(&self) -> String {
        let mut plain = self.clone();
        plain.replicas = None;
        plain.surge = Amount::Count(0);
        plain.unavailable = Amount::Count(0);
        digest(&plain).chars().take(6).collect()
    }

    /// The stop signal.
    pub(crate) fn signal(&self) -> Signal {
        signal_named(&self.stop_signal).unwrap_or(Signal::TERM)
    }
}

fn refusal(workload: &str, message: &str) -> LocalError {
    LocalError::Manifest {
        object: format!("Deployment/{workload}"),
        message: message.to_owned(),
    }
}

fn ports(container: &Container) -> BTreeMap<String, u16> {
    container
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            let number = u16::try_from(port.container_port).ok()?;
            Some((
                port.name.clone().unwrap_or_else(|| number.to_string()),
                number,
            ))
        })
        .collect()
}

fn environment(container: &Container) -> Result<Vec<(String, Text)>, &'static str> {
    if container
        .env_from
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err("envFrom is not read; name each variable in env");
    }
    container.env.iter().flatten().map(variable).collect()
}

fn variable(var: &EnvVar) -> Result<(String, Text), &'static str> {
    let Some(source) = &var.value_from else {
        return Ok((
            var.name.clone(),
            Text::Plain(var.value.clone().unwrap_or_default()),
        ));
    };
    let value = if let Some(field) = &source.field_ref {
        match field.field_path.as_str() {
            "metadata.name" => Text::PodName,
            "status.podIP" | "status.hostIP" => Text::Plain("127.0.0.1".to_owned()),
            "metadata.namespace" => Text::Plain("local".to_owned()),
            _ => {
                return Err(
                    "a fieldRef of env is neither metadata.name, metadata.namespace nor an address",
                );
            }
        }
    } else if let Some(secret) = &source.secret_key_ref {
        Text::SecretKey {
            secret: secret.name.clone(),
            key: secret.key.clone(),
        }
    } else {
        return Err("a valueFrom of env is neither a fieldRef nor a secretKeyRef");
    };
    Ok((var.name.clone(), value))
}

fn secret_mounts(pod: &PodSpec, container: &Container) -> Vec<SecretMount> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .filter_map(|mount| {
            let volume = pod
                .volumes
                .iter()
                .flatten()
                .find(|found| found.name == mount.name)?;
            let source = volume.secret.as_ref()?;
            let items = source.items.iter().flatten();
            Some(SecretMount {
                path: mount.mount_path.trim_end_matches('/').to_owned(),
                secret: source.secret_name.clone()?,
                items: items
                    .map(|item| (item.key.clone(), item.path.clone()))
                    .collect(),
            })
        })
        .collect()
}

fn config_mounts(
    pod: &PodSpec,
    container: &Container,
    desired: &Desired,
) -> Result<Vec<ConfigMount>, String> {
    let volume = |name: &str| {
        pod.volumes
            .iter()
            .flatten()
            .find(|found| found.name == name)
    };
    let mounts = container.volume_mounts.iter().flatten();
    let sources = mounts.filter_map(|mount| {
        let source = volume(&mount.name)?.config_map.as_ref()?;
        Some((mount.mount_path.trim_end_matches('/').to_owned(), source))
    });
    let mount = |(path, source): (String, &ConfigMapVolumeSource)| {
        let named = |map: &&ConfigMap| map.metadata.name.as_deref() == Some(&source.name);
        let map = desired.config_maps.iter().find(named);
        let map = map.ok_or_else(|| {
            format!(
                "it mounts the ConfigMap {}, which is not there",
                source.name
            )
        })?;
        let texts = map.data.iter().flatten();
        let files = match &source.items {
            None => texts
                .map(|(key, text)| (key.clone(), text.clone()))
                .collect(),
            Some(items) => {
                let text = |key: &str| map.data.as_ref()?.get(key).cloned();
                let item = |it: &KeyToPath| Some((it.path.clone(), text(&it.key)?));
                items.iter().filter_map(item).collect()
            }
        };
        Ok(ConfigMount {
            path,
            config_map: source.name.clone(),
            files,
        })
    };
    sources.map(mount).collect()
}

fn stop_signal(container: &Container) -> Result<String, &'static str> {
    let named = container
        .lifecycle
        .as_ref()
        .and_then(|lifecycle| lifecycle.stop_signal.clone());
    let name = named.unwrap_or_else(|| "SIGTERM".to_owned());
    if signal_named(&name).is_none() {
        return Err("its stop signal is not known");
    }
    Ok(name)
}

fn deletion_cost(deployment: &Deployment) -> i64 {
    let metadata = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.metadata.as_ref());
    metadata
        .and_then(|metadata| metadata.annotations.as_ref())
        .and_then(|annotations| annotations.get("controller.kubernetes.io/pod-deletion-cost"))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

impl Default for Amount {
    /// Kubernetes' default for both.
    fn default() -> Self {
        Self::Percent(25)
    }
}

impl Amount {
    fn of(value: Option<&IntOrString>) -> Self {
        match value {
            Some(IntOrString::Int(count)) => Self::Count(u32::try_from(*count).unwrap_or(0)),
            Some(IntOrString::String(text)) => {
                Self::Percent(text.trim_end_matches('%').parse().unwrap_or(25))
            }
            None => Self::default(),
        }
    }

    /// Rounded up, as for a surge.
    pub(crate) fn up(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (of * percent).div_ceil(100),
        }
    }

    /// Rounded down, as for what may lack.
    pub(crate) fn down(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => of * percent / 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Template, LocalError> {
        let request = kedactl_config::Request {
            env: "local".to_owned(),
            ..kedactl_config::Request::default()
        };
        let reader = |path: &std::path::Path, _: u64| std::fs::read(path);
        let config = kedactl_config::load(&request, &reader).unwrap().config;
        let container: serde_json::Value = serde_json::from_str(yaml).unwrap();
        let deployment = serde_json::json!({
            "metadata": {"name": "mine"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
        });
        Template::of(
            &serde_json::from_value(deployment).unwrap(),
            &Desired::new(config),
        )
    }

    #[test]
    fn kubernetes_defaults_are_filled_in() {
        let template = read(
            r#"{"name": "c", "image": "x/sh:1", "ports": [{"name": "http", "containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": "http"}}}"#,
        )
        .unwrap();
        assert!(template.program.ends_with("sh"));
        assert_eq!(template.grace, Duration::from_secs(30));
        let probe = template.readiness.unwrap();
        assert_eq!(
            (
                probe.period.as_secs(),
                probe.timeout.as_secs(),
                probe.failures
            ),
            (10, 1, 3)
        );
        assert_eq!((template.surge.up(2), template.unavailable.down(2)), (1, 0));
    }

    #[test]
    fn what_a_process_cannot_have_is_refused_by_name() {
        for (container, word) in [
            (
                r#"{"name": "c", "image": "sh", "envFrom": [{}]}"#,
                "envFrom",
            ),
            (
                r#"{"name": "c", "image": "sh", "livenessProbe": {"grpc": {"port": 1}}}"#,
                "probe",
            ),
            (
                r#"{"name": "c", "image": "no-such-program"}"#,
                "no-such-program",
            ),
        ] {
            let error = read(container).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
