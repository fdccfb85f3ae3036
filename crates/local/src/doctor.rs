//! What this provider needs, looked at one by one, and how a running stack is.
//! Must not change anything, and must not take longer than a few seconds.

use std::path::Path;

use kedactl_exec::Run;

use crate::desired::Desired;
use crate::identity::{Identity, MARK_STACK};
use crate::layout::Layout;
use crate::pod::template::Template;
use crate::programs::Programs;
use crate::redis::fleet::Fleet;
use crate::scale::trigger;
use crate::supervisor::unready;
use crate::up::bot_token;
use crate::{Check, CheckStatus, LocalError, StackState, ports, read_state};

/// Looks at everything.
pub(crate) fn doctor(dir: &Path, desired: &Desired) -> Vec<Check> {
    let layout = Layout::new(dir);
    let state = read_state(dir).map(|state| state.filter(|state| state.supervisor.alive()));
    let mut checks = vec![redis_program(desired)];
    for deployment in &desired.deployments {
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let found = Template::of(deployment, desired)
            .map(|template| template.program.display().to_string());
        checks.push(check(
            &format!("workload-{name}"),
            &format!("program and manifest of {name}"),
            found,
        ));
    }
    if desired.config.is_monitored() {
        let found = Programs::of_monitoring(&desired.config).map(|programs| {
            let both = [programs.prometheus, programs.alertmanager];
            both.map(|it| it.display().to_string()).join(", ")
        });
        checks.push(check("monitoring", "Prometheus and Alertmanager", found));
    }
    if desired.config.webhook.runs() {
        let found = bot_token(&desired.config).map(|()| "is there".to_owned());
        checks.push(check(
            "bot-token",
            "the bot's token (webhook.botTokenFile)",
            found,
        ));
    }
    let triggers = desired.scaled_objects.iter().try_for_each(trigger::check);
    checks.push(check(
        "triggers",
        "triggers that can be read here",
        triggers.map(|()| "all".to_owned()),
    ));
    match &state {
        Ok(Some(state)) => checks.extend(running(state)),
        Ok(None) => {
            checks.extend(idle_ports(desired));
            checks.push(leftovers(&layout));
        }
        Err(error) => checks.push(failed("state", "state directory", error)),
    }
    checks
}

fn check(code: &str, title: &str, found: Result<String, LocalError>) -> Check {
    match found {
        Ok(detail) => good(code, title, detail),
        Err(error) => failed(code, title, &error),
    }
}

fn good(code: &str, title: &str, detail: impl Into<String>) -> Check {
    Check {
        code: code.to_owned(),
        title: title.to_owned(),
        status: CheckStatus::Ok,
        detail: detail.into(),
        cure: None,
    }
}

fn failed(code: &str, title: &str, error: &LocalError) -> Check {
    Check {
        code: code.to_owned(),
        title: title.to_owned(),
        status: CheckStatus::Fail,
        detail: error.to_string(),
        cure: error.hint(),
    }
}

/// Redis (or Valkey) of a version that has functions: 7.0 or later.
fn redis_program(desired: &Desired) -> Check {
    let (code, title) = ("redis-server", "Redis or Valkey, 7.0 or later");
    let found = Programs::of_redis(&desired.config).and_then(|(server, _)| {
        let output = Run::new(server.clone()).arg("--version").run()?;
        Ok((server, output.stdout.trim().to_owned()))
    });
    let (program, text) = match found {
        Ok(found) => found,
        Err(error) => return failed(code, title, &error),
    };
    let version = text
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .unwrap_or_default()
        .to_owned();
    let major: Option<u32> = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_some_and(|major| major >= 7) {
        return good(code, title, format!("{} {version}", program.display()));
    }
    Check {
        status: CheckStatus::Fail,
        cure: Some(
            "install Redis 7.0 or later, or Valkey, and set local.programs.redisServer".to_owned(),
        ),
        ..good(code, title, format!("{} says: {text}", program.display()))
    }
}

fn idle_ports(desired: &Desired) -> Vec<Check> {
    let port = desired.config.api.port;
    let (code, title) = ("port-api", format!("port {port} (api.port)"));
    if ports::free(port) {
        return vec![good(code, &title, "free")];
    }
    let taken = LocalError::PortTaken {
        port,
        what: "the API".to_owned(),
        owner: ports::owner(port),
        setting: "api.port".to_owned(),
    };
    vec![failed(code, &title, &taken)]
}

/// Processes of a stack whose supervisor is dead.
fn leftovers(layout: &Layout) -> Check {
    let (code, title) = ("supervisor", "supervisor");
    let marked = match Identity::load(layout) {
        Ok(identity) => identity.map_or(0, |identity| {
            kedactl_exec::procfs::marked(MARK_STACK, &identity.stack_id).len()
        }),
        Err(error) => return failed(code, title, &error),
    };
    if marked == 0 {
        return good(code, title, "not started");
    }
    Check {
        status: CheckStatus::Warn,
        cure: Some("`kedactl up` takes them up again, `kedactl down` stops them".to_owned()),
        ..good(
            code,
            title,
            format!("dead, {marked} processes of the stack still run"),
        )
    }
}

fn running(state: &StackState) -> Vec<Check> {
    let mut checks = vec![good(
        "supervisor",
        "supervisor",
        format!("runs (pid {})", state.supervisor.pid),
    )];
    let warn = |ok: bool, code: &str, title: &str, detail: String| Check {
        status: if ok {
            CheckStatus::Ok
        } else {
            CheckStatus::Warn
        },
        cure: (!ok).then(|| "`kedactl status` and `kedactl logs` show more".to_owned()),
        ..good(code, title, detail)
    };
    let redis = &state.redis;
    let detail = format!(
        "master {}, {} replicas online, quorum {}",
        redis.master.as_deref().unwrap_or("unknown"),
        redis.replicas_online,
        if redis.quorum { "yes" } else { "no" }
    );
    checks.push(warn(
        Fleet::ready(state),
        "redis",
        "Redis and its Sentinels",
        detail,
    ));
    let missing = unready(state);
    let detail = missing.as_ref().map_or_else(
        || "ready".to_owned(),
        |(what, why)| format!("{what}: {why}"),
    );
    checks.push(warn(missing.is_none(), "stack", "the stack", detail));
    for scaler in state
        .scalers
        .values()
        .filter(|scaler| scaler.error.is_some())
    {
        let code = format!("scaler-{}", scaler.name);
        checks.push(warn(
            false,
            &code,
            &format!("{} {}", scaler.kind, scaler.name),
            scaler.error.clone().unwrap_or_default(),
        ));
    }
    checks
}
