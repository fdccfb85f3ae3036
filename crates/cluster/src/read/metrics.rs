//! What the metrics APIs say: pods' CPU and memory, the values of external metrics; and the flags of who reads them.
//! Must not interpret a value.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::sleep;

use crate::api::ApiError;
use crate::connect::{Cluster, local_us};
use crate::error::Error;
use crate::object::items;

/// What `metrics.k8s.io` knows of a namespace's pods: a `PodMetricsList`.
pub async fn pod_metrics(cluster: &Cluster, namespace: &str) -> Result<Json, Error> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    let answer = cluster.get_path(&path).await;
    let action = || format!("read the metrics of the pods in {namespace}");
    Ok(answer.map_err(|error| Error::api(action(), error))?.body)
}

/// One metric of `external.metrics.k8s.io`, of the owner that the label names: an `ExternalMetricValueList`. Asked once:
/// KEDA counts a question that fails.
pub async fn external_metric(
    cluster: &Cluster,
    namespace: &str,
    metric: &str,
    (label, owner): (&str, &str),
) -> Result<Json, Error> {
    let selector = format!("{label}={owner}")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}?labelSelector={selector}"
    );
    let fail = |error| Error::api(format!("read the metric {metric} in {namespace}"), error);
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| fail(ApiError::Answer(error.to_string())))?;
    Ok(cluster.call_once(request).await.map_err(fail)?.body)
}

/// Command line of the cluster's `kube-controller-manager`; `None` where it runs elsewhere, or may not be looked at.
pub async fn controller_flags(cluster: &Cluster) -> Option<Vec<String>> {
    let selector = Some("component=kube-controller-manager");
    let pods = cluster.list("v1", "Pod", Some("kube-system"), selector);
    let pods = pods.await.ok()?;
    let container = items(pods.first()?, "/spec/containers").first()?;
    let words = items(container, "/command")
        .iter()
        .chain(items(container, "/args"));
    Some(words.filter_map(Json::as_str).map(str::to_owned).collect())
}

/// The API server's clock, as far as its answers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    ahead_us: i64,
}

impl Clock {
    /// Asks a few times: each answer's Date has whole seconds, and each at another moment of a second narrows the
    /// difference. Where both clocks may be the same, they are.
    pub async fn of(cluster: &Cluster) -> Result<Self, Error> {
        let (mut least, mut most) = (i64::MIN, i64::MAX);
        for _ in 0..5 {
            let asked = local_us();
            let answer = cluster.get_path("/version").await;
            let answer = answer.map_err(|error| Error::api("ask for the time", error))?;
            if let Some(second) = answer.server_time {
                // It was some time of this second when the answer was made, between question and arrival.
                least = least.max(second * 1_000_000 - local_us());
                most = most.min((second + 1) * 1_000_000 - asked);
            }
            sleep(Duration::from_millis(230)).await;
        }
        let ahead_us = if least <= 0 && most >= 0 || least == i64::MIN {
            0
        } else {
            least.midpoint(most)
        };
        Ok(Self { ahead_us })
    }

    /// Microseconds since the epoch.
    pub fn now_us(&self) -> i64 {
        local_us() + self.ahead_us
    }
}
