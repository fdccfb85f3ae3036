//! The words with which a node's Docker engine is asked and fed, and how its answers are read.
//! Must not decide what is sent.

use std::collections::BTreeSet;

use kedactl_exec::ExecError;

use super::runtime::{State, asked, named, names};
use crate::store::Image;
use crate::{Digest, Feed, ImageError, NodeShell};

/// The layers of every image, then the id of each that is asked for. An image may go between two questions.
const STATE: &str = r#"
set -e
docker version --format '{{.Server.Version}}' >/dev/null
docker image ls -q --no-trunc | sort -u | xargs -r docker image inspect --format '{{json .RootFS.Layers}}' 2>/dev/null || true
echo ==images
for name in "$@"; do id=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null) || id=none; echo "$id"; done
"#;

/// Asks the node once about several images; the answers are in their order.
pub(super) async fn states(
    node: &impl NodeShell,
    images: &[&Image],
) -> Result<Vec<State>, ImageError> {
    let by = |error| named(error, "docker image inspect");
    asked(node, STATE, &names(images), by, |said| parse(said, images)).await
}

/// Feeds the node an archive. A layer that is not in it must be one that the engine has, on the same layers as here.
pub(super) async fn import(node: &impl NodeShell, archive: Feed) -> Result<(), ExecError> {
    let run = node.run(&["docker", "load", "-q"], Some(archive)).await;
    run.map(drop).map_err(|error| named(error, "docker load"))
}

fn parse(text: &str, images: &[&Image]) -> Option<Vec<State>> {
    let (layers, ids) = text.split_once("==images\n")?;
    let stacks: Vec<Vec<Digest>> = layers
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let ids: Vec<&str> = ids.lines().collect();
    if ids.len() != images.len() {
        return None;
    }
    let states = images.iter().zip(ids);
    Some(
        states
            .map(|(image, id)| state(image, id, &stacks))
            .collect(),
    )
}

fn state(image: &Image, id: &str, stacks: &[Vec<Digest>]) -> State {
    let found = Digest::parse(id.trim());
    // Its older store calls an image by the digest of its configuration, the newer one by its manifest's.
    let right = found.as_ref() == Some(&image.config.digest)
        || found.as_ref() == Some(&image.manifest.digest);
    State::whole(image, found, right, known(image, stacks))
}

/// A layer is known by what lies below it too: the lowest layers that some image has as its lowest.
fn known(image: &Image, stacks: &[Vec<Digest>]) -> BTreeSet<Digest> {
    let same = |stack: &Vec<Digest>| {
        let pairs = image.layers.iter().zip(stack);
        pairs
            .take_while(|(ours, theirs)| ours.digest == **theirs)
            .count()
    };
    let most = stacks.iter().map(same).max().unwrap_or_default();
    let lowest = image.layers.iter().take(most);
    lowest.map(|layer| layer.digest.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Descriptor;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn image(layers: &[&str]) -> Image {
        let blob = |text: &str| Descriptor::new("x", digest(text), 1);
        Image {
            reference: "kedactl.local/a:1".parse().unwrap(),
            manifest: blob("manifest"),
            config: blob("config"),
            of_platform: None,
            layers: layers.iter().map(|it| blob(it)).collect(),
            sbom: None,
        }
    }

    #[test]
    fn only_layers_on_the_same_layers_are_known() {
        let (a, b, c) = (digest("a"), digest("b"), digest("c"));
        let it = image(&["a", "b", "c"]);
        let text = |id: &str| format!("[\"{a}\",\"{b}\"]\n[\"{c}\"]\n==images\n{id}\n");
        let found = parse(&text("none"), &[&it]).unwrap().remove(0);
        assert_eq!(found.blobs, BTreeSet::from([a.clone(), b.clone()]));
        assert!(found.lacks(&it).is_some());
        for id in [digest("config"), digest("manifest")] {
            let found = parse(&text(id.as_str()), &[&it]).unwrap().remove(0);
            assert_eq!(found.lacks(&it), None);
        }
        let other = parse(&text(digest("other").as_str()), &[&it])
            .unwrap()
            .remove(0);
        assert!(other.lacks(&it).unwrap().contains("its name points at"));
        assert_eq!(parse("==images\n", &[&it]), None);
        assert_eq!(parse("no daemon", &[&it]), None);
    }
}
