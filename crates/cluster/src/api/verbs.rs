//! The verbs: get, list, apply, create, replace, merge, delete, read a log.
//! Must not force a field unless the caller says so for this one object.

use std::fmt::Write as _;

use http::Request;
use kube::api::LogParams;
use kube::core::params::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::request::Request as Builder;
use serde_json::Value as Json;

use super::{Answer, ApiError};
use crate::connect::Cluster;
use crate::error::Error;
use crate::kinds::{self, Kind};
use crate::names::MANAGER;
use crate::object::ObjectRef;

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// Nothing is stored; the answer is what would be.
    DryRun,
    /// Stored; a field of another manager is a conflict.
    Real,
    /// Stored, and fields of other managers are taken.
    Forced,
}

/// How an object is deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    /// Wait on the server's side until what it owns is gone.
    pub(crate) foreground: bool,
    /// Delete only this very object, not one that took its name meanwhile.
    pub(crate) uid: Option<String>,
    /// Delete only this very version of it.
    pub(crate) resource_version: Option<String>,
}

impl Cluster {
    /// The kind of an object: from the table, else asked for once.
    pub(crate) async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, Error> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if let Some(found) = kinds::built_in(group, kind) {
            return Ok(found);
        }
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.known_kinds().lock().await.get(&key) {
            return Ok(found.clone());
        }
        let found = self.ask_kind(api_version, kind).await?;
        self.known_kinds().lock().await.insert(key, found.clone());
        Ok(found)
    }

    async fn ask_kind(&self, api_version: &str, kind: &str) -> Result<Kind, Error> {
        let missing = || Error::KindMissing {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        let answer = match self.get_path(&base(api_version)).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Err(missing()),
            Err(error) => {
                return Err(Error::api(
                    format!("read the kinds of {api_version}"),
                    error,
                ));
            }
        };
        crate::object::items(&answer.body, "/resources")
            .iter()
            .find(|it| it["kind"] == kind && !it["name"].as_str().unwrap_or("/").contains('/'))
            .map(|it| Kind {
                plural: it["name"].as_str().unwrap_or_default().to_owned(),
                namespaced: it["namespaced"].as_bool().unwrap_or(true),
            })
            .ok_or_else(missing)
    }

    /// Reads any path.
    pub(crate) async fn get_path(&self, path: &str) -> Result<Answer, ApiError> {
        self.call(finish(Request::get(path).body(Vec::new()))?)
            .await
    }

    /// Reads one object; `None` where it is not.
    pub async fn get(&self, object: &ObjectRef) -> Result<Option<Json>, Error> {
        let path = self.object_path(object).await?;
        match self.get_path(&path).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(Error::api(format!("read {object}"), error)),
        }
    }

    /// Lists the objects of a kind, in one namespace or everywhere, by label selector. A kind that is not served has none.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Json>, Error> {
        let query = ListParams {
            label_selector: selector.map(str::to_owned),
            limit: Some(500),
            ..ListParams::default()
        };
        self.list_by(api_version, kind, namespace, query).await
    }

    /// Lists with any query, page by page.
    pub(crate) async fn list_by(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        mut query: ListParams,
    ) -> Result<Vec<Json>, Error> {
        let path = match self.kind(api_version, kind).await {
            Ok(found) => collection(api_version, &found, namespace),
            Err(Error::KindMissing { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let action = || format!("list {kind}s");
        let mut all = Vec::new();
        loop {
            let request = Builder::new(&path)
                .list(&query)
                .map_err(|error| Error::api(action(), ApiError::Answer(error.to_string())))?;
            let mut body = match self.call(request).await {
                Ok(answer) => answer.body,
                Err(error) if error.is_not_found() => return Ok(all),
                Err(error) => return Err(Error::api(action(), error)),
            };
            if let Some(items) = body.get_mut("items").and_then(Json::as_array_mut) {
                all.append(items);
            }
            match crate::object::text(&body, "/metadata/continue") {
                "" => break,
                token => query.continue_token = Some(token.to_owned()),
            }
        }
        for item in &mut all {
            // Items of a list do not say what they are.
            item["apiVersion"] = api_version.into();
            item["kind"] = kind.into();
        }
        Ok(all)
    }

    /// Server-side apply as field manager `kedactl`.
    pub(crate) async fn patch_apply(
        &self,
        object: &ObjectRef,
        body: &Json,
        write: Write,
    ) -> Result<Answer, Error> {
        self.patch_apply_as(MANAGER, object, body, write).await
    }

    /// Server-side apply as another field manager of ours.
    pub(crate) async fn patch_apply_as(
        &self,
        manager: &str,
        object: &ObjectRef,
        body: &Json,
        write: Write,
    ) -> Result<Answer, Error> {
        let mut params = PatchParams::apply(manager).validation_strict();
        params.dry_run = write == Write::DryRun;
        params.force = write == Write::Forced;
        let (path, name) = self.collection_path(object).await?;
        let request = Builder::new(path).patch(&name, &params, &Patch::Apply(body));
        let verb = if params.dry_run { "try" } else { "apply" };
        self.send(format!("{verb} {object}"), request).await
    }

    /// Merge patch, for what this program alone writes.
    pub(crate) async fn merge(&self, object: &ObjectRef, body: &Json) -> Result<Answer, Error> {
        let params = PatchParams {
            field_manager: Some(MANAGER.into()),
            ..PatchParams::default()
        };
        let (path, name) = self.collection_path(object).await?;
        let request = Builder::new(path).patch(&name, &params, &Patch::Merge(body));
        self.send(format!("change {object}"), request).await
    }

    /// Creates an object; one that exists is a conflict.
    pub(crate) async fn create(&self, object: &ObjectRef, body: &Json) -> Result<Answer, Error> {
        let params = PostParams {
            field_manager: Some(MANAGER.into()),
            ..PostParams::default()
        };
        let (path, _) = self.collection_path(object).await?;
        let request = Builder::new(path).create(&params, body.to_string().into_bytes());
        self.send(format!("create {object}"), request).await
    }

    /// Replaces an object; the body's `resourceVersion` must be the current one.
    pub(crate) async fn replace(&self, object: &ObjectRef, body: &Json) -> Result<Answer, Error> {
        let params = PostParams {
            field_manager: Some(MANAGER.into()),
            ..PostParams::default()
        };
        let (path, name) = self.collection_path(object).await?;
        let request = Builder::new(path).replace(&name, &params, body.to_string().into_bytes());
        self.send(format!("replace {object}"), request).await
    }

    /// Asks for the deletion of an object; `false` where it is not (or no longer this one).
    pub(crate) async fn delete(
        &self,
        object: &ObjectRef,
        deletion: &Deletion,
    ) -> Result<bool, Error> {
        let mut params = if deletion.foreground {
            DeleteParams::foreground()
        } else {
            DeleteParams::background()
        };
        if deletion.uid.is_some() || deletion.resource_version.is_some() {
            params = params.preconditions(Preconditions {
                uid: deletion.uid.clone(),
                resource_version: deletion.resource_version.clone(),
            });
        }
        let (path, name) = match self.collection_path(object).await {
            Ok(found) => found,
            Err(Error::KindMissing { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let request = Builder::new(path).delete(&name, &params);
        match self.send(format!("delete {object}"), request).await {
            Ok(_) => Ok(true),
            Err(Error::Api { source, .. }) if source.is_not_found() || source.is_conflict() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The last lines of one container's log; of the instance before this one if `previous`. Empty where there is none.
    pub(crate) async fn log_tail(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: i64,
    ) -> Vec<String> {
        let most = (lines, 16 << 10);
        self.log(namespace, pod, container, previous, most).await
    }

    /// The same, at most so many lines and bytes.
    pub(crate) async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        (lines, bytes): (i64, i64),
    ) -> Vec<String> {
        let params = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(lines),
            limit_bytes: Some(bytes),
            ..LogParams::default()
        };
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let Ok(request) = Builder::new(path).logs(pod, &params) else {
            return Vec::new();
        };
        let text = async {
            use http_body_util::BodyExt as _;
            let response = self.open(request).await.ok()?;
            let bytes = response.into_body().collect().await.ok()?.to_bytes();
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let within = self.timeouts().request;
        let text = tokio::time::timeout(within, text).await.ok().flatten();
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    async fn send(
        &self,
        action: String,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Answer, Error> {
        let outcome = match request {
            Ok(request) => self.call(request).await,
            Err(error) => Err(ApiError::Answer(error.to_string())),
        };
        outcome.map_err(|error| Error::api(action, error))
    }

    async fn collection_path(&self, object: &ObjectRef) -> Result<(String, String), Error> {
        let kind = self.kind(&object.api_version, &object.kind).await?;
        let path = collection(&object.api_version, &kind, object.namespace.as_deref());
        Ok((path, object.name.clone()))
    }

    async fn object_path(&self, object: &ObjectRef) -> Result<String, Error> {
        let (path, name) = self.collection_path(object).await?;
        Ok(format!("{path}/{name}"))
    }
}

fn finish<T>(request: Result<T, http::Error>) -> Result<T, ApiError> {
    request.map_err(|error| ApiError::Answer(error.to_string()))
}

/// `/api/v1` or `/apis/apps/v1`.
fn base(api_version: &str) -> String {
    let root = if api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    format!("/{root}/{api_version}")
}

pub(super) fn collection(api_version: &str, kind: &Kind, namespace: Option<&str>) -> String {
    let mut path = base(api_version);
    if let (true, Some(namespace)) = (kind.namespaced, namespace) {
        let _written = write!(path, "/namespaces/{namespace}");
    }
    let _written = write!(path, "/{}", kind.plural);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_scope() {
        let path = |version: &str, group: &str, kind: &str, namespace| {
            collection(version, &kinds::built_in(group, kind).unwrap(), namespace)
        };
        assert_eq!(
            path("v1", "", "Pod", Some("n")),
            "/api/v1/namespaces/n/pods"
        );
        assert_eq!(path("v1", "", "Namespace", Some("n")), "/api/v1/namespaces");
        assert_eq!(
            path("apps/v1", "apps", "Deployment", None),
            "/apis/apps/v1/deployments"
        );
    }
}
