//! Brings a cluster to be: adopts the one that is there, or makes it; what was cut off half-way is made anew.
//! Must not wait until pods can run, and must not delete a cluster that it did not begin itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_exec::CancellationToken;
use kedactl_plan::Step;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::record::{Phase, Record};
use super::{CREATE, Kind, LOOK_EVERY};
use crate::charts::hex;
use crate::{Action, PrivateDir, ToolError};

/// Label of the first node: the hash of the configuration that the cluster was made from.
const LABEL: &str = "kedactl.io/config";
/// kind's limit is the length of a container's name in a host name.
const LONGEST_NAME: usize = 50;
/// How long the control plane of a cluster may take to answer whose containers were just started.
const AWAKE_WITHIN: Duration = Duration::from_mins(3);
/// How long what was begun may take to go when the user wants to leave.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// The cluster that should be.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// kind's configuration (`kind.x-k8s.io/v1alpha4`); an empty map is one node as kind makes it.
    pub config: Value,
    /// The node image; `None`: the one that this kind was made for.
    pub image: Option<String>,
    /// Where the nodes' logs go if it cannot be made.
    pub logs: PathBuf,
}

/// What the caller found when it asked the API server behind a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It answers; the label `kedactl.io/config` that one of the nodes carries, if any does.
    Answers {
        /// The label's value.
        config: Option<String>,
    },
    /// It does not answer.
    Silent,
}

/// What is there in the place of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The cluster that is wanted, and its API server answers.
    Whole,
    /// What a run that was cut off left of it.
    HalfMade,
    /// Nothing.
    Missing,
}

impl Spec {
    /// The configuration with its own hash as a label of the first node, and the hash.
    fn labelled(&self) -> Result<(Value, String), ToolError> {
        let wrong = |problem: &str| ToolError::Declaration {
            release: self.name.clone(),
            problem: problem.to_owned(),
        };
        let mut config = match &self.config {
            Value::Null => json!({}),
            Value::Object(_) => self.config.clone(),
            _ => return Err(wrong("the configuration of kind must be a map")),
        };
        let text = format!("{config} {}", self.image.as_deref().unwrap_or_default());
        let hash = hex(&Sha256::digest(text))[..40].to_owned();
        config["kind"] = "Cluster".into();
        config["apiVersion"] = "kind.x-k8s.io/v1alpha4".into();
        // The name comes as an argument; in both places kind would refuse a difference.
        if let Some(map) = config.as_object_mut() {
            map.remove("name");
        }
        let nodes = config
            .as_object_mut()
            .map(|map| {
                map.entry("nodes")
                    .or_insert_with(|| json!([{"role": "control-plane"}]))
            })
            .and_then(Value::as_array_mut)
            .filter(|nodes| !nodes.is_empty())
            .ok_or_else(|| wrong("`nodes` must be a list with a node in it"))?;
        let labels = nodes
            .first_mut()
            .and_then(Value::as_object_mut)
            .ok_or_else(|| wrong("a node must be a map"))?
            .entry("labels")
            .or_insert_with(|| Value::Object(Map::new()));
        if !labels.is_object() {
            return Err(wrong("`labels` of a node must be a map"));
        }
        labels[LABEL] = hash.as_str().into();
        Ok((config, hash))
    }

    /// Whether a cluster from another hand will do: nothing is said of what it is made from.
    fn takes_any(&self) -> bool {
        let nothing = match &self.config {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        nothing && self.image.is_none()
    }

    fn check_name(&self) -> Result<(), ToolError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let well = self
            .name
            .starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && self.name.len() <= LONGEST_NAME
            && self.name.chars().all(plain);
        if well {
            Ok(())
        } else {
            Err(ToolError::Name {
                name: self.name.clone(),
                most: LONGEST_NAME,
            })
        }
    }
}

impl Kind {
    /// Looks for the cluster, and starts its containers where they stand still. If it is whole, its kubeconfig is left at
    /// [`Kind::kubeconfig`]. `ask` asks the API server behind a kubeconfig; it decides itself how long it tries.
    pub async fn stands(
        &self,
        spec: &Spec,
        ask: impl AsyncFn(&Path) -> Seen,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<Standing, ToolError> {
        spec.check_name()?;
        let (_, hash) = spec.labelled()?;
        self.end_left_behind(&spec.name).await?;
        if !self.is_there(&spec.name, cancel).await? {
            return Ok(Standing::Missing);
        }
        let record = self.record(&spec.name);
        let begun = matches!(&record, Some(record) if record.phase == Phase::Creating);
        // What was begun and cut off is made anew, not started.
        let woke = !begun && self.woke(&spec.name, step, cancel).await?;
        let until = Instant::now() + if woke { AWAKE_WITHIN } else { Duration::ZERO };
        let seen = loop {
            match self.asked(spec, &ask, cancel).await {
                // Its first node has no kubeconfig yet.
                Err(ToolError::Refused { .. } | ToolError::Garbled { .. }) if begun => {
                    return Ok(Standing::HalfMade);
                }
                Ok(Seen::Silent) | Err(ToolError::Refused { .. })
                    if Instant::now() < until && !cancel.is_cancelled() =>
                {
                    sleep(LOOK_EVERY).await;
                }
                other => break other?,
            }
        };
        let whole = whole(spec, &hash, begun, &seen)?;
        Ok(if whole {
            Standing::Whole
        } else {
            Standing::HalfMade
        })
    }

    /// Deletes what a run that was cut off left in the cluster's place: its ports and its memory are needed again.
    pub async fn clear(
        &self,
        spec: &Spec,
        standing: Standing,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        if standing == Standing::HalfMade {
            let name = &spec.name;
            let note = format!("cluster {name} was left half made: deleting it and starting again");
            step.progress(0, None, note);
            self.delete(name, cancel).await?;
        }
        Ok(())
    }

    /// Makes the cluster where there is none. Readiness is the caller's to wait for.
    pub async fn make(
        &self,
        spec: &Spec,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let (config, hash) = spec.labelled()?;
        self.create(spec, &config, hash, step, cancel).await
    }

    /// Starts the containers of a cluster that stand still; whether there were any.
    async fn woke(
        &self,
        name: &str,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<bool, ToolError> {
        let stopped = self.stopped(name, cancel).await?;
        if stopped.is_empty() {
            return Ok(false);
        }
        let note = format!("{} stood still: starting it again", stopped.join(", "));
        step.progress(0, None, note);
        self.start(&stopped, cancel).await?;
        Ok(true)
    }

    async fn asked(
        &self,
        spec: &Spec,
        ask: &impl AsyncFn(&Path) -> Seen,
        cancel: &CancellationToken,
    ) -> Result<Seen, ToolError> {
        // Its port is another one after a start.
        let kubeconfig = self.write_kubeconfig(&spec.name, cancel).await?;
        Ok(ask(&kubeconfig).await)
    }

    async fn create(
        &self,
        spec: &Spec,
        config: &Value,
        hash: String,
        step: &Step<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        // Its network comes with the first cluster of a machine, and goes with it where it came with ours.
        let before = self.record(&spec.name).is_some_and(|it| it.network);
        let network = before || !self.has_network(cancel).await?;
        let private = PrivateDir::inside(&self.state.join("tmp"))?;
        let file = private.write("kind.json", config.to_string().as_bytes())?;
        self.remember(
            &spec.name,
            &Record {
                phase: Phase::Creating,
                config: hash.clone(),
                network,
            },
        )?;
        step.progress(0, None, format!("kind creates {}", spec.name));
        let mut job = self
            .job(&[
                "create", "cluster", "--name", &spec.name, "--retain", "--wait", "0s", "--config",
            ])
            .arg(&file)
            .about(&self.kubeconfig(&spec.name))
            .arg("--kubeconfig")
            .arg(self.kubeconfig(&spec.name))
            .within(CREATE);
        if let Some(image) = &spec.image {
            job = job.args(["--image", image]);
        }
        let made = self.finish(Action::Create, &spec.name, &job, cancel).await;
        if let Err(error) = made {
            if cancel.is_cancelled() {
                self.clean_up(spec, step).await;
            } else {
                self.give_up(spec, step, cancel).await;
            }
            return Err(error);
        }
        self.remember(
            &spec.name,
            &Record {
                phase: Phase::Created,
                config: hash,
                network,
            },
        )
    }

    /// Takes away what kind had made when the user ended it. What stays in spite of that, the record names to the next run.
    async fn clean_up(&self, spec: &Spec, step: &Step<'_>) {
        let name = &spec.name;
        step.progress(0, None, format!("deleting what kind made of {name} so far"));
        let own = CancellationToken::new();
        let gone = tokio::time::timeout(CLEAN_UP, self.delete(name, &own)).await;
        match gone {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a cluster that was cut off is left"),
            Err(_) => tracing::warn!("a cluster that was cut off takes too long to go"),
        }
    }

    /// Keeps the logs of what could not be made, then deletes it. The first error counts, not what goes wrong here.
    async fn give_up(&self, spec: &Spec, step: &Step<'_>, cancel: &CancellationToken) {
        match self.export_logs(&spec.name, &spec.logs, cancel).await {
            Ok(()) => step.progress(
                0,
                None,
                format!("logs of the nodes are in {}", spec.logs.display()),
            ),
            Err(error) => tracing::warn!(%error, "logs of a cluster that could not be made"),
        }
        if let Err(error) = self.delete(&spec.name, cancel).await {
            tracing::warn!(%error, "a cluster that could not be made is left");
        }
    }
}

/// Whether the cluster that answers is the one that is wanted; `false`: it was begun here and never came to be.
fn whole(spec: &Spec, hash: &str, begun: bool, seen: &Seen) -> Result<bool, ToolError> {
    match seen {
        Seen::Answers { config } if config.as_deref() == Some(hash) => {
            // Whatever was cut off, what answers with our label is what was wanted, if kind came to its end.
            Ok(!begun)
        }
        Seen::Silent | Seen::Answers { config: None } if begun => Ok(false),
        // Somebody else's, and nothing is asked of it: whether it is let in is for its identity to say.
        Seen::Answers { config: None } if spec.takes_any() => Ok(true),
        Seen::Answers { .. } => Err(ToolError::OtherCluster {
            name: spec.name.clone(),
        }),
        Seen::Silent => Err(ToolError::Silent {
            name: spec.name.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(config: Value) -> Spec {
        Spec {
            name: "one".to_owned(),
            config,
            image: None,
            logs: PathBuf::new(),
        }
    }

    #[test]
    fn the_first_node_carries_the_hash_of_what_was_asked_for() {
        let (plain, first) = spec(json!({})).labelled().unwrap();
        assert_eq!(plain["nodes"][0]["labels"][LABEL], first.as_str());
        let two = json!({"name": "x", "nodes": [{"role": "control-plane", "labels": {"a": "b"}}, {"role": "worker"}]});
        let (config, second) = spec(two).labelled().unwrap();
        assert_ne!(first, second);
        assert_eq!(
            config["nodes"][0]["labels"],
            json!({"a": "b", LABEL: second})
        );
        assert_eq!(config["name"], Value::Null);
        assert!(spec(json!({"nodes": []})).labelled().is_err());
        assert!(spec(json!([])).labelled().is_err());
    }
}
