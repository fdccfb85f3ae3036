//! This machine as one on which containers are nodes: the engine, its memory and disk, the kernel's limits, ports.
//!
//! Must not start or stop anything; a port is tried by taking it for a moment.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use kedactl_config::Config;
use kedactl_exec::{CancellationToken, Job, find, last_words, procfs};
use serde_json::Value as Json;

use super::Check;

/// How long the engine may take to say what it is.
const SOON: Duration = Duration::from_secs(10);
/// What kind's own documentation asks for: with less, kubelets and log readers stop with "too many open files".
const WATCHES: u64 = 524_288;
const INSTANCES: u64 = 512;
/// A control plane needs 600 MiB, KEDA, Redis with Sentinels and the stack as much again.
const LEAST_MEMORY: u64 = 1 << 30;
const MEMORY: u64 = 2 << 30;
/// A node's image unpacked takes one GiB; below a tenth of the disk, kubelets begin to evict.
const LEAST_DISK: u64 = 2 << 30;
const DISK: u64 = 6 << 30;

/// Looks at everything that a node of a cluster of kind needs here. Ports are only looked at where it has to be made.
pub(crate) async fn checks(config: &Config, to_be_made: bool) -> Vec<Check> {
    let (engine, found) = engine(&config.images.engine).await;
    let mut all = vec![engine];
    if let Some(info) = found {
        all.push(memory(&info, available()));
        all.extend(disk(&info));
        all.extend(rootless(&info));
    }
    all.push(inotify(Path::new("/proc/sys/fs/inotify")));
    all.push(cgroup(Path::new("/sys/fs/cgroup")));
    if to_be_made {
        all.extend(ports(&config.kind_config()));
    }
    all
}

/// What an engine says about itself, in the words of Docker or Podman.
struct Info(Json);

impl Info {
    fn text(&self, places: [&str; 2]) -> Option<&str> {
        let mut found = places.iter().filter_map(|at| self.0.pointer(at)?.as_str());
        found.find(|it| !it.is_empty())
    }

    fn number(&self, places: [&str; 2]) -> Option<u64> {
        let mut found = places.iter().filter_map(|at| self.0.pointer(at)?.as_u64());
        found.find(|it| *it > 0)
    }

    fn version(&self) -> Option<&str> {
        self.text(["/ServerVersion", "/version/Version"])
    }
}

async fn engine(program: &str) -> (Check, Option<Info>) {
    let (code, title) = ("engine", format!("container engine {program}"));
    let path = match find(program) {
        Ok(path) => path,
        Err(error) => {
            let cure = "install Docker or Podman, or name its client in images.engine";
            return (Check::fail(code, title, error.to_string(), cure), None);
        }
    };
    let job = Job::new(&path).args(["info", "--format", "{{json .}}"]);
    let problem = match job.within(SOON).run(&CancellationToken::new()).await {
        // A client without a server may print an empty form and end well.
        Ok(ended) => match serde_json::from_str(&ended.stdout).map(Info) {
            Ok(info) if ended.code == Some(0) && info.version().is_some() => {
                let version = info.version().unwrap_or_default();
                let detail = format!("{} answers, {version}", path.display());
                return (Check::ok(code, title, detail), Some(info));
            }
            _ if ended.stderr.trim().is_empty() => "no engine answers".to_owned(),
            _ => last_words(&ended.stderr),
        },
        Err(error) => error.to_string(),
    };
    let cure =
        "start the engine, name another one with DOCKER_HOST, or join the group that may use it";
    (Check::fail(code, title, problem, cure), None)
}

/// Memory that this machine has left, by the kernel's own estimate.
fn available() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib << 10)
    };
    Some((line("MemTotal:")?, line("MemAvailable:")?))
}

fn memory(info: &Info, here: Option<(u64, u64)>) -> Check {
    let (code, title) = ("memory", "memory for nodes");
    let Some(total) = info.number(["/MemTotal", "/host/memTotal"]) else {
        return Check::skip(code, title, "the engine does not say how much it has");
    };
    // An engine in a machine of its own has what was given to it; one on this machine shares.
    let shared = here.filter(|(all, _)| all.abs_diff(total) < total / 50);
    let left = shared.map_or(total, |(_, left)| left);
    let detail = format!("{} MiB left of {} MiB", left >> 20, total >> 20);
    let cure = "end other programs, or give the engine's machine more memory: 2 GiB are needed";
    if left < LEAST_MEMORY {
        Check::fail(code, title, detail, cure)
    } else if left < MEMORY {
        Check::warn(code, title, detail, cure)
    } else {
        Check::ok(code, title, detail)
    }
}

/// Room where the engine keeps containers, where that is a folder of this machine.
fn disk(info: &Info) -> Option<Check> {
    let (code, title) = ("engine-disk", "room for containers");
    let root = info.text(["/DockerRootDir", "/store/graphRoot"])?;
    let room = rustix::fs::statvfs(root).ok()?;
    let left = room.f_bavail.saturating_mul(room.f_frsize);
    let detail = format!("{} MiB free in {root}", left >> 20);
    let cure = "free some (`docker system df` shows what the engine holds): 6 GiB are needed";
    Some(if left < LEAST_DISK {
        Check::fail(code, title, detail, cure)
    } else if left < DISK {
        Check::warn(code, title, detail, cure)
    } else {
        Check::ok(code, title, detail)
    })
}

/// An engine without root needs controllers to be handed to it.
fn rootless(info: &Info) -> Option<Check> {
    let options = info.0.pointer("/SecurityOptions").and_then(Json::as_array);
    let mut options = options.into_iter().flatten().filter_map(Json::as_str);
    let docker = options.any(|it| it.contains("rootless"));
    let podman = info.0.pointer("/host/security/rootless") == Some(&Json::Bool(true));
    (docker || podman).then(|| {
        Check::warn(
            "rootless",
            "engine without root",
            "nodes work only where the controllers cpu, memory and pids are delegated to the user",
            "see kind's page on rootless engines: `Delegate=yes` for user@.service",
        )
    })
}

fn inotify(folder: &Path) -> Check {
    let (code, title) = ("inotify", "limits of inotify");
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let (Some(watches), Some(instances)) = (read("max_user_watches"), read("max_user_instances"))
    else {
        return Check::skip(code, title, format!("{} cannot be read", folder.display()));
    };
    let detail = format!("{watches} watches, {instances} instances a user");
    if watches >= WATCHES && instances >= INSTANCES {
        return Check::ok(code, title, detail);
    }
    Check::warn(
        code,
        title,
        detail,
        format!(
            "sysctl fs.inotify.max_user_watches={WATCHES} fs.inotify.max_user_instances={INSTANCES}"
        ),
    )
}

fn cgroup(folder: &Path) -> Check {
    let (code, title) = ("cgroup", "cgroup v2");
    match fs::read_to_string(folder.join("cgroup.controllers")) {
        Ok(controllers) => {
            let missing = ["cpu", "memory", "pids"]
                .iter()
                .find(|name| !controllers.split_whitespace().any(|it| it == **name));
            match missing {
                None => Check::ok(code, title, controllers.trim()),
                Some(name) => Check::fail(
                    code,
                    title,
                    format!("the controller {name} is missing"),
                    "enable it on the kernel's command line (cgroup_enable)",
                ),
            }
        }
        Err(_) => Check::warn(
            code,
            title,
            "this machine has cgroup v1, which new kubelets refuse",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ),
    }
}

/// Ports of this machine that kind shall give to the nodes: they can be given only while a cluster is made.
fn ports(config: &serde_json::Map<String, Json>) -> Vec<Check> {
    let nodes = config.get("nodes").and_then(Json::as_array);
    let mapped = nodes
        .into_iter()
        .flatten()
        .filter_map(|node| node["extraPortMappings"].as_array());
    let mapped = mapped.flatten().filter_map(|it| {
        let udp = it["protocol"].as_str().is_some_and(|it| it == "UDP");
        let address = it["listenAddress"].as_str().unwrap_or("0.0.0.0");
        let port = it["hostPort"].as_u64().filter(|_| !udp)?;
        Some((address, port))
    });
    let api = config.get("networking").and_then(|it| {
        let address = it["apiServerAddress"].as_str().unwrap_or("127.0.0.1");
        Some((address, it["apiServerPort"].as_u64()?))
    });
    mapped
        .chain(api)
        .filter(|(_, port)| *port > 0)
        .map(|(address, port)| port_free(address, port))
        .collect()
}

fn port_free(address: &str, port: u64) -> Check {
    let (code, title) = (format!("port-{port}"), format!("port {port} of {address}"));
    let number = u16::try_from(port).unwrap_or_default();
    match TcpListener::bind((address, number)) {
        Ok(_) => Check::ok(&code, title, "free"),
        Err(error) => {
            let holder = procfs::listener(number).map_or_else(
                || error.to_string(),
                |it| format!("taken by {} (pid {})", it.program, it.pid),
            );
            let cure = "stop that program, or choose another hostPort in kind.config";
            Check::fail(&code, title, holder, cure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_of_the_kernel_are_read_and_judged() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(inotify(dir.path()).status, CheckStatus::Skip);
        fs::write(dir.path().join("max_user_watches"), "8192\n").unwrap();
        fs::write(dir.path().join("max_user_instances"), "128\n").unwrap();
        let it = inotify(dir.path());
        assert_eq!(
            (it.status, it.detail.as_str()),
            (CheckStatus::Warn, "8192 watches, 128 instances a user")
        );
        assert_eq!(cgroup(dir.path()).status, CheckStatus::Warn);
        fs::write(dir.path().join("cgroup.controllers"), "cpu io memory\n").unwrap();
        assert_eq!(cgroup(dir.path()).detail, "the controller pids is missing");
    }

    #[test]
    fn memory_is_what_is_left_where_the_engine_shares_this_machine() {
        let gib = |n: u64| n << 30;
        let docker = Info(json!({"MemTotal": gib(8)}));
        let podman = Info(json!({"host": {"memTotal": gib(8)}}));
        for info in [&docker, &podman] {
            assert_eq!(memory(info, Some((gib(8), gib(4)))).status, CheckStatus::Ok);
            let tight = memory(info, Some((gib(8), gib(1))));
            assert_eq!(tight.status, CheckStatus::Warn);
            assert_eq!(tight.detail, "1024 MiB left of 8192 MiB");
            assert_eq!(
                memory(info, Some((gib(8), gib(1) / 2))).status,
                CheckStatus::Fail
            );
            // In a machine of its own: what this one has left does not count.
            assert_eq!(memory(info, Some((gib(32), 0))).status, CheckStatus::Ok);
        }
        assert_eq!(memory(&Info(json!({})), None).status, CheckStatus::Skip);
    }

    #[tokio::test]
    async fn a_client_that_has_no_engine_is_seen_whatever_its_exit_code_says() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let client = dir.path().join("docker");
        let answers = [
            (
                r#"echo '{"ServerVersion":"28.1","MemTotal":1}'"#,
                CheckStatus::Ok,
            ),
            (r#"echo '{"version":{"Version":"5.1"}}'"#, CheckStatus::Ok),
            (r#"echo '{"ServerVersion":""}'; exit 0"#, CheckStatus::Fail),
            ("echo 'permission denied' >&2; exit 1", CheckStatus::Fail),
            ("echo nonsense", CheckStatus::Fail),
        ];
        for (script, status) in answers {
            // Another file each time: a program that is being written cannot be run.
            fs::remove_file(&client).ok();
            fs::write(&client, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
            let (check, info) = engine(&client.display().to_string()).await;
            assert_eq!(check.status, status, "{script}: {}", check.detail);
            assert_eq!(info.is_some(), status == CheckStatus::Ok);
        }
    }

    #[test]
    fn ports_that_kind_shall_map_are_tried() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let config = json!({"nodes": [{"role": "control-plane", "extraPortMappings": [
            {"containerPort": 30080, "hostPort": port, "listenAddress": "127.0.0.1"},
            {"containerPort": 30053, "hostPort": port, "protocol": "UDP"},
            {"containerPort": 30081},
        ]}], "networking": {"apiServerPort": port}});
        let all = ports(config.as_object().unwrap());
        assert_eq!(all.len(), 2);
        for it in &all {
            assert_eq!(it.status, CheckStatus::Fail);
            assert!(it.detail.starts_with("taken by "), "{}", it.detail);
        }
        drop(held);
        assert!(
            ports(config.as_object().unwrap())
                .iter()
                .all(|it| it.status == CheckStatus::Ok)
        );
        assert!(ports(&serde_json::Map::new()).is_empty());
    }
}
