//! `up`: checks what can be checked before anything runs, starts or tells the supervisor, and waits until all is ready.
//! Must not start a pod or a server itself.

use std::time::Duration;

use kedactl_autoscale::hpa::{HpaOptions, HpaSpec};
use kedactl_autoscale::keda::{KedaLoop, KedaOptions};
use kedactl_config::Config;
use kedactl_exec::{ProcId, Signal, procfs};
use kedactl_plan::{Sink, Step};
use tokio::time::{Instant, sleep};

use crate::context::helper;
use crate::desired::{Desired, Request, UpOutcome};
use crate::down;
use crate::identity::Identity;
use crate::layout::{Layout, read_json, try_lock, write_json};
use crate::pod::template::Template;
use crate::programs::Programs;
use crate::scale::trigger;
use crate::supervisor::unready;
use crate::{LocalError, Phase, StackState, log_tail, ports, read_state, secrets};

/// How often the state is read while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 10;

/// Starts or updates the stack and waits until it is ready.
pub(crate) async fn up(request: &Request, events: &dyn Sink) -> Result<UpOutcome, LocalError> {
    let layout = Layout::new(&request.dir);
    layout.prepare()?;
    let Some(_lock) = try_lock(&layout.command_lock())? else {
        return Err(LocalError::Busy {
            dir: request.dir.clone(),
        });
    };
    let mut desired = request.desired.clone();
    desired.running = true;
    desired.helper.clone_from(&request.helper);
    let hash = desired.hash();
    let identity = Identity::load_or_make(&layout)?;
    let mut state = present(&layout)?;
    if let Some(state) = state.as_ref().filter(|state| settled(state, &hash)) {
        let step = Step::start(events, "stack", "the stack");
        step.done(format!("{} runs as asked", state.stack), false);
        return outcome(&layout, &desired, false);
    }
    check(&desired, events)?;
    let same = state
        .as_ref()
        .is_some_and(|state| state.desired_hash == hash);
    let old: Option<Desired> = read_json(&layout.desired())?;
    if !same && state.is_some() && old.as_ref().is_some_and(|old| needs_restart(old, &desired)) {
        let step = Step::start(
            events,
            "restart",
            "settings that running servers cannot take over",
        );
        down::stop(&layout, &identity.stack_id, &step).await?;
        step.done("the old processes are stopped; data is kept", true);
        state = None;
    }
    write_json(&layout.desired(), &desired)?;
    let supervisor = match &state {
        Some(state) => {
            if !same {
                state.supervisor.signal(Signal::HUP)?;
            }
            state.supervisor
        }
        None => start(&layout, &identity, &desired)?,
    };
    wait(&layout, supervisor, &desired, request.within, events).await?;
    outcome(&layout, &desired, !same)
}

fn outcome(layout: &Layout, desired: &Desired, changed: bool) -> Result<UpOutcome, LocalError> {
    let ends = read_state(layout.dir())?
        .map(|state| state.endpoints)
        .unwrap_or_default();
    let url = |address: String| format!("http://{address}");
    Ok(UpOutcome {
        changed,
        api_url: format!("http://127.0.0.1:{}", desired.config.api.port),
        metrics_url: url(ends.api_metrics),
        prometheus_url: ends.prometheus.map(url),
        alertmanager_url: ends.alertmanager.map(url),
    })
}

/// The state of a supervisor that lives and was not told to stop.
fn present(layout: &Layout) -> Result<Option<StackState>, LocalError> {
    Ok(read_state(layout.dir())?
        .filter(|state| state.supervisor.alive() && state.phase != Phase::Stopping))
}

fn settled(state: &StackState, hash: &str) -> bool {
    state.desired_hash == hash && state.phase == Phase::Running && unready(state).is_none()
}

/// Whether something changed that running processes of ours cannot take over.
fn needs_restart(old: &Desired, new: &Desired) -> bool {
    let settings = |desired: &Desired| {
        let config = &desired.config;
        let names = |list: Vec<Option<String>>| list;
        (
            config.redis.clone(),
            config.local.clone(),
            config.api.port,
            config.api.metrics_port,
            // Labels of what is exported, and names in what Prometheus and Alertmanager are told.
            (
                config.namespace.clone(),
                config.monitoring.namespace.clone(),
            ),
            (
                config.webhook.runs(),
                config.webhook.port,
                config.webhook.bot_token_file.clone(),
                config.webhook.bot_token_secret.clone(),
            ),
            desired.monitoring.is_some(),
            names(
                desired
                    .deployments
                    .iter()
                    .map(|object| object.metadata.name.clone())
                    .collect(),
            ),
            names(
                desired
                    .autoscalers
                    .iter()
                    .map(|object| object.metadata.name.clone())
                    .collect(),
            ),
            names(
                desired
                    .scaled_objects
                    .iter()
                    .map(|object| object.metadata.name.clone())
                    .collect(),
            ),
        )
    };
    settings(old) != settings(new)
}

/// Refuses what cannot work, before anything is started.
fn check(desired: &Desired, events: &dyn Sink) -> Result<(), LocalError> {
    let step = Step::start(events, "preflight", "programs, manifests and ports");
    let checked = look(desired);
    match &checked {
        Ok(()) => step.done("all there", false),
        Err(error) => step.failed(error, error.hint()),
    }
    checked
}

fn look(desired: &Desired) -> Result<(), LocalError> {
    let config = &desired.config;
    Programs::find(config)?;
    for deployment in &desired.deployments {
        Template::of(deployment, desired)?;
    }
    desired.scaled_objects.iter().try_for_each(trigger::check)?;
    for object in &desired.scaled_objects {
        KedaLoop::new(object, KedaOptions::default())
            .map_err(|error| refused("ScaledObject", object.name(), &error))?;
    }
    for object in &desired.autoscalers {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        HpaSpec::from_hpa(object, &HpaOptions::default())
            .map_err(|error| refused("HorizontalPodAutoscaler", name, &error))?;
    }
    bot_token(config)?;
    let redis = &config.redis;
    let unserved = [
        (
            redis.tls.is_some(),
            "redis.tls is set, and its servers here speak plain TCP on 127.0.0.1",
        ),
        (
            redis.username.is_some() || redis.sentinel_username.is_some(),
            "a user name for Redis is set, and its servers here have the default user only",
        ),
    ];
    if let Some((_, message)) = unserved.iter().find(|(set, _)| *set) {
        return Err(LocalError::Manifest {
            object: "redis".to_owned(),
            message: (*message).to_owned(),
        });
    }
    Ok(())
}

/// The bot's token is a file of this machine; it is read when a pod is started.
pub(crate) fn bot_token(config: &Config) -> Result<(), LocalError> {
    let webhook = &config.webhook;
    if !webhook.runs() {
        return Ok(());
    }
    let Some(file) = &webhook.bot_token_file else {
        return Err(LocalError::NoBotToken {
            why: "webhook.botTokenFile is not set".to_owned(),
        });
    };
    let why = match secrets::given(file) {
        Ok(token) if !token.is_empty() => return Ok(()),
        Ok(_) => format!("{} is empty", file.display()),
        Err(error) => chain(&error),
    };
    Err(LocalError::NoBotToken { why })
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn refused(kind: &str, name: &str, error: &dyn std::error::Error) -> LocalError {
    LocalError::Manifest {
        object: format!("{kind}/{name}"),
        message: error.to_string(),
    }
}

/// Starts the supervisor. The port that users know must be free, or our own proxy's.
fn start(layout: &Layout, identity: &Identity, desired: &Desired) -> Result<ProcId, LocalError> {
    let proxy = read_state(layout.dir())?
        .and_then(|state| state.proxy?.process)
        .filter(|proxy| proxy.alive());
    let port = desired.config.api.port;
    let ours = proxy.is_some_and(|proxy| procfs::listens(proxy.pid, port));
    if !ours && !ports::free(port) {
        return Err(LocalError::PortTaken {
            port,
            what: "the API".to_owned(),
            owner: ports::owner(port),
            setting: "api.port".to_owned(),
        });
    }
    let spawn =
        helper(&desired.helper, "supervise", layout, &identity.stack_id).ok_or_else(|| {
            LocalError::NotRunning {
                dir: layout.dir().to_owned(),
            }
        })?;
    Ok(spawn.start()?.id())
}

/// Waits until the state is the desired one and ready.
async fn wait(
    layout: &Layout,
    supervisor: ProcId,
    desired: &Desired,
    within: Duration,
    events: &dyn Sink,
) -> Result<(), LocalError> {
    let step = Step::start(
        events,
        "stack",
        "redis, the API, the worker and their autoscalers",
    );
    let hash = desired.hash();
    let begin = Instant::now();
    let mut said = String::new();
    loop {
        let state = read_state(layout.dir())?.filter(|state| state.supervisor.alive());
        if let Some(state) = state.as_ref().filter(|state| settled(state, &hash)) {
            let pods: u32 = state
                .workloads
                .values()
                .map(|workload| workload.ready)
                .sum();
            step.done(
                format!(
                    "{} servers and {pods} pods are ready",
                    state.redis.servers.len()
                        + state.redis.sentinels.len()
                        + state.monitoring.len()
                ),
                true,
            );
            return Ok(());
        }
        let gone = state.is_none()
            && !supervisor.alive()
            && matches!(try_lock(&layout.supervisor_lock()), Ok(Some(_)));
        let error = if gone {
            let log = layout.log("supervisor");
            Some(LocalError::Supervisor {
                log_tail: log_tail(&log, TAIL_LINES),
                log,
            })
        } else if begin.elapsed() > within {
            Some(not_ready(layout, state.as_ref(), within))
        } else {
            None
        };
        if let Some(error) = error {
            step.failed(&error, error.hint());
            return Err(error);
        }
        if let Some((what, _)) = state.as_ref().and_then(unready)
            && what != said
        {
            step.waiting(what.clone());
            said = what;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn not_ready(layout: &Layout, state: Option<&StackState>, within: Duration) -> LocalError {
    let problem = state.and_then(|state| Some(("the stack".to_owned(), state.problem.clone()?)));
    let (what, reason) = problem.or_else(|| unready(state?)).unwrap_or_else(|| {
        (
            "the supervisor".to_owned(),
            "it has not written its state".to_owned(),
        )
    });
    let log = layout.log(if what == "the supervisor" || what == "the stack" {
        "supervisor"
    } else {
        &what
    });
    LocalError::NotReady {
        log_tail: log_tail(&log, TAIL_LINES),
        log: log.exists().then_some(log),
        what,
        reason,
        within,
    }
}
