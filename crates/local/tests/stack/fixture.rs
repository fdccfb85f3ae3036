//! A stack of its own for each test: own directory, own ports, own processes.
//! Must end every process with the stack's mark when it is dropped.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_config::SetArg;
use kedactl_exec::{ProcId, procfs};
use kedactl_local::{Desired, LocalError, Request, StackState, UpOutcome};
use kedactl_plan::Discard;
use kedactl_testkit::free_port;

/// One stack under test.
pub(crate) struct Stack {
    directory: tempfile::TempDir,
    pub(crate) api: u16,
    pub(crate) sets: Vec<String>,
}

impl Stack {
    /// A stack with the `fast` profile, pods of this test program, and more values.
    pub(crate) fn new(sets: &[&str]) -> Self {
        let api = free_port();
        let program = std::env::current_exe().unwrap();
        let pod = "[pod_entry, --exact, --ignored, --nocapture, --test-threads=1]";
        let mut all = vec![
            "name=test".to_owned(),
            format!("api.port={api}"),
            format!("api.metricsPort={}", free_port()),
            format!("local.programs.api={}", program.display()),
            format!("local.programs.worker={}", program.display()),
            format!("api.extraArgs={pod}"),
            format!("worker.extraArgs={pod}"),
            format!("local.ports.redis={}", free_port()),
            format!("local.ports.sentinel={}", free_port()),
            "local.hpaSyncSeconds=1".to_owned(),
            "worker.autoscaling.pollingInterval=1".to_owned(),
            "redis.downAfterMs=1000".to_owned(),
            "redis.failoverTimeoutMs=5000".to_owned(),
            "api.probes.liveness.periodSeconds=1".to_owned(),
            "api.probes.liveness.failureThreshold=2".to_owned(),
            "api.terminationGracePeriodSeconds=6".to_owned(),
            "worker.terminationGracePeriodSeconds=6".to_owned(),
        ];
        all.extend(sets.iter().map(|set| (*set).to_owned()));
        Self {
            directory: tempfile::tempdir().unwrap(),
            api,
            sets: all,
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.directory.path().join("stack")
    }

    pub(crate) fn desired(&self) -> Desired {
        let request = kedactl_config::Request {
            env: "local".to_owned(),
            files: vec!["fast".into()],
            sets: self
                .sets
                .iter()
                .map(|set| SetArg::Value(set.clone()))
                .collect(),
            ..kedactl_config::Request::default()
        };
        let reader = |path: &Path, _: u64| std::fs::read(path);
        let config = kedactl_config::load(&request, &reader).unwrap().config;
        let manifests = kedactl_render::render(&config).unwrap();
        Desired::of(config, &manifests)
    }

    pub(crate) async fn try_up(&self) -> Result<UpOutcome, LocalError> {
        let helper = [
            "helper_entry",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ];
        let mut prefix: Vec<OsString> = vec![std::env::current_exe().unwrap().into()];
        prefix.extend(helper.map(OsString::from));
        let request = Request {
            dir: self.dir(),
            desired: self.desired(),
            helper: prefix,
            within: Duration::from_mins(1),
        };
        kedactl_local::up(&request, &Discard).await
    }

    /// Brings the stack up; a failure shows the logs.
    pub(crate) async fn up(&self) -> UpOutcome {
        match self.try_up().await {
            Ok(outcome) => outcome,
            Err(error) => {
                let state =
                    std::fs::read_to_string(self.dir().join("state.json")).unwrap_or_default();
                panic!("{error}\n{state}");
            }
        }
    }

    pub(crate) async fn down(&self) -> usize {
        kedactl_local::down(&self.dir(), false, &Discard)
            .await
            .unwrap()
            .stopped
    }

    pub(crate) fn state(&self) -> StackState {
        kedactl_local::read_state(&self.dir()).unwrap().unwrap()
    }

    /// Waits until the written state is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        wanted: impl Fn(&StackState) -> bool,
    ) -> StackState {
        for _ in 0..1200 {
            if let Ok(Some(state)) = kedactl_local::read_state(&self.dir())
                && wanted(&state)
            {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in time: {what}\n{:#?}", self.state());
    }

    /// How often the journal has an entry about the API by this name.
    pub(crate) fn journalled(&self, entry: &str) -> usize {
        let journal = std::fs::read_to_string(self.dir().join("journal.jsonl")).unwrap_or_default();
        let entry = format!("\"entry\":\"{entry}\"");
        let about = "\"name\":\"api\"";
        let lines = journal.lines();
        lines
            .filter(|it| it.contains(&entry) && it.contains(about))
            .count()
    }

    /// All processes with the stack's mark.
    pub(crate) fn processes(&self) -> Vec<ProcId> {
        let Ok(text) = std::fs::read_to_string(self.dir().join("identity.json")) else {
            return Vec::new();
        };
        let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
        procfs::marked("KEDACTL_STACK_ID", identity["stack_id"].as_str().unwrap())
    }

    /// GET through the service port; `None` where there is no whole answer.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        Self::ask(self.api, path)
    }

    /// GET on a port of this machine.
    pub(crate) fn ask(port: u16, path: &str) -> Option<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The proxy's watchdog may start a supervisor meanwhile: until nothing is left, all of them.
        for _ in 0..50 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for process in left {
                drop(process.signal(kedactl_exec::Signal::KILL));
            }
            std::thread::yield_now();
        }
    }
}
