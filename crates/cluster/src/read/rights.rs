//! What the user of a kubeconfig may do, as the API server itself answers.
//! Must not try anything to find out.

use http::Request;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::api::ApiError;
use crate::connect::Cluster;
use crate::error::Error;
use crate::object::text;

const PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Something that may be allowed or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Right {
    /// `create`, `patch`, `list`.
    pub verb: String,
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// A part of its objects: `portforward`, `status`; empty for the objects themselves.
    pub part: String,
    /// Absent for objects of the whole cluster.
    pub namespace: Option<String>,
}

/// Whether a right is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The right.
    pub right: Right,
    /// Whether it is there.
    pub allowed: bool,
    /// Why not, where the API server says so.
    pub reason: String,
}

/// Asks for each of the rights, side by side; answers in the order of the questions. A kind that the cluster does not
/// know is left out: nobody can be allowed to make it.
pub async fn rights(cluster: &Cluster, wanted: &[Right]) -> Result<Vec<Granted>, Error> {
    let mut asked = JoinSet::new();
    for (place, right) in wanted.iter().cloned().enumerate() {
        let cluster = cluster.clone();
        asked.spawn(async move { (place, ask(&cluster, right).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    let known = answers.into_iter().filter_map(|(_, answer)| match answer {
        Err(Error::KindMissing { .. }) => None,
        answer => Some(answer),
    });
    known.collect()
}

async fn ask(cluster: &Cluster, right: Right) -> Result<Granted, Error> {
    let kind = cluster.kind(&right.api_version, &right.kind).await?;
    let group = right.api_version.split_once('/').map_or("", |it| it.0);
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": right.verb, "group": group, "resource": kind.plural,
            "subresource": right.part, "namespace": right.namespace}}});
    let request = Request::post(PATH)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes());
    let answer = match request {
        Ok(request) => cluster.call(request).await,
        Err(error) => Err(ApiError::Answer(error.to_string())),
    };
    let answer = answer.map_err(|error| Error::api("ask what is allowed", error))?;
    Ok(Granted {
        allowed: answer.body.pointer("/status/allowed") == Some(&json!(true)),
        reason: text(&answer.body, "/status/reason").to_owned(),
        right,
    })
}
