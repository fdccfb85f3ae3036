//! One pod's life: start or adopt, probe, start again with back-off, stop with its grace period.
//! Must not outlive its pod: when it returns, the pod's process is gone and its place on the board as well.

use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::{ProcId, Watched};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hooks::{Action, PreStop, Probe};
use super::materialize::{self, Ports};
use super::probe::{Verdict, act};
use super::template::Template;
use crate::backoff::Backoff;
use crate::board::now_ms;
use crate::context::Context;
use crate::proxy::endpoints;
use crate::redis::server::end;
use crate::{LocalError, PodPhase};

/// How often a pod that was never ready since its start is asked, where its own period is longer; the kubelet hurries likewise.
const HURRY: Duration = Duration::from_millis(200);

/// One pod to run.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) context: Arc<Context>,
    pub(crate) template: Arc<Template>,
    pub(crate) name: String,
    /// Its process and ports, where it runs already.
    pub(crate) adopt: Option<(ProcId, Ports)>,
    pub(crate) stop: CancellationToken,
}

/// Why a process does not run any more.
enum End {
    Exited(String),
    Unhealthy(String),
    Stopped,
}

impl Runner {
    /// Runs the pod until it is stopped.
    pub(crate) async fn run(mut self) {
        let restart = &self.context.config.local.restart;
        let ms = |value: u32| Duration::from_millis(u64::from(value));
        let mut backoff = Backoff::new(
            ms(restart.initial_backoff_ms),
            ms(restart.max_backoff_ms),
            ms(restart.reset_after_ms),
        );
        let mut adopted = self
            .adopt
            .take()
            .and_then(|(id, ports)| Some((Watched::adopt(id)?, ports)));
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            let fresh = adopted.is_none();
            let how = match adopted.take().map_or_else(|| self.start(), Ok) {
                Ok((watched, ports)) => match self.attend(watched, &ports, fresh).await {
                    End::Exited(how) => how,
                    End::Unhealthy(why) => format!("killed: {why}"),
                    End::Stopped => break,
                },
                Err(error) => error.to_string(),
            };
            self.wait(backoff.after(began.elapsed()), &how).await;
        }
        self.context.board.update_now(|state| {
            for workload in state.workloads.values_mut() {
                workload.pods.retain(|pod| pod.name != self.name);
            }
        });
        self.context
            .board
            .record("pod_gone", json!({"pod": self.name}));
    }

    fn start(&self) -> Result<(Watched, Ports), LocalError> {
        let ports = materialize::choose_ports(&self.template, &self.context)?;
        let spawn = materialize::process(&self.template, &self.context, &self.name, &ports)?;
        let watched = spawn.start()?;
        let id = watched.id();
        self.context.board.update_now(|state| {
            state.with_pod(&self.name, |pod| {
                pod.phase = PodPhase::Running;
                pod.process = Some(id);
                pod.ports.clone_from(&ports);
                pod.started_at = Some(now_ms());
                pod.restarts += u32::from(pod.last_exit.is_some());
                pod.retry_at = None;
                "starting".clone_into(&mut pod.note);
            });
        });
        self.context.board.record(
            "pod_started",
            json!({"pod": self.name, "pid": id.pid, "ports": ports}),
        );
        Ok((watched, ports))
    }

    /// Stays with one process until its end.
    async fn attend(&self, mut watched: Watched, ports: &Ports, fresh: bool) -> End {
        let why = tokio::select! {
            exit = watched.exited() => return End::Exited(exit.how),
            why = self.probe(ports, fresh) => why,
            () = self.stop.cancelled() => {
                self.set_ready(false, "stopping");
                self.context.board.update_now(|state| state.with_pod(&self.name, |pod| pod.phase = PodPhase::Terminating));
                if !ports.is_empty() {
                    // Only then is it told to stop.
                    endpoints::left(&self.context, &self.name).await;
                }
                self.end(&mut watched, ports).await;
                return End::Stopped;
            }
        };
        self.set_ready(false, &why);
        self.context
            .board
            .record("pod_unhealthy", json!({"pod": self.name, "why": why}));
        self.end(&mut watched, ports).await;
        End::Unhealthy(why)
    }

    async fn end(&self, watched: &mut Watched, ports: &Ports) {
        let deadline = Instant::now() + self.template.grace;
        match &self.template.pre_stop {
            Some(PreStop::Sleep(time)) => sleep((*time).min(self.template.grace)).await,
            Some(PreStop::Do(action)) => {
                if let Err(error) = self.act(action, self.template.grace, ports).await {
                    tracing::warn!(pod = %self.name, %error, "preStop");
                }
            }
            None => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // Kubernetes grants two seconds to a process whose hook used all of its grace period.
        end(
            watched,
            self.template.signal(),
            left.max(Duration::from_secs(2)),
        )
        .await;
    }

    /// Waits until the pod may be started again.
    async fn wait(&self, delay: Duration, how: &str) {
        self.context.board.update_now(|state| {
            state.with_pod(&self.name, |pod| {
                pod.ready_changed_at = if pod.ready {
                    Some(now_ms())
                } else {
                    pod.ready_changed_at
                };
                pod.ready = false;
                pod.phase = PodPhase::BackOff;
                pod.process = None;
                pod.last_exit = Some(how.to_owned());
                pod.retry_at = Some(now_ms() + delay.as_millis() as u64);
                pod.note = format!("ended with {how}");
            });
        });
        self.context.board.record(
            "pod_ended",
            json!({"pod": self.name, "how": how, "restart_in_ms": delay.as_millis() as u64}),
        );
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(delay) => {}
        }
    }

    /// Probes until the process must be restarted, and says why.
    async fn probe(&self, ports: &Ports, fresh: bool) -> String {
        if let Some(startup) = self.template.startup.as_ref().filter(|_| fresh)
            && let Err(why) = self.startup(startup, ports).await
        {
            return why;
        }
        let dead = async {
            match &self.template.liveness {
                Some(probe) => self.liveness(probe, ports).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            why = dead => why,
            () = self.readiness(ports) => String::new(),
        }
    }

    async fn startup(&self, probe: &Probe, ports: &Ports) -> Result<(), String> {
        sleep(probe.initial_delay).await;
        let mut verdict = Verdict::new(probe, true);
        loop {
            match self.act(&probe.action, probe.timeout, ports).await {
                Ok(()) => return Ok(()),
                Err(why) if !verdict.take(false) => return Err(format!("startup probe: {why}")),
                Err(why) => self.set_ready(false, &format!("startup probe: {why}")),
            }
            sleep(probe.period).await;
        }
    }

    async fn liveness(&self, probe: &Probe, ports: &Ports) -> String {
        sleep(probe.initial_delay).await;
        let mut verdict = Verdict::new(probe, true);
        let mut due = Instant::now();
        loop {
            let answer = self.act(&probe.action, probe.timeout, ports).await;
            let why = answer.as_ref().err().cloned().unwrap_or_default();
            if !verdict.take(answer.is_ok()) {
                return format!("liveness probe failed {} times: {why}", probe.failures);
            }
            due += probe.period;
            sleep_until(due).await;
        }
    }

    /// Keeps the pod's readiness; never returns.
    async fn readiness(&self, ports: &Ports) {
        let Some(probe) = &self.template.readiness else {
            self.set_ready(true, "running");
            return std::future::pending().await;
        };
        sleep(probe.initial_delay).await;
        let mut verdict = Verdict::new(probe, false);
        let mut was_ready = false;
        loop {
            let answer = self.act(&probe.action, probe.timeout, ports).await;
            let ready = verdict.take(answer.is_ok());
            match answer {
                _ if ready => self.set_ready(true, "ready"),
                Ok(()) => {}
                Err(why) => self.set_ready(false, &format!("readiness probe: {why}")),
            }
            was_ready |= ready;
            sleep(if was_ready {
                probe.period
            } else {
                HURRY.min(probe.period)
            })
            .await;
        }
    }

    async fn act(&self, action: &Action, within: Duration, ports: &Ports) -> Result<(), String> {
        let port_of = |number: u16| {
            let name = self
                .template
                .ports
                .iter()
                .find(|(_, found)| **found == number)
                .map(|(name, _)| name);
            name.and_then(|name| ports.get(name))
                .copied()
                .unwrap_or(number)
        };
        act(action, within, self.context.layout.dir(), port_of).await
    }

    fn set_ready(&self, ready: bool, note: &str) {
        let mut changed = false;
        self.context.board.update(|state| {
            state.with_pod(&self.name, |pod| {
                changed = pod.ready != ready;
                if changed {
                    pod.ready = ready;
                    pod.ready_changed_at = Some(now_ms());
                }
                note.clone_into(&mut pod.note);
            });
        });
        if changed {
            self.context.board.record(
                "pod_ready",
                json!({"pod": self.name, "ready": ready, "note": note}),
            );
        }
    }
}
