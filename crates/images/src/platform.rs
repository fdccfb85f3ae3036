//! The platform's own images: what each service serves and what it is made from.
//! Must not find or build programs: paths come in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::{Content, ExtraFile, Program, Spec};
use crate::sbom::cargo_packages;

/// What the services are made from, for their bills of materials; a test of theirs holds it against Cargo.lock.
const PACKAGES: &str = include_str!("../../../services/cargo-packages.txt");

/// The registry of images that are only loaded: no host has this name, so that nothing can be pulled from it.
pub const REGISTRY: &str = "kedactl.local";
/// Where a service answers requests.
const HTTP: u16 = 8000;
/// Where a service answers Prometheus.
const METRICS: u16 = 9001;

/// A service of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Takes tasks in.
    Api,
    /// Runs tasks.
    Worker,
    /// Hands alerts on. It shares the first layer (loader, libraries, certificates) with the others.
    Webhook,
}

impl Service {
    /// Name of the program and of the repository's last part.
    pub fn program(self) -> &'static str {
        match self {
            Self::Api => "kedactl-api",
            Self::Worker => "kedactl-worker",
            Self::Webhook => "kedactl-webhook",
        }
    }

    fn ports(self) -> Vec<u16> {
        match self {
            Self::Api | Self::Webhook => vec![HTTP, METRICS],
            Self::Worker => vec![METRICS],
        }
    }
}

/// The specification of a service's image: the program at `/usr/bin/kedactl-…`, numeric user, certificates.
pub fn service(service: Service, program: &Path, version: &str) -> Spec {
    let name = service.program();
    Spec {
        programs: vec![Program {
            source: program.to_owned(),
            at: format!("/usr/bin/{name}"),
        }],
        ports: service.ports(),
        labels: titled(name, version),
        packages: cargo_packages(PACKAGES),
        ..Spec::of_programs(format!("{REGISTRY}/{name}"), &[])
    }
}

/// What the chart `redis-sentinel` runs: the server, its client, and the tools of its scripts.
const REDIS: [&str; 12] = [
    "redis-server",
    "redis-cli",
    "sh",
    "cat",
    "chmod",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sleep",
    "timeout",
    "wc",
];

/// The specification of an image of this machine's Redis for the chart `redis-sentinel`, for clusters that can pull nothing.
/// `find` leads from a program's name to its file.
pub fn redis<E>(find: impl Fn(&str) -> Result<PathBuf, E>) -> Result<Spec, E> {
    let mut programs = Vec::new();
    for name in REDIS {
        // The file behind links: `sh` is one on every system.
        let source = find(name)?;
        let source = source.canonicalize().unwrap_or(source);
        let folder = if name == "sh" { "/bin" } else { "/usr/bin" };
        programs.push(Program {
            source,
            at: format!("{folder}/{name}"),
        });
    }
    Ok(Spec {
        programs,
        ports: vec![6379, 26379],
        labels: titled("kedactl-redis", "local"),
        ..Spec::of_programs(format!("{REGISTRY}/kedactl-redis"), &[])
    })
}

/// The folder of what Debian's Prometheus and Alertmanager read at run time; their makers' programs have it inside.
const SHARED: &str = "/usr/share/prometheus";

/// The specification of an image of this machine's Prometheus for the chart `monitoring`, for clusters that can pull nothing.
pub fn prometheus(program: &Path) -> Spec {
    watcher("prometheus", program, 9090, "web")
}

/// The same of this machine's Alertmanager.
pub fn alertmanager(program: &Path) -> Spec {
    watcher("alertmanager", program, 9093, "alertmanager")
}

fn watcher(name: &str, program: &Path, port: u16, folder: &str) -> Spec {
    let mut shared_files = Vec::new();
    below(&Path::new(SHARED).join(folder), &mut shared_files);
    Spec {
        programs: vec![Program {
            source: program.to_owned(),
            at: format!("/usr/bin/{name}"),
        }],
        shared_files,
        ports: vec![port],
        labels: titled(&format!("kedactl-{name}"), "local"),
        ..Spec::of_programs(format!("{REGISTRY}/kedactl-{name}"), &[])
    }
}

/// The files of a folder under their own paths; none where there is no such folder.
fn below(folder: &Path, files: &mut Vec<ExtraFile>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            below(&path, files);
        } else if path.is_file() {
            files.push(ExtraFile {
                at: path.to_string_lossy().into_owned(),
                content: Content::File(path),
                executable: false,
            });
        }
    }
}

fn titled(title: &str, version: &str) -> BTreeMap<String, String> {
    let label =
        |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
    BTreeMap::from([label("title", title), label("version", version)])
}
