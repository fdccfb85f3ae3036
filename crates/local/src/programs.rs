//! Which program stands for which image, and where it is.
//! Must not run anything.

use std::ffi::OsString;
use std::path::PathBuf;

use kedactl_config::Config;
use kedactl_exec::{ExecError, find, find_first};

use crate::LocalError;

const REDIS_CURE: &str =
    "install it: `apt-get install redis-server` (or valkey), or set local.programs.redisServer";

/// The programs behind Redis and the Sentinels.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) redis_server: PathBuf,
    /// The Sentinel's program, and the arguments that follow the configuration file.
    pub(crate) sentinel: (PathBuf, Vec<OsString>),
    /// Where the stack is monitored.
    pub(crate) monitoring: Option<MonitoringPrograms>,
}

/// What watches the stack.
#[derive(Debug, Clone)]
pub(crate) struct MonitoringPrograms {
    pub(crate) prometheus: PathBuf,
    pub(crate) alertmanager: PathBuf,
}

impl Programs {
    /// Finds them: the configured ones, else Redis, else Valkey.
    pub(crate) fn find(config: &Config) -> Result<Self, LocalError> {
        let (redis_server, sentinel) = Self::of_redis(config)?;
        Ok(Self {
            redis_server,
            sentinel: (sentinel, vec!["--sentinel".into()]),
            monitoring: config
                .is_monitored()
                .then(|| Self::of_monitoring(config))
                .transpose()?,
        })
    }

    /// Servers and Sentinels.
    pub(crate) fn of_redis(config: &Config) -> Result<(PathBuf, PathBuf), LocalError> {
        let names = &config.local.programs;
        let redis_server = match &names.redis_server {
            Some(name) => find(name),
            None => find_first(&["redis-server", "valkey-server"]),
        }
        .map_err(|error| missing("redis", error, REDIS_CURE))?;
        let sentinel = match &names.redis_sentinel {
            Some(name) => {
                find(name).map_err(|error| missing("the Sentinels", error, REDIS_CURE))?
            }
            // The server program is a Sentinel as well.
            None => redis_server.clone(),
        };
        Ok((redis_server, sentinel))
    }

    /// Prometheus and Alertmanager: the configured ones, else those of this machine under the names that Debian and their makers
    /// give them.
    pub(crate) fn of_monitoring(config: &Config) -> Result<MonitoringPrograms, LocalError> {
        let names = &config.local.programs;
        let get = |named: &Option<String>, usual: &[&str], what: &str, key: &str| {
            let cure = format!(
                "install it: `apt-get install {}`, or set local.programs.{key}; `monitoring.profile: none` does without",
                usual[0]
            );
            match named {
                Some(name) => find(name),
                None => find_first(usual),
            }
            .map_err(|error| missing(what, error, &cure))
        };
        Ok(MonitoringPrograms {
            prometheus: get(
                &names.prometheus,
                &["prometheus"],
                "the monitoring",
                "prometheus",
            )?,
            alertmanager: get(
                &names.alertmanager,
                &["prometheus-alertmanager", "alertmanager"],
                "the monitoring",
                "alertmanager",
            )?,
        })
    }
}

/// The program of a workload: the one that the values name, the manifest's command, or the last part of the image's name.
pub(crate) fn of_workload(
    workload: &str,
    config: &Config,
    image: &str,
    command: &[String],
) -> Result<PathBuf, LocalError> {
    let configured = match workload {
        "api" => config.local.programs.api.as_deref(),
        "worker" => config.local.programs.worker.as_deref(),
        "webhook" => config.local.programs.webhook.as_deref(),
        _ => None,
    };
    let name = configured
        .or_else(|| command.first().map(String::as_str))
        .unwrap_or_else(|| image_name(image));
    let cure = format!("build or install it, or set local.programs.{workload} to its path");
    find(name).map_err(|error| missing(&format!("the workload {workload}"), error, &cure))
}

/// `ghcr.io/kedactl/kedactl-api:1.2@sha256:…` is `kedactl-api`.
pub(crate) fn image_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    let last = last.split('@').next().unwrap_or(last);
    last.split(':').next().unwrap_or(last)
}

fn missing(what: &str, error: ExecError, cure: &str) -> LocalError {
    match error {
        ExecError::Missing { program } => LocalError::ProgramMissing {
            what: what.to_owned(),
            program,
            cure: cure.to_owned(),
        },
        other => LocalError::Exec(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_program_by_its_last_name() {
        for image in [
            "kedactl-api",
            "kedactl-api:1",
            "h:5000/a/kedactl-api:1@sha256:00",
            "a/kedactl-api@sha256:00",
        ] {
            assert_eq!(image_name(image), "kedactl-api");
        }
    }
}
