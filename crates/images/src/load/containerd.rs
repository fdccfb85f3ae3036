//! The words with which a node's containerd is asked and fed, and how its answers are read.
//! Must not decide what is sent.

use kedactl_exec::ExecError;

use super::runtime::{State, asked};
use crate::store::Image;
use crate::{Digest, ImageError, NodeShell, Reference};

/// Names of images are words without blanks and quotes, so they go into commands as they are.
const STATE: &str = r#"
set -e
ctr -n k8s.io content ls -q
echo ==image
ctr -n k8s.io images ls "$@"
echo ==check
ctr -n k8s.io images check "$@" || echo unreadable
echo ==plugins
ctr plugins ls
"#;

/// Takes a name away that leads to an image without its content: Kubernetes would try to run it.
const FORGET: &str = r#"ctr -n k8s.io images rm "$1""#;

/// Imports an archive from standard input. The snapshotter is the one that Kubernetes uses on this node, which
/// `ctr` does not know by itself. From containerd 2 on an archive without all layers needs the import that
/// `--local` asks for; older ones have no other and do not know the word.
const IMPORT: &str = r#"
set -e
if [ -z "$CONTAINERD_ADDRESS$CONTAINERD_SNAPSHOTTER" ] && [ -r /etc/containerd/config.toml ]; then
  used=$(sed -n "s/^ *snapshotter *= *[\"']\([a-z0-9.-]*\)[\"'].*/\1/p" /etc/containerd/config.toml | head -n 1)
  [ -z "$used" ] || export CONTAINERD_SNAPSHOTTER="$used"
fi
local=
case "$(ctr images import --help)" in *--local*) local=--local ;; esac
exec ctr -n k8s.io images import $local -
"#;

/// The label that Kubernetes' part of containerd puts on every image that it knows.
const KNOWN_TO_KUBERNETES: &str = "io.cri-containerd.image=managed";

/// Asks the node once about several images; the answers are in their order.
pub(super) async fn states(
    node: &impl NodeShell,
    images: &[&Image],
) -> Result<Vec<State>, ImageError> {
    let filters = images.iter().map(|it| format!("name=={}", it.reference));
    let filters: Vec<String> = filters.collect();
    let by = |error| named(error, "ctr content ls");
    asked(node, STATE, &filters, by, |said| {
        let read = images
            .iter()
            .map(|image| parse(said, &image.reference.to_string()));
        read.collect()
    })
    .await
}

/// Feeds the node an archive.
pub(super) async fn import(node: &impl NodeShell, archive: crate::Feed) -> Result<(), ExecError> {
    let run = node.run(&["sh", "-c", IMPORT, "sh"], Some(archive)).await;
    run.map(drop)
        .map_err(|error| named(error, "ctr images import"))
}

/// Removes the image's name from the node.
pub(super) async fn forget(node: &impl NodeShell, image: &Reference) -> Result<(), ExecError> {
    let name = image.to_string();
    let run = node.run(&["sh", "-c", FORGET, "sh", &name], None).await;
    run.map(drop).map_err(|error| named(error, "ctr images rm"))
}

/// The error of a script by its essential command and that one's own words.
fn named(error: ExecError, name: &str) -> ExecError {
    let mut error = super::runtime::named(error, name);
    if let ExecError::Failed { stderr_tail, .. } = &mut error {
        // The rest is the log of its library.
        let last = stderr_tail
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("ctr: "));
        *stderr_tail = last.unwrap_or(stderr_tail.as_str()).to_owned();
    }
    error
}

fn parse(text: &str, name: &str) -> Option<State> {
    let (blobs, rest) = text.split_once("==image\n")?;
    let (listed, rest) = rest.split_once("==check\n")?;
    let (checked, plugins) = rest.split_once("==plugins\n")?;
    let row = |table: &str| -> Option<Vec<String>> {
        let rows = table
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned));
        rows.map(Iterator::collect::<Vec<_>>)
            .find(|words| words.first().map(String::as_str) == Some(name))
    };
    let listed = row(listed).unwrap_or_default();
    let checked = row(checked).unwrap_or_default();
    let cri = plugins.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&"cri") && words.last() == Some(&"ok")
    });
    let labels = listed.last().map_or("", String::as_str);
    Some(State {
        blobs: blobs.lines().map(Digest::parse).collect::<Option<_>>()?,
        digest: listed.iter().find_map(|word| Digest::parse(word)),
        complete: checked.iter().any(|word| word == "complete"),
        unpacked: checked.last().map(String::as_str) == Some("true"),
        visible: !cri || labels.split(',').any(|label| label == KNOWN_TO_KUBERNETES),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn answer(check: &str, labels: &str, cri: &str) -> String {
        format!(
            "{DIGEST}\n==image\nREF TYPE DIGEST SIZE PLATFORMS LABELS\n\
             k.local/a:1 application/x {DIGEST} 1.2 MiB linux/amd64 {labels}\n\
             ==check\nREF TYPE DIGEST STATUS SIZE UNPACKED\nk.local/a:1 application/x {DIGEST} {check}\n\
             ==plugins\nTYPE ID PLATFORMS STATUS\nio.containerd.grpc.v1 cri linux/amd64 {cri}\n"
        )
    }

    #[test]
    fn an_answer_is_read() {
        let text = answer(
            "complete (3/3) 1.2 MiB/1.2 MiB true",
            "a=b,io.cri-containerd.image=managed",
            "ok",
        );
        let state = parse(&text, "k.local/a:1").unwrap();
        assert!(state.complete && state.unpacked && state.visible);
        assert_eq!(state.digest, Digest::parse(DIGEST));
        assert_eq!(state.blobs.len(), 1);
        let other = parse(&text, "k.local/a").unwrap();
        assert_eq!((other.digest, other.complete), (None, false));
    }

    #[test]
    fn what_is_missing_is_seen() {
        let text = answer("incomplete (2/3) 1.1 MiB/1.2 MiB false", "-", "ok");
        let state = parse(&text, "k.local/a:1").unwrap();
        assert!(!state.complete && !state.unpacked && !state.visible);
        let alone = parse(&answer("complete (3/3) true", "-", "skip"), "k.local/a:1").unwrap();
        assert!(alone.visible, "without Kubernetes nobody has to see it");
        assert_eq!(parse("ctr: no such file", "x"), None);
    }
}
