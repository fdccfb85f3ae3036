//! The words with which a node of CRI-O is asked and fed: by podman, which keeps images where CRI-O looks for them.
//! Must not decide what is sent.

use std::collections::BTreeSet;

use kedactl_exec::ExecError;

use super::runtime::{State, asked, named, names};
use crate::store::Image;
use crate::{Digest, Feed, ImageError, NodeShell};

const STATE: &str = r#"
set -e
podman image ls -q >/dev/null
for name in "$@"; do id=$(podman image inspect --format '{{.Id}}' "$name" 2>/dev/null) || id=none; echo "$id"; done
"#;

/// Asks the node once about several images; the answers are in their order. What it has of others does not matter: it takes
/// whole archives alone.
pub(super) async fn states(
    node: &impl NodeShell,
    images: &[&Image],
) -> Result<Vec<State>, ImageError> {
    let by = |error| named(error, "podman image inspect");
    asked(node, STATE, &names(images), by, |said| parse(said, images)).await
}

/// Feeds the node an archive.
pub(super) async fn import(node: &impl NodeShell, archive: Feed) -> Result<(), ExecError> {
    let run = node.run(&["podman", "load", "-q"], Some(archive)).await;
    run.map(drop).map_err(|error| named(error, "podman load"))
}

fn parse(text: &str, images: &[&Image]) -> Option<Vec<State>> {
    let ids: Vec<&str> = text.lines().collect();
    let states = images.iter().zip(&ids);
    (ids.len() == images.len()).then(|| states.map(|(image, id)| state(image, id)).collect())
}

fn state(image: &Image, id: &str) -> State {
    let id = id.trim();
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    let found = Digest::parse(&format!("sha256:{id}"));
    let right = found.as_ref() == Some(&image.config.digest);
    State::whole(image, found, right, BTreeSet::new())
}
