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

const DASHBOARDS: &[Dashboard] = &[];

/// Every dashboard, by name.
pub fn dashboards() -> &'static [Dashboard] {
    DASHBOARDS
}
