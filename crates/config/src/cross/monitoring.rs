//! What thresholds say about each other: what is critical comes after what is worth a warning.
//! Must not judge a threshold by itself.

use super::Cross;
use crate::model::Config;

impl Cross<'_> {
    pub(super) fn monitoring(&mut self, config: &Config) {
        let rules = &config.monitoring.rules;
        let (queue, redis, outbox) = (&rules.queue, &rules.redis, &rules.outbox);
        for (section, key, critical, warning, of_warning) in [
            (
                "queue",
                "criticalAgeSeconds",
                queue.critical_age_seconds,
                "ageSeconds",
                queue.age_seconds,
            ),
            (
                "redis",
                "criticalMemoryPercent",
                redis.critical_memory_percent,
                "memoryPercent",
                redis.memory_percent,
            ),
            (
                "outbox",
                "criticalAgeSeconds",
                outbox.critical_age_seconds,
                "ageSeconds",
                outbox.age_seconds,
            ),
        ] {
            if critical < of_warning {
                self.add(
                    &["monitoring", "rules", section, key],
                    format!("{critical} is less than {warning}, {of_warning}"),
                );
            }
        }
        for route in &config.monitoring.alerts.routes {
            if route.labels.is_empty() {
                let message = format!("the route `{}` needs `labels` to match", route.route);
                self.add(&["monitoring", "alerts", "routes"], message);
            }
        }
    }
}
