//! Accepts connections on 127.0.0.1 and lets each take the road.
//! Must not outlive its stop: open connections get a moment to end, and are then dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::road::Road;

/// How long open connections may go on after the stop.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept: descriptors of ended connections come back.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the stop.
pub async fn serve(listener: TcpListener, road: Arc<Road>, stop: CancellationToken) {
    let mut open = JoinSet::new();
    loop {
        let accepted = stop.run_until_cancelled(accept(&listener, &mut open)).await;
        let Some(client) = accepted else {
            break;
        };
        let counted = Counted::new(Arc::clone(&road));
        open.spawn(async move { counted.0.carry(client).await });
    }
    drop(listener);
    let drained = timeout(DRAIN, async { while open.join_next().await.is_some() {} });
    if drained.await.is_err() {
        open.shutdown().await;
    }
}

/// The next connection; meanwhile those that have ended are forgotten.
pub(crate) async fn accept(listener: &TcpListener, open: &mut JoinSet<()>) -> TcpStream {
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    if let Err(error) = client.set_nodelay(true) {
                        tracing::debug!(%error, "nodelay");
                    }
                    return client;
                }
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

/// One open connection: counted until dropped, however it ends.
struct Counted(Arc<Road>);

impl Counted {
    fn new(road: Arc<Road>) -> Self {
        road.accepted.fetch_add(1, Ordering::Relaxed);
        road.open.fetch_add(1, Ordering::Relaxed);
        Self(road)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
