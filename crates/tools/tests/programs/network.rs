//! Network policies as a cluster reads them: who may connect to whom, by the rules of networking.k8s.io/v1.
//! Must not know what the policies under test should say.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;

type Labels = BTreeMap<String, String>;

/// A pod, as policies see it.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) namespace: String,
    labels: Labels,
    /// Names of its ports.
    ports: BTreeMap<String, u64>,
}

impl Pod {
    pub(crate) fn new(name: &'static str, namespace: &str, labels: &[(&str, &str)]) -> Self {
        let label = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self {
            name,
            namespace: namespace.to_owned(),
            labels: labels.iter().map(label).collect(),
            ports: BTreeMap::new(),
        }
    }

    /// The pods that a Deployment or a `StatefulSet` makes.
    pub(crate) fn of(name: &'static str, workload: &Value) -> Self {
        let template = &workload["spec"]["template"];
        let ports = template["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten();
        let ports = ports.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        let port = |port: &Value| Some((text(&port["name"])?, port["containerPort"].as_u64()?));
        Self {
            name,
            namespace: text(&workload["metadata"]["namespace"]).unwrap(),
            labels: labels(&template["metadata"]["labels"]),
            ports: ports.filter_map(port).collect(),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Peer<'a> {
    Pod(&'a Pod),
    Address(Ipv4Addr),
}

/// The policies of a cluster.
pub(crate) struct Network {
    policies: Vec<Value>,
}

impl Network {
    pub(crate) fn new<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let policies = objects
            .into_iter()
            .filter(|object| object["kind"] == "NetworkPolicy");
        Self {
            policies: policies.cloned().collect(),
        }
    }

    /// Whether a pod may connect to another: both must be allowed to.
    pub(crate) fn connects(&self, from: &Pod, to: &Pod, protocol: &str, port: u64) -> bool {
        self.allows("Egress", from, &Peer::Pod(to), &to.ports, protocol, port)
            && self.allows("Ingress", to, &Peer::Pod(from), &to.ports, protocol, port)
    }

    /// Whether a pod may connect to an address outside the cluster.
    pub(crate) fn leaves(&self, from: &Pod, to: Ipv4Addr, protocol: &str, port: u64) -> bool {
        let none = BTreeMap::new();
        self.allows("Egress", from, &Peer::Address(to), &none, protocol, port)
    }

    /// One direction: no policy that holds for the pod, or one that opens this way.
    fn allows(
        &self,
        direction: &str,
        pod: &Pod,
        peer: &Peer<'_>,
        named: &BTreeMap<String, u64>,
        protocol: &str,
        port: u64,
    ) -> bool {
        let holds = |policy: &&Value| {
            let types = policy["spec"]["policyTypes"].as_array().unwrap();
            policy["metadata"]["namespace"] == pod.namespace.as_str()
                && selects(&policy["spec"]["podSelector"], &pod.labels)
                && types.iter().any(|it| it == direction)
        };
        let mut held = self.policies.iter().filter(holds).peekable();
        if held.peek().is_none() {
            return true;
        }
        let (rules, peers) = match direction {
            "Ingress" => ("ingress", "from"),
            _ => ("egress", "to"),
        };
        held.any(|policy| {
            let namespace = text(&policy["metadata"]["namespace"]).unwrap();
            let rules = policy["spec"][rules].as_array().into_iter().flatten();
            rules.into_iter().any(|rule| {
                let known = rule[peers].as_array();
                let ports = rule["ports"].as_array();
                known.is_none_or(|known| known.iter().any(|it| is(it, peer, &namespace)))
                    && ports
                        .is_none_or(|ports| ports.iter().any(|it| opens(it, named, protocol, port)))
            })
        })
    }
}

fn is(rule: &Value, peer: &Peer<'_>, namespace: &str) -> bool {
    match peer {
        Peer::Address(address) => within(&rule["ipBlock"], *address),
        Peer::Pod(_) if !rule["ipBlock"].is_null() => false,
        Peer::Pod(pod) => {
            let name = (
                "kubernetes.io/metadata.name".to_owned(),
                pod.namespace.clone(),
            );
            let place = match &rule["namespaceSelector"] {
                Value::Null => pod.namespace == namespace,
                selector => selects(selector, &Labels::from([name])),
            };
            place && (rule["podSelector"].is_null() || selects(&rule["podSelector"], &pod.labels))
        }
    }
}

fn within(block: &Value, address: Ipv4Addr) -> bool {
    let Some((network, length)) = block["cidr"].as_str().and_then(|it| it.split_once('/')) else {
        return false;
    };
    // A block of the other family.
    let Ok(network) = network.parse::<Ipv4Addr>() else {
        return false;
    };
    let length: u32 = length.parse().unwrap();
    let prefix = |it: Ipv4Addr| it.to_bits().checked_shr(32 - length).unwrap_or(0);
    prefix(network) == prefix(address)
}

fn opens(rule: &Value, named: &BTreeMap<String, u64>, protocol: &str, port: u64) -> bool {
    let number = match &rule["port"] {
        Value::String(name) => named.get(name).copied(),
        number => number.as_u64(),
    };
    rule["protocol"] == protocol && number == Some(port)
}

fn selects(selector: &Value, found: &Labels) -> bool {
    assert!(
        selector["matchExpressions"].is_null(),
        "expressions are not understood here"
    );
    let wanted = labels(&selector["matchLabels"]);
    wanted
        .iter()
        .all(|(key, value)| found.get(key) == Some(value))
}

fn labels(value: &Value) -> Labels {
    let map = value.as_object().into_iter().flatten();
    map.filter_map(|(key, value)| Some((key.clone(), text(value)?)))
        .collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
