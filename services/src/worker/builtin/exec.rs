//! `exec`: runs a program that the operator allows.
//!
//! It must not run through a shell, nor let the payload choose the program's path or environment.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::super::{Context, Failure, WorkerBuilder};
use crate::settings::HandlerSettings;

/// How much of each output is kept.
const MAX_OUTPUT: usize = 64 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// A name of the operator's list.
    program: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
}

#[derive(Debug, Serialize)]
struct Output {
    /// At most 64 KiB each.
    stdout: String,
    stderr: String,
}

/// Registers `exec`; without a list of programs each run is refused, with the cure.
pub(super) fn register(builder: WorkerBuilder, reach: &HandlerSettings) -> WorkerBuilder {
    let allowed: Arc<BTreeMap<String, String>> =
        Arc::new(reach.exec_allow.iter().cloned().collect());
    builder.handle("exec", move |payload: Run, _: Context| {
        let allowed = Arc::clone(&allowed);
        async move {
            let Some(path) = allowed.get(&payload.program) else {
                return Err(Failure::dead(format!(
                    "`{}` is not allowed here; the operator sets `--exec-allow`",
                    payload.program
                )));
            };
            run(path, payload).await
        }
    })
}

/// Kills the program and what it started when the attempt is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "the program had ended already");
        }
    }
}

async fn run(path: &str, payload: Run) -> Result<Output, Failure> {
    let mut child = start(path, &payload.args)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let Some(mut stdin) = stdin
            && let Err(error) = stdin.write_all(payload.stdin.as_bytes()).await
        {
            tracing::debug!(%error, "the program did not read its input");
        }
    };
    let ((), stdout, stderr) = tokio::join!(feed, capped(stdout), capped(stderr));
    let status = child.wait().await?;
    drop(group);
    if status.success() {
        return Ok(Output { stdout, stderr });
    }
    let tail: String = stderr.chars().rev().take(500).collect();
    let tail: String = tail.chars().rev().collect();
    Err(Failure::retry(format!(
        "`{}` ended with {status}: {tail}",
        payload.program
    )))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the services crate does not depend on the runner of the cli"
)]
fn start(path: &str, args: &[String]) -> Result<Child, Failure> {
    Command::new(path)
        .args(args)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::retry(format!("cannot start `{path}`: {error}")))
}

/// Reads to the end and keeps the beginning, so that a talkative program neither blocks nor fills memory.
async fn capped(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut chunk = vec![0; 8192];
    while let Ok(n @ 1..) = from.read(&mut chunk).await {
        let room = MAX_OUTPUT - kept.len();
        kept.extend_from_slice(&chunk[..n.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
