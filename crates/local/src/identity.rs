//! `identity.json`: what a stack keeps as long as its data lives: its mark and its ports.
//! Must not change while processes of the stack run.

use serde::{Deserialize, Serialize};

use crate::desired::Desired;
use crate::layout::{Layout, read_json, write_json};
use crate::ports::Claims;
use crate::state::STATE_VERSION;
use crate::{LocalError, secrets};

/// Environment variable with the stack's mark, in every process of a stack.
pub(crate) const MARK_STACK: &str = "KEDACTL_STACK_ID";
/// Environment variable with the name of the pod or server.
pub(crate) const MARK_NAME: &str = "KEDACTL_STACK_MEMBER";

/// What outlives `down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) stack_id: String,
    /// Ports of the Redis servers in their order.
    pub(crate) redis: Vec<u16>,
    /// Ports of the Sentinels in their order.
    pub(crate) sentinels: Vec<u16>,
    /// Port behind which the proxy serves the API's metrics.
    #[serde(default)]
    pub(crate) metrics: u16,
    /// Port behind which the proxy serves the webhook.
    #[serde(default)]
    pub(crate) webhook: u16,
    #[serde(default)]
    pub(crate) prometheus: u16,
    #[serde(default)]
    pub(crate) alertmanager: u16,
    /// Port on which the supervisor says how pods and autoscalers are.
    #[serde(default)]
    pub(crate) exporter: u16,
}

impl Identity {
    /// Reads the identity; `None` where the directory holds no stack.
    pub(crate) fn load(layout: &Layout) -> Result<Option<Self>, LocalError> {
        let path = layout.dir().join("identity.json");
        let found: Option<Self> = read_json(&path)?;
        match found {
            Some(identity) if identity.version != STATE_VERSION => Err(LocalError::OtherVersion {
                path,
                found: identity.version,
                known: STATE_VERSION,
            }),
            found => Ok(found),
        }
    }

    /// The mark of a stack's processes, whichever version wrote it.
    pub(crate) fn mark(layout: &Layout) -> Option<String> {
        let found: serde_json::Value = read_json(&layout.dir().join("identity.json")).ok()??;
        Some(found.get("stack_id")?.as_str()?.to_owned())
    }

    /// Reads or makes the identity.
    pub(crate) fn load_or_make(layout: &Layout) -> Result<Self, LocalError> {
        if let Some(identity) = Self::load(layout)? {
            return Ok(identity);
        }
        let identity = Self {
            version: STATE_VERSION,
            stack_id: secrets::random_hex::<16>(),
            redis: Vec::new(),
            sentinels: Vec::new(),
            metrics: 0,
            webhook: 0,
            prometheus: 0,
            alertmanager: 0,
            exporter: 0,
        };
        identity.save(layout)?;
        Ok(identity)
    }

    pub(crate) fn save(&self, layout: &Layout) -> Result<(), LocalError> {
        write_json(&layout.dir().join("identity.json"), self)
    }

    /// Fits the ports to the configuration: a port that is kept must be free, or in use by this very stack.
    pub(crate) fn choose_ports(
        &mut self,
        desired: &Desired,
        claims: &mut Claims,
    ) -> Result<(), LocalError> {
        let config = &desired.config;
        let (first, wanted) = (&config.local.ports, config.api.metrics_port);
        fit_one(&mut self.metrics, wanted, "the API's metrics", claims)?;
        if config.webhook.runs() {
            fit_one(&mut self.webhook, first.webhook, "the webhook", claims)?;
        }
        if desired.monitoring.is_some() {
            fit_one(&mut self.prometheus, first.prometheus, "prometheus", claims)?;
            fit_one(
                &mut self.alertmanager,
                first.alertmanager,
                "alertmanager",
                claims,
            )?;
            fit_one(
                &mut self.exporter,
                first.metrics,
                "the supervisor's metrics",
                claims,
            )?;
        }
        let mut fit = |kept: &[u16], count: u32, first: u16, what: &str| {
            (0..count as usize)
                .map(|index| match kept.get(index) {
                    Some(port) if claims.keep(*port) => Ok(*port),
                    _ => claims.next(first, what),
                })
                .collect::<Result<Vec<u16>, LocalError>>()
        };
        self.redis = fit(&self.redis, config.redis.nodes, first.redis, "redis")?;
        self.sentinels = fit(
            &self.sentinels,
            config.redis.sentinels,
            first.sentinel,
            "sentinel",
        )?;
        Ok(())
    }
}

/// A port that is served already stays; else the wanted one, the one from before, or the next that is free.
fn fit_one(port: &mut u16, wanted: u16, what: &str, claims: &mut Claims) -> Result<(), LocalError> {
    let served = claims.serves(*port).then_some(*port);
    let candidates = served.into_iter().chain([wanted, *port]);
    let found = candidates.into_iter().find(|&port| claims.keep(port));
    *port = found.map_or_else(|| claims.next(wanted, what), Ok)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn desired() -> Desired {
        let request = kedactl_config::Request {
            env: "local".to_owned(),
            ..kedactl_config::Request::default()
        };
        let reader = |path: &std::path::Path, _: u64| std::fs::read(path);
        Desired::new(kedactl_config::load(&request, &reader).unwrap().config)
    }

    fn identity(redis: Vec<u16>) -> Identity {
        Identity {
            version: STATE_VERSION,
            stack_id: "a".to_owned(),
            redis,
            sentinels: Vec::new(),
            metrics: 0,
            webhook: 0,
            prometheus: 0,
            alertmanager: 0,
            exporter: 0,
        }
    }

    #[test]
    fn a_taken_port_is_replaced_and_a_port_of_our_own_is_kept() {
        let taken: Vec<std::net::TcpListener> = (0..3)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = taken
            .iter()
            .map(|it| it.local_addr().unwrap().port())
            .collect();
        let mut foreign = identity(ports.clone());
        foreign
            .choose_ports(&desired(), &mut Claims::new(0, BTreeSet::new()))
            .unwrap();
        assert!(foreign.redis.iter().all(|port| !ports.contains(port)));
        assert_eq!((foreign.redis.len(), foreign.sentinels.len()), (3, 3));
        let mut ours = identity(ports.clone());
        ours.choose_ports(
            &desired(),
            &mut Claims::new(0, ports.iter().copied().collect()),
        )
        .unwrap();
        assert_eq!(ours.redis, ports);
        let mut all: Vec<u16> = ours.redis.iter().chain(&ours.sentinels).copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 6);
    }
}
