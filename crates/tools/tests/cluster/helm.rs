//! The driver with the real helm: what is written and what is not, locks of a killed helm, interrupts.

use std::fs;
use std::path::{Path, PathBuf};

use kedactl_exec::{Signal, procfs};
use kedactl_plan::{Collect, Kind, Step};
use kedactl_testkit::until_async;
use kedactl_tools::helm::{Helm, LeaseHeld, Removed, Status};
use kedactl_tools::{CancellationToken, ToolError};

use crate::lab::{Lab, WITHIN, helms, image, name};

/// A `ConfigMap`, and a hook that never ends where it is wanted.
fn chart(at: &Path) -> PathBuf {
    let chart = at.join("small");
    let (image, tag) = image();
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    )
    .unwrap();
    fs::write(chart.join("values.yaml"), "greeting: hello\nhang: false\n").unwrap();
    fs::write(
        chart.join("templates/all.yaml"),
        format!(
            r#"apiVersion: v1
kind: ConfigMap
metadata: {{name: {{{{ .Release.Name }}}}}}
data: {{greeting: {{{{ .Values.greeting | quote }}}}}}
{{{{- if .Values.hang }}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{{{ .Release.Name }}}}-hook
  annotations: {{helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: hook
      image: {image}:{tag}
      command: [sleep, "3600"]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
{{{{- end }}}}
"#
        ),
    )
    .unwrap();
    chart
}

struct Case {
    lab: Lab,
    helm: Helm,
    program: PathBuf,
    chart: String,
    sink: Collect,
}

impl Case {
    async fn new(what: &str, program: &Path, index: usize) -> Self {
        let lab = Lab::new(&format!("{what}{index}"));
        let helm = lab.helm(program).await;
        let chart = chart(lab.directory.path()).display().to_string();
        Self {
            lab,
            helm,
            program: program.to_owned(),
            chart,
            sink: Collect::default(),
        }
    }

    async fn apply(
        &self,
        values: &str,
        lease: bool,
        cancel: &CancellationToken,
    ) -> Result<(bool, u32), ToolError> {
        let step = Step::start(&self.sink, "r", "r");
        let lease = lease.then(|| LeaseHeld::by("the test"));
        let release = self.lab.release(&self.chart, values);
        let applied = self
            .helm
            .apply(&name("r"), &release, lease.as_ref(), &step, cancel)
            .await?;
        Ok((applied.changed, applied.revision))
    }

    async fn last(&self) -> Option<Status> {
        let history = self
            .helm
            .history(&name("r"), &self.lab.namespace, &CancellationToken::new())
            .await
            .unwrap();
        history.last().map(|revision| revision.status.clone())
    }

    /// Begins an upgrade that hangs in its hook, and ends it by the cancel or, killed, by `SIGKILL`.
    async fn cut(&self, kill: bool) {
        let cancel = CancellationToken::new();
        let hang = async {
            // Not the hook's pod: helm leaves it behind, and the next one finds it.
            until_async("helm is at it", WITHIN, || async {
                self.last().await.is_some_and(|status| status.locks())
            })
            .await;
            if !kill {
                cancel.cancel();
                return;
            }
            let home = self.lab.state(&self.program).join("helm/cache");
            let helms = procfs::marked("HELM_CACHE_HOME", &home.to_string_lossy());
            assert!(!helms.is_empty());
            for helm in helms {
                assert!(helm.signal(Signal::KILL).unwrap());
            }
        };
        let (cut, ()) = tokio::join!(self.apply("{hang: true}", false, &cancel), hang);
        cut.unwrap_err();
    }

    fn told(&self, words: &str) -> bool {
        self.sink
            .take()
            .iter()
            .any(|event| matches!(&event.kind, Kind::Progress { note, .. } if note.contains(words)))
    }
}

#[tokio::test]
async fn a_release_is_written_only_when_something_changed() {
    let never = CancellationToken::new();
    for (index, program) in helms().iter().enumerate() {
        let case = Case::new("write", program, index).await;
        assert_eq!(case.apply("{}", false, &never).await.unwrap(), (true, 1));
        let version = || {
            case.lab
                .kubectl(&[
                    "get",
                    "configmap,secret",
                    "--output",
                    "jsonpath={.items[*].metadata.resourceVersion}",
                ])
                .unwrap()
        };
        let before = version();
        assert_eq!(case.apply("{}", false, &never).await.unwrap(), (false, 1));
        assert_eq!(version(), before);
        assert_eq!(
            case.apply("{greeting: bye}", false, &never).await.unwrap(),
            (true, 2)
        );
        let namespace = case.lab.namespace.as_str();
        assert_eq!(
            case.helm
                .roll_back(&name("r"), namespace, 1, &never)
                .await
                .unwrap(),
            3
        );
        assert_eq!(
            case.helm
                .uninstall(&name("r"), namespace, &never)
                .await
                .unwrap(),
            Removed::Gone
        );
        assert_eq!(
            case.helm
                .uninstall(&name("r"), namespace, &never)
                .await
                .unwrap(),
            Removed::NotThere
        );
    }
}

#[tokio::test]
async fn an_interrupted_upgrade_is_failed_and_the_next_one_goes_on() {
    let never = CancellationToken::new();
    for (index, program) in helms().iter().enumerate() {
        let case = Case::new("interrupt", program, index).await;
        case.apply("{}", false, &never).await.unwrap();
        case.cut(false).await;
        assert_eq!(case.last().await, Some(Status::Failed));
        assert_eq!(
            case.apply("{greeting: again}", false, &never)
                .await
                .unwrap(),
            (true, 3)
        );
    }
}

#[tokio::test]
async fn the_lock_of_a_killed_helm_is_repaired_under_the_lease_alone() {
    let never = CancellationToken::new();
    for (index, program) in helms().iter().enumerate() {
        let case = Case::new("killed", program, index).await;
        case.cut(true).await;
        assert_eq!(case.last().await, Some(Status::PendingInstall));
        let error = case.apply("{}", false, &never).await.unwrap_err();
        assert!(matches!(error, ToolError::Locked { .. }), "{error}");
        assert_eq!(case.apply("{}", true, &never).await.unwrap(), (true, 1));
        assert!(case.told("uninstalling what is left of it"));
        case.cut(true).await;
        assert_eq!(case.last().await, Some(Status::PendingUpgrade));
        assert_eq!(
            case.apply("{greeting: third}", true, &never).await.unwrap(),
            (true, 4)
        );
        assert!(case.told("rolling back to revision 1"));
    }
}

#[tokio::test]
async fn an_object_of_somebody_else_is_not_taken() {
    for (index, program) in helms().iter().enumerate() {
        let case = Case::new("foreign", program, index).await;
        case.lab
            .apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {mine: x}\n");
        let error = case
            .apply("{}", false, &CancellationToken::new())
            .await
            .unwrap_err();
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("belongs to somebody else")),
            "{error}"
        );
    }
}
