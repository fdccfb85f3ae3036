//! Grafana's dashboards, as they are checked in.
//! Must not change a byte of them: where they look is chosen in Grafana, by their variables.

/// One dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dashboard {
    /// Name of its file, without `.json`.
    pub name: &'static str,
    /// Its model, as Grafana reads it.
    pub json: &'static str,
}

const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        name: "alerts",
        json: include_str!("../../../../templates/monitoring/dashboards/alerts.json"),
    },
    Dashboard {
        name: "api",
        json: include_str!("../../../../templates/monitoring/dashboards/api.json"),
    },
    Dashboard {
        name: "autoscaling",
        json: include_str!("../../../../templates/monitoring/dashboards/autoscaling.json"),
    },
    Dashboard {
        name: "overview",
        json: include_str!("../../../../templates/monitoring/dashboards/overview.json"),
    },
    Dashboard {
        name: "queue",
        json: include_str!("../../../../templates/monitoring/dashboards/queue.json"),
    },
    Dashboard {
        name: "redis",
        json: include_str!("../../../../templates/monitoring/dashboards/redis.json"),
    },
];

/// Every dashboard, by name.
pub fn dashboards() -> &'static [Dashboard] {
    DASHBOARDS
}
