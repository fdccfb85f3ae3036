//! The addresses of nodes, and which of them answers on a node port.
//! Must not take a silent node for a silent cluster: every node is asked, side by side.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::road;

/// Nodes that are asked side by side.
const ASKED: u32 = 8;

/// Internal addresses of some nodes. None where they may not be listed or the API server does not answer.
pub(crate) async fn addresses(client: &Client) -> Vec<IpAddr> {
    let all: Api<Node> = Api::all(client.clone());
    match all.list(&ListParams::default().limit(ASKED)).await {
        Ok(list) => list.items.iter().flat_map(internal).collect(),
        Err(error) => {
            tracing::debug!(%error, "nodes");
            Vec::new()
        }
    }
}

fn internal(node: &Node) -> Vec<IpAddr> {
    let status = node.status.as_ref();
    let addresses = status.and_then(|status| status.addresses.as_ref());
    let internal = addresses
        .into_iter()
        .flatten()
        .filter(|address| address.type_ == "InternalIP");
    internal.filter_map(|it| it.address.parse().ok()).collect()
}

/// The first node that answers on the port.
pub(crate) async fn answering(nodes: &[IpAddr], port: u16) -> Option<SocketAddr> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let address = SocketAddr::new(*node, port);
        asked.spawn(async move { road::to_node(address).await.ok().map(|_| address) });
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok(Some(address)) = answer {
            return Some(address);
        }
    }
    None
}
