//! The words with which a node of CRI-O is asked and fed: by podman, which keeps images where CRI-O looks for them.
//! Must not decide what is sent.

use kedactl_exec::ExecError;

use super::runtime::{State, named};
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
    let names: Vec<String> = images.iter().map(|it| it.reference.to_string()).collect();
    let mut words = vec!["sh", "-c", STATE, "sh"];
    words.extend(names.iter().map(String::as_str));
    let output = node.run(&words, None).await;
    let output = output.map_err(|source| ImageError::Node {
        node: node.name().to_owned(),
        source: named(source, "podman image inspect"),
    })?;
    let ids: Vec<&str> = output.stdout.lines().collect();
    if ids.len() != images.len() {
        return Err(ImageError::Answer {
            node: node.name().to_owned(),
            answer: output.stdout.chars().take(200).collect(),
        });
    }
    let states = images.iter().zip(ids);
    Ok(states.map(|(image, id)| state(image, id.trim())).collect())
}

/// Feeds the node an archive.
pub(super) async fn import(node: &impl NodeShell, archive: Feed) -> Result<(), ExecError> {
    let run = node.run(&["podman", "load", "-q"], Some(archive)).await;
    run.map(drop).map_err(|error| named(error, "podman load"))
}

fn state(image: &Image, id: &str) -> State {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    let found = Digest::parse(&format!("sha256:{id}"));
    let right = found.as_ref() == Some(&image.config.digest);
    State {
        blobs: std::collections::BTreeSet::new(),
        digest: if right {
            Some(image.manifest.digest.clone())
        } else {
            found
        },
        complete: right,
        unpacked: right,
        visible: true,
    }
}
