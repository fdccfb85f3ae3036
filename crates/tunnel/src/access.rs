//! Which cluster: a kubeconfig and a context of it.
//! Must not read a variable, and must not fall back on a context that nobody named where there are several.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::TunnelError;

/// How long the API server may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Names a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The file.
    pub kubeconfig: PathBuf,
    /// The context in it; may be left out where there is one only.
    pub context: Option<String>,
}

/// A client for the cluster. It retries nothing by itself: the tunnel knows when to.
pub async fn connect(access: &Access) -> Result<Client, TunnelError> {
    let path = &access.kubeconfig;
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| TunnelError::Kubeconfig {
        path: path.clone(),
        source,
    };
    let file = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
    let context = match (&access.context, &file.contexts[..]) {
        (Some(name), _) => name.clone(),
        (None, [only]) => only.name.clone(),
        (None, many) => {
            return Err(TunnelError::Context {
                path: path.clone(),
                contexts: many.iter().map(|context| context.name.clone()).collect(),
            });
        }
    };
    let options = KubeConfigOptions {
        context: Some(context),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(file, &options).await;
    let mut config = config.map_err(|error| unusable(error.into()))?;
    config.connect_timeout = Some(CONNECT_WITHIN);
    config.default_retry = false;
    Client::try_from(config).map_err(|error| unusable(error.into()))
}
