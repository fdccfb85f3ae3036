//! Runs a short-lived program to its end and captures what it says.
//! Must not let an exit status or a secret slip: a failure is an error, and its text is masked.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::ExecError;

const TAIL_LINES: usize = 8;
const TAIL_BYTES: usize = 2_000;

/// A program to run to its end.
#[derive(Debug, Clone)]
pub struct Run {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    stdin: Vec<u8>,
    secrets: Vec<String>,
    within: Duration,
}

/// What a program that succeeded said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Run {
    /// A program without arguments, with this program's environment, an empty standard input and 60 s to end.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            stdin: Vec::new(),
            secrets: Vec::new(),
            within: Duration::from_mins(1),
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
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs it in a directory.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// What it reads from standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// A text that errors must not show.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// How long it may take before it is killed.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Runs it and blocks until it ends.
    pub fn run(&self) -> Result<Output, ExecError> {
        let expression = self.expression().stdin_bytes(self.stdin.clone());
        let handle = expression.start().map_err(|source| self.refused(source))?;
        self.finish(&handle)
    }

    /// Runs it and blocks until it ends, while `feed` writes its standard input, which ends when `feed` returns.
    ///
    /// A program that stops reading ends the feeding; then its own failure is the error. A feed that fails by
    /// itself is [`ExecError::Feed`], whatever the program made of its cut input.
    pub fn run_fed(
        &self,
        feed: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send,
    ) -> Result<Output, ExecError> {
        let (reader, mut writer) = io::pipe().map_err(|source| self.refused(source))?;
        let expression = self.expression().stdin_file(reader);
        let handle = expression.start().map_err(|source| self.refused(source))?;
        // It holds the pipe's reading end too: without this a program that died early would leave `feed` waiting.
        drop(expression);
        std::thread::scope(|scope| {
            let fed = scope.spawn(move || feed(&mut writer));
            let ended = self.finish(&handle);
            let fed = fed
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the feed panicked")));
            match fed {
                Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(ExecError::Feed {
                    command: self.command_line(),
                    source,
                }),
                _ => ended,
            }
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns"
    )]
    fn expression(&self) -> duct::Expression {
        let mut expression = duct::cmd(&self.program, &self.args)
            .stdout_capture()
            .stderr_capture()
            .unchecked();
        for (name, value) in &self.env {
            expression = expression.env(name, value);
        }
        match &self.cwd {
            Some(directory) => expression.dir(directory),
            None => expression,
        }
    }

    fn refused(&self, source: io::Error) -> ExecError {
        ExecError::Start {
            command: self.command_line(),
            source,
        }
    }

    /// Waits for the end, at most as long as it may take, and judges it.
    fn finish(&self, handle: &duct::Handle) -> Result<Output, ExecError> {
        let start = |source| self.refused(source);
        let Some(output) = handle.wait_timeout(self.within).map_err(start)? else {
            handle.kill().map_err(start)?;
            return Err(ExecError::TimedOut {
                command: self.command_line(),
                within: self.within,
            });
        };
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(ExecError::Failed {
                command: self.command_line(),
                status: describe(output.status),
                code: output.status.code(),
                stderr_tail: self.masked(&last_words(&stderr)),
            });
        }
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr,
        })
    }

    /// The command line as a user would type it, secrets masked.
    pub fn command_line(&self) -> String {
        let mut line = quoted(&self.program.to_string_lossy());
        for arg in &self.args {
            line.push(' ');
            line.push_str(&quoted(&arg.to_string_lossy()));
        }
        self.masked(&line)
    }

    fn masked(&self, text: &str) -> String {
        masked(text, &self.secrets)
    }
}

/// How a process ended, in words: "exit code 3" or "signal 9".
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// A text with `***` in place of every secret.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The last lines of what a program said, at most 8 lines and 2,000 bytes.
pub fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let kept = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    let mut from = kept.len().saturating_sub(TAIL_BYTES);
    while !kept.is_char_boundary(from) {
        from += 1;
    }
    kept[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_captured() {
        let output = Run::new("sh")
            .args(["-c", "cat; echo err >&2"])
            .stdin("in")
            .run()
            .unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("in", "err\n")
        );
    }

    #[test]
    fn a_failure_names_command_code_and_last_words_without_the_secret() {
        let error = Run::new("sh")
            .args(["-c", "echo no hunter2 >&2; exit 3", "hunter2"])
            .secret("hunter2")
            .run()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo no *** >&2; exit 3' ***` ended with exit code 3: no ***"
        );
    }

    #[test]
    fn what_is_fed_arrives_and_a_program_that_stops_reading_tells_why() {
        let lots = |input: &mut dyn Write| input.write_all(&vec![b'x'; 1_000_000]);
        let output = Run::new("wc").arg("-c").run_fed(lots).unwrap();
        assert_eq!(output.stdout.trim(), "1000000");
        let error = Run::new("sh")
            .args(["-c", "echo full >&2; exit 2"])
            .run_fed(lots)
            .unwrap_err();
        assert!(error.to_string().ends_with("exit code 2: full"), "{error}");
    }

    #[test]
    fn a_feed_that_fails_is_an_error_whatever_the_program_says() {
        let error = Run::new("cat")
            .run_fed(|_| Err(io::Error::other("no such blob")))
            .unwrap_err();
        assert!(matches!(error, ExecError::Feed { .. }), "{error}");
    }

    #[test]
    fn what_hangs_is_killed_even_while_it_is_fed() {
        let error = Run::new("sleep")
            .arg("60")
            .within(Duration::from_millis(50))
            .run_fed(|input| input.write_all(&vec![0; 1_000_000]))
            .unwrap_err();
        assert!(matches!(error, ExecError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn what_hangs_is_killed() {
        let error = Run::new("sleep")
            .arg("60")
            .within(Duration::from_millis(50))
            .run()
            .unwrap_err();
        assert!(matches!(error, ExecError::TimedOut { .. }));
    }
}
