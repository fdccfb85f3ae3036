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
        let now = Timestamp::from_microsecond(cluster.now_us()).unwrap_or_default();
        let plan = Self {
            format: FORMAT,
            stack: stack.name().to_owned(),
            namespace: stack.namespace().to_owned(),
            cluster: cluster.uid().to_owned(),
            made_at: format!("{now:.0}"),
            objects: planned(&diff)?,
            pins,
        };
        Ok((plan, diff))
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
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn planned(name: &str, hash: &str, version: &str, live: &str) -> Planned {
        Planned {
            object: ObjectRef::new("v1", "ConfigMap", Some("keda"), name),
            action: "change".into(),
            fields: vec![".data.a".into()],
            hash: Some(hash.into()),
            resource_version: Some(version.into()),
            live_hash: Some(live.into()),
        }
    }

    fn plan() -> Plan {
        Plan {
            format: FORMAT,
            stack: "demo".into(),
            namespace: "keda".into(),
            cluster: "uid-1".into(),
            made_at: "2026-01-01T00:00:00Z".into(),
            objects: vec![planned("a", "h", "1", "l")],
            pins: [("values".to_owned(), "v".to_owned())].into(),
        }
    }

    #[test]
    fn a_plan_survives_its_file_which_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        plan().save(&path).unwrap();
        plan().save(&path).unwrap();
        assert_eq!(Plan::load(&path).unwrap(), plan());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_no_plan_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        assert!(
            Plan::load(&path)
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
        fs::write(&path, "{}").unwrap();
        assert!(
            Plan::load(&path)
                .unwrap_err()
                .to_string()
                .contains("no plan of kedactl")
        );
        let other = Plan {
            format: 9,
            ..plan()
        };
        other.save(&path).unwrap();
        assert!(
            Plan::load(&path)
                .unwrap_err()
                .to_string()
                .contains("format 9")
        );
    }

    #[test]
    fn what_changes_by_itself_does_not_make_it_stale_and_all_else_does() {
        let pins = plan().pins;
        let stale = |now: &[Planned]| plan().differences(now, &pins);
        assert!(stale(&[planned("a", "h", "1", "l")]).is_empty());
        assert!(
            stale(&[planned("a", "h", "2", "l")]).is_empty(),
            "only its status changed"
        );
        assert_eq!(
            stale(&[planned("a", "h", "2", "m")]),
            ["ConfigMap keda/a changed on the cluster"]
        );
        assert_eq!(
            stale(&[planned("a", "i", "1", "l")]),
            ["ConfigMap keda/a is rendered differently now"]
        );
        assert_eq!(stale(&[]), ["ConfigMap keda/a is no longer part of it"]);
        let more = [planned("a", "h", "1", "l"), planned("b", "h", "1", "l")];
        assert_eq!(stale(&more), ["ConfigMap keda/b was not part of it"]);
        let other = [("values".to_owned(), "w".to_owned())].into();
        assert_eq!(
            plan().differences(&[planned("a", "h", "1", "l")], &other),
            ["values is not what it was"]
        );
    }

    #[test]
    fn a_plan_is_for_one_cluster_and_one_stack() {
        let stack = Stack::new("demo", "keda").unwrap();
        assert!(plan().identity("uid-1", &stack).is_empty());
        assert_eq!(plan().identity("uid-2", &stack).len(), 1);
        assert_eq!(
            plan()
                .identity("uid-1", &Stack::new("b", "keda").unwrap())
                .len(),
            1
        );
    }
}
