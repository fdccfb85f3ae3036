//! Keeps pools filled with what `EndpointSlices` say, over restarts of the API server.
//! Must not empty a pool because the API server is silent: the pods are still there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::pool::Endpoint;
use crate::road::Road;

/// Between two attempts to watch.
const AGAIN: Duration = Duration::from_millis(200);

/// A port of the Service whose pods are followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The name of the Service's port: empty where it has none.
    pub(crate) port_name: String,
    pub(crate) road: Arc<Road>,
}

/// Follows one Service until the stop.
pub(crate) async fn follow(
    client: Client,
    namespace: String,
    service: String,
    ports: Vec<Followed>,
    stop: CancellationToken,
) {
    let api: Api<EndpointSlice> = Api::namespaced(client, &namespace);
    let config =
        watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
    let mut events = std::pin::pin!(watcher(api, config));
    let mut slices: BTreeMap<String, EndpointSlice> = BTreeMap::new();
    let mut fresh = BTreeMap::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(Event::Init)) => fresh.clear(),
            Some(Ok(Event::InitApply(slice))) => {
                fresh.insert(slice.name_any(), slice);
            }
            Some(Ok(Event::InitDone)) => slices = std::mem::take(&mut fresh),
            Some(Ok(Event::Apply(slice))) => {
                slices.insert(slice.name_any(), slice);
            }
            Some(Ok(Event::Delete(slice))) => {
                slices.remove(&slice.name_any());
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "endpoints");
                sleep(AGAIN).await;
                continue;
            }
            None => return,
        }
        for port in &ports {
            let ready = slices
                .values()
                .flat_map(|slice| ready(slice, &port.port_name));
            port.road.pool.set(ready.collect());
        }
    }
}

/// The pods that take connections on a Service's port now, by the name of the port.
///
/// # Errors
/// The API server refuses, or does not answer.
pub async fn pods_of(
    client: &Client,
    namespace: &str,
    service: &str,
    port_name: &str,
) -> Result<Vec<Endpoint>, TunnelError> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let slices = api.list(&of_service).await;
    let slices = slices.map_err(|source| TunnelError::Api {
        what: format!("list the pods of service {service} in namespace {namespace}"),
        source: Box::new(source),
    })?;
    Ok(slices
        .iter()
        .flat_map(|slice| ready(slice, port_name))
        .collect())
}

/// The pods of a slice that take connections on the named port.
fn ready(slice: &EndpointSlice, port_name: &str) -> Vec<Endpoint> {
    let ports = slice.ports.iter().flatten();
    let port = ports
        .filter(|port| port.name.as_deref().unwrap_or_default() == port_name)
        .find_map(|port| u16::try_from(port.port?).ok());
    let Some(port) = port else {
        return Vec::new();
    };
    let pods = slice.endpoints.iter().filter_map(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        // Not said means ready.
        let ready = conditions.and_then(|it| it.ready).unwrap_or(true);
        let target = endpoint.target_ref.as_ref()?;
        (ready && target.kind.as_deref() == Some("Pod")).then_some(())?;
        Some(Endpoint {
            namespace: target.namespace.clone().or_else(|| slice.namespace())?,
            pod: target.name.clone()?,
            port,
        })
    });
    pods.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ready_pods_of_the_named_port_count() {
        let pod = |name: &str, ready: serde_json::Value| {
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
                   "targetRef": {"kind": "Pod", "namespace": "keda", "name": name}})
        };
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "api-1", "namespace": "keda"}, "addressType": "IPv4",
            "ports": [{"name": "metrics", "port": 9001}, {"name": "http", "port": 8000}],
            "endpoints": [pod("a", json!(true)), pod("b", json!(false)), pod("c", json!(null)),
                          {"addresses": ["10.0.0.9"]}],
        }))
        .unwrap();
        let found = ready(&slice, "http");
        let names: Vec<(&str, u16)> = found.iter().map(|e| (e.pod.as_str(), e.port)).collect();
        assert_eq!(names, [("a", 8000), ("c", 8000)]);
        assert!(ready(&slice, "other").is_empty());
    }
}
