//! `redis failover`: orders the Sentinels to make another server master, and waits until it is.
//! Must not touch a server: the Sentinels do it.

use std::path::Path;
use std::time::Duration;

use redis::cmd;
use tokio::time::{Instant, sleep};

use crate::identity::Identity;
use crate::layout::{Layout, fail};
use crate::redis::link::Link;
use crate::redis::server::Server;
use crate::redis::view;
use crate::{FailoverOutcome, LocalError, read_state};

/// How long a fail-over may take: one attempt of the Sentinels.
const WITHIN: Duration = Duration::from_secs(30);

/// Fails over and waits for the new master.
pub(crate) async fn failover(dir: &Path) -> Result<FailoverOutcome, LocalError> {
    let layout = Layout::new(dir);
    let not_running = || LocalError::NotRunning {
        dir: dir.to_owned(),
    };
    let state = read_state(dir)?.ok_or_else(not_running)?;
    let identity = Identity::load(&layout)?.ok_or_else(not_running)?;
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(fail("read", path))
            .map(|text| text.trim().to_owned())
    };
    let password = read(&state.endpoints.sentinel_password_file)?;
    let server_password = read(&state.endpoints.redis_password_file)?;
    let name = &state.endpoints.master_name;
    let mut links: Vec<Link> = identity
        .sentinels
        .iter()
        .map(|port| Link::new(*port, &password))
        .collect();
    let failed = |message: &str| LocalError::Failover {
        message: message.to_owned(),
    };
    let before = view::master(&mut links, name)
        .await
        .ok_or_else(|| failed("no Sentinel answers"))?;
    let begin = Instant::now();
    order(&mut links, name).await?;
    while begin.elapsed() < WITHIN {
        if let Some(port) = view::master(&mut links, name)
            .await
            .filter(|port| *port != before)
        {
            let mut link = Link::new(port, &server_password);
            if view::role(&mut link)
                .await
                .is_some_and(|role| role.name == "master")
            {
                return Ok(FailoverOutcome {
                    from: describe(&identity, before),
                    to: describe(&identity, port),
                    took_ms: begin.elapsed().as_millis() as u64,
                });
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(failed(&format!(
        "{} is still the master after {WITHIN:?}",
        describe(&identity, before)
    )))
}

/// The first Sentinel that takes the order carries it out.
async fn order(links: &mut [Link], name: &str) -> Result<(), LocalError> {
    let mut last = None;
    for link in links {
        match link
            .ask::<String>(cmd("SENTINEL").arg("FAILOVER").arg(name))
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || LocalError::Failover {
            message: "this stack has no Sentinels".to_owned(),
        },
        |error| LocalError::Failover {
            message: error.to_string(),
        },
    ))
}

fn describe(identity: &Identity, port: u16) -> String {
    let name = identity
        .redis
        .iter()
        .position(|own| *own == port)
        .map(|index| Server::Redis(index).name());
    format!(
        "{} (127.0.0.1:{port})",
        name.unwrap_or_else(|| "a server".to_owned())
    )
}
