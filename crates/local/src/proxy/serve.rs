//! The proxy's main: listeners, connections, and the end of them.
//! Must not drop a connection that is open when it is told to stop, before its time is up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::balance::{Lease, Pool};
use super::endpoints::Seen;
use super::watchdog;
use crate::LocalError;
use crate::layout::{Layout, fail, write_json};

/// How often the endpoints file is looked at: one `stat`.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long a pod may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long a connection waits for a first ready pod.
const HOLD: Duration = Duration::from_secs(1);
/// How long open connections may go on after SIGTERM.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves until SIGTERM, then lets open connections end.
pub(crate) async fn main(layout: Layout) -> Result<(), LocalError> {
    let broken = |source| fail("serve", layout.dir())(source);
    let mut stop = signal(SignalKind::terminate()).map_err(broken)?;
    let mut seen = Seen::default();
    let mut pools: BTreeMap<u16, Arc<Pool>> = BTreeMap::new();
    let mut accepting = JoinSet::new();
    let open = Arc::new(tokio::sync::Semaphore::new(
        tokio::sync::Semaphore::MAX_PERMITS,
    ));
    let watchdog = tokio::spawn(watchdog::watch(layout.clone()));
    loop {
        match seen.changed(&layout.endpoints()) {
            Ok(Some(endpoints)) => {
                for service in &endpoints.services {
                    if let Entry::Vacant(place) = pools.entry(service.port) {
                        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, service.port))
                            .await
                            .map_err(|_| taken(service.port, &service.name))?;
                        let pool = place.insert(Arc::default());
                        accepting.spawn(accept(listener, Arc::clone(pool), Arc::clone(&open)));
                    }
                    if let Some(pool) = pools.get(&service.port) {
                        pool.set(&service.backends);
                    }
                }
                if let Err(error) = write_json(&layout.obeyed(), &endpoints) {
                    tracing::error!(%error, "what is obeyed");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "endpoints"),
        }
        tokio::select! {
            _ = stop.recv() => break,
            () = sleep(LOOK_EVERY) => {}
        }
    }
    watchdog.abort();
    accepting.shutdown().await;
    // Nothing more is handed over; a file that is not there says so too.
    let _absent = fs::remove_file(layout.obeyed());
    let end = Instant::now() + DRAIN;
    while open.available_permits() < tokio::sync::Semaphore::MAX_PERMITS && Instant::now() < end {
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn taken(port: u16, service: &str) -> LocalError {
    let setting = match service {
        "api" => "api.port",
        "webhook" => "local.ports.webhook",
        _ => "api.metricsPort",
    };
    LocalError::PortTaken {
        port,
        what: format!("the service {service}"),
        owner: crate::ports::owner(port),
        setting: setting.to_owned(),
    }
}

async fn accept(listener: TcpListener, pool: Arc<Pool>, open: Arc<tokio::sync::Semaphore>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
                    return;
                };
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    forward(client, &pool).await;
                    drop(permit);
                });
            }
            // Out of descriptors: those of ended connections come back.
            Err(error) => {
                tracing::warn!(%error, "accept");
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Connects to a pod and copies both ways until both sides have ended.
async fn forward(mut client: TcpStream, pool: &Pool) {
    let Some((mut server, lease)) = connect(pool).await else {
        return;
    };
    for stream in [&client, &server] {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay");
        }
    }
    if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
        tracing::debug!(%error, "connection");
    }
    drop(lease);
}

async fn connect(pool: &Pool) -> Option<(TcpStream, Lease)> {
    let hold = Instant::now() + HOLD;
    loop {
        let mut tried = Vec::new();
        while let Some(lease) = pool.pick(&tried) {
            let port = lease.port;
            if let Ok(Ok(stream)) = timeout(
                CONNECT_WITHIN,
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
            )
            .await
            {
                return Some((stream, lease));
            }
            tried.push(port);
        }
        if Instant::now() >= hold {
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}
