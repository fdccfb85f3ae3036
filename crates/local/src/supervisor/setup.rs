//! A supervisor's first steps: reads what is there, and decides what of it is still true.
//! Must not start a process, and must not signal one that does not carry the stack's mark.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::{ProcId, Signal, gone, procfs};
use serde_json::json;

use crate::board::now_ms;
use crate::context::Context;
use crate::desired::Desired;
use crate::identity::{Identity, MARK_NAME, MARK_STACK};
use crate::layout::{Layout, read_json};
use crate::pod::template::Template;
use crate::ports::Claims;
use crate::programs::Programs;
use crate::redis::fleet;
use crate::{
    Endpoints, LocalError, Phase, RedisState, STATE_VERSION, ServerState, StackState,
    WorkloadState, monitoring, secrets,
};

/// How long a process that nobody knows may take to end.
const STRANGER_GRACE: Duration = Duration::from_secs(10);

/// Reads desired and earlier state and makes the context and the templates from them.
pub(crate) fn prepare(
    layout: &Layout,
    desired: &Desired,
) -> Result<(Arc<Context>, BTreeMap<String, Template>), LocalError> {
    let config = &desired.config;
    let mut identity = Identity::load_or_make(layout)?;
    let earlier: Option<StackState> = read_json::<StackState>(&layout.state())?
        .filter(|state| state.version == STATE_VERSION && state.stack_id == identity.stack_id)
        .map(|state| believe(state, &identity.stack_id));
    let in_use: BTreeSet<u16> = earlier.as_ref().map(ports_in_use).unwrap_or_default();
    let mut claims = Claims::new(config.api.port, in_use);
    identity.choose_ports(desired, &mut claims)?;
    identity.save(layout)?;
    let templates: BTreeMap<String, Template> = desired
        .deployments
        .iter()
        .map(|deployment| {
            Template::of(deployment, desired).map(|template| (template.workload.clone(), template))
        })
        .collect::<Result<_, _>>()?;
    let redis_password_file = layout.secrets().join("redis-password");
    // One key of the Secret holds one password.
    let secret = &config.redis.secret;
    let one = secret.password_key == secret.sentinel_password_key;
    let sentinel_file = if one {
        "redis-password"
    } else {
        "sentinel-password"
    };
    let sentinel_password_file = layout.secrets().join(sentinel_file);
    let redis_password = secrets::password(&redis_password_file)?;
    let sentinel_password = secrets::password(&sentinel_password_file)?;
    let webhook_token = if config.webhook.runs() {
        secrets::password(&layout.webhook_token())?
    } else {
        String::new()
    };
    let watched = desired.monitoring.as_ref();
    let address = |port: &u16| format!("127.0.0.1:{port}");
    let endpoints = Endpoints {
        api: address(&config.api.port),
        api_metrics: address(&identity.metrics),
        redis: identity.redis.iter().map(address).collect(),
        sentinels: identity.sentinels.iter().map(address).collect(),
        master_name: config.redis.master.clone(),
        redis_password_file,
        sentinel_password_file,
        prometheus: watched.map(|_| address(&identity.prometheus)),
        alertmanager: watched.map(|_| address(&identity.alertmanager)),
        webhook: config.webhook.runs().then(|| address(&identity.webhook)),
    };
    let state = state(desired, &identity, earlier.as_ref(), endpoints, &templates);
    let context = Arc::new(Context {
        board: super::board(state, layout),
        layout: layout.clone(),
        programs: Programs::find(config)?,
        config: config.clone(),
        helper: desired.helper.clone(),
        redis_password,
        sentinel_password,
        webhook_token,
        identity,
        claims,
    });
    if let Some(given) = watched {
        monitoring::files::write(&context, given)?;
    }
    Ok((context, templates))
}

/// Whether a process is this stack's: alive, of this user, with the mark in its environment.
pub(crate) fn is_ours(process: ProcId, stack_id: &str) -> bool {
    process.alive()
        && procfs::uid(process.pid) == Some(procfs::own_uid())
        && procfs::environ(process.pid, MARK_STACK).is_some_and(|mark| mark == stack_id)
}

/// Forgets the processes of an earlier state that are not ours any more.
fn believe(mut state: StackState, stack_id: &str) -> StackState {
    let servers = state
        .redis
        .servers
        .iter_mut()
        .chain(&mut state.redis.sentinels)
        .chain(&mut state.proxy)
        .chain(&mut state.monitoring);
    for server in servers {
        if server
            .process
            .is_some_and(|process| !is_ours(process, stack_id))
        {
            server.process = None;
            server.last_exit = Some("an unknown status (while no supervisor ran)".to_owned());
        }
    }
    for pod in state
        .workloads
        .values_mut()
        .flat_map(|workload| &mut workload.pods)
    {
        if pod
            .process
            .is_some_and(|process| !is_ours(process, stack_id))
        {
            pod.process = None;
            pod.last_exit = Some("an unknown status (while no supervisor ran)".to_owned());
        }
    }
    state
}

fn ports_in_use(state: &StackState) -> BTreeSet<u16> {
    let servers = state.redis.servers.iter().chain(&state.redis.sentinels);
    let servers = servers.chain(&state.monitoring);
    // The proxy's own, and the webhook's, which it serves.
    let proxied = [
        Some(&state.endpoints.api_metrics),
        state.endpoints.webhook.as_ref(),
    ];
    let serves = state
        .proxy
        .as_ref()
        .is_some_and(|proxy| proxy.process.is_some());
    let port = |address: &String| address.rsplit(':').next()?.parse().ok();
    let proxied = proxied
        .into_iter()
        .flatten()
        .filter_map(port)
        .filter(|_| serves);
    servers
        .filter(|server| server.process.is_some())
        .map(|server| server.port)
        .chain(proxied)
        .collect()
}

fn state(
    desired: &Desired,
    identity: &Identity,
    earlier: Option<&StackState>,
    endpoints: Endpoints,
    templates: &BTreeMap<String, Template>,
) -> StackState {
    let mut state = StackState {
        version: STATE_VERSION,
        stack: desired.config.name.clone(),
        stack_id: identity.stack_id.clone(),
        phase: earlier
            .as_ref()
            .map_or(Phase::Starting, |earlier| match earlier.phase {
                Phase::Running => Phase::Running,
                Phase::Starting | Phase::Stopping => Phase::Starting,
            }),
        desired_hash: desired.hash(),
        supervisor: ProcId::own().unwrap_or(ProcId {
            pid: std::process::id(),
            start_time: 0,
        }),
        started_at: now_ms(),
        updated_at: now_ms(),
        endpoints,
        redis: RedisState::default(),
        proxy: Some(ServerState {
            name: "proxy".to_owned(),
            port: desired.config.api.port,
            role: "proxy".to_owned(),
            ..earlier
                .as_ref()
                .and_then(|earlier| earlier.proxy.clone())
                .unwrap_or_default()
        }),
        monitoring: Vec::new(),
        workloads: BTreeMap::new(),
        scalers: earlier
            .as_ref()
            .map(|earlier| earlier.scalers.clone())
            .unwrap_or_default(),
        problem: None,
    };
    fleet::places(identity, earlier, &mut state);
    if desired.monitoring.is_some() {
        let ports = [identity.prometheus, identity.alertmanager];
        state.monitoring = monitoring::places(ports, earlier);
    }
    for (name, template) in templates {
        let kept = earlier
            .as_ref()
            .and_then(|earlier| earlier.workloads.get(name));
        let workload = kept
            .cloned()
            .unwrap_or_else(|| first(desired, name, template));
        state.workloads.insert(name.clone(), workload);
    }
    state
}

/// A workload that was never there: as many pods as its autoscaler's lower bound, or as the manifest says.
fn first(desired: &Desired, name: &str, template: &Template) -> WorkloadState {
    let keda = desired
        .scaled_objects
        .iter()
        .find(|object| object.spec.scale_target_ref.name == name)
        .map(|object| object.spec.min_replicas());
    let hpa = || {
        let specs = desired
            .autoscalers
            .iter()
            .filter_map(|object| object.spec.as_ref());
        let mut specs = specs.filter(|spec| spec.scale_target_ref.name == name);
        specs.next().map(|spec| spec.min_replicas.unwrap_or(1))
    };
    let least = keda
        .or_else(hpa)
        .and_then(|least| u32::try_from(least).ok());
    WorkloadState {
        desired: least.or(template.replicas).unwrap_or(1),
        reason: if least.is_some() {
            "lower bound of its autoscaler"
        } else {
            "spec.replicas of the manifest"
        }
        .to_owned(),
        ..WorkloadState::default()
    }
}

/// Ends processes with our mark that no state names: they were started in the instant before an earlier supervisor died.
pub(crate) async fn end_strangers(context: &Context) {
    let known: Vec<ProcId> = context
        .board
        .read(StackState::processes)
        .into_iter()
        .map(|(_, process)| process)
        .collect();
    let strangers: Vec<ProcId> = procfs::marked(MARK_STACK, &context.identity.stack_id)
        .into_iter()
        .filter(|process| !known.contains(process))
        .filter(|process| {
            procfs::environ(process.pid, MARK_NAME).is_some_and(|name| name != "supervisor")
        })
        // What a pod started carries its mark as well, and is the pod's affair.
        .filter(|process| !belongs(*process, &known))
        .collect();
    if strangers.is_empty() {
        return;
    }
    context.board.record(
        "strangers",
        json!({"pids": strangers.iter().map(|process| process.pid).collect::<Vec<_>>()}),
    );
    for process in &strangers {
        if let Err(error) = process.signal(Signal::TERM) {
            tracing::warn!(%error, "stranger");
        }
    }
    for process in gone(&strangers, STRANGER_GRACE).await {
        if let Err(error) = process.kill_group() {
            tracing::warn!(%error, "stranger");
        }
    }
}

/// Whether a process is in the group of a known one, or descends from it.
fn belongs(process: ProcId, known: &[ProcId]) -> bool {
    let mut next = process.pid;
    // Far deeper than any pod nests; a bound against a chain that changes while it is read.
    for _ in 0..64 {
        let Some(stat) = procfs::stat(next) else {
            return false;
        };
        if known
            .iter()
            .any(|known| known.pid == stat.group || known.pid == stat.parent)
        {
            return true;
        }
        next = stat.parent;
    }
    false
}
