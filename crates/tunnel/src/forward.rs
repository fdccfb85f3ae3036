//! Reaches pods through the API server, over sessions that are kept for the next connection.
//! Must not blame a pod for what the API server does, nor for a session that has grown old.

use std::fmt;
use std::sync::Arc;

use kube::Client;

use crate::pool::Endpoint;
use crate::road::{Dial, Dialing, Link};
use crate::sessions::Sessions;

/// Port-forward through an API server. Clones share their sessions, which end with the last one.
#[derive(Clone)]
pub struct Forward {
    sessions: Arc<Sessions>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forward")
    }
}

impl Forward {
    /// Through this client's API server. The right to create `pods/portforward` is needed.
    pub fn new(client: Client) -> Self {
        Self {
            sessions: Arc::new(Sessions::new(client)),
        }
    }
}

impl Dial for Forward {
    fn dial<'a>(&'a self, to: &'a Endpoint) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.sessions.open(to).await?;
            Ok(Link::Stream(Box::new(stream)))
        })
    }
}
