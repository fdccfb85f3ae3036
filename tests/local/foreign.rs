//! A real Huey application as the worker: its tasks are enqueued by its own producer and counted by itself in Redis.
//!
//! It must not assert times; without pip and a package index it says so and proves nothing.

use crate::{context, kill, pids, status, until};
use kedactl_exec::Run;
use kedactl_tests::Context;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

/// The packages of the example, fetched once; the reason where they cannot be.
static PACKAGES: LazyLock<Result<PathBuf, String>> = LazyLock::new(fetch);

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/huey")
}

/// The user's cache outlives the folders of a test.
fn cache() -> PathBuf {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let home = || named("HOME").map(|home| home.join(".cache"));
    named("XDG_CACHE_HOME")
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir)
}

/// A folder of this machine's cache: tests run again and again, and an index is somebody else's machine.
fn fetch() -> Result<PathBuf, String> {
    let wanted = std::fs::read(example().join("requirements.txt")).unwrap();
    let name = kedactl_images::Digest::of(&wanted).hex().to_owned();
    let folder = cache().join("kedactl/tests-huey").join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let python = kedactl_exec::find("python3").map_err(|_| "no python3".to_owned())?;
    let run = |args: &[&str]| {
        Run::new(&python)
            .args(["-m", "pip"])
            .args(args.iter().copied())
            .run()
    };
    run(&["--version"]).map_err(|_| "python3 has no pip".to_owned())?;
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let new = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
    let target = new.path().join("packages").display().to_string();
    let file = example().join("requirements.txt").display().to_string();
    let quiet = [
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ];
    let fetched = run(&[
        &quiet[..],
        &["--require-hashes", "-r", &file, "--target", &target],
    ]
    .concat());
    if let Err(error) = fetched {
        let said = error.to_string();
        let unreachable = [
            "Retrying",
            "NewConnection",
            "Could not fetch URL",
            "Name or service",
            "ProxyError",
        ];
        assert!(unreachable.iter().any(|it| said.contains(it)), "{said}");
        return Err("no python package index".to_owned());
    }
    // Another test run may have been first.
    let _second = std::fs::rename(&target, &folder);
    Ok(folder)
}

/// The example on this machine, with one more of its files; nothing where its packages cannot be had.
struct Huey {
    context: Context,
    kind: &'static str,
    path: String,
}

impl Huey {
    fn up(kind: &'static str, more: &[&str]) -> Option<Self> {
        let packages = match &*PACKAGES {
            Ok(packages) => packages.display().to_string(),
            Err(reason) => {
                kedactl_testkit::skipped(reason);
                return None;
            }
        };
        let example = example().canonicalize().unwrap();
        let path = format!("{}:{packages}", example.join("app").display());
        let huey = Self {
            context: context(),
            kind,
            path,
        };
        let (values, layer) = (
            example.join("kedactl.yaml"),
            example.join(format!("{kind}.yaml")),
        );
        let (values, layer) = (values.display().to_string(), layer.display().to_string());
        let path = format!("worker.env.PYTHONPATH={}", huey.path);
        let mut args = vec!["-f", &values];
        if kind != "list" {
            args.extend(["-f", &layer]);
        }
        // The short intervals again, above the example's: for tests alone, tasks being shorter still. And the name that the
        // context takes down.
        args.extend(["-f", "fast", "--set", "name=kedactl"]);
        args.extend([
            "--set-string",
            &path,
            "--set",
            "local.programs.worker=python3",
        ]);
        args.extend(more);
        huey.context.up(&args).check(0);
        Some(huey)
    }

    /// The example's producer, with the environment that workers have.
    fn produce(&self, args: &[&str]) -> String {
        let dir = self.context.dir().join("state/local/kedactl");
        let secrets = dir.join("secrets/redis");
        let state = status(&self.context);
        let sentinels: Vec<String> = (state["processes"].as_array().unwrap().iter())
            .filter(|it| it["role"] == "sentinel")
            .map(|it| format!("127.0.0.1:{}", it["port"]))
            .collect();
        assert_eq!(sentinels.len(), 3, "{state}");
        let program = example().join("app/produce.py");
        let run = Run::new(kedactl_exec::find("python3").unwrap())
            .arg(program)
            .args(args.iter().copied())
            .env("PYTHONPATH", &self.path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HUEY_QUEUE", self.kind)
            .env("KEDACTL_REDIS_SENTINELS", sentinels.join(","))
            .env("KEDACTL_REDIS_MASTER_NAME", "mymaster")
            .env(
                "KEDACTL_REDIS_PASSWORD_FILE",
                secrets.join("redis-password"),
            )
            .env(
                "KEDACTL_REDIS_SENTINEL_PASSWORD_FILE",
                secrets.join("sentinel-password"),
            );
        run.run().unwrap().stdout.trim().to_owned()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "polls a condition of real processes until a deadline"
    )]
    fn until_count(&self, wanted: &str) {
        let within = Duration::from_mins(2);
        kedactl_testkit::until(wanted, within, || {
            let holds = self.produce(&["--count"]) == wanted;
            if !holds {
                // Each look is an interpreter that starts: without a pause they take the processors from the workers.
                std::thread::sleep(Duration::from_millis(400));
            }
            holds
        });
    }

    fn workers(&self) -> Vec<i64> {
        pids(&self.context, "worker")
    }
}

/// Runs a proof for each of these at the same time: a stack of Huey mostly waits, for workers that start and for cooldowns.
fn of_each<const N: usize, T: Send>(all: [T; N], proof: impl Fn(T) + Sync) {
    let (here, proof) = (std::thread::current(), &proof);
    std::thread::scope(|scope| {
        for it in all {
            // Named as the test is: that is the name under which it says that it was skipped.
            let thread =
                std::thread::Builder::new().name(here.name().unwrap_or_default().to_owned());
            thread.spawn_scoped(scope, move || proof(it)).unwrap();
        }
    });
}

#[test]
fn huey_goes_from_zero_to_many_and_back_and_runs_each_task_once() {
    of_each(["list", "sorted-set", "kept"], |kind| {
        let Some(huey) = Huey::up(kind, &[]) else {
            return;
        };
        assert!(huey.workers().is_empty(), "{kind}: nothing is queued");
        assert_eq!(huey.produce(&["120", "0.2"]), "120");
        let mut most = 0;
        until("several workers", || {
            most = most.max(huey.workers().len());
            most >= 2
        });
        huey.until_count("done 120 more-than-once 0 queued 0");
        until("no worker", || huey.workers().is_empty());
        assert_eq!(
            huey.produce(&["--count"]),
            "done 120 more-than-once 0 queued 0"
        );
    });
}

#[test]
fn a_worker_that_is_told_to_stop_finishes_what_it_runs() {
    let Some(huey) = Huey::up("list", &[]) else {
        return;
    };
    huey.produce(&["12", "4"]);
    // What runs is neither done nor in the list: it is the worker's own from now on.
    until("tasks run", || {
        let count = huey.produce(&["--count"]);
        let numbers: Vec<u32> = count.split(' ').filter_map(|it| it.parse().ok()).collect();
        numbers[0] + numbers[2] < 12
    });
    for pid in huey.workers() {
        kill(pid, Signal::TERM);
    }
    huey.until_count("done 12 more-than-once 0 queued 0");
}

#[test]
fn tasks_that_fail_are_tried_again_where_they_are_kept() {
    let Some(huey) = Huey::up("kept", &[]) else {
        return;
    };
    huey.produce(&["5", "flaky"]);
    huey.until_count("done 5 more-than-once 0 queued 0");
}

#[test]
fn a_worker_that_is_killed_loses_tasks_of_a_list_and_none_that_are_kept() {
    of_each([("list", true), ("kept", false)], |(kind, loses)| {
        let Some(huey) = Huey::up(kind, &["--set", "worker.autoscaling.maxReplicas=1"]) else {
            return;
        };
        huey.produce(&["8", "3"]);
        let taken = || {
            // A list is shorter by what runs; what is kept stays where it is, so there the log tells.
            if loses {
                huey.produce(&["--count"]).ends_with("queued 4")
            } else {
                let logs = huey.context.run(&["logs", "worker"]).stdout;
                logs.matches("Executing").count() >= 4
            }
        };
        until("four tasks run", taken);
        kill(huey.workers()[0], Signal::KILL);
        let end = if loses {
            "done 4 more-than-once 0 queued 0"
        } else {
            "done 8 more-than-once 0 queued 0"
        };
        huey.until_count(end);
    });
}
