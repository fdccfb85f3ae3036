//! Every change of a kind's objects in one namespace, as it comes, with the time at which it came.
//! Must not hide that changes were missed: an interruption is told before what is found after it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{resource_version, text};

/// Between two attempts to watch, and between two lists where watching is not allowed.
const AGAIN: Duration = Duration::from_millis(500);
/// Until a kind that the server does not know is asked for again.
const UNKNOWN: Duration = Duration::from_secs(5);

/// Something about an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// It is there, new or changed.
    Present(Box<Json>),
    /// It was deleted; its name.
    Gone(String),
    /// Everything that was there at the beginning has been told.
    Complete,
    /// The watch broke: what changes until the next [`Sighting::Complete`] is only told by its outcome.
    Interrupted(String),
}

/// Tells what happens to the objects of a kind until the receiver is dropped. Where the kind may be listed but not
/// watched, it is listed twice a second; where the server does not know it, it has no objects, until it does.
pub async fn watch(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    namespace: &str,
    sightings: mpsc::Sender<Sighting>,
) -> Result<(), Error> {
    let mut follower = Follower {
        sightings,
        known: BTreeMap::new(),
        complete: false,
    };
    let plural = loop {
        match cluster.kind(api_version, kind).await {
            Ok(found) => break found.plural,
            Err(Error::KindMissing { .. }) => {
                if !follower.complete().await || follower.pause(UNKNOWN).await {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client().clone(), namespace, &resource);
    if follower.watch(api).await {
        return Ok(());
    }
    follower.list(cluster, api_version, kind, namespace).await
}

/// Who listens, and what has been told.
struct Follower {
    sightings: mpsc::Sender<Sighting>,
    /// Versions by name.
    known: BTreeMap<String, String>,
    complete: bool,
}

impl Follower {
    /// Watches until nobody listens (`true`), or until the server says that it may not be watched (`false`).
    async fn watch(&mut self, api: Api<DynamicObject>) -> bool {
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let event = tokio::select! {
                () = self.sightings.closed() => return true,
                event = events.next() => event,
            };
            let goes_on = match event {
                Some(Ok(Event::Init)) => {
                    found.clear();
                    true
                }
                Some(Ok(Event::InitApply(object))) => {
                    let object = json(&object);
                    let name = text(&object, "/metadata/name").to_owned();
                    found.insert(name, resource_version(&object).to_owned());
                    self.present(object).await
                }
                Some(Ok(Event::InitDone)) => self.retain(&found).await && self.complete().await,
                Some(Ok(Event::Apply(object))) => self.present(json(&object)).await,
                Some(Ok(Event::Delete(object))) => {
                    let name = object.metadata.name.unwrap_or_default();
                    self.gone(&name).await
                }
                Some(Err(error)) if is_refused(&error) => return false,
                Some(Err(error)) => {
                    self.interrupted(error.to_string()).await && !self.pause(AGAIN).await
                }
                None => false,
            };
            if !goes_on {
                return true;
            }
        }
    }

    /// Lists again and again.
    async fn list(
        &mut self,
        cluster: &Cluster,
        api_version: &str,
        kind: &str,
        namespace: &str,
    ) -> Result<(), Error> {
        loop {
            let objects = match cluster.list(api_version, kind, Some(namespace), None).await {
                Ok(objects) => objects,
                Err(error) if self.complete && error.class() == crate::Class::Connection => {
                    if !self.interrupted(error.to_string()).await || self.pause(AGAIN).await {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let versions = objects.iter().map(|it| {
                let name = text(it, "/metadata/name").to_owned();
                (name, resource_version(it).to_owned())
            });
            let versions = versions.collect();
            for object in objects {
                if !self.present(object).await {
                    return Ok(());
                }
            }
            if !self.retain(&versions).await || !self.complete().await || self.pause(AGAIN).await {
                return Ok(());
            }
        }
    }

    /// Tells an object whose version is new. Says whether somebody listens, as the others do.
    async fn present(&mut self, object: Json) -> bool {
        let name = text(&object, "/metadata/name").to_owned();
        let version = resource_version(&object).to_owned();
        if self.known.get(&name) == Some(&version) {
            return true;
        }
        self.known.insert(name, version);
        self.tell(Sighting::Present(Box::new(object))).await
    }

    async fn gone(&mut self, name: &str) -> bool {
        self.known.remove(name).is_none() || self.tell(Sighting::Gone(name.to_owned())).await
    }

    /// Tells as gone what is not among the objects that were found.
    async fn retain(&mut self, found: &BTreeMap<String, String>) -> bool {
        let gone = self.known.keys().filter(|name| !found.contains_key(*name));
        let gone: Vec<String> = gone.cloned().collect();
        for name in gone {
            if !self.gone(&name).await {
                return false;
            }
        }
        true
    }

    async fn complete(&mut self) -> bool {
        if std::mem::replace(&mut self.complete, true) {
            return true;
        }
        self.tell(Sighting::Complete).await
    }

    async fn interrupted(&mut self, reason: String) -> bool {
        if !std::mem::replace(&mut self.complete, false) {
            return !self.sightings.is_closed();
        }
        self.tell(Sighting::Interrupted(reason)).await
    }

    async fn tell(&mut self, sighting: Sighting) -> bool {
        self.sightings.send(sighting).await.is_ok()
    }

    /// Waits; `true` where nobody listens any more.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.sightings.closed() => true,
            () = sleep(time) => false,
        }
    }
}

fn json(object: &DynamicObject) -> Json {
    serde_json::to_value(object).unwrap_or_default()
}

/// Whether the server forbids to watch, or cannot.
fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => matches!(status.code, 403 | 405),
        _ => false,
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
