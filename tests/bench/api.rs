//! The API's promises: tasks accepted a second on one core with and without a replica, and a deep queue; beside a bare
//! hyper echo and `FastAPI` with Huey, one process and one core each, in one run.
//!
//! It must not measure two things at once: each server runs alone on core 0, the client and Redis on core 1. What a core is
//! worth is counted in seconds of CPU, so that a client which is too slow for the server does not count against it.

#[path = "api_client.rs"]
mod client;
#[path = "api_servers.rs"]
pub(crate) mod servers;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::{Load, batch, drive};
use kedactl_testkit::{RedisOptions, RedisServer};
use servers::{Api, echo, fastapi};

use crate::report::{Goal, Report};

const RUN: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 256;
const DEEP: usize = 1_000_000;
const BATCH: usize = 5_000;

/// Measures everything and prints one line a figure.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        report.note("api: a debug build measures the compiler; use a release build");
    }
    let bare = best(|| drive(echo()?.port, CONNECTIONS, RUN))?;
    let peer = peer(report);
    let none = {
        let redis = redis(&[])?;
        served(&Api::start(&redis, "none")?)?
    };
    let one = {
        let redis = redis(&[])?;
        let _replica = redis_replica(&redis)?;
        served(&Api::start(&redis, "one")?)?
    };
    for (name, ours, goal) in [("none", &none, 30.0), ("one", &one, 15.0)] {
        let beside = |of: fn(&Served) -> f64| peer.as_ref().map(|p| ("fastapi_huey", of(p)));
        report.figure(
            &format!("api.accepts_{name}"),
            ours.per_core,
            "1/s/core",
            beside(|s| s.per_core),
            Goal::RatioAtLeast(goal),
        );
        report.figure(
            &format!("api.throughput_{name}"),
            ours.load.per_s,
            "1/s",
            beside(|s| s.load.per_s),
            Goal::None,
        );
    }
    report.figure(
        "api.throughput_vs_echo",
        none.load.per_s,
        "1/s",
        Some(("hyper_echo", bare.per_s)),
        Goal::None,
    );
    report.figure(
        "api.p99_none",
        none.load.p99_us,
        "us",
        Some(("hyper_echo", bare.p99_us)),
        Goal::None,
    );
    deep(report)
}

/// What a server did: answers a second, and answers a second of CPU that it used, system and user.
///
/// The second figure is the one a core is worth: a client and a Redis on the other core may keep the first one down.
struct Served {
    load: Load,
    per_core: f64,
}

fn served(server: &Api) -> anyhow::Result<Served> {
    let before = server.cpu_s()?;
    let mut answers = 0;
    let load = best(|| {
        let load = drive(server.port, CONNECTIONS, RUN)?;
        answers += load.answers;
        Ok(load)
    })?;
    let per_core = answers as f64 / (server.cpu_s()? - before);
    Ok(Served { load, per_core })
}

/// The better of two runs: whatever disturbs a machine only ever slows it down.
fn best(mut measure: impl FnMut() -> anyhow::Result<Load>) -> anyhow::Result<Load> {
    let (first, second) = (measure()?, measure()?);
    Ok(if first.per_s > second.per_s {
        first
    } else {
        second
    })
}

fn peer(report: &mut Report) -> Option<Served> {
    let measured = redis(&[]).and_then(|redis| served(&fastapi(&redis)?));
    match measured {
        Ok(served) => Some(served),
        Err(error) => {
            report.note(&format!("fastapi with huey was not measured: {error:#}"));
            None
        }
    }
}

pub(crate) fn redis(extra: &[String]) -> anyhow::Result<RedisServer> {
    let server = RedisServer::start(&RedisOptions {
        extra: extra.to_vec(),
        ..RedisOptions::default()
    });
    servers::pin(Some(server.pid()), 1)?;
    Ok(server)
}

pub(crate) fn redis_replica(of: &RedisServer) -> anyhow::Result<RedisServer> {
    let replica = redis(&[format!("replicaof 127.0.0.1 {}", of.port())])?;
    kedactl_testkit::until("the replica is in step", Duration::from_secs(30), || {
        replica.info("master_link_status").contains("up")
    });
    Ok(replica)
}

/// How many tasks wait; a server that saves a deep queue to disk may keep the question waiting.
fn redis_tasks(redis: &RedisServer) -> anyhow::Result<u64> {
    let mut count = None;
    kedactl_testkit::until("redis counts its tasks", Duration::from_secs(30), || {
        let said = redis.command("HLEN kq:{default}:live");
        count = said
            .lines()
            .next()
            .and_then(|line| line.trim().strip_prefix(':')?.parse().ok());
        count.is_some()
    });
    count.context("HLEN")
}

/// A million tasks wait: the API must neither grow nor slow down.
fn deep(report: &mut Report) -> anyhow::Result<()> {
    let redis = redis(&[])?;
    let api = Api::start(&redis, "none")?;
    batch(api.port, BATCH)?;
    let empty = best(|| drive(api.port, 8, RUN / 2))?;
    // Batches cost buffers whatever waits: they are paid for before the depth is.
    for _ in 0..20 {
        batch(api.port, BATCH)?;
    }
    let before = api.rss_mib()?;
    let mut sent = 0;
    while sent < DEEP {
        batch(api.port, BATCH)?;
        sent += BATCH;
    }
    let full = best(|| drive(api.port, 8, RUN / 2))?;
    let after = api.rss_mib()?;
    let waiting = redis_tasks(&redis)?;
    ensure!(waiting >= DEEP as u64, "only {waiting} tasks wait");
    report.figure(
        "api.rss_deep",
        after,
        "MiB",
        Some(("rss_empty", before)),
        Goal::RatioAtMost(1.1),
    );
    report.figure(
        "api.p99_deep",
        full.p99_us,
        "us",
        Some(("p99_empty", empty.p99_us)),
        Goal::RatioAtMost(2.0),
    );
    Ok(())
}
