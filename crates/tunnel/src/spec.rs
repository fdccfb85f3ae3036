//! What a tunnel is asked for: Services, ports, the way, and how it waits.
//! Must not hold anything that only the cluster knows.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Minikube, TunnelError};

/// A tunnel to be. Written to a file for a detached one: it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The Services; each with all its TCP ports unless one is named.
    pub services: Vec<Wanted>,
    /// Where none is named: the Services of type `LoadBalancer` that carry this label (`key=value`), in every namespace.
    pub label: String,
    /// How connections go into the cluster.
    pub mode: Mode,
    /// Take the next free port where the wanted one is taken.
    pub any_port: bool,
    /// How long a new connection waits for a pod or for the API server before it is closed.
    pub hold: Duration,
    /// For [`Mode::Minikube`]: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minikube: Option<Minikube>,
}

impl Spec {
    /// How long a new connection waits unless told otherwise.
    pub const HOLD: Duration = Duration::from_secs(15);
}

/// How connections go into the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By the node port where a node answers, else through the API server.
    Auto,
    /// By the node port only.
    NodePort,
    /// Through the API server only.
    PortForward,
    /// By `minikube tunnel`, which adds a route and needs root.
    Minikube,
}

/// One Service as a user names it: `NAMESPACE/NAME[:PORT][=LOCALPORT]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Only this port of it.
    pub port: Option<u16>,
    /// The local port, in place of the Service's own.
    pub local: Option<u16>,
}

impl FromStr for Wanted {
    type Err = TunnelError;

    fn from_str(text: &str) -> Result<Self, TunnelError> {
        let wrong = |why: &str| TunnelError::Wanted {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let port = |digits: &str| match digits.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(wrong(&format!("`{digits}` is not a port"))),
        };
        let (service, local) = match text.split_once('=') {
            Some((service, local)) => (service, Some(port(local)?)),
            None => (text, None),
        };
        let (service, remote) = match service.split_once(':') {
            Some((service, remote)) => (service, Some(port(remote)?)),
            None => (service, None),
        };
        if local.is_some() && remote.is_none() {
            return Err(wrong("a local port needs the service's port before it"));
        }
        let (namespace, name) = service
            .split_once('/')
            .ok_or_else(|| wrong("there is no `/` after the namespace"))?;
        if !label(namespace) || !label(name) {
            return Err(wrong("names are 1 to 63 of a-z, 0-9 and -"));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port: remote,
            local,
        })
    }
}

fn label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 63 && name.chars().all(plain)
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(local) = self.local {
            write!(f, "={local}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_with_and_without_ports() {
        for text in ["keda/api", "keda/api:8000", "keda/api:80=18080"] {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_name_says_what_is_wrong() {
        let why = |text: &str| text.parse::<Wanted>().unwrap_err().to_string();
        assert_eq!(
            why("api"),
            "`api` does not name a service: there is no `/` after the namespace"
        );
        assert_eq!(
            why("a/b:0"),
            "`a/b:0` does not name a service: `0` is not a port"
        );
        assert_eq!(
            why("a/b=80"),
            "`a/b=80` does not name a service: a local port needs the service's port before it"
        );
        assert_eq!(
            why("a/../b"),
            "`a/../b` does not name a service: names are 1 to 63 of a-z, 0-9 and -"
        );
    }
}
