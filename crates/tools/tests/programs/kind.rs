//! kind, played by a scripted one: adoption, clusters that were left half made, other people's clusters.

use std::path::Path;

use kedactl_plan::{Collect, Kind as Said, Step};
use kedactl_tools::kind::{Kind, Seen, Spec, Standing};
use kedactl_tools::{CancellationToken, ToolError};
use serde_json::json;

use crate::fake::Fake;

/// A kind whose clusters are files. A cluster is whole where its file says so.
const GOOD: &str = r#"
name=; want=
for word in "$@"; do [ -z "$want" ] || { eval "$want=\$word"; want=; }; case $word in --name) want=name ;; --config) want=config ;; --kubeconfig) want=kubeconfig ;; esac; done
case "$1 $2" in
  "get clusters") cd "$HERE/clusters" 2>/dev/null && ls || echo 'No kind clusters found.' >&2 ;;
  "get nodes") [ ! -e "$HERE/clusters/$name" ] || echo "$name-control-plane" ;;
  "get kubeconfig") grep -q whole "$HERE/clusters/$name" || { echo 'ERROR: failed to get cluster internal kubeconfig' >&2; exit 1; }
    printf 'certificate-authority-data: x\nserver: y%s\n' "$(cat "$HERE/port" 2>/dev/null)" ;;
  "create cluster") mkdir -p "$HERE/clusters"; [ ! -e "$HERE/clusters/$name" ] || { echo 'ERROR: node(s) already exist for a cluster with the name' >&2; exit 1; }
    cp "$config" "$HERE/config"; echo half >"$HERE/clusters/$name"; [ ! -e "$HERE/stop" ] || { . "$HERE/stop"; }; echo whole >"$HERE/clusters/$name" ;;
  "delete cluster") [ ! -e "$HERE/stays" ] || { echo 'ERROR: removal is in progress' >&2; exit 1; }; rm -f "$HERE/clusters/$name"; if [ -e "$HERE/late" ]; then mv "$HERE/late" "$HERE/clusters/$name"; fi ;;
  "export logs") eval "last=\${$#}"; : >"$last/kubelet.log" ;;
  *) echo "ERROR: what is $*?" >&2; exit 64 ;;
esac
# As kind does it that was not told where to.
case "$1 $2" in "create cluster" | "delete cluster") [ -n "${kubeconfig:-}" ] || : >"$HERE/users-kubeconfig" ;; esac
"#;

/// An engine with one network, or none, and containers that are files of what they do.
const ENGINE: &str = r#"
case "$1" in
  ps) cd "$HERE/stopped" 2>/dev/null && ls || : ;;
  start) shift; for it in "$@"; do rm "$HERE/stopped/$it"; done ;;
  network) case $2 in ls) [ ! -e "$HERE/network" ] || echo kind ;; rm) rm "$HERE/network" ;; esac ;;
esac
"#;

struct Lab {
    directory: tempfile::TempDir,
    fake: Fake,
    engine: Fake,
    kind: Kind,
    sink: Collect,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::new(directory.path(), "kind", GOOD);
        let beside = directory.path().join("engine");
        std::fs::create_dir(&beside).unwrap();
        let engine = Fake::new(&beside, "docker", ENGINE);
        let client = engine.program.display().to_string();
        let state = directory.path().join("state");
        let kind = Kind::open(Some(&fake.program), &client, &state).unwrap();
        Self {
            directory,
            fake,
            engine,
            kind,
            sink: Collect::default(),
        }
    }

    fn spec(&self) -> Spec {
        Spec {
            name: "lab".to_owned(),
            config: json!({"nodes": [{"role": "control-plane"}]}),
            image: None,
            logs: self.directory.path().join("logs"),
        }
    }

    /// As the API server would say it: the label that the configuration gave to the node.
    fn label(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.directory.path().join("config")).ok()?;
        let config: serde_json::Value = serde_json::from_str(&text).ok()?;
        config["nodes"][0]["labels"]["kedactl.io/config"]
            .as_str()
            .map(str::to_owned)
    }

    async fn ensure(
        &self,
        spec: &Spec,
        seen: Seen,
        cancel: &CancellationToken,
    ) -> Result<Standing, ToolError> {
        let step = Step::start(&self.sink, "cluster", "cluster");
        let ask = async |_: &Path| seen.clone();
        let standing = self.kind.stands(spec, ask, &step, cancel).await?;
        if standing != Standing::Whole {
            self.kind.clear(spec, standing, &step, cancel).await?;
            self.kind.make(spec, &step, cancel).await?;
        }
        Ok(standing)
    }

    fn told(&self, words: &str) -> bool {
        self.sink
            .take()
            .iter()
            .any(|event| matches!(&event.kind, Said::Progress { note, .. } if note.contains(words)))
    }
}

async fn interrupted_once_begun(lab: &Lab, cancel: &CancellationToken) {
    let begun = lab.directory.path().join("begun");
    let within = std::time::Duration::from_secs(30);
    kedactl_testkit::until_async("kind creates", within, || async { begun.exists() }).await;
    cancel.cancel();
}

#[tokio::test]
async fn a_cluster_is_made_once_and_adopted_by_its_label() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    assert_eq!(
        lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap(),
        Standing::Missing
    );
    assert!(
        lab.fake.calls().contains("--retain --wait 0s"),
        "{}",
        lab.fake.calls()
    );
    let answers = Seen::Answers {
        config: lab.label(),
    };
    assert_eq!(
        lab.ensure(&lab.spec(), answers.clone(), &never)
            .await
            .unwrap(),
        Standing::Whole
    );
    let mut other = lab.spec();
    other.image = Some("node:other".to_owned());
    let error = lab.ensure(&other, answers, &never).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cluster lab was made from another configuration"
    );
    assert!(error.hint().is_some());
    assert!(lab.kind.delete("lab", &never).await.unwrap());
    assert!(!lab.kind.delete("lab", &never).await.unwrap());
    assert!(!lab.kind.kubeconfig("lab").exists());
}

#[tokio::test]
async fn what_was_cut_off_is_made_anew_aloud() {
    let lab = Lab::new();
    let cancel = CancellationToken::new();
    std::fs::write(
        lab.directory.path().join("stop"),
        ": >\"$HERE/begun\"; trap 'exit 130' INT; while :; do sleep 0.05; done",
    )
    .unwrap();
    // It does not go: what was cut off is left.
    std::fs::write(lab.directory.path().join("stays"), "").unwrap();
    let spec = lab.spec();
    let stop = interrupted_once_begun(&lab, &cancel);
    let (made, ()) = tokio::join!(lab.ensure(&spec, Seen::Silent, &cancel), stop);
    assert!(made.unwrap_err().to_string().contains("was cancelled"));
    std::fs::remove_file(lab.directory.path().join("stop")).unwrap();
    std::fs::remove_file(lab.directory.path().join("stays")).unwrap();
    let never = CancellationToken::new();
    assert_eq!(
        lab.ensure(&spec, Seen::Silent, &never).await.unwrap(),
        Standing::HalfMade
    );
    assert!(lab.told("left half made"));
}

#[tokio::test]
async fn a_user_who_interrupts_gets_back_a_machine_without_containers() {
    let lab = Lab::new();
    let cancel = CancellationToken::new();
    std::fs::write(
        lab.directory.path().join("stop"),
        ": >\"$HERE/begun\"; trap 'exit 130' INT; while :; do sleep 0.05; done",
    )
    .unwrap();
    let spec = lab.spec();
    let stop = interrupted_once_begun(&lab, &cancel);
    let (made, ()) = tokio::join!(lab.ensure(&spec, Seen::Silent, &cancel), stop);
    assert!(made.unwrap_err().to_string().contains("was cancelled"));
    assert!(lab.told("deleting what kind made"));
    let never = CancellationToken::new();
    assert!(lab.kind.clusters(&never).await.unwrap().is_empty());
    assert!(!Kind::made_here(&lab.directory.path().join("state"), "lab"));
}

#[tokio::test]
async fn a_cluster_whose_containers_stand_still_is_started() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap();
    let stopped = lab.directory.path().join("engine/stopped");
    std::fs::create_dir(&stopped).unwrap();
    let answers = Seen::Answers {
        config: lab.label(),
    };
    lab.ensure(&lab.spec(), answers.clone(), &never)
        .await
        .unwrap();
    std::fs::write(stopped.join("lab-control-plane"), "").unwrap();
    // The engine gives its API server another port.
    std::fs::write(lab.directory.path().join("port"), ":7").unwrap();
    let standing = lab.ensure(&lab.spec(), answers, &never).await.unwrap();
    assert_eq!(standing, Standing::Whole);
    let kubeconfig = std::fs::read_to_string(lab.kind.kubeconfig("lab")).unwrap();
    assert!(kubeconfig.contains("server: y:7"), "{kubeconfig}");
    assert!(lab.told("lab-control-plane stood still"));
    assert!(lab.engine.calls().contains("start lab-control-plane"));
}

#[tokio::test]
async fn the_network_goes_with_the_cluster_that_it_came_with_and_with_no_other() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    let network = lab.directory.path().join("engine/network");
    for was_there in [false, true] {
        std::fs::write(&network, "").unwrap();
        if !was_there {
            std::fs::remove_file(&network).unwrap();
        }
        lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap();
        std::fs::write(&network, "").unwrap();
        lab.kind.delete("lab", &never).await.unwrap();
        assert_eq!(network.exists(), was_there);
    }
}

#[tokio::test]
async fn kind_is_told_which_engine_to_use() {
    let lab = Lab::new();
    let beside = lab.directory.path().join("engine");
    let podman = Fake::new(&beside, "podman", ENGINE);
    let never = CancellationToken::new();
    let state = lab.directory.path().join("state");
    lab.kind.clusters(&never).await.unwrap();
    assert!(
        !lab.fake
            .environment()
            .contains("KIND_EXPERIMENTAL_PROVIDER")
    );
    let client = podman.program.display().to_string();
    let kind = Kind::open(Some(&lab.fake.program), &client, &state).unwrap();
    kind.clusters(&never).await.unwrap();
    let set = "KIND_EXPERIMENTAL_PROVIDER=podman";
    assert!(lab.fake.environment().contains(set));
}

#[tokio::test]
async fn a_failed_creation_leaves_logs_and_no_containers() {
    let lab = Lab::new();
    std::fs::write(
        lab.directory.path().join("stop"),
        "echo 'ERROR: port is already allocated' >&2; exit 1",
    )
    .unwrap();
    let never = CancellationToken::new();
    let error = lab
        .ensure(&lab.spec(), Seen::Silent, &never)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "kind could not create lab (exit code 1): port is already allocated"
    );
    assert!(error.hint().unwrap().contains("free it"));
    assert!(lab.directory.path().join("logs/kubelet.log").exists());
    assert!(lab.kind.clusters(&never).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_container_that_the_engine_was_still_making_is_deleted_too() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap();
    std::fs::write(lab.directory.path().join("late"), "half").unwrap();
    assert!(lab.kind.delete("lab", &never).await.unwrap());
    assert!(!lab.directory.path().join("clusters/lab").exists());
    assert_eq!(lab.fake.calls().matches("delete cluster").count(), 2);
}

#[tokio::test]
async fn a_cluster_of_somebody_else_will_do_where_nothing_is_said_of_what_it_is_made_from() {
    let lab = Lab::new();
    let clusters = lab.directory.path().join("clusters");
    std::fs::create_dir_all(&clusters).unwrap();
    std::fs::write(clusters.join("lab"), "whole").unwrap();
    let never = CancellationToken::new();
    let theirs = Seen::Answers { config: None };
    let mut any = lab.spec();
    any.config = json!({});
    let taken = lab.ensure(&any, theirs.clone(), &never).await.unwrap();
    assert_eq!(taken, Standing::Whole);
    any.image = Some("node:1".to_owned());
    let refused = lab.ensure(&any, theirs, &never).await.unwrap_err();
    assert!(refused.hint().unwrap().contains("leave out kind.config"));
}

#[tokio::test]
async fn a_cluster_of_somebody_else_is_never_deleted() {
    let lab = Lab::new();
    let clusters = lab.directory.path().join("clusters");
    std::fs::create_dir_all(&clusters).unwrap();
    let never = CancellationToken::new();
    for (content, seen) in [
        ("half", Seen::Silent),
        ("whole", Seen::Silent),
        ("whole", Seen::Answers { config: None }),
        (
            "whole",
            Seen::Answers {
                config: Some("other".to_owned()),
            },
        ),
    ] {
        std::fs::write(clusters.join("lab"), content).unwrap();
        lab.ensure(&lab.spec(), seen, &never).await.unwrap_err();
        assert!(clusters.join("lab").exists());
    }
    assert!(!lab.fake.calls().contains("delete"), "{}", lab.fake.calls());
}

#[tokio::test]
async fn the_users_kubeconfig_and_its_current_context_are_left_alone() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap();
    lab.kind.delete("lab", &never).await.unwrap();
    assert!(!lab.directory.path().join("users-kubeconfig").exists());
    let ours = format!("--kubeconfig {}", lab.kind.kubeconfig("lab").display());
    let calls = lab.fake.calls();
    assert_eq!(calls.matches(&ours).count(), 2, "{calls}");
    assert!(!lab.fake.environment().contains("KUBECONFIG="));
}

#[tokio::test]
async fn without_a_cluster_what_kind_says_about_that_is_no_name() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    assert!(lab.kind.clusters(&never).await.unwrap().is_empty());
    // Older ones say it where names come.
    let program = lab.directory.path().join("older");
    std::fs::create_dir(&program).unwrap();
    let older = Fake::new(&program, "kind", "echo 'No kind clusters found.'");
    let engine = lab.engine.program.display().to_string();
    let kind = Kind::open(Some(&older.program), &engine, &program.join("state")).unwrap();
    assert!(kind.clusters(&never).await.unwrap().is_empty());
    assert!(kind.nodes("lab", &never).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cluster_of_ours_that_no_longer_answers_is_offered_anew_and_not_deleted() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    lab.ensure(&lab.spec(), Seen::Silent, &never).await.unwrap();
    let error = lab.ensure(&lab.spec(), Seen::Silent, &never).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the API server of cluster lab does not answer"
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("Several nodes do not always live through a restart"));
    assert!(hint.contains("`kedactl down --purge`"), "{hint}");
    assert!(!lab.fake.calls().contains("delete"), "{}", lab.fake.calls());
}
