//! How helm is started: explicit cluster, homes of its own, no plugins, and its words masked.
//! Must not put a value or a secret into arguments or environment.

use std::time::Duration;

use kedactl_exec::{CancellationToken, Ended, Job, last_words};

use super::Helm;
use crate::{Action, Mask, ReleaseName, ToolError};

/// For what only reads.
const SHORT: Duration = Duration::from_mins(1);
/// After helm's own time ran out, so long to say so.
const GRACE: Duration = Duration::from_secs(30);

impl Helm {
    /// Runs helm for something that takes seconds; the answer is its standard output.
    pub(super) async fn call(
        &self,
        action: Action,
        subject: &str,
        args: &[&str],
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        let job = self.job(args).within(SHORT);
        self.finish(action, subject, &job, &self.settings.mask, cancel)
            .await
    }

    /// Runs helm to a good end. A bad end is an error with its last words, masked.
    pub(crate) async fn finish(
        &self,
        action: Action,
        subject: &str,
        job: &Job,
        mask: &Mask,
        cancel: &CancellationToken,
    ) -> Result<String, ToolError> {
        let ended = job.run(cancel).await?;
        tracing::debug!(command = %mask.apply(&job.command_line()), how = %ended.how, "helm");
        if ended.code == Some(0) {
            Ok(ended.stdout)
        } else {
            Err(refused(action, subject, &ended, mask))
        }
    }

    /// A call without a cluster.
    pub(crate) fn job(&self, args: &[&str]) -> Job {
        let homes = self.settings.state.join("helm");
        let mut job = Job::new(&self.program)
            .about(&self.settings.state)
            .args(args.iter().copied())
            .without_env("HELM_")
            .without_env("KEDACTL_")
            .without_env("KUBECONFIG")
            .env("HELM_NO_PLUGINS", "1")
            .env("HELM_DRIVER", "secret")
            // A helm lives for seconds; its own limit makes it wait where a cluster has many kinds, and the API server has limits too.
            .env("HELM_BURST_LIMIT", "1000")
            .env("HELM_QPS", "100")
            .env("NO_COLOR", "1")
            .env("HELM_CACHE_HOME", homes.join("cache"))
            .env("HELM_CONFIG_HOME", homes.join("config"))
            .env("HELM_DATA_HOME", homes.join("data"))
            // What a cluster can do is remembered beside the user's kubeconfig otherwise.
            .env("KUBECACHEDIR", homes.join("cache/kube"));
        if let Some(logins) = &self.settings.registry_config {
            job = job.env("HELM_REGISTRY_CONFIG", logins);
        }
        job
    }

    /// A call to the cluster about a release's namespace.
    pub(super) fn cluster_job(
        &self,
        subject: &ReleaseName,
        namespace: &str,
        args: &[&str],
    ) -> Result<Job, ToolError> {
        let cluster = self
            .settings
            .cluster
            .as_ref()
            .ok_or_else(|| ToolError::Declaration {
                release: subject.to_string(),
                problem: "no cluster was named".to_owned(),
            })?;
        Ok(self
            .job(args)
            .within(SHORT)
            .args(["--namespace", namespace])
            .arg("--kubeconfig")
            .arg(&cluster.kubeconfig)
            .args(["--kube-context", &cluster.context]))
    }

    /// Gives helm its own time-out, and us a little more.
    pub(super) fn timed(job: Job, timeout: Duration) -> Job {
        job.args(["--timeout".to_owned(), format!("{}s", timeout.as_secs())])
            .within(timeout + GRACE)
            .patience(GRACE)
    }
}

fn refused(action: Action, subject: &str, ended: &Ended, mask: &Mask) -> ToolError {
    // On an interrupt helm says why on standard output, and sometimes only there.
    let words = if ended.stderr.trim().is_empty() {
        &ended.stdout
    } else {
        &ended.stderr
    };
    let said = last_words(&mask.apply(&without_noise(words)));
    let release = subject.to_owned();
    if said.contains("conflict with \"") || said.contains("conflicts with \"") {
        return ToolError::Conflict { release, said };
    }
    ToolError::Refused {
        program: "helm",
        action,
        subject: release,
        how: ended.how.clone(),
        said,
    }
}

/// What helm says without its warnings about the kubeconfig's mode and its log lines.
fn without_noise(words: &str) -> String {
    let kept: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with("WARNING: Kubernetes configuration file"))
        .collect();
    kept.join("\n")
        .trim()
        .trim_start_matches("Error: ")
        .to_owned()
}

/// The JSON document in what helm printed: lines of plain text may stand before it.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    action: Action,
    subject: &str,
    said: &str,
) -> Result<T, ToolError> {
    let garbled = |problem: String| ToolError::Garbled {
        program: "helm",
        action,
        subject: subject.to_owned(),
        problem,
    };
    let starts = std::iter::once(0).chain(said.match_indices('\n').map(|(at, _)| at + 1));
    let mut last = "no JSON in it".to_owned();
    for start in starts {
        let rest = &said[start..];
        if rest.starts_with(['{', '[']) {
            let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<T>();
            match stream.next() {
                Some(Ok(document)) => return Ok(document),
                // Not the parser's own words: they may quote a value.
                Some(Err(error)) => {
                    last = format!(
                        "broken JSON at line {}, column {}",
                        error.line(),
                        error.column()
                    );
                }
                None => {}
            }
        }
    }
    Err(garbled(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_behind_words() {
        let said = "Release r has been cancelled.\n[note] x\n{\"version\": 3}\ntrailing";
        let found: serde_json::Value = json(Action::Upgrade, "r", said).unwrap();
        assert_eq!(found["version"], 3);
        for broken in ["", "nothing here", "{\"version\": \"secret"] {
            let error = json::<serde_json::Value>(Action::Upgrade, "r", broken).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
