//! Where a stack's API and its Alertmanager are reached from this machine, and a fail-over of its Redis.
//!
//! Must not open a tunnel: who wants one asks for it.

use std::time::Duration;

use kedactl_queue::Failover;
use kedactl_tunnel::{PodPort, PodPorts, ServiceStatus};

use crate::{Live, StackError};

/// The Service of the API.
const SERVICE: &str = "api";
/// The Service of Alertmanager, whichever chart brought it, and the names that its port may have.
const ALERTMANAGER: &str = "alertmanager";
const ALERTMANAGER_PORTS: [&str; 4] = ["http", "http-web", "web", ""];
/// How long a fail-over may take: one attempt of the Sentinels.
const FAIL_OVER_WITHIN: Duration = Duration::from_secs(30);

impl Live {
    /// URL of the API: by the tunnel, else by the Ingress, else by the address that a load balancer gave.
    pub async fn api_url(&self) -> Result<String, StackError> {
        let config = &self.record().config;
        if let Some(address) = crate::tunnel::mapped(config) {
            return Ok(format!("http://{address}"));
        }
        let service = format!("{}/{SERVICE}", config.namespace);
        let tunnel = kedactl_tunnel::status(&self.home().tunnel()).await;
        let ports: Vec<ServiceStatus> = tunnel.map_or_else(|_| Vec::new(), |it| it.services);
        let port = ports.iter().find(|it| it.service == service);
        if let Some(it) = port.filter(|it| it.healthy) {
            return Ok(format!("http://{}", it.local));
        }
        if let Some(ingress) = &config.ingress {
            return Ok(format!("https://{}", ingress.host));
        }
        let view = kedactl_cluster::service(self.cluster(), &config.namespace, SERVICE).await?;
        let given = view.and_then(|it| it.external.into_iter().next());
        if let Some(host) = given {
            return Ok(format!("http://{host}:{}", config.api.port));
        }
        Err(StackError::NoAddress {
            stack: self.home().stack().to_owned(),
            why: port.and_then(|it| it.problem.clone()),
        })
    }

    /// Its Alertmanager: an address of this machine, good for as long as the second value is there.
    pub async fn alertmanager(&self) -> Result<(String, PodPorts), StackError> {
        let config = &self.record().config;
        let namespace = &config.monitoring.namespace;
        let missing = |problem: String| {
            StackError::Config {
            problem,
            cure: "`kedactl up --with monitoring` brings one; `kubectl -n NAMESPACE get pods` says how it is".to_owned(),
        }
        };
        if !config.is_monitored() {
            return Err(missing(
                "the stack has no Alertmanager: monitoring.profile is `none`".to_owned(),
            ));
        }
        let client = self.cluster().client();
        let mut pods = Vec::new();
        // Charts differ in how they call the port.
        for port in ALERTMANAGER_PORTS {
            pods.extend(kedactl_tunnel::pods_of(client, namespace, ALERTMANAGER, port).await?);
        }
        let endpoint = pods.into_iter().next().ok_or_else(|| {
            missing(format!(
                "no pod of the service {ALERTMANAGER} in namespace {namespace} is ready"
            ))
        })?;
        let host = endpoint.pod.clone();
        let ports = PodPorts::open(client.clone(), vec![PodPort { host, endpoint }]).await?;
        let here = ports
            .addresses()
            .next()
            .map(|(_, _, here)| here.to_string());
        Ok((here.unwrap_or_default(), ports))
    }

    /// Makes the Sentinels promote a replica, and waits until it takes writes.
    pub async fn fail_over(&self) -> Result<Failover, StackError> {
        let config = self.redis().await?.config();
        Ok(kedactl_queue::fail_over(config, FAIL_OVER_WITHIN).await?)
    }
}
