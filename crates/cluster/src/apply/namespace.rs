//! The stack's own namespace, which must be there before its lock and its inventory.
//! Must not create it where objects of the stack are somebody else's.

use serde_json::json;

use super::live::{Live, read_live};
use super::owner::{Owner, owner};
use super::prepare::{Prepared, prepare};
use super::write::{Manner, write};
use crate::connect::Cluster;
use crate::delete::{Pace, Waiter, wait_gone};
use crate::error::Error;
use crate::names::Stack;
use crate::object::{ObjectRef, text};

/// The stack's namespace, as it was found or made.
#[derive(Debug)]
pub(crate) struct Home {
    /// Its name, where it is ours.
    pub(crate) ours: Option<ObjectRef>,
    /// This run made it.
    pub(crate) created: bool,
}

/// Makes sure of it: as it is rendered where it is rendered, else bare. One that a `down` is still deleting is waited for.
pub(crate) async fn ensure_namespace(
    cluster: &Cluster,
    stack: &Stack,
    refuse: impl Fn(&Live) -> Result<(), Error>,
    prepared: &[Prepared],
    pace: Pace,
) -> Result<Home, Error> {
    let reference = ObjectRef::new("v1", "Namespace", None, stack.namespace());
    if let Some(live) = cluster.get(&reference).await? {
        if text(&live, "/status/phase") != "Terminating" {
            let ours = owner(&live, stack) == Owner::Ours;
            return Ok(Home {
                ours: ours.then_some(reference),
                created: false,
            });
        }
        wait_gone(&Waiter {
            cluster,
            object: &reference,
            uid: text(&live, "/metadata/uid"),
            pace,
        })
        .await?;
    }
    let references: Vec<ObjectRef> = prepared.iter().map(|it| it.reference.clone()).collect();
    refuse(&read_live(cluster, stack, &references).await?)?;
    let manner = Manner {
        revert_edits: false,
        webhook_patience: std::time::Duration::ZERO,
    };
    if let Some(rendered) = prepared.iter().find(|it| it.reference == reference) {
        write(cluster, rendered, None, manner).await?;
        return Ok(created(reference));
    }
    let bare =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stack.namespace()}});
    for bare in prepare(&[bare], stack, |_| false)? {
        write(cluster, &bare, None, manner).await?;
    }
    Ok(created(reference))
}

fn created(reference: ObjectRef) -> Home {
    Home {
        ours: Some(reference),
        created: true,
    }
}
