//! The ways of kind and of minikube, with scripted programs and nodes: what refuses a stream, and who says that it loaded and did not.
//! Must not need an engine; what a real containerd takes is tested where the archives are made.

use kedactl_config::{Delivery, Request};
use kedactl_images::{Spec, build};
use kedactl_plan::{Collect, Kind as Said};
use kedactl_testkit::FakeMinikube;

use super::*;

/// A node's `ctr`: what it was given lies in a folder by the node's name. `BY` is set for those who need no leave.
const CTR: &str = r#"
at="$HERE/nodes/$NODE"
mkdir -p "$at/blobs/sha256"
case "$*" in
  "-n k8s.io content ls -q") for blob in "$at"/blobs/sha256/*; do [ ! -e "$blob" ] || echo "sha256:${blob##*/}"; done ;;
  "-n k8s.io images ls "*) cat "$at/listed" 2>/dev/null || : ;;
  "-n k8s.io images check "*) cat "$at/checked" 2>/dev/null || : ;;
  "-n k8s.io images rm "*) rm -f "$at/listed" "$at/checked" ;;
  "plugins ls") echo "io.containerd.grpc.v1 cri linux/amd64 ok" ;;
  "images import --help") echo "--local" ;;
  *"images import"*)
    echo "${BY:-stream}" >>"$at/imports"
    if [ -z "${BY:-}" ] && [ -e "$HERE/refuses" ]; then echo "ctr: no stream is taken" >&2; exit 1; fi
    tar -xf - -C "$at" || exit 1
    name=$(grep -o '"io.containerd.image.name": *"[^"]*"' "$at/index.json" | cut -d '"' -f 4)
    digest=$(grep -o '"digest": *"[^"]*"' "$at/index.json" | cut -d '"' -f 4)
    count=$(ls "$at/blobs/sha256" | wc -l)
    echo "$name application/x $digest 1 MiB linux/amd64 io.cri-containerd.image=managed" >"$at/listed"
    echo "$name application/x $digest complete ($count/$count) 1 MiB/1 MiB true" >"$at/checked" ;;
  *) echo "ctr: what is $*?" >&2; exit 64 ;;
esac"#;

/// An engine whose containers run their commands on this machine, with a node's `ctr` among them.
const ENGINE: &str = r#"
case "$1" in
  ps) cat "$HERE/containers" ;;
  exec) shift; [ "$1" != -i ] || shift; PATH="$HERE/node:$PATH" NODE=$1; export PATH NODE; shift; exec "$@" ;;
  *) echo "what is $*?" >&2; exit 64 ;;
esac"#;

/// kind, of which the verb that loads is played alone: it ends well, whatever the nodes did.
const KIND: &str = r#"
printf '%s\n' "$*" >>"$HERE/calls"
case "$1 $2" in
  "load image-archive") for file in "$@"; do :; done; "$HERE/image-load" "$file" || : ;;
  *) echo "what is $*?" >&2; exit 64 ;;
esac"#;

struct Rig {
    directory: tempfile::TempDir,
    /// Also where kind, the engine and the nodes are played.
    fake: FakeMinikube,
    home: Home,
    built: Built,
    sink: Collect,
}

impl Rig {
    /// A profile of that driver with two nodes, which are containers of a kind cluster as well.
    fn new(driver: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeMinikube::new(&directory.path().join("fake"));
        fake.foreign("demo", "Running");
        fake.set("profiles/demo/driver", driver);
        fake.set("profiles/demo/runtime", "containerd");
        fake.set("profiles/demo/nodes", "2");
        fake.set("containers", "demo control-plane\ndemo-m02 worker\n");
        fake.set_program("node/ctr", CTR);
        fake.set_program("node/sudo", r#"exec "$@""#);
        let engine = fake.set_program("docker", ENGINE);
        let kind = fake.set_program("kind", KIND);
        let nothing = |_: &Path, _: u64| Err(io::ErrorKind::NotFound.into());
        let mut config = kedactl_config::load(&Request::default(), &nothing)
            .unwrap()
            .config;
        let text = |path: PathBuf| path.display().to_string();
        config.images.engine = text(engine);
        config.kind.program = Some(text(kind));
        config.minikube.program = Some(text(fake.program()));
        let store = Store::new(directory.path().join("store"));
        let mut spec = Spec::of_programs("kedactl.local/sort", &[PathBuf::from("/usr/bin/sort")]);
        spec.certificates = None;
        let built = Built {
            images: vec![build(&store, &spec).unwrap()],
            config,
            store,
            way: Delivery::Own,
        };
        Self {
            home: Home::new(directory.path().join("state"), "demo"),
            directory,
            fake,
            built,
            sink: Collect::default(),
        }
    }

    /// What the program's own way does with the archive: it reaches these nodes.
    fn own_way_reaches(&self, nodes: &[&str]) {
        let each = nodes.iter().map(|node| {
            format!(
                r#"NODE={node} BY=program "$HERE/node/ctr" -n k8s.io images import - <"$1" || exit 1"#
            )
        });
        let lines: Vec<String> = each.chain(["exit 1".to_owned()]).collect();
        self.fake.set_program("image-load", &lines.join("\n"));
    }

    async fn deliver(&self, own: &Own) -> Result<Delivered, StackError> {
        let never = CancellationToken::new();
        deliver(&self.built, &self.home, own, &self.sink, &never).await
    }

    /// Who brought archives to a node, in order.
    fn imports(&self, node: &str) -> String {
        let path = self.directory.path().join("fake/nodes").join(node);
        std::fs::read_to_string(path.join("imports")).unwrap_or_default()
    }

    fn notes(&self) -> String {
        let events = self.sink.take().into_iter();
        let notes = events.filter_map(|event| match event.kind {
            Said::Progress { note, .. } => Some(note),
            _ => None,
        });
        notes.collect::<Vec<_>>().join("\n")
    }

    /// Archives of images are as large as those: none may stay.
    fn nothing_is_left(&self) {
        let left = std::fs::read_dir(self.home.dir().join("tmp"));
        assert_eq!(left.into_iter().flatten().count(), 0);
    }
}

fn owns() -> [(Own, &'static str); 2] {
    [
        (Own::Minikube("demo".to_owned()), "image load -p demo "),
        (
            Own::Kind("demo".to_owned()),
            "load image-archive --name demo ",
        ),
    ]
}

#[tokio::test]
async fn nodes_that_take_a_stream_are_not_given_the_image_another_way() {
    for (own, call) in owns() {
        let rig = Rig::new("docker");
        assert!(rig.deliver(&own).await.unwrap().changed);
        assert!(!rig.deliver(&own).await.unwrap().changed);
        assert_eq!(
            rig.imports("demo") + &rig.imports("demo-m02"),
            "stream\nstream\n"
        );
        assert!(!rig.fake.calls().contains(call), "{}", rig.fake.calls());
    }
}

#[tokio::test]
async fn nodes_that_take_no_stream_get_the_whole_image_by_the_program_that_made_them() {
    for (own, call) in owns() {
        let rig = Rig::new("docker");
        rig.fake.set("refuses", "");
        rig.own_way_reaches(&["demo", "demo-m02"]);
        let delivered = rig.deliver(&own).await.unwrap();
        assert_eq!((delivered.changed, delivered.places), (true, 2));
        for node in ["demo", "demo-m02"] {
            assert_eq!(rig.imports(node), "stream\nprogram\n");
        }
        assert_eq!(rig.fake.calls().matches(call).count(), 1);
        let notes = rig.notes();
        assert!(notes.contains("the nodes did not take them: "), "{notes}");
        assert!(notes.contains("no stream is taken"), "{notes}");
        rig.nothing_is_left();
    }
}

#[tokio::test]
async fn a_program_that_says_that_it_loaded_is_not_believed() {
    for (own, call) in owns() {
        for (reached, lacks) in [(&["demo"][..], "demo-m02"), (&[], "demo")] {
            let rig = Rig::new("docker");
            rig.fake.set("refuses", "");
            rig.own_way_reaches(reached);
            let error = rig.deliver(&own).await.unwrap_err().to_string();
            assert_eq!(rig.fake.calls().matches(call).count(), 1);
            let image = &rig.built.images[0].reference;
            let named = format!("node {lacks} did not take {image}: ");
            assert!(error.starts_with(&named), "{error}");
            let way = match own {
                Own::Kind(_) => "kind load image-archive",
                Own::Minikube(_) => "minikube image load",
            };
            let told = format!("; then `{way}` said that it did: ");
            assert!(
                error.contains("no stream is taken") && error.contains(&told),
                "{error}"
            );
            rig.nothing_is_left();
        }
    }
}

#[tokio::test]
async fn a_node_that_is_no_container_is_reached_by_minikubes_ssh_without_a_terminal() {
    let rig = Rig::new("kvm2");
    let own = Own::Minikube("demo".to_owned());
    assert!(rig.deliver(&own).await.unwrap().changed);
    assert!(!rig.deliver(&own).await.unwrap().changed);
    let calls = rig.fake.calls();
    for node in ["demo", "demo-m02"] {
        assert_eq!(rig.imports(node), "stream\n");
        let words = format!("ssh -p demo -n {node} --native-ssh=false -- sudo 'sh' '-c' '");
        assert!(calls.contains(&words), "{calls}");
        for blob in rig.built.images[0].blobs() {
            let at = format!("fake/nodes/{node}/blobs/sha256/{}", blob.digest.hex());
            let there = std::fs::read(rig.directory.path().join(at)).unwrap();
            assert_eq!(kedactl_images::Digest::of(&there), blob.digest);
        }
    }
    assert!(!calls.contains("image load"), "{calls}");
}
