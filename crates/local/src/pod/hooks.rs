//! The probes and hooks of a container, read once with Kubernetes' defaults.
//! Must not carry them out.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{LifecycleHandler, Probe as ProbeSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

/// A probe with Kubernetes' defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Probe {
    pub(crate) action: Action,
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
}

/// What a probe or hook does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Action {
    /// GET; 200–399 is a success.
    Http { port: u16, path: String },
    /// A connection that is accepted is a success.
    Tcp { port: u16 },
    /// Exit code 0 is a success.
    Exec { command: Vec<String> },
}

/// What happens before the stop signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum PreStop {
    /// A request or a command.
    Do(Action),
    /// A pause.
    Sleep(Duration),
}

impl Probe {
    /// Reads a probe.
    pub(crate) fn of(
        spec: &ProbeSpec,
        ports: &BTreeMap<String, u16>,
    ) -> Result<Self, &'static str> {
        let action = if let Some(get) = &spec.http_get {
            Action::Http {
                port: port_number(&get.port, ports)?,
                path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
            }
        } else if let Some(socket) = &spec.tcp_socket {
            Action::Tcp {
                port: port_number(&socket.port, ports)?,
            }
        } else if let Some(exec) = &spec.exec {
            Action::Exec {
                command: exec.command.clone().unwrap_or_default(),
            }
        } else {
            return Err("a probe is neither httpGet, tcpSocket nor exec");
        };
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(default))
        };
        let count = |value: Option<i32>, default: u32| {
            value
                .and_then(|v| u32::try_from(v).ok())
                .unwrap_or(default)
                .max(1)
        };
        Ok(Self {
            action,
            initial_delay: seconds(spec.initial_delay_seconds, 0),
            period: seconds(spec.period_seconds, 10).max(Duration::from_secs(1)),
            timeout: seconds(spec.timeout_seconds, 1).max(Duration::from_secs(1)),
            failures: count(spec.failure_threshold, 3),
            successes: count(spec.success_threshold, 1),
        })
    }
}

impl PreStop {
    /// Reads a preStop hook.
    pub(crate) fn of(
        hook: &LifecycleHandler,
        ports: &BTreeMap<String, u16>,
    ) -> Result<Self, &'static str> {
        if let Some(sleep) = &hook.sleep {
            return Ok(Self::Sleep(Duration::from_secs(
                sleep.seconds.unsigned_abs(),
            )));
        }
        if let Some(exec) = &hook.exec {
            return Ok(Self::Do(Action::Exec {
                command: exec.command.clone().unwrap_or_default(),
            }));
        }
        if let Some(get) = &hook.http_get {
            return Ok(Self::Do(Action::Http {
                port: port_number(&get.port, ports)?,
                path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
            }));
        }
        Err("its preStop hook is neither exec, httpGet nor sleep")
    }
}

fn port_number(port: &IntOrString, ports: &BTreeMap<String, u16>) -> Result<u16, &'static str> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).map_err(|_| "a port is out of range"),
        IntOrString::String(name) => ports
            .get(name)
            .copied()
            .ok_or("a port is named that the container does not have"),
    }
}
