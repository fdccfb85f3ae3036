//! What a tunnel is doing: the answer of `tunnel status`.
//! Must not be believed after the process that wrote it has ended.

use std::net::SocketAddr;

use kedactl_exec::ProcId;
use serde::{Deserialize, Serialize};

/// The whole tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    pub process: ProcId,
    /// Milliseconds since the Unix epoch.
    pub started_at: u64,
    /// One a forwarded port.
    pub services: Vec<ServiceStatus>,
}

impl Status {
    /// The first port whose probe does not pass.
    pub fn unready(&self) -> Option<&ServiceStatus> {
        self.services.iter().find(|service| !service.healthy)
    }
}

/// One port of one Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// `namespace/name`.
    pub service: String,
    /// The Service's port.
    pub port: u16,
    /// Where it is reached on this machine.
    pub local: SocketAddr,
    /// Why the local port is another than the Service's.
    pub note: Option<String>,
    /// How connections go now; `None` before the first probe passed.
    pub route: Option<Route>,
    /// Whether the last probe passed.
    pub healthy: bool,
    /// Why it did not.
    pub problem: Option<String>,
    /// Pods that take connections.
    pub endpoints: usize,
    /// Connections that are open now.
    pub open: u64,
    /// Connections since the start.
    pub accepted: u64,
    /// Connections that were closed because no pod took them in time.
    pub failed: u64,
    /// The published EXTERNAL-IP.
    pub external_ip: Option<String>,
    /// Why none is published.
    pub unpublished: Option<String>,
}

/// How connections go into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// To this address of a node.
    Node(SocketAddr),
    /// Through the API server to a pod.
    PortForward,
    /// By what `minikube tunnel` made.
    Minikube,
}
