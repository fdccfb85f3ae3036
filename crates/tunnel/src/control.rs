//! Talks with a running tunnel over a socket in its folder: one question a connection, one line each way.
//! Must not signal a process that is not certainly the tunnel.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kedactl_exec::{ProcId, Signal, gone};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::access::connect;
use crate::home::{Home, SOCKET, fail, record};
use crate::minikube::PATIENCE;
use crate::publish;
use crate::status::Status;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a tunnel may take to end: drain, addresses, clean-up, and minikube where it runs below it.
const END_WITHIN: Duration = Duration::from_secs(25);
/// Longest question.
const LINE: u64 = 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Question {
    Status,
    Stop,
}

/// How a tunnel came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was told to end, and did.
    Stopped {
        /// Its process.
        pid: u32,
    },
    /// It had died before; what it left was removed.
    Repaired {
        /// Its process.
        pid: u32,
    },
    /// There was none.
    Nothing,
}

/// Answers questions until the end of the tunnel.
pub(crate) async fn answer(
    listener: UnixListener,
    status: Arc<dyn Fn() -> Status + Send + Sync>,
    asked: CancellationToken,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let exchange = timeout(ANSWER_WITHIN, one(stream, &*status, &asked));
        if let Ok(Err(error)) = exchange.await {
            tracing::debug!(%error, "control");
        }
    }
}

async fn one(
    mut stream: UnixStream,
    status: &(dyn Fn() -> Status + Send + Sync),
    asked: &CancellationToken,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE))
        .read_line(&mut line)
        .await?;
    let question: Question = serde_json::from_str(&line)?;
    if let Question::Stop = question {
        asked.cancel();
    }
    let mut answer = serde_json::to_vec(&status())?;
    answer.push(b'\n');
    writer.write_all(&answer).await
}

/// Opens the socket of a folder. A path of any length: the socket is named through the folder's descriptor.
pub(crate) fn listen(dir: &Path) -> Result<UnixListener, TunnelError> {
    let path = dir.join(SOCKET);
    let open = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let folder = File::open(dir)?;
        UnixListener::bind(short(&folder))
    };
    open().map_err(fail("open", &path))
}

fn short(folder: &File) -> String {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())
}

async fn put(dir: &Path, question: &Question) -> io::Result<Status> {
    let exchange = async {
        let folder = File::open(dir)?;
        let mut stream = UnixStream::connect(short(&folder)).await?;
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    };
    match timeout(ANSWER_WITHIN, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// What the tunnel of a folder does.
pub async fn status(dir: &Path) -> Result<Status, TunnelError> {
    if let Some(status) = ask(dir).await? {
        return Ok(status);
    }
    Err(match record(dir)? {
        Some(stale) => TunnelError::Stale {
            pid: stale.process.pid,
        },
        None => TunnelError::NotRunning {
            dir: dir.to_owned(),
        },
    })
}

/// Asks the tunnel of a folder what it does; `None` where none runs.
pub(crate) async fn ask(dir: &Path) -> Result<Option<Status>, TunnelError> {
    if !Home::held(dir)? {
        return Ok(None);
    }
    match put(dir, &Question::Status).await {
        Ok(status) => Ok(Some(status)),
        // It ended in between.
        Err(_) if !Home::held(dir)? => Ok(None),
        Err(source) => Err(TunnelError::Deaf {
            pid: record(dir)?.map_or(0, |record| record.process.pid),
            source,
        }),
    }
}

/// Ends the tunnel of a folder, and repairs what one left that was killed.
pub async fn stop(dir: &Path) -> Result<Stopped, TunnelError> {
    if Home::held(dir)? {
        let process = match put(dir, &Question::Stop).await {
            Ok(status) => status.process,
            Err(source) => deaf(dir, source)?,
        };
        if !gone(&[process], END_WITHIN).await.is_empty() {
            process.signal(Signal::KILL)?;
            gone(&[process], END_WITHIN).await;
        }
        // One that ended by itself has removed its record; one that was killed is repaired below.
        repair(dir).await?;
        return Ok(Stopped::Stopped { pid: process.pid });
    }
    repair(dir).await
}

/// The socket does not answer: the process is told by a signal, if it is known for certain.
fn deaf(dir: &Path, source: io::Error) -> Result<ProcId, TunnelError> {
    let process = record(dir)?.map(|record| record.process);
    let Some(process) = process.filter(|process| process.alive()) else {
        return Err(TunnelError::Deaf { pid: 0, source });
    };
    process.signal(Signal::TERM)?;
    Ok(process)
}

async fn repair(dir: &Path) -> Result<Stopped, TunnelError> {
    if !dir.exists() {
        return Ok(Stopped::Nothing);
    }
    let home = Home::take(dir)?;
    let Some(stale) = &home.stale else {
        home.clear()?;
        return Ok(Stopped::Nothing);
    };
    kedactl_exec::end_left_behind(dir, PATIENCE).await?;
    if let Some(access) = stale
        .access
        .as_ref()
        .filter(|_| !stale.published.is_empty())
    {
        let client = connect(access).await?;
        publish::repair(&client, stale.published.clone()).await?;
    }
    home.clear()?;
    Ok(Stopped::Repaired {
        pid: stale.process.pid,
    })
}
