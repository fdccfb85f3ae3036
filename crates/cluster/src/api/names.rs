//! Lists of names and labels alone, for kinds whose content is large or secret.
//! Must not ask for more than metadata.

use kube::core::params::ListParams;
use kube::core::request::Request as Builder;
use serde_json::Value as Json;

use super::ApiError;
use super::verbs::collection;
use crate::connect::Cluster;
use crate::error::Error;

impl Cluster {
    /// Metadata of the objects of a kind in a namespace, by label selector.
    pub(crate) async fn list_names(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Json>, Error> {
        let action = || format!("list {kind}s");
        let found = self.kind(api_version, kind).await?;
        let path = collection(api_version, &found, Some(namespace));
        let mut query = ListParams::default().labels(selector).limit(500);
        let mut all = Vec::new();
        loop {
            let request = Builder::new(&path)
                .list_metadata(&query)
                .map_err(|error| Error::api(action(), ApiError::Answer(error.to_string())))?;
            let mut body = self
                .call(request)
                .await
                .map_err(|error| Error::api(action(), error))?
                .body;
            if let Some(items) = body.get_mut("items").and_then(Json::as_array_mut) {
                all.append(items);
            }
            match crate::object::text(&body, "/metadata/continue") {
                "" => return Ok(all),
                token => query.continue_token = Some(token.to_owned()),
            }
        }
    }
}
