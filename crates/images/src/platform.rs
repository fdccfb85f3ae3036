//! The platform's own images: what each service serves and what it is made from.
//! Must not find or build programs: a path comes in.

use std::collections::BTreeMap;
use std::path::Path;

use crate::build::{Program, Spec};
use crate::sbom::Package;

/// The registry of images that are only loaded: no host has this name, so that nothing can be pulled from it.
const REGISTRY: &str = "kedactl.local";
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
pub fn service(service: Service, program: &Path, version: &str, packages: &[Package]) -> Spec {
    let name = service.program();
    let label =
        |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
    Spec {
        programs: vec![Program {
            source: program.to_owned(),
            at: format!("/usr/bin/{name}"),
        }],
        ports: service.ports(),
        labels: BTreeMap::from([label("title", name), label("version", version)]),
        packages: packages.to_vec(),
        ..Spec::of_programs(format!("{REGISTRY}/{name}"), &[])
    }
}
