//! What a failed run needs to be understood when its stack is gone: status, logs, and on a cluster objects and events.
//!
//! It must not write a secret, and must not stop at what cannot be read: that is told beside what could.

use super::cluster::OnCluster;
use super::local::Local;
use crate::error::{Code, Error};
use std::fs;
use std::path::Path;

/// What was collected.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) files: usize,
    /// What could not be read, and why.
    pub(crate) missing: Vec<String>,
    /// What happened on the cluster, at milliseconds since the Unix epoch.
    pub(crate) moments: Vec<(u64, String)>,
}

impl Collected {
    fn write(&mut self, into: &Path, name: &str, text: &str) -> Result<(), Error> {
        let path = into.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = written.and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            let message = format!("{} could not be written", path.display());
            Error::new(Code::Io, message).source(error)
        })?;
        self.files += 1;
        Ok(())
    }

    fn write_json(
        &mut self,
        into: &Path,
        name: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), Error> {
        self.write(into, name, &(crate::output::json(value)? + "\n"))
    }
}

pub(super) async fn of_local(local: &Local, into: &Path) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    match local.look().await {
        Ok(look) => collected.write_json(into, "status.json", &look.status)?,
        Err(error) => collected.missing.push(format!("status: {error}")),
    }
    for (name, text) in local.texts()? {
        match text {
            Ok(text) => collected.write(into, &name, &text)?,
            Err(error) => collected.missing.push(format!("{name}: {error}")),
        }
    }
    Ok(collected)
}

pub(super) async fn of_cluster(stack: &OnCluster, into: &Path) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    let (home, record) = (stack.home(), stack.record());
    // The nodes' own logs help most where their API server does not answer.
    match kedactl_stack::node_logs(home, record, &into.join("nodes")).await {
        Ok(true) => collected.files += count(&into.join("nodes")),
        Ok(false) => {}
        Err(error) => {
            let why = kedactl_stack::in_full(&error);
            collected.missing.push(format!("logs of the nodes: {why}"));
        }
    }
    let look = stack.look().await;
    collected.write_json(into, "status.json", &look.status)?;
    let checks = kedactl_stack::doctor(home, &record.config, Some(record));
    // Many checks at once make a large future.
    let checks = Box::pin(checks).await;
    collected.write_json(into, "doctor.json", &checks)?;
    let live = match stack.live().await {
        Ok(live) => live,
        Err(error) => {
            let why = kedactl_stack::in_full(&error);
            collected.missing.push(format!("the cluster: {why}"));
            return Ok(collected);
        }
    };
    let picture = live.picture().await;
    for (name, text) in &picture.files {
        collected.write(into, name, text)?;
    }
    for it in &picture.events {
        if let Ok(at) = it.last_seen.parse::<jiff::Timestamp>() {
            let text = format!("{} {}: {}", it.about, it.reason, it.message);
            collected
                .moments
                .push((at.as_millisecond().max(0) as u64, text));
        }
    }
    collected.missing.extend(picture.missing);
    Ok(collected)
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => count(&path),
            _ => 1,
        })
        .sum()
}
