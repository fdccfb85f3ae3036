//! What the cluster says of the wanted Services: their ports, node ports and type.
//! Must not write anything.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::TunnelError;
use crate::spec::{Spec, Wanted};

/// One TCP port of one Service that is to be forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) port_name: String,
    pub(crate) node_port: Option<u16>,
    /// The local port that was asked for.
    pub(crate) local: Option<u16>,
    /// Its type is `LoadBalancer`, so that an address may be published.
    pub(crate) balanced: bool,
}

impl Target {
    pub(crate) fn service(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

async fn labelled(client: &Client, label: &str) -> Result<Vec<Wanted>, TunnelError> {
    let all: Api<Service> = Api::all(client.clone());
    let list = all.list(&ListParams::default().labels(label)).await;
    let list = list.map_err(|source| TunnelError::Api {
        what: "list services".to_owned(),
        source: Box::new(source),
    })?;
    let found: Vec<Wanted> = list
        .items
        .iter()
        .filter(|service| balanced(service))
        .map(|service| Wanted {
            namespace: service.namespace().unwrap_or_default(),
            name: service.name_any(),
            port: None,
            local: None,
        })
        .collect();
    if found.is_empty() {
        return Err(TunnelError::Nothing {
            label: label.to_owned(),
        });
    }
    Ok(found)
}

/// The ports behind what was asked for.
pub(crate) async fn resolve(client: &Client, spec: &Spec) -> Result<Vec<Target>, TunnelError> {
    let wanted = if spec.services.is_empty() {
        labelled(client, &spec.label).await?
    } else {
        spec.services.clone()
    };
    let mut targets = Vec::new();
    for wanted in &wanted {
        let api: Api<Service> = Api::namespaced(client.clone(), &wanted.namespace);
        let found = api.get_opt(&wanted.name).await;
        let found = found.map_err(|source| TunnelError::Api {
            what: format!("show service {}/{}", wanted.namespace, wanted.name),
            source: Box::new(source),
        })?;
        let service = found.ok_or_else(|| TunnelError::NoService {
            namespace: wanted.namespace.clone(),
            name: wanted.name.clone(),
        })?;
        targets.extend(ports(&service, wanted)?);
    }
    Ok(targets)
}

fn ports(service: &Service, wanted: &Wanted) -> Result<Vec<Target>, TunnelError> {
    let spec = service.spec.as_ref();
    let tcp: Vec<&ServicePort> = spec
        .and_then(|spec| spec.ports.as_ref())
        .into_iter()
        .flatten()
        .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
        .collect();
    let number = |port: &ServicePort| u16::try_from(port.port).unwrap_or(0);
    let chosen = tcp
        .iter()
        .filter(|port| wanted.port.is_none_or(|only| only == number(port)));
    let targets: Vec<Target> = chosen
        .map(|port| Target {
            namespace: wanted.namespace.clone(),
            name: wanted.name.clone(),
            port: number(port),
            port_name: port.name.clone().unwrap_or_default(),
            node_port: port.node_port.and_then(|port| u16::try_from(port).ok()),
            local: wanted.local,
            balanced: balanced(service),
        })
        .collect();
    if targets.is_empty() {
        return Err(TunnelError::NoPort {
            service: format!("{}/{}", wanted.namespace, wanted.name),
            port: wanted.port.map_or("at all".to_owned(), |p| p.to_string()),
            has: tcp.iter().map(|port| number(port)).collect(),
        });
    }
    Ok(targets)
}

fn balanced(service: &Service) -> bool {
    let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
    kind == Some("LoadBalancer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tcp_ports_are_forwarded_and_a_missing_one_is_named() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "api"},
            "spec": {"type": "LoadBalancer", "ports": [
                {"name": "http", "port": 8000, "nodePort": 30100},
                {"name": "dns", "port": 53, "protocol": "UDP"}]}
        }))
        .unwrap();
        let found = ports(&service, &"keda/api".parse().unwrap()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].node_port, found[0].balanced), (Some(30100), true));
        let error = ports(&service, &"keda/api:53".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "service keda/api has no TCP port 53");
        assert_eq!(error.hint().unwrap(), "keda/api has: 8000");
    }
}
