//! Where announced addresses are dialled from here: for a Redis whose names mean something only inside its cluster.
//!
//! It must not resolve a name: what a map does not know is an error, never a question to somebody else's DNS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use redis::RedisFuture;
use redis::io::AsyncDNSResolver;
use serde::{Deserialize, Serialize};

use crate::config::HostPort;

/// From announced addresses to those that are dialled in their place. An empty one changes nothing.
///
/// Names of Services and pods are known under every form: with and without what follows `.svc`, with and without a last
/// dot, in any case. With TLS, certificates are still checked for the announced name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<HostPort, SocketAddr>")]
pub struct AddressMap(BTreeMap<HostPort, SocketAddr>);

/// An address that a map does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing is known of how to reach {0} from here")]
pub struct OutOfReach(pub HostPort);

impl AddressMap {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The known hosts that have this port: given that of the Sentinels, the Sentinels.
    pub fn on_port(&self, port: u16) -> Vec<HostPort> {
        let known = self.0.keys().filter(|addr| addr.port == port);
        known.cloned().collect()
    }

    /// What is dialled for an announced address; `None` is the address itself.
    pub(crate) fn find(&self, announced: &HostPort) -> Result<Option<SocketAddr>, OutOfReach> {
        if self.is_empty() {
            return Ok(None);
        }
        let found = self.0.get(&plain(announced));
        let found = found.ok_or_else(|| OutOfReach(announced.clone()))?;
        Ok(Some(*found))
    }
}

impl<H: Into<String>> FromIterator<(H, u16, SocketAddr)> for AddressMap {
    fn from_iter<I: IntoIterator<Item = (H, u16, SocketAddr)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let entries = entries.map(|(host, port, to)| (plain(&HostPort::new(host, port)), to));
        Self(entries.collect())
    }
}

impl From<BTreeMap<HostPort, SocketAddr>> for AddressMap {
    fn from(entries: BTreeMap<HostPort, SocketAddr>) -> Self {
        let entries = entries.into_iter();
        entries.map(|(at, to)| (at.host, at.port, to)).collect()
    }
}

/// The one form under which a map knows an address. The domain of a cluster follows `.svc` and is the same for all of it.
fn plain(addr: &HostPort) -> HostPort {
    let name = addr.host.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let name = match name.find(".svc.") {
        Some(at) => &name[..at + ".svc".len()],
        None => name,
    };
    HostPort::new(name, addr.port)
}

/// Answers every question with one address, so that only the dialling changes and not the name that TLS checks.
pub(crate) struct Only(pub(crate) SocketAddr);

impl AsyncDNSResolver for Only {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        _port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async {
            let found: Box<dyn Iterator<Item = SocketAddr> + Send> =
                Box::new(std::iter::once(self.0));
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, u16)]) -> AddressMap {
        let entries = entries.iter().zip(1_u16..);
        let to = |n| SocketAddr::from(([127, 0, 0, 1], n));
        entries
            .map(|((host, port), n)| (*host, *port, to(n)))
            .collect()
    }

    fn port(map: &AddressMap, host: &str, port: u16) -> Option<u16> {
        let found = map.find(&HostPort::new(host, port)).ok().flatten();
        found.map(|to| to.port())
    }

    #[test]
    fn every_form_of_a_pods_name_is_the_same_address() {
        for known in [
            "redis-node-0.redis-headless.keda.svc",
            "redis-node-0.redis-headless.keda.svc.cluster.local",
            "Redis-Node-0.redis-headless.keda.svc.home.example.",
        ] {
            let map = map(&[(known, 6379), (known, 26379)]);
            for asked in [
                "redis-node-0.redis-headless.keda.svc",
                "redis-node-0.redis-headless.keda.svc.cluster.local",
                "REDIS-node-0.redis-headless.keda.svc.",
            ] {
                assert_eq!(port(&map, asked, 6379), Some(1), "{asked} in {map:?}");
                assert_eq!(port(&map, asked, 26379), Some(2));
            }
        }
    }

    #[test]
    fn bare_addresses_of_pods_are_known_too() {
        let map = map(&[("10.244.0.7", 6379), ("fd00::7", 6379)]);
        assert_eq!(port(&map, "10.244.0.7", 6379), Some(1));
        assert_eq!(port(&map, "FD00::7", 6379), Some(2));
        assert_eq!(port(&map, "10.244.0.8", 6379), None);
    }

    #[test]
    fn an_unknown_address_is_an_error_that_names_it_and_an_empty_map_knows_all() {
        let map = map(&[("redis-node-0.redis-headless.keda.svc", 6379)]);
        for (host, port) in [
            ("redis-node-1.redis-headless.keda.svc", 6379),
            ("redis-node-0.redis-headless.keda.svc", 26379),
            ("redis-node-0.redis-headless.other.svc", 6379),
            ("localhost", 6379),
        ] {
            let asked = HostPort::new(host, port);
            let error = map.find(&asked).unwrap_err().to_string();
            assert!(error.contains(&format!("{host}:{port}")), "{error}");
            assert_eq!(AddressMap::default().find(&asked), Ok(None));
        }
    }

    #[test]
    fn sentinels_are_found_by_their_port_and_a_map_is_written_and_read() {
        let map = map(&[
            ("a.x.keda.svc", 6379),
            ("a.x.keda.svc", 26379),
            ("b", 26379),
        ]);
        let sentinels: Vec<String> = map.on_port(26379).iter().map(HostPort::to_string).collect();
        assert_eq!(sentinels, ["a.x.keda.svc:26379", "b:26379"]);
        let text = serde_json::to_string(&map).unwrap();
        assert!(text.contains(r#""b:26379":"127.0.0.1:3""#), "{text}");
        assert_eq!(serde_json::from_str::<AddressMap>(&text).unwrap(), map);
    }
}
