//! Runs a program that works for minutes and must not be cut off: async, in a process group of its own, ended by one polite signal.
//! Must not kill what was not asked to end first, and must not let a failure hide: the caller gets status and both outputs.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::left::{MARK, mark};
use crate::run::{describe, masked, quoted};
use crate::{ExecError, ProcId};

/// A program to run to its end. Its standard input is empty.
#[derive(Debug, Clone)]
pub struct Job {
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    without: Vec<String>,
    secrets: Vec<String>,
    within: Duration,
    patience: Duration,
}

/// How a job ended, whatever its status. The texts are as they came: nothing is masked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Ended {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// "exit code 3" or "signal 9".
    pub how: String,
    /// Standard output, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl std::fmt::Debug for Ended {
    /// Without the texts: they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended")
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// A program without arguments, with this program's environment, 5 minutes to end and 30 s to obey a signal.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            without: Vec::new(),
            secrets: Vec::new(),
            within: Duration::from_mins(5),
            patience: Duration::from_secs(30),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets one variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Keeps our own variables that begin with this from it.
    #[must_use]
    pub fn without_env(mut self, prefix: impl Into<String>) -> Self {
        self.without.push(prefix.into());
        self
    }

    /// What it works on: [`end_left_behind`](crate::end_left_behind) finds it by that where this program was killed.
    #[must_use]
    pub fn about(self, path: &Path) -> Self {
        match mark(path) {
            Some(mark) => self.env(MARK, mark),
            None => self,
        }
    }

    /// A text that command lines in errors must not show.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// How long it may take before it is asked to end.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// How long it may take to end when it was asked to, before it is killed.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// The command line as a user would type it, secrets masked.
    pub fn command_line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str())
            .chain(self.args.iter().map(OsString::as_os_str));
        let line: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        masked(&line.join(" "), &self.secrets)
    }

    /// Runs it to its end. Cancelled or out of time, its process group gets one `SIGINT`, and after the patience `SIGKILL`;
    /// then the error is [`ExecError::Cancelled`] or [`ExecError::TimedOut`]. Where the future is dropped, the `SIGINT` goes out
    /// and nobody waits.
    pub async fn run(&self, cancel: &CancellationToken) -> Result<Ended, ExecError> {
        self.run_told(cancel, |_| {}).await
    }

    /// As [`Job::run`]; `told` hears every line of its standard output when it comes.
    pub async fn run_told(
        &self,
        cancel: &CancellationToken,
        mut told: impl FnMut(&str),
    ) -> Result<Ended, ExecError> {
        let refused = |source| ExecError::Start {
            command: self.command_line(),
            source,
        };
        if cancel.is_cancelled() {
            return Err(self.cancelled("not started"));
        }
        let mut child = self.command().spawn().map_err(refused)?;
        let group = Group(child.id().and_then(ProcId::of));
        let (lines, mut heard) = unbounded_channel();
        let stdout = tokio::spawn(read(child.stdout.take(), lines.clone()));
        let stderr = tokio::spawn(read(child.stderr.take(), lines));
        let late = tokio::time::sleep(self.within);
        tokio::pin!(late);
        let stop = loop {
            tokio::select! {
                biased;
                Some(line) = heard.recv() => told(&line),
                status = child.wait() => {
                    let status = status.map_err(refused)?;
                    group.over();
                    while let Some(line) = heard.recv().await {
                        told(&line);
                    }
                    return Ok(Ended {
                        code: status.code(),
                        how: describe(status),
                        stdout: stdout.await.unwrap_or_default(),
                        stderr: stderr.await.unwrap_or_default(),
                    });
                }
                () = cancel.cancelled() => break Stop::Cancelled,
                () = &mut late => break Stop::TimedOut,
            }
        };
        group.signal(Signal::INT);
        let how = if let Ok(status) = tokio::time::timeout(self.patience, child.wait()).await {
            describe(status.map_err(refused)?)
        } else {
            group.signal(Signal::KILL);
            describe(child.wait().await.map_err(refused)?)
        };
        group.over();
        Err(match stop {
            Stop::Cancelled => self.cancelled(&how),
            Stop::TimedOut => ExecError::TimedOut {
                command: self.command_line(),
                within: self.within,
            },
        })
    }

    fn cancelled(&self, how: &str) -> ExecError {
        ExecError::Cancelled {
            command: self.command_line(),
            how: how.to_owned(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is the one that spawns"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, _) in env::vars_os().filter(|(name, _)| self.keeps_out(name)) {
            command.env_remove(name);
        }
        command.envs(&self.env);
        command
    }

    fn keeps_out(&self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self.without.iter().any(|prefix| name.starts_with(prefix))
    }
}

enum Stop {
    Cancelled,
    TimedOut,
}

/// The process group of a job, signalled once more where the job is dropped before its end.
struct Group(Option<ProcId>);

impl Group {
    fn signal(&self, signal: Signal) {
        let Some(leader) = self.0 else { return };
        if let Err(error) = leader.signal_group(signal) {
            tracing::debug!(%error, "group");
        }
    }

    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// Everything that comes, and each line of it to whoever listens; a pipe that breaks ends the text.
async fn read(pipe: Option<impl AsyncRead + Unpin>, listener: UnboundedSender<String>) -> String {
    let mut text = String::new();
    let Some(mut pipe) = pipe.map(BufReader::new) else {
        return text;
    };
    loop {
        let mut bytes = Vec::new();
        match pipe.read_until(b'\n', &mut bytes).await {
            Ok(0) => return text,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "output of a child");
                return text;
            }
        }
        let line = String::from_utf8_lossy(&bytes);
        text.push_str(&line);
        // Nobody listens any more where the job was cancelled; the text is read to its end all the same.
        drop(listener.send(line.trim_end().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Job {
        Job::new("/bin/sh").args(["-c", script])
    }

    #[tokio::test]
    async fn status_and_outputs_are_kept_and_variables_kept_out() {
        let never = CancellationToken::new();
        let ended = shell("echo out $HOME; echo err >&2; exit 3")
            .without_env("HO")
            .run(&never)
            .await
            .unwrap();
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
    }

    #[tokio::test]
    async fn lines_are_heard_while_the_job_runs_and_kept() {
        let directory = env::temp_dir().join(format!("kedactl-told-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let heard_it = directory.join("heard");
        let script = format!(
            "echo one; while [ ! -e {} ]; do sleep 0.01; done; printf 'two\nhalf'",
            heard_it.display()
        );
        let mut heard = Vec::new();
        let ended = shell(&script)
            .run_told(&CancellationToken::new(), |line| {
                heard.push(line.to_owned());
                std::fs::write(&heard_it, "").unwrap();
            })
            .await
            .unwrap();
        assert_eq!(heard, ["one", "two", "half"]);
        assert_eq!(ended.stdout, "one\ntwo\nhalf");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_job_is_asked_once_and_waited_for() {
        let cancel = CancellationToken::new();
        let directory = env::temp_dir().join(format!("kedactl-job-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let ready = directory.join("ready");
        let script = format!(
            "trap 'echo gone > {0}/end; exit 7' INT; : > {0}/ready; while :; do sleep 0.05; done",
            directory.display()
        );
        let job = shell(&script);
        let running = job.run(&cancel);
        let stop = async {
            while !ready.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(running, stop);
        let error = ended.unwrap_err();
        assert!(
            matches!(&error, ExecError::Cancelled { how, .. } if how == "exit code 7"),
            "{error}"
        );
        assert!(directory.join("end").exists());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn what_does_not_obey_is_killed_with_its_children() {
        let never = CancellationToken::new();
        let error = shell("trap '' INT; sleep 60 & wait; sleep 60")
            .within(Duration::from_millis(100))
            .patience(Duration::from_millis(100))
            .run(&never)
            .await
            .unwrap_err();
        assert!(matches!(error, ExecError::TimedOut { .. }), "{error}");
    }
}
