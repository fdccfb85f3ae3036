//! A tunnel as people read it: a table, and lines for what changes while it is watched.
//!
//! It must not ask the tunnel for anything.

use crate::output::style;
use crate::output::table::Table;
use kedactl_tunnel::{Route, ServiceStatus, Status};

/// One row a port, and the notes below.
pub(crate) fn table(status: &Status) -> String {
    let mut table = Table::new(&[
        "SERVICE",
        "LOCAL",
        "HEALTH",
        "BY",
        "PODS",
        "OPEN",
        "TOTAL",
        "EXTERNAL-IP",
    ]);
    let mut notes = String::new();
    for service in &status.services {
        table.row([
            name(service),
            service.local.to_string(),
            health(service),
            way(service),
            service.endpoints.to_string(),
            style::count(service.open),
            style::count(service.accepted),
            service
                .external_ip
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
        ]);
        let problem = service.problem.as_ref();
        let unpublished = service
            .unpublished
            .as_ref()
            .map(|why| format!("no EXTERNAL-IP: {why}"));
        let failed = (service.failed > 0)
            .then(|| format!("connections that found no pod in time: {}", service.failed));
        for note in service
            .note
            .iter()
            .chain(problem)
            .chain(&unpublished)
            .chain(&failed)
        {
            notes += &format!("{}: {note}\n", name(service));
        }
    }
    format!(
        "tunnel (pid {})\n{}{notes}",
        status.process.pid,
        table.text()
    )
}

/// What is worth a line when it changes: where each port is, how it goes, whether it works.
pub(crate) fn lines(status: &Status) -> Vec<String> {
    let line = |service: &ServiceStatus| {
        let name = name(service);
        if !service.healthy {
            let why = service.problem.as_deref().unwrap_or("the first probe");
            return format!("  .. {name}: no answer yet ({why})");
        }
        let address = service
            .external_ip
            .as_ref()
            .map_or_else(String::new, |ip| format!(", EXTERNAL-IP {ip}"));
        let note = service
            .note
            .as_ref()
            .map_or_else(String::new, |note| format!(" ({note})"));
        let (local, way) = (service.local, way(service));
        format!(
            "  {} {name}: http://{local} by {way}{address}{note}",
            style::good("ok")
        )
    };
    status.services.iter().map(line).collect()
}

fn name(service: &ServiceStatus) -> String {
    format!("{}:{}", service.service, service.port)
}

fn health(service: &ServiceStatus) -> String {
    if service.healthy {
        style::good("ok")
    } else {
        style::bad("failing")
    }
}

fn way(service: &ServiceStatus) -> String {
    match service.route {
        Some(Route::Node(address)) => format!("node {address}"),
        Some(Route::PortForward) => "port-forward".to_owned(),
        Some(Route::Minikube) => "minikube tunnel".to_owned(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, table};

    #[test]
    fn a_tunnel_is_a_table_with_notes() {
        let status = serde_json::from_str(
            r#"{"process": {"pid": 42, "start_time": 1}, "started_at": 0, "services": [
                {"service": "keda/api", "port": 8000, "local": "127.0.0.1:8000", "route": {"node": "172.18.0.2:30100"},
                 "healthy": true, "endpoints": 2, "open": 3, "accepted": 1200, "failed": 0, "external_ip": "127.0.0.1"},
                {"service": "keda/web", "port": 80, "local": "127.0.0.1:8080", "note": "port 80 needs root, so it is 8080 here",
                 "healthy": false, "problem": "no pod is ready", "endpoints": 0, "open": 0, "accepted": 0, "failed": 1,
                 "unpublished": "port 80 is 8080 here"}]}"#,
        )
        .unwrap();
        let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
        insta::assert_snapshot!(plain(&table(&status)), @r"
        tunnel (pid 42)
          SERVICE        LOCAL           HEALTH   BY                     PODS  OPEN  TOTAL  EXTERNAL-IP
          keda/api:8000  127.0.0.1:8000  ok       node 172.18.0.2:30100  2     3     1,200  127.0.0.1
          keda/web:80    127.0.0.1:8080  failing  -                      0     0     0      -
        keda/web:80: port 80 needs root, so it is 8080 here
        keda/web:80: no pod is ready
        keda/web:80: no EXTERNAL-IP: port 80 is 8080 here
        keda/web:80: connections that found no pod in time: 1
        ");
        insta::assert_snapshot!(plain(&lines(&status).join("\n")), @r"
          ok keda/api:8000: http://127.0.0.1:8000 by node 172.18.0.2:30100, EXTERNAL-IP 127.0.0.1
          .. keda/web:80: no answer yet (no pod is ready)
        ");
    }
}
