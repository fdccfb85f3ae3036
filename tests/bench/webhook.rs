//! The webhook's promises: 200 notifications a second for a minute, with and without a replica; beside a bare hyper echo on
//! the same schedule, in one run.
//!
//! It must not count from when a request was sent: one that is late is late from when it was due.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kedactl_testkit::{RedisServer, Telegram, free_port};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use crate::api::servers::{Api, echo, on_core_0, pin};
use crate::api::{redis, redis_replica};
use crate::report::{Goal, Report};

const BOT: &str = "12345:AAsecretOfTheBot";
const TOKEN: &str = "0123456789abcdef0123";
const EVERY: Duration = Duration::from_millis(5);
const RUN: Duration = Duration::from_mins(1);
/// Memory is looked at when everything that is kept for good is there.
const WARM: Duration = Duration::from_secs(15);
/// Connections, as of so many groups of a large Alertmanager.
const LANES: usize = 32;
const GROUPS: usize = 1500;
const CHATS: usize = 30;

/// Measures everything and prints one line a figure.
pub(crate) fn run(report: &mut Report) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        report.note("webhook: a debug build measures the compiler; use a release build");
    }
    let floor = drive(echo()?.port, || Ok(()))?;
    for (name, replicated) in [("none", false), ("one", true)] {
        let redis = redis(&[])?;
        let _replica = replicated.then(|| redis_replica(&redis)).transpose()?;
        let telegram = Telegram::start(BOT);
        let way = Duration::from_millis(30);
        telegram.take(way, way);
        let files = tempfile::tempdir()?;
        let webhook = start(&redis, &telegram, &files)?;
        let mut warm = 0.0;
        let seen = drive(webhook.port, || {
            warm = webhook.rss_mib()?;
            Ok(())
        })?;
        let limit = if replicated {
            Goal::AtMost(50.0)
        } else {
            Goal::None
        };
        let beside = Some(("hyper_echo", floor.p99_ms));
        report.figure(
            &format!("webhook.p99_{name}"),
            seen.p99_ms,
            "ms",
            beside,
            limit,
        );
        report.figure(
            &format!("webhook.p50_{name}"),
            seen.p50_ms,
            "ms",
            Some(("hyper_echo", floor.p50_ms)),
            Goal::None,
        );
        report.figure(
            &format!("webhook.posts_{name}"),
            seen.per_s,
            "1/s",
            Some(("hyper_echo", floor.per_s)),
            Goal::AtLeast(199.0),
        );
        let rss = Some(("after_15_s", warm));
        report.figure(
            &format!("webhook.rss_{name}"),
            webhook.rss_mib()?,
            "MiB",
            rss,
            Goal::RatioAtMost(1.1),
        );
        report.note(&format!(
            "webhook, {name} replica: {} notifications accepted; {} calls to Telegram meanwhile",
            seen.answers,
            telegram.sends().len()
        ));
    }
    Ok(())
}

fn start(
    redis: &RedisServer,
    telegram: &Telegram,
    files: &tempfile::TempDir,
) -> anyhow::Result<Api> {
    let bin = std::env::current_exe()?;
    let mut beside = ["kedactl-webhook", "webhook-under-test"]
        .iter()
        .map(|it| bin.with_file_name(it));
    let program = beside
        .find(|path| path.exists())
        .context("no webhook is beside the benchmark")?;
    let write = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = files.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400))?;
        Ok(path.display().to_string())
    };
    let mut routes = serde_json::Map::new();
    for chat in 0..CHATS {
        routes.insert(format!("r{chat}"), json!({"chats": [{"id": 1000 + chat}]}));
    }
    let (port, metrics) = (free_port(), free_port());
    let args = [
        program.display().to_string(),
        format!("--redis-addr=127.0.0.1:{}", redis.port()),
        format!("--listen=127.0.0.1:{port}"),
        format!("--metrics-listen=127.0.0.1:{metrics}"),
        format!(
            "--routes-file={}",
            write("routes", &json!({"routes": routes}).to_string())?
        ),
        format!("--bot-token-file={}", write("bot", BOT)?),
        format!("--tokens-file={}", write("tokens", TOKEN)?),
        format!("--bot-api={}", telegram.url()),
        "--log=warn".to_owned(),
    ];
    on_core_0(&args, port)
}

/// What was seen.
struct Seen {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    answers: usize,
}

/// Posts on schedule for a minute; `warm` is called after a while.
fn drive(port: u16, mut warm: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Seen> {
    let thread = std::thread::spawn(move || -> anyhow::Result<Vec<u32>> {
        pin(None, 1)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let begin = Instant::now() + Duration::from_millis(200);
            let lanes: Vec<_> = (0..LANES)
                .map(|lane| tokio::spawn(post(port, lane, begin)))
                .collect();
            let mut times = Vec::new();
            for lane in lanes {
                times.extend(lane.await??);
            }
            Ok(times)
        })
    });
    kedactl_testkit::until("the run is warm", WARM + Duration::from_secs(1), {
        let warm_at = Instant::now() + WARM;
        move || Instant::now() >= warm_at
    });
    warm()?;
    let times = thread
        .join()
        .map_err(|_| anyhow::anyhow!("the client panicked"))?;
    let mut times = times?;
    times.sort_unstable();
    ensure!(!times.is_empty(), "no post was answered");
    let at = |percent: usize| f64::from(times[times.len() * percent / 100]) / 1000.0;
    Ok(Seen {
        per_s: times.len() as f64 / RUN.as_secs_f64(),
        p50_ms: at(50),
        p99_ms: at(99),
        answers: times.len(),
    })
}

/// Every so many-th post, on one connection; microseconds from when each was due to its 2xx.
async fn post(port: u16, lane: usize, begin: Instant) -> anyhow::Result<Vec<u32>> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::new(), vec![0; 4096]);
    for at in (lane..).step_by(LANES) {
        let due = EVERY * at as u32;
        if due >= RUN {
            return Ok(times);
        }
        sleep_until(begin + due).await;
        stream.write_all(request(at).as_bytes()).await?;
        let mut have = 0;
        loop {
            let n = stream.read(&mut buffer[have..]).await?;
            ensure!(n > 0, "the server closed the connection");
            have += n;
            if complete(&buffer[..have])? {
                break;
            }
        }
        times.push((begin + due).elapsed().as_micros() as u32);
    }
    Ok(times)
}

/// A notification of five alerts, about two kilobytes. Each group comes eight times, in six states.
fn request(at: usize) -> String {
    let (group, round) = (at % GROUPS, at / GROUPS % 6);
    let mut alerts = String::new();
    for n in 0..5 {
        let status = if n + 1 == round { "resolved" } else { "firing" };
        let comma = if n == 0 { "" } else { "," };
        let _written = write!(
            alerts,
            "{comma}{{\"status\":\"{status}\",\"labels\":{{\"alertname\":\"QueueIsOld\",\"group\":\"g{group}\",\"severity\":\"page\",\
             \"instance\":\"10.0.0.{n}:9001\",\"pod\":\"worker-7d9c5b8f6b-{n}\"}},\"annotations\":{{\"summary\":\"The oldest task of \
             g{group} has waited for longer than a minute\",\"runbook_url\":\"https://runbooks.example/queue-is-old\"}},\
             \"startsAt\":\"2999-01-01T00:00:00Z\",\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":\
             \"http://prometheus:9090/graph?g0.expr=asynq_queue_latency_seconds\",\"fingerprint\":\"{group:08x}{n:08x}\"}}"
        );
    }
    let body = format!(
        "{{\"receiver\":\"webhook\",\"status\":\"firing\",\"alerts\":[{alerts}],\"groupLabels\":{{\"group\":\"g{group}\"}},\
         \"commonLabels\":{{\"alertname\":\"QueueIsOld\",\"group\":\"g{group}\",\"severity\":\"page\"}},\"commonAnnotations\":{{}},\
         \"externalURL\":\"http://alertmanager:9093\",\"version\":\"4\",\"groupKey\":\"g{group}\",\"truncatedAlerts\":0}}"
    );
    format!(
        "POST /v1/alerts/r{} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        group % CHATS,
        body.len()
    )
}

/// Whether the answer is there as a whole.
fn complete(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.as_bytes().get(9) == Some(&b'2'), "not a 2xx: {head}");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(answer.len() >= end + 4 + length.context("no content-length")?)
}
