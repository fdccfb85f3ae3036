//! A plan that can be kept in a file and carried out later: what it saw, so that it can tell that it is stale.
//! Must not hold values of objects: hashes say whether they are the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::apply::Adopt;
use crate::connect::Cluster;
use crate::diff::{Action, Diff, diff};
use crate::error::Error;
use crate::names::Stack;
use crate::object::ObjectRef;

/// Version of the file's format.
const FORMAT: u32 = 1;
/// No plan of a stack is larger.
const LARGEST: u64 = 16 << 20;

/// One object of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The object.
    pub object: ObjectRef,
    /// `create`, `change`, `unchanged`, `delete`, `keep`.
    pub action: String,
    /// Paths of the fields that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Hash of what is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `resourceVersion` of what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Hash of what was there, without what changes by itself (status, replicas of an autoscaled target).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_hash: Option<String>,
}

/// What `up` would do, and everything that this rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this format.
    pub format: u32,
    /// The stack.
    pub stack: String,
    /// Its namespace.
    pub namespace: String,
    /// UID of the cluster.
    pub cluster: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// Every object.
    pub objects: Vec<Planned>,
    /// What else must be the same: digests of charts, images, values. Named by the caller.
    pub pins: BTreeMap<String, String>,
}

impl Plan {
    /// Makes a plan from the cluster as it is. Refused where an apply would be refused.
    pub async fn make(
        cluster: &Cluster,
        stack: &Stack,
        objects: &[Json],
        kept: &[ObjectRef],
        adopt: Adopt,
        pins: BTreeMap<String, String>,
    ) -> Result<(Self, Diff), Error> {
        let diff = diff(cluster, stack, objects, kept, adopt).await?;
        Ok((Self::of(cluster, stack, &diff, pins)?, diff))
    }

    /// Makes a plan from a diff. Refused where an apply would be refused.
    pub fn of(
        cluster: &Cluster,
        stack: &Stack,
        diff: &Diff,
        pins: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let now = Timestamp::from_microsecond(cluster.now_us()).unwrap_or_default();
        Ok(Self {
            format: FORMAT,
            stack: stack.name().to_owned(),
            namespace: stack.namespace().to_owned(),
            cluster: cluster.uid().to_owned(),
            made_at: format!("{now:.0}"),
            objects: planned(diff)?,
            pins,
        })
    }

    /// Whether it would change anything (exit 2 of `plan --exit-code`).
    pub fn has_changes(&self) -> bool {
        self.objects
            .iter()
            .any(|it| !matches!(it.action.as_str(), "unchanged" | "keep"))
    }

    /// Writes it, readable by its owner alone; never half of it.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let fail = |error: std::io::Error| Error::PlanFile {
            path: path.to_owned(),
            problem: format!("cannot be written: {error}"),
        };
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = path.with_file_name(name);
        let written = (|| {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self).unwrap_or_default())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        if written.is_err() {
            fs::remove_file(&beside).ok();
        }
        written.map_err(fail)
    }

    /// Reads one.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let fail = |problem: String| Error::PlanFile {
            path: path.to_owned(),
            problem,
        };
        let size = fs::metadata(path).map(|it| it.len());
        let size = size.map_err(|error| fail(format!("cannot be read: {error}")))?;
        if size > LARGEST {
            return Err(fail(format!("has {size} bytes: it is no plan")));
        }
        let text = fs::read(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
        let plan: Self = serde_json::from_slice(&text)
            .map_err(|error| fail(format!("is no plan of kedactl ({error})")))?;
        if plan.format != FORMAT {
            return Err(fail(format!(
                "has format {}, and this kedactl knows {FORMAT}: make the plan again",
                plan.format
            )));
        }
        Ok(plan)
    }

    /// Refuses where the cluster, the configuration or a pin is not what it was.
    pub async fn verify(
        &self,
        cluster: &Cluster,
        stack: &Stack,
        objects: &[Json],
        kept: &[ObjectRef],
        adopt: Adopt,
        pins: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let differences = self.identity(cluster.uid(), stack);
        if !differences.is_empty() {
            return Err(Error::Stale { differences });
        }
        let now = planned(&diff(cluster, stack, objects, kept, adopt).await?)?;
        let differences = self.differences(&now, pins);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(Error::Stale { differences })
        }
    }

    fn identity(&self, uid: &str, stack: &Stack) -> Vec<String> {
        let mut all = Vec::new();
        if self.cluster != uid {
            all.push(format!(
                "it was made for cluster {}, and this is {uid}",
                self.cluster
            ));
        }
        if (self.stack.as_str(), self.namespace.as_str()) != (stack.name(), stack.namespace()) {
            all.push(format!(
                "it was made for stack {} in namespace {}",
                self.stack, self.namespace
            ));
        }
        all
    }

    fn differences(&self, now: &[Planned], pins: &BTreeMap<String, String>) -> Vec<String> {
        let mut all = Vec::new();
        let mut names: Vec<&String> = self.pins.keys().chain(pins.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            if self.pins.get(name) != pins.get(name) {
                all.push(format!("{name} is not what it was"));
            }
        }
        for then in &self.objects {
            let Some(found) = now.iter().find(|it| it.object == then.object) else {
                all.push(format!("{} is no longer part of it", then.object));
                continue;
            };
            if found.hash != then.hash {
                all.push(format!("{} is rendered differently now", then.object));
            } else if found.resource_version != then.resource_version
                && found.live_hash != then.live_hash
            {
                all.push(format!("{} changed on the cluster", then.object));
            }
        }
        for it in now {
            if !self.objects.iter().any(|then| then.object == it.object) {
                all.push(format!("{} was not part of it", it.object));
            }
        }
        all
    }
}

/// The objects of a diff as a plan keeps them; an error where an apply would be refused.
fn planned(diff: &Diff) -> Result<Vec<Planned>, Error> {
    let mut all = Vec::new();
    let mut refused = Vec::new();
    for it in &diff.objects {
        let action = match &it.action {
            Action::Create => "create",
            Action::Change { .. } => "change",
            Action::Unchanged => "unchanged",
            Action::Delete => "delete",
            Action::Keep { .. } => "keep",
            Action::Conflict { conflicts } => {
                refused.push(Error::Conflict(conflicts.clone()));
                continue;
            }
            Action::Foreign { owner } => {
                refused.push(Error::Foreign {
                    object: Box::new(it.object.clone()),
                    owner: owner.clone(),
                    adoptable: owner.starts_with("nobody"),
                });
                continue;
            }
        };
        let paths = it.fields.iter().map(|field| field.path.clone());
        all.push(Planned {
            object: it.object.clone(),
            action: action.to_owned(),
            fields: paths.filter(|path| !path.is_empty()).collect(),
            hash: it.hash.clone(),
            resource_version: it.resource_version.clone(),
            live_hash: it.live_hash.clone(),
        });
    }
    Error::from_many(refused).map_or(Ok(all), Err)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
