//! One screen of a stack.
//!
//! It must not leave out what is wrong.

use crate::output::style::{age, bad, count, dim, good, head, warn};
use crate::output::table::Table;
use crate::status::{Process, Queue, Status};
use kedactl_local::{MetricState, ScalerState};

/// The screen, ending without an empty line.
pub(crate) fn text(status: &Status) -> String {
    let mut text = format!(
        "{} on {}: {}, up {}, {}\n",
        head(&status.stack),
        status.provider,
        phase(&status.phase),
        age(status.up_seconds),
        head(&format!("http://{}", status.address))
    );
    if let Some(problem) = &status.problem {
        text += &format!("{} {problem}\n", bad("problem:"));
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
        text += &format!(
            "{:<9} {replicas}  {}\n",
            workload.name,
            dim(&short(&workload.reason))
        );
    }
    text += "\n";
    text += &scalers(&status.scalers).text();
    text += "\n";
    text += &processes(&status.processes).text();
    text
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
        "unsupervised" => bad(phase),
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
    let master = redis
        .master
        .as_ref()
        .map_or_else(|| bad("no master"), |name| format!("master {name}"));
    let quorum = if redis.quorum {
        good("quorum")
    } else {
        bad("no quorum")
    };
    let moved = if redis.failovers > 0 {
        format!(", {} fail-overs", redis.failovers)
    } else {
        String::new()
    };
    format!(
        "{master}, {} replicas online, {quorum}{moved}",
        redis.replicas_online
    )
}

fn scalers(scalers: &[ScalerState]) -> Table {
    let mut table = Table::new(&["scaler", "bounds", "now", "wants", "reads", "why"]);
    for it in scalers {
        let why = it
            .error
            .as_ref()
            .map_or_else(|| it.reason.clone(), |error| bad(error));
        let reads: Vec<String> = it.metrics.iter().map(metric).collect();
        table.row([
            format!("{}/{}", it.kind, it.name),
            format!("{}..{}", it.min, it.max),
            it.current.to_string(),
            it.desired.to_string(),
            reads.join(", "),
            why,
        ]);
    }
    table
}

/// What a scaler read beside its target: `186 of 10`, `73% of 50%`.
pub(crate) fn metric(it: &MetricState) -> String {
    let value = it
        .value
        .map_or_else(|| "?".to_owned(), |value| format!("{value:.0}"));
    let unit = if it.target_type == "Utilization" {
        "%"
    } else {
        ""
    };
    format!("{value}{unit} of {:.0}{unit}", it.target)
}

fn processes(processes: &[Process]) -> Table {
    let mut table = Table::new(&[
        "process", "role", "pid", "port", "ready", "age", "restarts", "",
    ]);
    for it in processes {
        table.row([
            it.name.clone(),
            it.role.clone(),
            it.pid.map_or_else(|| bad("-"), |pid| pid.to_string()),
            it.port.map_or_else(String::new, |port| port.to_string()),
            if it.ready { good("yes") } else { warn("no") },
            age(it.age_seconds),
            if it.restarts > 0 {
                warn(&it.restarts.to_string())
            } else {
                "0".to_owned()
            },
            dim(&it.note),
        ]);
    }
    table
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
