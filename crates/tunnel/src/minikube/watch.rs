//! The addresses that `minikube tunnel` writes, and whether anything answers there.
//! Must not write one, and must not call a port healthy before a connection to it was taken.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::child::Trouble;
use crate::road;
use crate::service::Target;
use crate::status::{Route, ServiceStatus};

const EVERY: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(300);
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Failures in a row until what was healthy is not any more.
const FAILURES: u32 = 2;
/// How long an address may lead nowhere before minikube is started again: it does not notice when its ssh or its route is gone.
const SICK_AFTER: Duration = Duration::from_secs(20);

/// One port of one Service.
#[derive(Debug)]
pub(super) struct Line {
    target: Target,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    address: Option<IpAddr>,
    healthy: bool,
    problem: Option<String>,
    failures: u32,
}

impl Line {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> ServiceStatus {
        let state = self.lock().clone();
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let local = SocketAddr::new(state.address.unwrap_or(nowhere), self.target.port);
        ServiceStatus {
            service: self.target.service(),
            port: self.target.port,
            local,
            note: None,
            route: state.healthy.then_some(Route::Minikube),
            healthy: state.healthy,
            problem: state.problem,
            endpoints: 0,
            open: 0,
            accepted: 0,
            failed: 0,
            external_ip: state
                .address
                .filter(|_| state.healthy)
                .map(|it| it.to_string()),
            unpublished: None,
        }
    }

    /// Takes in what a probe found; whether anybody wants to know.
    fn found(&self, address: Option<IpAddr>, problem: Option<String>) -> bool {
        let mut state = self.lock();
        let before = state.clone();
        state.failures = if problem.is_none() {
            0
        } else {
            before.failures.saturating_add(1)
        };
        state.healthy = address.is_some()
            && (problem.is_none() || (before.healthy && state.failures < FAILURES));
        state.address = address;
        state.problem = problem;
        (state.healthy, state.address, &state.problem)
            != (before.healthy, before.address, &before.problem)
    }
}

pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) lines: Arc<Vec<Line>>,
    pub(super) trouble: Trouble,
    /// Told where an address leads nowhere for long.
    pub(super) sick: Arc<Notify>,
    pub(super) news: watch::Sender<u64>,
}

impl Watch {
    pub(super) async fn run(self) {
        let mut well = Instant::now();
        loop {
            let (mut pause, mut nowhere) = (EVERY, false);
            for line in self.lines.iter() {
                let (address, problem) = self.look(line).await;
                if problem.is_some() {
                    pause = SOON;
                    nowhere |= address.is_some();
                }
                if line.found(address, problem) {
                    self.news.send_modify(|count| *count += 1);
                }
            }
            if !nowhere {
                well = Instant::now();
            } else if well.elapsed() > SICK_AFTER {
                well = Instant::now();
                self.sick.notify_waiters();
            }
            sleep(pause).await;
        }
    }

    /// The address of a port, and what is wrong with it.
    async fn look(&self, line: &Line) -> (Option<IpAddr>, Option<String>) {
        let target = &line.target;
        let api: Api<Service> = Api::namespaced(self.client.clone(), &target.namespace);
        let address = match timeout(ASK_WITHIN, api.get_opt(&target.name)).await {
            Ok(Ok(Some(service))) => given(&service),
            Ok(Ok(None)) => return (None, Some("the service is gone".to_owned())),
            // What it was last is worth a try: the API server is not the way that traffic takes.
            Ok(Err(_)) | Err(_) => line.lock().address,
        };
        let Some(address) = address else {
            let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            let wait = || "minikube tunnel has given it no address yet".to_owned();
            return (None, Some(trouble.clone().unwrap_or_else(wait)));
        };
        let to = SocketAddr::new(address, target.port);
        match road::to_node(to).await {
            Ok(_) => (Some(address), None),
            Err(error) => {
                let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                let why = trouble.clone().unwrap_or_else(|| error.to_string());
                (Some(address), Some(format!("{to} leads nowhere: {why}")))
            }
        }
    }
}

fn given(service: &Service) -> Option<IpAddr> {
    let balancer = service.status.as_ref()?.load_balancer.as_ref()?;
    let first = balancer.ingress.as_ref()?.first()?;
    first.ip.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_believed_after_a_probe_and_dropped_after_two_failures() {
        let line = Line::new(Target {
            namespace: "keda".to_owned(),
            name: "api".to_owned(),
            port: 8000,
            port_name: String::new(),
            node_port: None,
            local: None,
            balanced: true,
        });
        let address: IpAddr = [10, 96, 0, 7].into();
        let bad = || Some("refused".to_owned());
        assert!(line.found(None, bad()));
        assert!(line.found(Some(address), bad()));
        assert_eq!(line.status().external_ip, None, "only written");
        assert!(line.found(Some(address), None));
        assert_eq!(line.status().external_ip.as_deref(), Some("10.96.0.7"));
        assert!(!line.found(Some(address), None), "nothing new");
        line.found(Some(address), bad());
        assert!(line.status().healthy, "once is an accident");
        line.found(Some(address), bad());
        assert!(!line.status().healthy);
        line.found(Some(address), None);
        line.found(None, bad());
        assert!(!line.status().healthy, "the address is gone");
    }
}
