//! Where a Service is reached from outside.
//! Must not believe an address that a tunnel of ours wrote: it is another machine's, or this one's own.

use serde::Serialize;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{ObjectRef, items, number, text};

/// One Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceView {
    /// `ClusterIP`, `LoadBalancer`.
    pub kind: String,
    /// Its ports.
    pub ports: Vec<u16>,
    /// Addresses that a load balancer gave it, names or IPs.
    pub external: Vec<String>,
}

/// One Service; `None` where it is not.
pub async fn service(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<ServiceView>, Error> {
    let object = ObjectRef::new("v1", "Service", Some(namespace), name);
    Ok(cluster.get(&object).await?.as_ref().map(view))
}

fn view(it: &Json) -> ServiceView {
    let port = |it: &Json| u16::try_from(number(it, "/port")?).ok();
    let given = items(it, "/status/loadBalancer/ingress").iter();
    let given = given.map(|it| match text(it, "/hostname") {
        "" => text(it, "/ip"),
        name => name,
    });
    ServiceView {
        kind: text(it, "/spec/type").to_owned(),
        ports: items(it, "/spec/ports").iter().filter_map(port).collect(),
        external: given
            .filter(|it| !it.is_empty() && !it.starts_with("127."))
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_load_balancers_address_counts_and_a_tunnels_does_not() {
        let of = |ingress: Json| {
            view(
                &json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 8000}]},
                "status": {"loadBalancer": {"ingress": ingress}}}),
            )
        };
        let it = of(json!([{"hostname": "lb.example.com"}, {"ip": "203.0.113.7"}]));
        assert_eq!((it.ports[0], it.external.len()), (8000, 2));
        assert!(of(json!([{"ip": "127.0.0.1"}])).external.is_empty());
    }
}
