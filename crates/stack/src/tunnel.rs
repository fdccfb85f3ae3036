//! The stack's tunnel: opened where it is missing, left alone where it serves, taken down with the stack.
//! Must not touch the tunnel of another stack.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use kedactl_cluster::STACK_LABEL;
use kedactl_config::{Config, ServiceType, TunnelMode};
use kedactl_exec::procfs;
use kedactl_plan::Step;
use kedactl_tunnel::{Detach, Minikube, Mode, Spec, Status, TunnelError, Wanted};

use tokio::time::{Instant, sleep};

use crate::place::minikube as place;
use crate::{Home, Record, StackError};

/// Whether the configuration asks for a tunnel.
pub(crate) fn wanted(config: &Config) -> bool {
    let serves = match config.api.service_type {
        ServiceType::LoadBalancer => true,
        ServiceType::NodePort => config.tunnel.mode == TunnelMode::PortMapping,
        ServiceType::ClusterIP => false,
    };
    config.tunnel.enabled && serves
}

/// The port of this machine that kind leads to the API, where that is the way.
pub(crate) fn mapped(config: &Config) -> Option<SocketAddr> {
    let mapped = wanted(config) && config.tunnel.mode == TunnelMode::PortMapping;
    mapped.then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, config.api_port_here())))
}

/// Waits until the API answers behind kind's port mapping.
pub(crate) async fn answers(
    address: SocketAddr,
    within: Duration,
    step: &Step<'_>,
) -> Result<(), StackError> {
    let start = Instant::now();
    step.waiting(format!("an answer on {address}"));
    while !kedactl_tunnel::answers(address).await {
        if start.elapsed() > within {
            return Err(StackError::Check {
                what: "the port mapping".to_owned(),
                why: format!("nothing answers on {address} after {} s", within.as_secs()),
            });
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Where the API is reached from this machine.
pub(crate) fn api_url(config: &Config, tunnel: Option<&Status>) -> Option<String> {
    if let Some(address) = mapped(config) {
        return Some(format!("http://{address}"));
    }
    if let Some(address) = tunnel.and_then(|status| local(config, status)) {
        return Some(format!("http://{address}"));
    }
    let ingress = config.ingress.as_ref()?;
    Some(format!("https://{}", ingress.host))
}

fn local(config: &Config, status: &Status) -> Option<SocketAddr> {
    let service = format!("{}/api", config.namespace);
    let mut ports = status.services.iter();
    let port = ports.find(|it| it.service == service && it.port == config.api.port);
    port.map(|it| it.local)
}

impl Record {
    /// What `minikube tunnel` needs to know; `None` where the stack is not on minikube.
    pub fn minikube_tunnel(&self, home: &Home) -> Result<Option<Minikube>, StackError> {
        let Some(profile) = self.minikube.clone() else {
            return Ok(None);
        };
        let program = place::driver(home, &self.config)?.program().to_owned();
        Ok(Some(Minikube { program, profile }))
    }
}

fn spec(home: &Home, record: &Record) -> Result<Spec, StackError> {
    let config = &record.config;
    let minikube = match config.tunnel.mode {
        TunnelMode::Minikube => record.minikube_tunnel(home)?,
        _ => None,
    };
    Ok(Spec {
        services: vec![Wanted {
            namespace: config.namespace.clone(),
            name: "api".to_owned(),
            port: Some(config.api.port),
            local: config.tunnel.port,
        }],
        label: format!("{STACK_LABEL}={}", home.stack()),
        mode: match config.tunnel.mode {
            // A port mapping has no tunnel.
            TunnelMode::Auto | TunnelMode::PortMapping => Mode::Auto,
            TunnelMode::NodePort => Mode::NodePort,
            TunnelMode::PortForward => Mode::PortForward,
            TunnelMode::Minikube => Mode::Minikube,
        },
        minikube,
        any_port: false,
        hold: Spec::HOLD,
    })
}

/// Opens the tunnel unless the one that runs is what is wanted; whether it was opened.
pub(crate) async fn ensure(
    home: &Home,
    record: &Record,
    helper: &[OsString],
    within: Duration,
    step: &Step<'_>,
) -> Result<(Status, bool), StackError> {
    let (dir, spec, access) = (home.tunnel(), spec(home, record)?, record.access());
    if let Ok(status) = kedactl_tunnel::status(&dir).await
        && status.unready().is_none()
        && kedactl_tunnel::order(&dir)? == Some((access.clone(), spec.clone()))
    {
        return Ok((status, false));
    }
    kedactl_tunnel::stop(&dir).await?;
    let detach = Detach {
        dir,
        access,
        spec,
        helper: helper.to_vec(),
        within,
    };
    Ok((kedactl_tunnel::detach(&detach, step).await?, true))
}

/// Refuses where the port of a tunnel that is still to be opened is another program's: better known now than at the end.
pub(crate) async fn ahead(home: &Home, config: &Config) -> Result<(), StackError> {
    let opened = !matches!(
        kedactl_tunnel::status(&home.tunnel()).await,
        Err(TunnelError::NotRunning { .. })
    );
    let port = config.api_port_here();
    // Below 1024 the tunnel takes another one by itself; a port mapping is tried where the cluster is made.
    if !wanted(config) || opened || port < 1024 || mapped(config).is_some() {
        return Ok(());
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(StackError::Machine {
            what: format!("port {port} of 127.0.0.1"),
            problem: procfs::listener(port).map_or_else(
                || error.to_string(),
                |it| format!("taken by {} (pid {})", it.program, it.pid),
            ),
            cure:
                "stop that program, or choose another port for the tunnel: --set tunnel.port=8001"
                    .to_owned(),
        }),
    }
}

/// Ends the tunnel and removes its folder; whether there was one.
pub(crate) async fn end(home: &Home) -> Result<bool, StackError> {
    let dir = home.tunnel();
    let stopped = match kedactl_tunnel::stop(&dir).await {
        Ok(stopped) => stopped != kedactl_tunnel::Stopped::Nothing,
        Err(TunnelError::NotRunning { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StackError::file("remove", dir)(error))
        }
        _ => Ok(stopped),
    }
}
