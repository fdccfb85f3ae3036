//! The way from this machine to a stack's Redis: through the API server to each of its pods, by the names that they
//! announce.
//!
//! Must not write a password anywhere: it is read from the cluster and kept in memory.

use kedactl_cluster::{Cluster, read_secret};
use kedactl_config::Config;
use kedactl_queue::{AddressMap, HostPort, RedisConfig, Secret, Tls};
use kedactl_tunnel::{Endpoint, PodPort, PodPorts};

use crate::{Record, StackError};

/// The port on which servers listen whose Sentinels have another one.
const SERVER_PORT: u16 = 6379;
/// The pod of our own chart where there is a single server.
const ONLY_POD: &str = "redis-node-0";

/// Redis within reach for as long as this value lives.
#[derive(Debug)]
pub struct Reached {
    config: RedisConfig,
    /// Nothing where Redis is reached by its own addresses.
    ports: Option<PodPorts>,
}

impl Reached {
    /// How it is reached.
    pub fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// Why the last connections to its pods failed, `pod: reason`.
    pub fn troubles(&self) -> Vec<String> {
        let troubles = self.ports.iter().flat_map(PodPorts::troubles);
        troubles
            .map(|(pod, why)| format!("{}: {why}", pod.endpoint.pod))
            .collect()
    }
}

/// Opens the way to the Redis of a stack. Asks it nothing yet.
pub async fn redis(record: &Record, cluster: &Cluster) -> Result<Reached, StackError> {
    let config = &record.config;
    let addresses = addresses(config)?;
    let pods: Vec<PodPort> = addresses
        .iter()
        .map(|it| pods(config, it))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let mut reached = settings(config, addresses)?;
    (reached.password, reached.sentinel_password) = passwords(config, cluster).await?;
    if pods.is_empty() {
        return Ok(Reached {
            config: reached,
            ports: None,
        });
    }
    let ports = PodPorts::open(cluster.client().clone(), pods).await?;
    reached.reach = ports.addresses().collect::<AddressMap>();
    Ok(Reached {
        config: reached,
        ports: Some(ports),
    })
}

fn addresses(config: &Config) -> Result<Vec<HostPort>, StackError> {
    let all = kedactl_render::redis_addresses(config);
    let read = |text: &String| {
        text.parse().map_err(|_| StackError::Config {
            problem: format!("`{text}` is no address of Redis"),
            cure: "write redis.sentinelAddresses and redis.address as host:port".to_owned(),
        })
    };
    all.iter().map(read).collect()
}

/// Topology and user names, without passwords.
fn settings(config: &Config, addresses: Vec<HostPort>) -> Result<RedisConfig, StackError> {
    let redis = &config.redis;
    let mut addresses = addresses;
    let mut out = if redis.sentinels == 0 && addresses.len() == 1 {
        RedisConfig::single(addresses.remove(0))
    } else {
        RedisConfig::sentinel(addresses, &redis.master)
    };
    out.username.clone_from(&redis.username);
    out.sentinel_username.clone_from(&redis.sentinel_username);
    out.db = redis.database;
    match &redis.tls {
        None => Ok(out),
        // The certificates are in a Secret of the cluster; a client here has files or none.
        Some(tls) if tls.client_certificate || !tls.insecure_skip_verify => {
            Err(StackError::Config {
                problem: "Redis wants TLS, and its certificates are in the cluster alone"
                    .to_owned(),
                cure: "run the command in the cluster, or set redis.tls.insecureSkipVerify"
                    .to_owned(),
            })
        }
        Some(_) => {
            out.tls = Some(Tls {
                insecure: true,
                ..Tls::default()
            });
            Ok(out)
        }
    }
}

/// The pods behind an address that means something in the cluster alone; none where it is an address like any other.
fn pods(config: &Config, address: &HostPort) -> Result<Vec<PodPort>, StackError> {
    let name = address.host.trim_end_matches('.');
    let Some((inside, _)) = name.split_once(".svc") else {
        return Ok(Vec::new());
    };
    let (pod, namespace) = match inside.split('.').collect::<Vec<_>>()[..] {
        [pod, _, namespace] => (pod, namespace),
        [_, namespace] if !config.outside_redis() => (ONLY_POD, namespace),
        _ => {
            return Err(StackError::Config {
                problem: format!(
                    "{address} is a Service, and this machine reaches single pods alone"
                ),
                cure: "name the pods in redis.sentinelAddresses: POD.SERVICE.NAMESPACE.svc:PORT"
                    .to_owned(),
            });
        }
    };
    let mut ports = vec![address.port];
    if config.redis.sentinels > 0 && address.port != SERVER_PORT {
        ports.push(SERVER_PORT);
    }
    let each = ports.into_iter().map(|port| PodPort {
        host: address.host.clone(),
        endpoint: Endpoint {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
        },
    });
    Ok(each.collect())
}

/// Passwords of the servers and of the Sentinels.
async fn passwords(
    config: &Config,
    cluster: &Cluster,
) -> Result<(Option<Secret>, Option<Secret>), StackError> {
    let (namespace, secret) = (&config.namespace, &config.redis.secret);
    let Some(values) = read_secret(cluster, namespace, &secret.name).await? else {
        return Err(StackError::Config {
            problem: format!(
                "Secret {namespace}/{} with the passwords of Redis is not there",
                secret.name
            ),
            cure: "`kedactl up` makes it; one of your own is named by redis.secret.name".to_owned(),
        });
    };
    let of = |key: &String| values.get(key).map(|it| Secret::new(it.as_str()));
    Ok((of(&secret.password_key), of(&secret.sentinel_password_key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let request = kedactl_config::Request {
            sets: sets
                .iter()
                .map(|set| kedactl_config::SetArg::Value((*set).to_owned()))
                .collect(),
            ..kedactl_config::Request::default()
        };
        let none = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        kedactl_config::load(&request, &none).unwrap().config
    }

    fn named(config: &Config) -> Vec<String> {
        let each = addresses(config).unwrap();
        let pods = each.iter().flat_map(|it| pods(config, it).unwrap());
        pods.map(|it| {
            format!(
                "{}/{}:{}",
                it.endpoint.namespace, it.endpoint.pod, it.endpoint.port
            )
        })
        .collect()
    }

    #[test]
    fn our_own_redis_is_reached_pod_by_pod_on_both_ports() {
        let found = named(&config(&["redis.nodes=3", "redis.sentinels=3"]));
        assert_eq!(found.len(), 6);
        assert_eq!(
            found[..2],
            ["keda/redis-node-0:26379", "keda/redis-node-0:6379"]
        );
    }

    #[test]
    fn a_redis_elsewhere_is_reached_by_its_own_address() {
        let sets = [
            "redis.sentinelAddresses=[sentinel.example.com:26379]",
            "releases.redis=null",
        ];
        let it = config(&sets);
        assert!(named(&it).is_empty());
        let it = settings(&it, addresses(&it).unwrap()).unwrap();
        assert!(it.reach.is_empty() && it.password.is_none());
    }

    #[test]
    fn pods_of_another_chart_are_reached_by_their_names_and_a_bare_service_is_not() {
        let with = |address: &str| {
            config(&[
                &format!("redis.sentinelAddresses=[{address}]"),
                "releases.redis=null",
            ])
        };
        let it = with("r-0.r.data.svc.cluster.local:26379");
        assert_eq!(named(&it), ["data/r-0:26379", "data/r-0:6379"]);
        let it = with("redis.data.svc:26379");
        let address = &addresses(&it).unwrap()[0];
        let error = pods(&it, address).unwrap_err();
        assert!(
            error.hint().unwrap().contains("POD.SERVICE.NAMESPACE.svc"),
            "{error}"
        );
    }
}
