//! Probes one port every two seconds, and chooses its way by what passed.
//! Must not call a port healthy because it was so before.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::forward::Forward;
use crate::node;
use crate::pool::Endpoint;
use crate::road::{Dial as _, DialError, Link, Road};
use crate::spec::Mode;
use crate::status::Route;
use crate::upgrade::of_pod;

/// Between two probes that passed.
const EVERY: Duration = Duration::from_secs(2);
/// Between two probes while they fail.
const SOON: Duration = Duration::from_millis(250);
/// How long a probe through the API server waits for a word of a server that says nothing.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// How often nodes that did not answer are asked again while the other way works.
const NODES_EVERY: Duration = Duration::from_secs(5);
/// Failures in a row that make a healthy port unhealthy.
const FAILURES: u32 = 2;

/// Counts up whenever a health or an address changed, so that whoever follows looks again.
pub(crate) type News = Arc<watch::Sender<u64>>;

/// What the last probes said.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<(bool, Option<String>)>,
}

impl Health {
    pub(crate) fn get(&self) -> (bool, Option<String>) {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, healthy: bool, problem: Option<String>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = state.0 != healthy || state.1 != problem;
        *state = (healthy, problem);
        changed
    }
}

/// One port's prober.
pub(crate) struct Probe {
    pub(crate) client: kube::Client,
    pub(crate) forward: Arc<Forward>,
    pub(crate) road: Arc<Road>,
    pub(crate) node_port: Option<u16>,
    pub(crate) health: Arc<Health>,
    pub(crate) news: News,
}

impl Probe {
    /// Probes until the stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut nodes: Vec<IpAddr> = Vec::new();
        let mut asked: Option<Instant> = None;
        let mut failures = 0;
        loop {
            let due = asked.is_none_or(|at| at.elapsed() > NODES_EVERY);
            if self.road.mode() != Mode::PortForward && (nodes.is_empty() || due) {
                nodes = node::addresses(&self.client).await;
            }
            let ask_nodes = due || self.road.mode() == Mode::NodePort;
            let result = self.once(&nodes, ask_nodes, &mut asked).await;
            let changed = match result {
                Ok(()) => {
                    failures = 0;
                    self.health.set(true, None)
                }
                Err(error) => {
                    failures += 1;
                    let healthy = failures < FAILURES && self.health.get().0;
                    self.health.set(healthy, Some(error.to_string()))
                }
            };
            if changed {
                self.news.send_modify(|count| *count += 1);
            }
            let pause = if failures == 0 { EVERY } else { SOON };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// By the node that is in use, by any node where it is time to ask them, else through the API server.
    async fn once(
        &self,
        nodes: &[IpAddr],
        ask_nodes: bool,
        asked: &mut Option<Instant>,
    ) -> Result<(), DialError> {
        if let Some(Route::Node(address)) = self.road.route() {
            if crate::road::to_node(address).await.is_ok() {
                return Ok(());
            }
            // The next way is looked for at once.
            self.road.set_route(None);
            *asked = None;
        }
        if let Some(port) = self
            .node_port
            .filter(|_| ask_nodes && self.road.mode() != Mode::PortForward)
        {
            *asked = Some(Instant::now());
            if let Some(address) = node::answering(nodes, port).await {
                self.road.set_route(Some(Route::Node(address)));
                return Ok(());
            }
        }
        if self.road.mode() == Mode::NodePort {
            return Err(DialError::Way(
                "no node answers on the node port".to_owned(),
            ));
        }
        self.through_the_api_server().await?;
        self.road.set_route(Some(Route::PortForward));
        Ok(())
    }

    async fn through_the_api_server(&self) -> Result<(), DialError> {
        let Some(pod) = self.road.pool.pick() else {
            return Err(DialError::Way("no pod is ready".to_owned()));
        };
        let result = self.ask(&pod).await;
        if matches!(result, Err(DialError::Pod { .. })) {
            self.road.pool.blame(&pod);
        }
        result
    }

    async fn ask(&self, pod: &Endpoint) -> Result<(), DialError> {
        loop {
            let Link::Stream(stream) = self.forward.dial(pod).await? else {
                return Ok(());
            };
            match stream.probe(PROBE_WITHIN).await {
                Ok(()) => return Ok(()),
                Err(refused) if refused.stale => {}
                Err(refused) => return Err(of_pod(pod, refused.why)),
            }
        }
    }
}
