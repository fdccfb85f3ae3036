//! What the rules' templates need besides the thresholds themselves: durations as Prometheus writes them, windows, budgets.
//! Must not hold a threshold.

use kedactl_config::{Config, Provider, objective, parse_milli};
use serde_json::{Value as Json, json};

/// Multiples of the fastest burn's window, how many times the budget is burnt there, and how bad that is: the table of the SRE
/// workbook. Each is confirmed by a window of a twelfth.
const BURNS: [(u32, &str, &str); 4] = [
    (1, "14.4", "critical"),
    (6, "6", "critical"),
    (24, "3", "warning"),
    (72, "1", "warning"),
];

/// What templates find under `computed.rules`.
pub(super) fn computed(config: &Config) -> Json {
    let rules = &config.monitoring.rules;
    let hold = rules.hold_seconds;
    let fastest = rules.budget.window_seconds;
    let burns = BURNS.map(|(times, factor, severity)| {
        let (long, short) = (duration(fastest * times), duration(fastest * times / 12));
        json!({ "long": long, "short": short, "factor": factor, "severity": severity })
    });
    let severe = |key: &str, critical: u32, warning: u32| {
        json!([
            { "severity": "critical", key: critical },
            { "severity": "warning", key: warning },
        ])
    };
    let (queue, outbox, redis) = (&rules.queue, &rules.outbox, &rules.redis);
    json!({
        "hold": {
            "urgent": duration(hold / 5),
            "usual": duration(hold),
            "slow": duration(hold * 3),
        },
        "window": duration(rules.window_seconds),
        "longWindow": duration(rules.window_seconds * 3),
        "windows": windows(rules.window_seconds, fastest),
        "burns": burns,
        "budget": {
            "api": budget(&rules.api.objective),
            "latency": budget(&rules.api.latency_objective),
            "tasks": budget(&rules.tasks.objective),
        },
        "le": rules.api.latency.le(),
        "stuck": duration(queue.stuck_seconds),
        "queueAges": severe("seconds", queue.critical_age_seconds, queue.age_seconds),
        "outboxAges": severe("seconds", outbox.critical_age_seconds, outbox.age_seconds),
        "redis": of_redis(config),
        "memory": severe("percent", redis.critical_memory_percent, redis.memory_percent),
    })
}

/// Every window over which ratios are recorded, the shortest first.
fn windows(usual: u32, fastest: u32) -> Vec<String> {
    let of_burns = BURNS
        .iter()
        .flat_map(|(times, _, _)| [fastest * times, fastest * times / 12]);
    let mut all: Vec<u32> = of_burns.chain([usual]).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(duration).collect()
}

/// What is known of a Redis that is the stack's own; of another one, nothing is.
fn of_redis(config: &Config) -> Json {
    let redis = &config.redis;
    if config.outside_redis() {
        return json!({ "replicas": 0, "least": 0, "limit": null });
    }
    let replicas = redis.nodes.saturating_sub(1);
    // Nothing holds a process of this machine to the limit of its container.
    let on_a_cluster = !matches!(config.provider, Provider::Local | Provider::Auto);
    let memory = redis.resources.limits.memory.as_deref();
    let limit = memory.filter(|_| on_a_cluster).and_then(parse_milli);
    json!({
        "replicas": replicas,
        "least": redis.min_replicas_to_write.min(replicas),
        "limit": limit.map(|milli| (milli / 1000).to_string()),
    })
}

/// The share that an objective leaves, as a decimal.
fn budget(objective_percent: &str) -> String {
    let left = 1_000_000
        - objective(objective_percent)
            .unwrap_or(1_000_000)
            .min(1_000_000);
    let decimals = format!("0.{left:06}");
    decimals
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// Seconds as Prometheus writes them: `1h30m`.
pub(super) fn duration(seconds: u32) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_budgets_are_exact() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (5400, "1h30m"), (259_200, "3d")] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(budget("99.9"), "0.001");
        assert_eq!(budget("99.9999"), "0.000001");
        assert_eq!(budget("95"), "0.05");
    }

    #[test]
    fn a_window_of_two_uses_is_recorded_once() {
        assert_eq!(
            windows(300, 3600),
            ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
        );
        assert_eq!(windows(20, 60).first().unwrap(), "5s");
    }
}
