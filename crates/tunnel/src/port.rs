//! Binds the local ports.
//! Must not take another port than the wanted one unless that was asked for, except below 1024, where root would be needed.

use std::net::{Ipv4Addr, SocketAddr};

use kedactl_exec::procfs;
use tokio::net::TcpListener;

use crate::TunnelError;
use crate::service::Target;

/// What is added to a port that only root may bind.
const MOVED: u16 = 8000;
/// Ports below this one belong to root.
const FIRST: u16 = 1024;
/// How many ports are tried where any will do.
const TRIED: u16 = 1000;

/// A bound port, and why it is another than the Service's.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) note: Option<String>,
}

/// The local port for a Service's port.
fn wanted(target: &Target) -> (u16, Option<String>) {
    match target.local {
        Some(local) => (local, (local != target.port).then(|| "as asked".to_owned())),
        None if target.port < FIRST => {
            let moved = target.port + MOVED;
            let note = format!("port {} needs root, so it is {moved} here", target.port);
            (moved, Some(note))
        }
        None => (target.port, None),
    }
}

/// Binds the target's local port.
pub(crate) async fn bind(target: &Target, any: bool) -> Result<Bound, TunnelError> {
    let (port, note) = wanted(target);
    if let Some(listener) = listen(port).await {
        return Ok(bound(listener, note, port));
    }
    let holder = procfs::listener(port).map(|it| format!("{} (pid {})", it.program, it.pid));
    if any {
        for other in (1..=TRIED).filter_map(|step| port.checked_add(step)) {
            if let Some(listener) = listen(other).await {
                let by = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
                return Ok(bound(
                    listener,
                    Some(format!("port {port} is taken{by}")),
                    other,
                ));
            }
        }
    }
    Err(TunnelError::PortTaken {
        port,
        holder,
        service: format!("{}:{}", target.service(), target.port),
    })
}

async fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok()
}

fn bound(listener: TcpListener, note: Option<String>, port: u16) -> Bound {
    Bound {
        listener,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16, local: Option<u16>) -> Target {
        Target {
            namespace: "keda".to_owned(),
            name: "api".to_owned(),
            port,
            port_name: String::new(),
            node_port: None,
            local,
            balanced: true,
        }
    }

    #[test]
    fn a_port_of_root_moves_with_a_note() {
        assert_eq!(wanted(&target(8000, None)), (8000, None));
        let (port, note) = wanted(&target(80, None));
        assert_eq!(port, 8080);
        assert_eq!(note.unwrap(), "port 80 needs root, so it is 8080 here");
        assert_eq!(wanted(&target(80, Some(9000))).0, 9000);
    }

    #[tokio::test]
    async fn a_taken_port_names_its_holder_or_moves_where_asked() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let error = bind(&target(port, None), false).await.unwrap_err();
        let own = format!("(pid {})", std::process::id());
        assert!(error.to_string().ends_with(&own), "{error}");
        assert!(error.hint().unwrap().contains("keda/api:"));
        let other = bind(&target(port, None), true).await.unwrap();
        assert!(other.address.port() > port && other.note.unwrap().contains("is taken by"));
    }
}
