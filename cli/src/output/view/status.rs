//! One screen of a stack.
//!
//! It must not leave out what is wrong.

use crate::output::style::{age, bad, count, dim, good, head, warn};
use crate::output::table::Table;
use crate::status::{Process, Queue, Scaler, Status, Tunnel};
use kedactl_stack::{LastRun, ReleaseStatus};

/// The screen, ending without an empty line.
pub(crate) fn text(status: &Status) -> String {
    let mut text = title(status);
    if let Some(problem) = &status.problem {
        text += &format!("{} {problem}\n", bad("problem:"));
    }
    if status.phase == "unreachable" {
        return text + &last_run(status.last_run.as_ref());
    }
    text += &format!(
        "\nqueue     {}\n",
        status
            .queue
            .as_ref()
            .map_or_else(|| bad("not readable"), queue)
    );
    text += &format!("redis     {}\n", redis(status));
    for workload in &status.workloads {
        let replicas = format!("{}/{} ready", workload.ready, workload.desired);
        let replicas = if workload.ready == workload.desired {
            good(&replicas)
        } else {
            warn(&replicas)
        };
        let why = match short(&workload.reason) {
            why if why.is_empty() => why,
            why => format!("  {}", dim(&why)),
        };
        text += &format!("{:<9} {replicas}{why}\n", workload.name);
    }
    text += &status.tunnel.as_ref().map_or_else(String::new, tunnel);
    text += &last_run(status.last_run.as_ref());
    for gap in &status.gaps {
        text += &format!("{} {gap}\n", warn("not read:"));
    }
    let tables = [
        status.releases.as_deref().map(releases),
        Some(scalers(&status.scalers)),
        Some(processes(status)),
    ];
    for table in tables.into_iter().flatten() {
        text += &format!("\n{}", table.text());
    }
    text
}

fn title(status: &Status) -> String {
    let place = status.cluster.as_ref().map_or_else(String::new, |it| {
        let version = match it.version.as_str() {
            "" => String::new(),
            version => format!(" {version}"),
        };
        format!(
            " ({}{version}, UID {})",
            it.context,
            it.uid.get(..8).unwrap_or(&it.uid)
        )
    });
    let address = match status.address.as_str() {
        "" => String::new(),
        address => format!(", {}", head(&format!("http://{address}"))),
    };
    let up = match status.up_seconds {
        0 => String::new(),
        seconds => format!(", up {}", age(seconds)),
    };
    format!(
        "{} on {}{place}: {}{up}{address}\n",
        head(&status.stack),
        status.provider,
        phase(&status.phase),
    )
}

fn tunnel(it: &Tunnel) -> String {
    let mut text = String::new();
    for port in &it.services {
        let health = if port.healthy {
            good("ok")
        } else {
            bad("failing")
        };
        text += &format!("tunnel    {} on {} {health}\n", port.service, port.local);
    }
    match &it.problem {
        Some(problem) if it.pid.is_some() => text + &format!("tunnel    {}\n", bad(problem)),
        Some(problem) => text + &format!("tunnel    {}\n", dim(problem)),
        None => text,
    }
}

fn last_run(run: Option<&LastRun>) -> String {
    run.map_or_else(String::new, |it| {
        format!(
            "last run  {}: {}, took {}\n",
            it.command,
            it.outcome,
            crate::output::style::millis(it.took_ms as f64)
        )
    })
}

fn releases(releases: &[ReleaseStatus]) -> Table {
    let mut table = Table::new(&[
        "release",
        "namespace",
        "chart",
        "revision",
        "status",
        "ready",
    ]);
    for it in releases {
        let chart = [it.chart.as_deref(), it.version.as_deref()];
        let chart: Vec<&str> = chart.into_iter().flatten().collect();
        let ready = format!("{}/{}", it.ready, it.desired);
        table.row([
            it.name.clone(),
            it.namespace.clone(),
            chart.join(" "),
            it.revision.to_string(),
            if it.status == "deployed" {
                good(&it.status)
            } else {
                bad(&it.status)
            },
            if it.ready < it.desired {
                warn(&ready)
            } else {
                ready
            },
        ]);
    }
    table
}

/// The HPA's own words name the metric with its whole selector, which says nothing that the line does not.
fn short(reason: &str) -> String {
    let cut = reason.split_once("(&LabelSelector");
    let ends = cut.and_then(|(head, rest)| Some((head, rest.rsplit_once(')')?.1)));
    ends.map_or_else(|| reason.to_owned(), |(head, tail)| format!("{head}{tail}"))
}

fn phase(phase: &str) -> String {
    match phase {
        "running" => good(phase),
        "unsupervised" | "degraded" => bad(phase),
        _ => warn(phase),
    }
}

fn queue(queue: &Queue) -> String {
    let paused = if queue.paused {
        warn("  paused")
    } else {
        String::new()
    };
    let dead = if queue.dead > 0 {
        bad(&format!("{} dead", count(queue.dead)))
    } else {
        "0 dead".to_owned()
    };
    format!(
        "{}: {} waiting, {} running, {} delayed, {dead}{paused}  {}",
        queue.name,
        count(queue.waiting),
        count(queue.running),
        count(queue.delayed),
        dim(&format!("KEDA reads {}", queue.keda))
    )
}

fn redis(status: &Status) -> String {
    let redis = &status.redis;
    // In a cluster, nothing is known where nobody could be asked.
    if status.cluster.is_some() && redis.master.is_none() && !redis.quorum {
        return bad("not readable");
    }
    let master = redis
        .master
        .as_ref()
        .map_or_else(|| bad("no master"), |name| format!("master {name}"));
    let quorum = if redis.quorum {
        good("quorum")
    } else {
        bad("no quorum")
    };
    let moved = match redis.failovers {
        None | Some(0) => String::new(),
        Some(1) => ", 1 fail-over".to_owned(),
        Some(times) => format!(", {times} fail-overs"),
    };
    format!(
        "{master}, {} replicas online, {quorum}{moved}",
        redis.replicas_online
    )
}

fn scalers(scalers: &[Scaler]) -> Table {
    let mut table = Table::new(&["scaler", "bounds", "now", "wants", "reads", "why"]);
    for it in scalers {
        let why = it
            .error
            .as_ref()
            .map_or_else(|| short(&it.reason), |error| bad(error));
        let reads = it.metrics.iter();
        let reads: Vec<String> = reads
            .map(|it| metric(it.value, it.target, &it.target_type))
            .collect();
        table.row([
            format!("{}/{}", it.kind, it.name),
            format!("{}..{}", it.min, it.max),
            it.current.to_string(),
            it.desired.to_string(),
            reads.join(", "),
            if it.paused { warn(&why) } else { why },
        ]);
    }
    table
}

/// What a scaler read beside its target: `186 of 10`, `73% of 50%`.
pub(crate) fn metric(value: Option<f64>, target: f64, target_type: &str) -> String {
    let value = value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0}"));
    let unit = if target_type == "Utilization" {
        "%"
    } else {
        ""
    };
    format!("{value}{unit} of {target:.0}{unit}")
}

/// Processes by pid and port, pods by node.
fn processes(status: &Status) -> Table {
    let pods = status.cluster.is_some();
    let mut table = Table::new(if pods {
        &["pod", "role", "node", "ready", "age", "restarts", ""]
    } else {
        &[
            "process", "role", "pid", "port", "ready", "age", "restarts", "",
        ]
    });
    for it in &status.processes {
        let place = if pods {
            vec![it.node.clone().unwrap_or_default()]
        } else {
            vec![
                it.pid.map_or_else(|| bad("-"), |pid| pid.to_string()),
                it.port.map_or_else(String::new, |port| port.to_string()),
            ]
        };
        let names = [it.name.clone(), it.role.clone()];
        table.row(names.into_iter().chain(place).chain(state(it)));
    }
    table
}

fn state(it: &Process) -> [String; 4] {
    [
        if it.ready { good("yes") } else { warn("no") },
        age(it.age_seconds),
        if it.restarts > 0 {
            warn(&it.restarts.to_string())
        } else {
            "0".to_owned()
        },
        dim(&it.note),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_metric_is_named_without_its_selector() {
        let long = "external metric s0-redis(&LabelSelector{MatchLabels:map[string]string{a/b: c,},}) above target";
        assert_eq!(super::short(long), "external metric s0-redis above target");
        assert_eq!(
            super::short("All metrics below target"),
            "All metrics below target"
        );
    }
}
