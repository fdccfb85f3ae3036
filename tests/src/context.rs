//! Runs the program under test in folders of its own.
//!
//! It must not know any command's output.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// What a run of the program left: the three things that a user sees.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<&Output> for Outcome {
    fn from(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    /// Of a program that ended by itself; its output was piped.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn of(child: Child) -> Self {
        Self::from(&child.wait_with_output().expect("the program ends"))
    }

    /// All of it as one block for a snapshot, with the context's folder filtered.
    pub fn block(&self, dir: &Path) -> String {
        let code = self
            .code
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let text = format!(
            "exit: {code}\n--- stdout ---\n{}--- stderr ---\n{}",
            self.stdout, self.stderr
        );
        crate::filtered(&text, dir)
    }

    /// The JSON document on stdout.
    ///
    /// # Panics
    /// If there is none: the whole outcome is shown.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("no JSON on stdout ({e}): {self:?}"))
    }

    /// # Panics
    /// If the exit code is another: the whole outcome is shown.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        self.check(code);
        self
    }

    /// # Panics
    /// If the exit code is another: the whole outcome is shown.
    pub fn check(&self, code: i32) {
        assert_eq!(
            self.code,
            Some(code),
            "exit code\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
    }
}

/// A folder with a HOME, a project and a state folder, and the program to run in it. Its stack is taken down on drop.
#[derive(Debug)]
pub struct Context {
    dir: TempDir,
    program: PathBuf,
    sets: Vec<String>,
    env: Vec<(String, String)>,
    started: AtomicBool,
}

impl Context {
    /// # Panics
    /// If no temporary folder can be made.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kedactl-test-")
            .tempdir()
            .expect("a temporary folder");
        for folder in ["home", "project", "state"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        Self {
            dir,
            program: program.into(),
            sets: Vec::new(),
            env: Vec::new(),
            started: AtomicBool::new(false),
        }
    }

    /// Names the services' programs and a free port, so that `up` can run.
    #[must_use]
    pub fn with_services(mut self, api: &Path, worker: &Path) -> Self {
        self.sets = vec![
            format!("local.programs.api={}", api.display()),
            format!("local.programs.worker={}", worker.display()),
            format!("api.port={}", free_port()),
        ];
        self
    }

    /// Sets a variable of the program's environment, which has few.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, value);
        self
    }

    /// The same for one that is in use.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file of the project.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join("project").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&self, args: &[&str]) -> Outcome {
        Outcome::from(&self.command(args).output().expect("the program starts"))
    }

    /// `up` with the short intervals, this context's programs and port, and more arguments.
    pub fn up(&self, more: &[&str]) -> Outcome {
        self.run(&self.of_a_stack("up", more))
    }

    /// `ci` with the same.
    pub fn ci(&self, more: &[&str]) -> Outcome {
        self.run(&self.of_a_stack("ci", more))
    }

    /// `ci` in the background.
    pub fn spawn_ci(&self, more: &[&str]) -> Child {
        self.spawn(&self.of_a_stack("ci", more))
    }

    /// A command that brings a stack up, which is taken down with this context.
    fn of_a_stack<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        self.started.store(true, Ordering::Relaxed);
        let sets = self.sets.iter().flat_map(|set| ["--set", set.as_str()]);
        let args = [command, "--provider", "local", "-f", "fast"]
            .into_iter()
            .chain(sets);
        args.chain(more.iter().copied()).collect()
    }

    /// Writes a `kedactl.yaml` that says what `up` of this context says by `--set`.
    pub fn write_project(&self) {
        let mut values = serde_json::Value::Null;
        for (path, text) in self.sets.iter().filter_map(|it| it.split_once('=')) {
            let place = path.split('.').fold(&mut values, |at, key| &mut at[key]);
            *place = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        }
        self.write("kedactl.yaml", &values.to_string());
    }

    /// Starts the program in the background, its output piped.
    ///
    /// # Panics
    /// If it does not start.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the harness starts the program under test"
    )]
    fn command(&self, args: &[&str]) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(dir.join("project"))
            .stdin(Stdio::null())
            .env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", dir.join("home"))
            .env("KEDACTL_STATE_DIR", dir.join("state"));
        command.env("LC_ALL", "C").env("COLUMNS", "100");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.started.load(Ordering::Relaxed) {
            self.run(&["down", "--purge"]);
        }
    }
}

/// A port that nothing listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
