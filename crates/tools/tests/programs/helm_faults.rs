//! What helm does when it fails, played by a scripted one: locks, lies, broken answers, hangs.

use std::time::Duration;

use kedactl_plan::{Collect, Kind, Step};
use kedactl_tools::helm::{Applied, Helm, LeaseHeld};
use kedactl_tools::{CancellationToken, ToolError};

use crate::fake::Fake;
use crate::support::{chart, left_over, name, release, settings};

/// A helm that renders, has no release until it wrote one, and then says so.
const GOOD: &str = r#"
case $1 in
  version) echo v4.1.0+gabc ;;
  template) printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\n' ;;
  list) if [ -e "$HERE/deployed" ]; then echo '[{"name":"r","revision":"1"}]'; else echo '[]'; fi ;;
  history) if [ -e "$HERE/deployed" ]; then echo '[{"revision":1,"status":"deployed"}]'; else echo 'Error: release: not found' >&2; exit 1; fi ;;
  upgrade) : >"$HERE/deployed"; echo '{"name":"r","version":1,"config":{"password":"canary-3"}}' ;;
esac
"#;

struct Run {
    fake: Fake,
    directory: tempfile::TempDir,
    sink: Collect,
}

impl Run {
    /// `over` stands before the good helm and may answer first.
    fn new(over: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::new(directory.path(), "helm", &format!("{over}\n{GOOD}"));
        Self {
            fake,
            directory,
            sink: Collect::default(),
        }
    }

    async fn apply(
        &self,
        lease: Option<&LeaseHeld>,
        cancel: &CancellationToken,
    ) -> Result<Applied, ToolError> {
        let helm = Helm::open(
            settings(self.fake.program.clone(), self.directory.path()),
            cancel,
        )
        .await?;
        let release = release(
            &chart(self.directory.path()),
            "{auth: {password: canary-3}}",
        );
        let step = Step::start(&self.sink, "r", "r");
        helm.apply(&name("r"), &release, lease, &step, cancel).await
    }

    /// What the step said.
    fn notes(&self) -> String {
        let said = self
            .sink
            .take()
            .into_iter()
            .filter_map(|event| match event.kind {
                Kind::Progress { note, .. } => Some(note),
                _ => None,
            });
        said.collect::<Vec<_>>().join("; ")
    }
}

fn never() -> CancellationToken {
    CancellationToken::new()
}

#[tokio::test]
async fn an_unchanged_release_is_not_written_again() {
    let run = Run::new("");
    assert!(run.apply(None, &never()).await.unwrap().changed);
    assert_eq!(
        run.fake.verbs(),
        ["version", "template", "list", "history", "upgrade", "list"]
    );
    assert!(!run.apply(None, &never()).await.unwrap().changed);
    assert_eq!(run.fake.verbs()[6..], ["version", "template", "list"]);
}

#[tokio::test]
async fn values_reach_helm_by_private_files_alone() {
    // It reads the file's mode and content while it runs.
    let over = r#"for word in "$@"; do case $word in */values.json) stat -c '%a' "$word" "${word%/*}"; cat "$word"; echo; esac; done >>"$HERE/seen""#;
    let run = Run::new(over);
    run.apply(None, &never()).await.unwrap();
    let seen = std::fs::read_to_string(run.directory.path().join("seen")).unwrap();
    assert!(
        seen.starts_with("600\n700\n") && seen.contains("canary-3"),
        "{seen}"
    );
    assert!(
        !run.fake.calls().contains("canary-3"),
        "{}",
        run.fake.calls()
    );
    let environment = run.fake.environment();
    assert!(!environment.contains("canary-3"));
    assert!(
        !environment
            .lines()
            .any(|line| line.starts_with("KUBECONFIG="))
    );
    assert!(environment.contains("HELM_NO_PLUGINS=1"));
    assert!(
        run.fake
            .calls()
            .lines()
            .filter(|call| !call.starts_with("version") && !call.starts_with("template"))
            .all(|call| call.contains("--kubeconfig") && call.contains("--kube-context none"))
    );
    assert!(left_over(run.directory.path()).is_empty());
}

#[tokio::test]
async fn success_without_effect_is_an_error() {
    let run = Run::new(r#"[ "$1" != upgrade ] || { echo '{"version":1}'; exit 0; }"#);
    let error = run.apply(None, &never()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "helm said that it could install or upgrade r, but revision 1 is not deployed"
    );
}

#[tokio::test]
async fn a_line_of_text_before_the_json_does_no_harm_and_broken_json_is_told_without_its_content() {
    let run = Run::new(r#"[ "$1" != upgrade ] || { echo 'Release r has been cancelled.'; }"#);
    assert!(run.apply(None, &never()).await.unwrap().changed);
    let run =
        Run::new(r#"[ "$1" != upgrade ] || { echo '{"config":{"password":"canary-3'; exit 0; }"#);
    let error = run.apply(None, &never()).await.unwrap_err();
    assert!(matches!(error, ToolError::Garbled { .. }), "{error}");
    assert!(!error.to_string().contains("canary-3"), "{error}");
}

#[tokio::test]
async fn what_helm_says_in_anger_is_masked_and_its_cure_is_known() {
    let run = Run::new(
        r#"[ "$1" != upgrade ] || { echo 'Error: UPGRADE FAILED: cannot patch "r" with kind Secret: data canary-3: User "x" is forbidden' >&2; exit 1; }"#,
    );
    let error = run.apply(None, &never()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "helm could not install or upgrade r (exit code 1): UPGRADE FAILED: cannot patch \"r\" with kind Secret: data ***: User \"x\" is forbidden"
    );
    assert!(error.hint().unwrap().contains("permission"));
    let run = Run::new(
        r#"[ "$1" != upgrade ] || { echo 'Error: conflict with "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas' >&2; exit 1; }"#,
    );
    let error = run.apply(None, &never()).await.unwrap_err();
    assert!(matches!(error, ToolError::Conflict { .. }), "{error}");
}

/// A release whose last revision is locked; a rollback or an uninstall takes the lock off.
fn locked(status: &str, before: &str) -> String {
    format!(
        r#"
if [ ! -e "$HERE/free" ]; then
  case $1 in
    history) echo '[{before}{{"revision":2,"status":"{status}","updated":"yesterday"}}]'; exit 0 ;;
    uninstall) : >"$HERE/free"; exit 0 ;;
    rollback) : >"$HERE/free"; : >"$HERE/back"; exit 0 ;;
    upgrade) echo 'Error: another operation (install/upgrade/rollback) is in progress' >&2; exit 1 ;;
  esac
elif [ "$1" = history ] && [ -e "$HERE/back" ]; then
  echo '[{{"revision":3,"status":"deployed"}}]'; exit 0
fi"#
    )
}

#[tokio::test]
async fn a_lock_is_left_alone_without_the_lease() {
    let run = Run::new(&locked(
        "pending-upgrade",
        r#"{"revision":1,"status":"deployed"},"#,
    ));
    let error = run.apply(None, &never()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "release r is pending-upgrade since yesterday"
    );
    assert!(error.hint().is_some());
    assert!(
        !run.fake
            .verbs()
            .iter()
            .any(|verb| ["rollback", "uninstall", "upgrade"].contains(&verb.as_str()))
    );
}

#[tokio::test]
async fn with_the_lease_a_lock_is_taken_off_aloud() {
    let lease = LeaseHeld::by("me@host");
    let run = Run::new(&locked(
        "pending-upgrade",
        r#"{"revision":1,"status":"deployed"},"#,
    ));
    assert!(run.apply(Some(&lease), &never()).await.unwrap().changed);
    assert!(
        run.fake.calls().contains("rollback r 1 --no-hooks"),
        "{}",
        run.fake.calls()
    );
    let notes = run.notes();
    assert!(notes.contains("pending-upgrade since yesterday and me@host holds the lease: rolling back to revision 1"), "{notes}");
    // What is half uninstalled is not to be had back.
    let deployed = r#"{"revision":1,"status":"deployed"},"#;
    for (status, before) in [("pending-install", ""), ("uninstalling", deployed)] {
        let run = Run::new(&locked(status, before));
        assert!(run.apply(Some(&lease), &never()).await.unwrap().changed);
        assert!(run.fake.verbs().contains(&"uninstall".to_owned()));
        assert!(run.notes().contains("uninstalling what is left of it"));
    }
}

#[tokio::test]
async fn a_cancelled_helm_is_interrupted_once_and_waited_for() {
    let over = r#"
if [ "$1" = upgrade ]; then
  trap 'echo INT >>"$HERE/signals"; exit 1' INT
  : >"$HERE/working"
  while :; do sleep 0.05; done
fi"#;
    let run = Run::new(over);
    let cancel = CancellationToken::new();
    let working = run.directory.path().join("working");
    let stop = async {
        kedactl_testkit::until_async("helm works", Duration::from_secs(30), || async {
            working.exists()
        })
        .await;
        cancel.cancel();
    };
    let (applied, ()) = tokio::join!(run.apply(None, &cancel), stop);
    let error = applied.unwrap_err();
    assert!(
        error.to_string().contains("was cancelled (exit code 1)"),
        "{error}"
    );
    let signals = std::fs::read_to_string(run.directory.path().join("signals")).unwrap();
    assert_eq!(signals, "INT\n");
    assert!(left_over(run.directory.path()).is_empty());
}

#[tokio::test]
async fn an_old_or_a_missing_helm_is_told_with_its_cure() {
    let run = Run::new("[ \"$1\" != version ] || { echo v3.12.0; exit 0; }");
    let error = run.apply(None, &never()).await.unwrap_err();
    assert_eq!(error.to_string(), "helm is 3.12, 3.18 is needed");
    let directory = tempfile::tempdir().unwrap();
    let missing = settings(directory.path().join("no-helm"), directory.path());
    let error = Helm::open(missing, &never()).await.unwrap_err();
    assert!(error.to_string().ends_with("no-helm not found"), "{error}");
    assert!(error.hint().is_some());
}
