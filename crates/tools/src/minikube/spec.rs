//! The profile that should be, in minikube's words.
//! Must not say anything about what a profile that is there decides.

use std::path::PathBuf;
use std::time::Duration;

use crate::ToolError;

/// Names of machines become host names.
const LONGEST_NAME: usize = 50;

/// The profile that should be. What is left open, a profile that is there decides.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name.
    pub profile: String,
    /// minikube's `--driver`; `None`: `docker` for one that is made.
    pub driver: Option<String>,
    /// minikube's `--container-runtime`; `None`: `containerd` for one that is made.
    pub runtime: Option<String>,
    /// minikube's `--kubernetes-version`.
    pub kubernetes: Option<String>,
    /// Number of nodes.
    pub nodes: Option<u32>,
    /// CPUs of each node.
    pub cpus: Option<u32>,
    /// MiB of each node.
    pub memory: Option<u32>,
    /// More arguments of `minikube start`.
    pub more: Vec<String>,
    /// How long the components of Kubernetes may take.
    pub wait: Duration,
    /// Where the logs go if it cannot be made.
    pub logs: PathBuf,
}

impl Spec {
    /// A profile of that name, everything else left open.
    pub fn named(profile: impl Into<String>) -> Self {
        Self {
            profile: profile.into(),
            driver: None,
            runtime: None,
            kubernetes: None,
            nodes: None,
            cpus: None,
            memory: None,
            more: Vec::new(),
            wait: Duration::from_mins(6),
            logs: PathBuf::new(),
        }
    }

    pub(super) fn check_name(&self) -> Result<(), ToolError> {
        let name = &self.profile;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        // minikube itself refuses a name of one character: a volume may not have it.
        if (2..=LONGEST_NAME).contains(&name.len())
            && name.starts_with(edge)
            && name.ends_with(edge)
            && name.chars().all(plain)
        {
            return Ok(());
        }
        Err(ToolError::Profile { name: name.clone() })
    }

    /// `minikube start` for a profile that is not there yet.
    pub(super) fn to_create(&self) -> Vec<String> {
        let mut args = vec![
            format!("--driver={}", self.driver.as_deref().unwrap_or("docker")),
            format!(
                "--container-runtime={}",
                self.runtime.as_deref().unwrap_or("containerd")
            ),
            // The kubeconfig must work wherever $MINIKUBE_HOME points later.
            "--embed-certs".to_owned(),
        ];
        let said = |flag: &str, value: String| format!("--{flag}={value}");
        args.extend(
            self.kubernetes
                .iter()
                .map(|it| said("kubernetes-version", it.clone())),
        );
        args.extend(self.nodes.map(|it| said("nodes", it.to_string())));
        args.extend(self.cpus.map(|it| said("cpus", it.to_string())));
        args.extend(self.memory.map(|it| said("memory", format!("{it}mb"))));
        args.extend(self.more.iter().cloned());
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_minikube_or_the_engine_would_refuse_are_refused_before() {
        for name in ["", "a", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(51)] {
            assert!(Spec::named(name).check_name().is_err(), "{name}");
        }
        Spec::named("a1-b").check_name().unwrap();
    }
}
