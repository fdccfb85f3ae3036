//! What the user of a kubeconfig may do, as the API server itself answers.
//! Must not try anything to find out.

use http::Request;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use crate::api::ApiError;
use crate::connect::Cluster;
use crate::error::Error;
use crate::object::text;

const ALLOWED: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

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
    /// What it is about, as `kubectl auth can-i` names it: `deployments.apps`, `pods/log`.
    pub resource: String,
    /// Whether it is there.
    pub allowed: bool,
    /// Why not, where the API server says so.
    pub reason: String,
}

/// Refuses where a right is missing, before anything is tried. Who may do everything is asked one question alone.
/// Where the API server does not tell, the first write finds out.
pub async fn require(cluster: &Cluster, wanted: &[Right]) -> Result<(), Error> {
    let answers = match rights(cluster, wanted).await {
        Ok(answers) => answers,
        Err(Error::Api { source, .. }) if source.is_forbidden() || source.is_not_found() => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let missing: Vec<&Granted> = answers.iter().filter(|it| !it.allowed).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let namespace = first.right.namespace.as_ref();
    Err(Error::NotAllowed {
        user: user(cluster).await,
        question: format!(
            "kubectl --context {} auth can-i {} {}{}",
            cluster.context(),
            first.right.verb,
            first.resource,
            namespace.map_or_else(String::new, |it| format!(" -n {it}"))
        ),
        missing: told(&missing),
    })
}

/// Whether the user may do everything everywhere.
pub async fn may_everything(cluster: &Cluster) -> Result<bool, Error> {
    let all = json!({"verb": "*", "group": "*", "resource": "*"});
    match review(cluster, &all).await {
        Ok(answer) => Ok(allowed(&answer)),
        Err(Error::Api { source, .. }) if source.is_forbidden() || source.is_not_found() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// One line a resource and namespace: the verbs follow each other.
fn told(missing: &[&Granted]) -> Vec<String> {
    let mut lines: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
    for it in missing {
        let key = (it.resource.as_str(), it.right.namespace.as_deref());
        match lines.iter_mut().find(|line| (line.0, line.1) == key) {
            Some((_, _, verbs)) => verbs.push(&it.right.verb),
            None => lines.push((key.0, key.1, vec![&it.right.verb])),
        }
    }
    let line = |(resource, namespace, verbs): (&str, Option<&str>, Vec<&str>)| {
        let place = namespace.map_or_else(
            || "in the whole cluster".to_owned(),
            |it| format!("in namespace {it}"),
        );
        format!("{} {resource} {place}", verbs.join(", "))
    };
    lines.into_iter().map(line).collect()
}

/// Who the API server takes us for.
async fn user(cluster: &Cluster) -> String {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = post(cluster, WHO, &body).await;
    let name = answer.map(|it| text(&it, "/status/userInfo/username").to_owned());
    match name {
        Ok(name) if !name.is_empty() => name,
        _ => format!("the user of context {}", cluster.context()),
    }
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
    let attributes = json!({"verb": right.verb, "group": group, "resource": kind.plural,
        "subresource": right.part, "namespace": right.namespace});
    let answer = review(cluster, &attributes).await?;
    Ok(Granted {
        allowed: allowed(&answer),
        reason: text(&answer, "/status/reason").to_owned(),
        resource: resource(&kind.plural, group, &right.part),
        right,
    })
}

/// `deployments.apps`, `pods/portforward`.
fn resource(plural: &str, group: &str, part: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    let slash = if part.is_empty() { "" } else { "/" };
    format!("{plural}{dot}{group}{slash}{part}")
}

fn allowed(answer: &Json) -> bool {
    answer.pointer("/status/allowed") == Some(&json!(true))
}

async fn review(cluster: &Cluster, attributes: &Json) -> Result<Json, Error> {
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes}});
    let answer = post(cluster, ALLOWED, &body).await;
    answer.map_err(|error| Error::api("ask what is allowed", error))
}

async fn post(cluster: &Cluster, path: &str, body: &Json) -> Result<Json, ApiError> {
    let request = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes());
    match request {
        Ok(request) => Ok(cluster.call(request).await?.body),
        Err(error) => Err(ApiError::Answer(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(verb: &str, resource: &str, namespace: Option<&str>) -> Granted {
        Granted {
            right: Right {
                verb: verb.to_owned(),
                api_version: "v1".to_owned(),
                kind: "Any".to_owned(),
                part: String::new(),
                namespace: namespace.map(str::to_owned),
            },
            resource: resource.to_owned(),
            allowed: false,
            reason: String::new(),
        }
    }

    #[test]
    fn what_is_missing_is_told_by_resource_and_place() {
        let all = [
            refused("create", "networkpolicies.networking.k8s.io", Some("demo")),
            refused("create", "namespaces", None),
            refused("patch", "networkpolicies.networking.k8s.io", Some("demo")),
        ];
        assert_eq!(
            told(&all.iter().collect::<Vec<_>>()),
            [
                "create, patch networkpolicies.networking.k8s.io in namespace demo",
                "create namespaces in the whole cluster"
            ]
        );
        assert_eq!(resource("pods", "", "portforward"), "pods/portforward");
        assert_eq!(
            resource("deployments", "apps", "scale"),
            "deployments.apps/scale"
        );
    }
}
