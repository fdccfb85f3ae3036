//! The background supervisor: takes up what runs, starts what is missing, obeys signals.
//! Must not live twice: the lock decides, and it ends with the process.

mod setup;
mod shutdown;

pub(crate) use shutdown::{forget, say_not_wanted};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::procfs;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::context::Context;
use crate::desired::Desired;
use crate::layout::{Layout, fail, read_json, try_lock};
use crate::pod::template::Template;
use crate::redis::fleet::{self, Fleet};
use crate::redis::server::Server;
use crate::scale::hpa::Syncer;
use crate::scale::keda::Operator;
use crate::scale::meter::Meter;
use crate::workload::{self, Workload};
use crate::{LocalError, Phase, StackState, logs, monitoring, proxy};

/// How often ends and beginnings that nobody reports are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Everything that runs.
struct Running {
    context: Arc<Context>,
    desired: watch::Sender<Arc<Desired>>,
    templates: BTreeMap<String, watch::Sender<Arc<Template>>>,
    workloads: Vec<(CancellationToken, JoinHandle<()>)>,
    scalers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
    proxy: (CancellationToken, JoinHandle<()>),
    /// Prometheus and Alertmanager.
    watchers: Vec<(CancellationToken, JoinHandle<()>)>,
    fleet: Option<Fleet>,
}

struct Signals {
    stop: [Signal; 2],
    reload: Signal,
}

impl Signals {
    fn new(layout: &Layout) -> Result<Self, LocalError> {
        let listen = |kind| signal(kind).map_err(fail("supervise", layout.dir()));
        Ok(Self {
            stop: [
                listen(SignalKind::terminate())?,
                listen(SignalKind::interrupt())?,
            ],
            reload: listen(SignalKind::hangup())?,
        })
    }
}

async fn stopped([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The supervisor's main.
pub(crate) async fn main(layout: Layout) -> Result<(), LocalError> {
    // Fails only where it leads a session already, which is as good.
    let _session = rustix::process::setsid();
    let mut signals = Signals::new(&layout)?;
    let Some(_lock) = try_lock(&layout.supervisor_lock())? else {
        return Ok(());
    };
    let desired: Option<Desired> = read_json(&layout.desired())?;
    let Some(desired) = desired.filter(|desired| desired.running) else {
        return Ok(());
    };
    let (context, templates) = setup::prepare(&layout, &desired)?;
    setup::end_strangers(&context).await;
    context.board.record(
        "supervisor_started",
        json!({"pid": std::process::id(), "desired": desired.hash()}),
    );
    let mut running = Running::start(context, desired, templates);
    let stopped = tokio::select! {
        () = stopped(&mut signals.stop) => true,
        started = running.bring_up() => {
            if let Err(error) = started {
                // Whoever asked for it reads the reason; what runs goes on until told otherwise.
                tracing::error!(%error, "start");
                running.context.board.update_now(|state| state.problem = Some(error.to_string()));
            }
            false
        }
    };
    if !stopped {
        running.obey(&mut signals).await;
    }
    shutdown::stop(running).await
}

impl Running {
    fn start(
        context: Arc<Context>,
        desired: Desired,
        templates: BTreeMap<String, Template>,
    ) -> Self {
        let local = &context.config.local.logs;
        let board = Arc::clone(&context.board);
        let mut helpers = vec![
            tokio::spawn(async move { board.keep_written().await }),
            tokio::spawn(logs::keep_small(
                context.layout.clone(),
                local.max_bytes,
                local.keep,
            )),
            tokio::spawn(proxy::endpoints::keep_written(Arc::clone(&context))),
            tokio::spawn(look_after(Arc::clone(&context))),
        ];
        let proxy = fleet::keep(&context, Server::Proxy, None);
        let mut watchers = Vec::new();
        if desired.monitoring.is_some() {
            helpers.push(tokio::spawn(monitoring::files::keep_targets(Arc::clone(
                &context,
            ))));
            helpers.push(tokio::spawn(monitoring::exporter::serve(Arc::clone(
                &context,
            ))));
            helpers.push(tokio::spawn(monitoring::observe(Arc::clone(&context))));
            let all = 0..monitoring::NAMES.len();
            watchers
                .extend(all.map(|index| fleet::keep(&context, Server::Monitoring(index), None)));
        }
        Self {
            desired: watch::Sender::new(Arc::new(desired)),
            templates: templates
                .into_iter()
                .map(|(name, template)| (name, watch::Sender::new(Arc::new(template))))
                .collect(),
            workloads: Vec::new(),
            scalers: Vec::new(),
            helpers,
            proxy,
            watchers,
            fleet: None,
            context,
        }
    }

    /// Starts Redis, then the pods, then the autoscalers. What runs already is taken up at once, in any order.
    async fn bring_up(&mut self) -> Result<(), LocalError> {
        let any_pod = self.context.board.read(|state| {
            let mut pods = state.workloads.values().flat_map(|workload| &workload.pods);
            pods.any(|pod| pod.process.is_some_and(kedactl_exec::ProcId::alive))
        });
        if any_pod {
            self.control_workloads();
        }
        // Stored before the first wait: whoever stops the stack meanwhile must find the servers.
        self.fleet
            .insert(Fleet::start(&self.context))
            .start_sentinels(&self.context)
            .await;
        if !any_pod {
            self.context.board.until(Fleet::ready).await;
            self.control_workloads();
        }
        self.start_scalers()
    }

    fn control_workloads(&mut self) {
        for template in self.templates.values() {
            let stop = CancellationToken::new();
            let workload = Workload::new(
                Arc::clone(&self.context),
                template.subscribe(),
                stop.clone(),
            );
            self.workloads
                .push((stop, tokio::spawn(workload.control())));
        }
    }

    fn start_scalers(&mut self) -> Result<(), LocalError> {
        let context = &self.context;
        let desired = Arc::clone(&self.desired.borrow());
        let meter = Arc::new(Meter::default());
        let window = Duration::from_secs(u64::from(context.config.local.cpu_window_seconds.max(1)));
        self.scalers.push(tokio::spawn(
            Arc::clone(&meter).measure(Arc::clone(&context.board), window),
        ));
        for object in &desired.scaled_objects {
            let operator = Operator::new(context, &meter, &desired, object)?;
            self.scalers
                .push(tokio::spawn(operator.run(self.desired.subscribe())));
        }
        for object in &desired.autoscalers {
            let target = object
                .spec
                .as_ref()
                .map(|spec| spec.scale_target_ref.name.clone())
                .unwrap_or_default();
            let syncer = Syncer::new(
                context,
                &meter,
                object.clone(),
                desired.cpu_request(&target),
            )?;
            self.scalers
                .push(tokio::spawn(syncer.run(self.desired.subscribe())));
        }
        Ok(())
    }

    /// Obeys signals until told to stop.
    async fn obey(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                () = stopped(&mut signals.stop) => return,
                _ = signals.reload.recv() => {
                    if let Err(error) = self.reload() {
                        tracing::error!(%error, "reload");
                        self.context.board.update(|state| state.problem = Some(error.to_string()));
                    }
                }
            }
        }
    }

    /// Takes over a changed desired state: pods whose template changed are replaced one after the other.
    fn reload(&mut self) -> Result<(), LocalError> {
        let desired: Option<Desired> = read_json(&self.context.layout.desired())?;
        let Some(desired) = desired else {
            return Ok(());
        };
        let hash = desired.hash();
        for deployment in &desired.deployments {
            let template = Template::of(deployment, &desired)?;
            if let Some(sender) = self.templates.get(&template.workload) {
                sender.send_if_modified(|old| {
                    let changed = **old != template;
                    if changed {
                        *old = Arc::new(template);
                    }
                    changed
                });
            }
        }
        self.reload_monitoring(&desired)?;
        self.desired.send_replace(Arc::new(desired));
        self.context
            .board
            .record("reloaded", json!({"desired": hash}));
        self.context.board.update_now(|state| {
            // In one step with the hash: nobody may see the new state with counts of the old templates.
            for (name, template) in &self.templates {
                let template = template.borrow();
                if let Some(workload) = state.workloads.get_mut(name) {
                    workload::count(workload, &template, &template.hash());
                }
            }
            state.desired_hash = hash;
            state.problem = None;
        });
        Ok(())
    }

    /// Other rules or routes: both read their files again.
    fn reload_monitoring(&self, desired: &Desired) -> Result<(), LocalError> {
        let Some(given) = &desired.monitoring else {
            return Ok(());
        };
        if self.desired.borrow().monitoring.as_ref() == Some(given) {
            return Ok(());
        }
        monitoring::files::write(&self.context, given)?;
        let running = self.context.board.read(|state| {
            let all = state.monitoring.iter();
            all.filter_map(|it| it.process).collect::<Vec<_>>()
        });
        for process in running {
            process.signal(kedactl_exec::Signal::HUP)?;
        }
        Ok(())
    }
}

/// Looks at what no task reports: whether the proxy listens, and whether the stack was ready once.
async fn look_after(context: Arc<Context>) {
    let ports = [context.config.api.port, context.identity.metrics];
    loop {
        let process = context
            .board
            .read(|state| state.proxy.as_ref().and_then(|proxy| proxy.process));
        let listens = process.is_some_and(|process| {
            process.alive() && ports.iter().all(|port| procfs::listens(process.pid, *port))
        });
        context.board.update(|state| {
            if let Some(proxy) = &mut state.proxy {
                proxy.ready = listens;
            }
            if state.phase == Phase::Starting && is_ready(state) {
                state.phase = Phase::Running;
            }
        });
        let alive = context.board.read(StackState::processes);
        logs::forget_old_pods(&context.layout, &|name| keeps_log(&alive, name), 20);
        tokio::time::sleep(if listens { LOOK_EVERY * 10 } else { LOOK_EVERY }).await;
    }
}

fn keeps_log(alive: &[(String, kedactl_exec::ProcId)], name: &str) -> bool {
    let server = [
        "redis-",
        "sentinel-",
        "proxy",
        "supervisor",
        "prometheus",
        "alertmanager",
    ];
    server.iter().any(|prefix| name.starts_with(prefix))
        || alive.iter().any(|(found, _)| found == name)
}

/// Whether everything that should be there is there and ready.
pub(crate) fn is_ready(state: &StackState) -> bool {
    unready(state).is_none()
}

/// What is not ready, and why, in words; `None` when all is.
pub(crate) fn unready(state: &StackState) -> Option<(String, String)> {
    if !Fleet::ready(state) {
        let servers = state.redis.servers.iter().chain(&state.redis.sentinels);
        let name = servers
            .into_iter()
            .find(|server| !server.ready)
            .map_or("redis", |server| &server.name);
        return Some((
            name.to_owned(),
            "redis has no quorum, or a replica is not online".to_owned(),
        ));
    }
    if let Some(proxy) = state.proxy.as_ref().filter(|proxy| !proxy.ready) {
        return Some((
            proxy.name.clone(),
            "the service ports are not served".to_owned(),
        ));
    }
    if let Some(server) = state.monitoring.iter().find(|server| !server.ready) {
        let last = server.last_exit.as_ref();
        let how = last.map_or_else(
            || "it does not answer yet".to_owned(),
            |how| format!("it ended: {how}"),
        );
        return Some((server.name.clone(), how));
    }
    state.workloads.iter().find_map(|(name, workload)| {
        let least = state
            .scalers
            .values()
            .filter(|scaler| scaler.target == *name && workload.scaled_by.is_some())
            .map(|scaler| {
                if scaler.kind == "ScaledObject" {
                    scaler.min
                } else {
                    scaler.min.min(workload.desired)
                }
            })
            .min()
            .unwrap_or(workload.desired);
        let good = workload.ready >= least && workload.updated == workload.current;
        let pod = workload
            .pods
            .iter()
            .find(|pod| !pod.ready)
            .or(workload.pods.first());
        (!good).then(|| {
            let note = pod.map_or_else(|| "no pod was made".to_owned(), |pod| pod.note.clone());
            (
                pod.map_or_else(|| name.clone(), |pod| pod.name.clone()),
                note,
            )
        })
    })
}

/// A board for a stack that nobody wrote down before, or that an earlier supervisor did.
pub(crate) fn board(state: StackState, layout: &Layout) -> Arc<Board> {
    Board::new(state, layout.clone())
}
