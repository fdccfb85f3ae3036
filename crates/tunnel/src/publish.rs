//! EXTERNAL-IP: `status.loadBalancer.ingress` of a Service says 127.0.0.1 while, and only while, every port of it passes.
//! Must not take an address away that another controller wrote, and must not leave one of ours behind.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::TunnelError;
use crate::probe::{Health, News};

/// Field manager of the address.
pub const MANAGER: &str = "kedactl-tunnel";
/// The address.
pub(crate) const ADDRESS: &str = "127.0.0.1";

/// Between two attempts to write.
const AGAIN: Duration = Duration::from_secs(1);
/// How long one write may take.
const WITHIN: Duration = Duration::from_secs(3);

/// What is published of one Service.
#[derive(Debug, Default)]
pub(crate) struct Published {
    state: Mutex<(bool, Option<String>)>,
}

impl Published {
    /// Whether the address stands there, and why it does not.
    pub(crate) fn get(&self) -> (bool, Option<String>) {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, published: bool, why_not: Option<String>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (published, why_not);
    }
}

/// One Service whose address follows the health of its ports.
pub(crate) struct Publish {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) ports: Vec<Arc<Health>>,
    /// Why no address may be published, whatever the probes say.
    pub(crate) never: Option<String>,
    pub(crate) published: Arc<Published>,
    pub(crate) news: News,
}

impl Publish {
    /// Follows the probes until the stop, and takes the address back.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), TunnelError> {
        self.published.set(false, self.never.clone());
        if self.never.is_some() {
            stop.cancelled().await;
            return Ok(());
        }
        let mut news = self.news.subscribe();
        // An earlier process may have left an address: what stands there is not known before the first write.
        let mut stands = None;
        loop {
            news.mark_unchanged();
            let wanted = self.ports.iter().all(|health| health.get().0);
            if stands != Some(wanted) {
                let done = self.bring(wanted).await;
                stands = done.then_some(wanted);
                self.news.send_modify(|count| *count += 1);
                if done {
                    // What changed while it was written is seen in the next round.
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = news.changed(), if stands.is_some() => if changed.is_err() { break },
                () = sleep(AGAIN), if stands.is_none() => {}
            }
        }
        if stands == Some(false) {
            return Ok(());
        }
        let gone = write(&self.client, &self.namespace, &self.name, false).await;
        gone.map_err(|error| {
            tracing::warn!(%error, "address");
            TunnelError::Published {
                services: format!("{}/{}", self.namespace, self.name),
            }
        })
    }

    /// Publishes the address or takes it back; says whether that was done.
    async fn bring(&self, wanted: bool) -> bool {
        match write(&self.client, &self.namespace, &self.name, wanted).await {
            Ok(()) => {
                self.published.set(wanted, None);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "address");
                self.published
                    .set(self.published.get().0, Some(reason(&error)));
                false
            }
        }
    }
}

fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 409 => {
            "another controller publishes an address for it".to_owned()
        }
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Writes or takes back the address. Taking back what is not there, or whose Service is gone, is done.
async fn write(
    client: &Client,
    namespace: &str,
    name: &str,
    published: bool,
) -> Result<(), kube::Error> {
    let api: Api<Service> = Api::namespaced(client.clone(), namespace);
    let mut object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}});
    if published {
        // Mode Proxy: kube-proxy must not catch the address on the nodes themselves.
        let ingress = json!([{"ip": ADDRESS, "ipMode": "Proxy"}]);
        object["status"] = json!({"loadBalancer": {"ingress": ingress}});
    } else if !ours(&api, name).await? {
        return Ok(());
    }
    let params = PatchParams::apply(MANAGER);
    let patch = Patch::Apply(&object);
    match timeout(WITHIN, api.patch_status(name, &params, &patch)).await {
        Ok(written) => written.map(drop),
        Err(_) => Err(kube::Error::Service("no answer in time".into())),
    }
}

/// Whether the Service has an address of ours.
async fn ours(api: &Api<Service>, name: &str) -> Result<bool, kube::Error> {
    let found = match timeout(WITHIN, api.get_opt(name)).await {
        Ok(found) => found?,
        Err(_) => return Err(kube::Error::Service("no answer in time".into())),
    };
    let fields = found.and_then(|service| service.metadata.managed_fields);
    let mut fields = fields.into_iter().flatten();
    Ok(fields.any(|entry| entry.manager.as_deref() == Some(MANAGER)))
}

/// Takes back the addresses that a process left which ended without cleaning up.
pub(crate) async fn repair(
    client: &Client,
    services: impl IntoIterator<Item = (String, String)>,
) -> Result<(), TunnelError> {
    let unique: BTreeSet<(String, String)> = services.into_iter().collect();
    let mut left = Vec::new();
    for (namespace, name) in unique {
        if let Err(error) = write(client, &namespace, &name, false).await {
            tracing::warn!(%error, "address");
            left.push(format!("{namespace}/{name}"));
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(TunnelError::Published {
        services: left.join(", "),
    })
}
