//! The servers under measurement, each alone on core 0.
//!
//! It must not install anything outside the build's directory.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kedactl_testkit::{Child, RedisServer, free_port, until};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::python::environment;

/// Pins a process, or this thread, to a core; on a machine of one core nothing is pinned.
pub(crate) fn pin(pid: Option<u32>, core: usize) -> anyhow::Result<()> {
    if std::thread::available_parallelism()?.get() < 2 && pid.is_none() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    let pid = pid.and_then(|p| Pid::from_raw(p as i32));
    sched_setaffinity(pid, &set).context("cannot pin to a core")
}

/// A bare hyper server: reads the body and answers 202 with an answer of the API's size.
pub(crate) struct Echo {
    pub port: u16,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Starts the echo on a thread pinned to core 0.
pub(crate) fn echo() -> anyhow::Result<Echo> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        if pin(None, 0).is_err() {
            return;
        }
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                () = accept(listener) => {}
                _ = stopped => {}
            }
        });
    });
    Ok(Echo {
        port,
        stop: Some(stop),
        thread: Some(thread),
    })
}

async fn accept(listener: tokio::net::TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
            let body = request
                .into_body()
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            let answer = if body.is_empty() {
                Bytes::new()
            } else {
                Bytes::from_static(&[b'x'; 92])
            };
            let mut response = Response::new(Full::new(answer));
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok::<_, Infallible>(response)
        });
        tokio::spawn(async move {
            // A client that hangs up ends its connection, as it should.
            drop(stream.set_nodelay(true));
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

/// A server process on core 0.
pub(crate) struct Api {
    pub port: u16,
    child: Child,
    _logs: tempfile::TempDir,
}

impl Api {
    /// Starts the API beside this program with one thread.
    pub(crate) fn start(redis: &RedisServer, durability: &str) -> anyhow::Result<Self> {
        let dir = std::env::current_exe()?
            .parent()
            .context("no directory")?
            .to_path_buf();
        let named = |name| Some(dir.join(name)).filter(|p: &PathBuf| p.exists());
        let program = named("kedactl-api").or_else(|| named("api-under-test"));
        let program = program
            .context("kedactl-api is not beside the benchmark; build the package kedactl")?;
        let (port, metrics) = (free_port(), free_port());
        let args = [
            program.display().to_string(),
            format!("--redis-addr=127.0.0.1:{}", redis.port()),
            format!("--listen=127.0.0.1:{port}"),
            format!("--metrics-listen=127.0.0.1:{metrics}"),
            format!("--durability={durability}"),
            "--threads=1".to_owned(),
        ];
        on_core_0(&args, port)
    }

    /// CPU seconds used so far, of the system and of itself.
    pub(crate) fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.pid()))?;
        let fields = stat.rsplit_once(") ").context("no name")?.1;
        let ticks = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|t| t.parse::<f64>().unwrap_or(0.0));
        Ok(ticks.sum::<f64>() / 100.0)
    }

    /// Resident memory in MiB.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.pid()))?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

/// Starts a server on core 0 and waits until it is ready.
pub(crate) fn on_core_0(args: &[String], port: u16) -> anyhow::Result<Api> {
    let logs = tempfile::tempdir()?;
    let args: Vec<String> = ["-c", "0"]
        .iter()
        .map(ToString::to_string)
        .chain(args.iter().cloned())
        .collect();
    let child = Child::start("taskset", &args, &logs.path().join("log"))?;
    until("the server answers", Duration::from_mins(1), || ready(port));
    Ok(Api {
        port,
        child,
        _logs: logs,
    })
}

fn ready(port: u16) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut answer = String::new();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n")
        .is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// Starts `FastAPI` with Huey in one uvicorn process.
pub(crate) fn fastapi(redis: &RedisServer) -> anyhow::Result<Api> {
    let packages = ["fastapi", "uvicorn[standard]", "huey", "redis"];
    let python = environment("fastapi", "import fastapi, uvicorn, huey, redis", &packages)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers/fastapi_huey.py");
    let port = free_port();
    let args = [
        python.display().to_string(),
        script.display().to_string(),
        redis.port().to_string(),
        port.to_string(),
    ];
    on_core_0(&args, port)
}
