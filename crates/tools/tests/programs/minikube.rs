//! minikube, played by a scripted one: made, adopted, started, cut off, refused, deleted.

use std::path::Path;
use std::time::Duration;

use kedactl_plan::{Collect, Kind as Said, Step};
use kedactl_testkit::{FakeMinikube, until_async};
use kedactl_tools::minikube::{Ensured, Minikube, Seen, Spec, Status};
use kedactl_tools::{CancellationToken, ToolError};

struct Lab {
    directory: tempfile::TempDir,
    fake: FakeMinikube,
    minikube: Minikube,
    sink: Collect,
    never: CancellationToken,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fake = FakeMinikube::new(&directory.path().join("fake"));
        let state = directory.path().join("state");
        let minikube = Minikube::open(Some(&fake.program()), &state).unwrap();
        Self {
            directory,
            fake,
            minikube,
            sink: Collect::default(),
            never: CancellationToken::new(),
        }
    }

    fn spec(&self) -> Spec {
        let mut spec = Spec::named("lab");
        spec.logs = self.directory.path().join("logs");
        spec
    }

    async fn ensure(&self, spec: &Spec) -> Result<Ensured, ToolError> {
        self.ensure_until(spec, Seen::Answers, &self.never).await
    }

    async fn ensure_until(
        &self,
        spec: &Spec,
        seen: Seen,
        cancel: &CancellationToken,
    ) -> Result<Ensured, ToolError> {
        let step = Step::start(&self.sink, "cluster", "cluster");
        self.minikube
            .ensure(spec, async |_: &Path| seen, &step, cancel)
            .await
    }

    fn notes(&self) -> String {
        let events = self.sink.take().into_iter();
        let notes = events.filter_map(|event| match event.kind {
            Said::Progress { done, total, note } => {
                Some(format!("{done}/{} {note}\n", total.unwrap_or_default()))
            }
            _ => None,
        });
        notes.collect()
    }

    fn made_here(&self) -> bool {
        Minikube::made_here(&self.directory.path().join("state"), "lab")
    }

    fn state(&self) -> String {
        let path = self.directory.path().join("fake/profiles/lab/state");
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }
}

#[tokio::test]
async fn a_profile_is_made_once_with_its_progress_told_and_adopted_after_that() {
    let lab = Lab::new();
    let mut spec = lab.spec();
    spec.nodes = Some(2);
    spec.memory = Some(4096);
    assert_eq!(lab.ensure(&spec).await.unwrap(), Ensured::Created);
    insta::assert_snapshot!(lab.notes(), @r#"
    0/0 minikube creates lab
    0/19 minikube v1.38.1 on Debian
    1/19 Using the docker driver based on user configuration
    1/19 warning: docker is currently using the vfs storage driver, consider switching to overlay2
    3/19 Starting "lab" primary control-plane node in "lab" cluster
    3/19 downloading preloaded-images.tar.lz4, 50 %
    8/19 Creating docker container (CPUs=2, Memory=3072MB) ...
    11/19 Preparing Kubernetes v1.35.0 on containerd ...
    19/19 Done! kubectl is now configured to use "lab" cluster and "default" namespace by default
    "#);
    let profile = lab
        .minikube
        .profile("lab", &lab.never)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(profile.nodes, ["lab", "lab-m02"]);
    assert_eq!(lab.ensure(&spec).await.unwrap(), Ensured::Adopted);
    let calls = lab.fake.calls();
    assert_eq!(calls.matches("start -p lab").count(), 1, "{calls}");
    for asked in [
        "--driver=docker",
        "--container-runtime=containerd",
        "--wait=all",
        "--wait-timeout=360s",
        "--embed-certs",
        "--interactive=false",
        "--memory=4096mb",
    ] {
        assert!(calls.contains(asked), "{asked}: {calls}");
    }
}

#[tokio::test]
async fn every_call_gets_a_kubeconfig_of_ours() {
    let lab = Lab::new();
    lab.ensure(&lab.spec()).await.unwrap();
    lab.ensure(&lab.spec()).await.unwrap();
    lab.minikube.delete("lab", &lab.never).await.unwrap();
    let ours = lab.directory.path().join("state").display().to_string();
    let environment = lab.fake.environment();
    let kubeconfigs = environment.lines().filter(|it| it.contains(" KUBECONFIG="));
    assert_eq!(
        kubeconfigs.clone().count(),
        lab.fake.calls().lines().count(),
        "{environment}"
    );
    for line in kubeconfigs {
        assert!(line.contains(&ours), "{line}");
    }
}

#[tokio::test]
async fn what_stopped_is_started_and_what_is_paused_unpaused_aloud() {
    for (state, told) in [
        ("Stopped", "profile lab is stopped: starting it"),
        ("Paused", "profile lab is paused: unpausing it"),
        ("Ill", "profile lab is not well: starting it"),
        ("None", "profile lab has lost its nodes: starting it"),
    ] {
        let lab = Lab::new();
        lab.ensure(&lab.spec()).await.unwrap();
        lab.fake.set("profiles/lab/state", state);
        assert_eq!(lab.ensure(&lab.spec()).await.unwrap(), Ensured::Started);
        assert!(lab.notes().contains(told), "{state}");
        assert_eq!(lab.state(), "Running");
        assert!(!lab.fake.calls().contains("delete"), "{state}");
    }
}

#[tokio::test]
async fn an_api_server_that_is_silent_from_here_is_started_once_and_then_an_error() {
    let lab = Lab::new();
    lab.ensure(&lab.spec()).await.unwrap();
    let error = lab
        .ensure_until(&lab.spec(), Seen::Silent, &lab.never)
        .await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "minikube said that it could start lab, but its API server does not answer"
    );
    assert_eq!(lab.fake.calls().matches("start -p lab").count(), 2);
    assert!(!lab.fake.calls().contains("delete"));
}

#[tokio::test]
async fn what_was_cut_off_is_made_anew_aloud() {
    let lab = Lab::new();
    let cancel = CancellationToken::new();
    lab.fake.set("slow-start", "");
    let spec = lab.spec();
    let stop = async {
        let begun = || async { lab.fake.has("begun") };
        until_async("minikube is at it", Duration::from_secs(30), begun).await;
        cancel.cancel();
    };
    let (made, ()) = tokio::join!(lab.ensure_until(&spec, Seen::Silent, &cancel), stop);
    assert!(made.unwrap_err().to_string().contains("was cancelled"));
    assert_eq!(lab.state(), "None", "a machine without Kubernetes is left");
    assert!(
        lab.made_here(),
        "`down --purge` knows that there is something"
    );
    lab.fake.unset("slow-start");
    assert_eq!(lab.ensure(&spec).await.unwrap(), Ensured::Created);
    assert!(
        lab.notes()
            .contains("was left half made: deleting it and starting again")
    );
}

#[tokio::test]
async fn a_start_that_outlived_its_owner_is_ended_before_the_next() {
    let lab = Lab::new();
    lab.fake.set("slow-start", "");
    let kubeconfig = lab.minikube.kubeconfig("lab");
    // As a killed kedactl leaves it: in a group of its own, marked, and its owner gone.
    let orphan = kedactl_exec::Job::new(lab.fake.program())
        .args(["start", "-p", "lab", "-o", "json", "--driver=docker"])
        .env("KUBECONFIG", &kubeconfig)
        .env(
            "KEDACTL_JOB",
            format!("{} 1 {}", std::process::id(), kubeconfig.display()),
        );
    let spec = lab.spec();
    let never = CancellationToken::new();
    let orphan = orphan.run(&never);
    let next = async {
        let begun = || async { lab.fake.has("begun") };
        until_async("minikube is at it", Duration::from_secs(30), begun).await;
        let record = lab.directory.path().join("state/lab.minikube.json");
        std::fs::write(record, r#"{"phase":"creating"}"#).unwrap();
        let unset = async {
            // The first one is told to end; the next start must not hang as it did.
            let deleted = || async { lab.fake.calls().contains("delete") };
            until_async("the next run goes on", Duration::from_secs(30), deleted).await;
            lab.fake.unset("slow-start");
        };
        tokio::join!(lab.ensure(&spec), unset).0
    };
    let (ended, next) = tokio::join!(orphan, next);
    assert_eq!(ended.unwrap().code, Some(130), "it got the one SIGINT");
    assert_eq!(next.unwrap(), Ensured::Created);
}

#[tokio::test]
async fn a_failed_creation_tells_minikubes_own_advice_and_leaves_nothing() {
    let lab = Lab::new();
    let fails = r#"fail 80 GUEST_PROVISION "error provisioning guest" "Try --force""#;
    lab.fake.set("late-start-fails", fails);
    let error = lab.ensure(&lab.spec()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "minikube could not create lab (exit code 80, a node): GUEST_PROVISION: error provisioning guest"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("minikube says: Try --force; else ")
    );
    assert!(lab.directory.path().join("logs/minikube-lab.log").exists());
    assert_eq!(
        lab.minikube.status("lab", &lab.never).await.unwrap(),
        Status::Missing
    );
    assert!(!lab.made_here());
    // Before there is anything that could have logs.
    lab.fake.unset("late-start-fails");
    let fails =
        r#"fail 63 PROVIDER_DOCKER_NOT_RUNNING "deadline exceeded" "Start the Docker service""#;
    lab.fake.set("start-fails", fails);
    let error = lab.ensure(&lab.spec()).await.unwrap_err().to_string();
    assert!(
        error.contains("(exit code 63, the engine does not run)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_profile_of_somebody_else_is_taken_as_it_is_and_never_deleted() {
    let lab = Lab::new();
    lab.fake.foreign("lab", "Running");
    assert_eq!(lab.ensure(&lab.spec()).await.unwrap(), Ensured::Adopted);
    assert!(!lab.made_here());
    let mut spec = lab.spec();
    spec.runtime = Some("containerd".to_owned());
    let error = lab.ensure(&spec).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "minikube profile lab is another than asked for: it has containerRuntime docker, and minikube.containerRuntime asks for containerd"
    );
    assert!(error.hint().unwrap().contains("leave out that key"));
    for state in ["Stopped", "Ill"] {
        lab.fake.set("profiles/lab/state", state);
        lab.fake.set("start-fails", "fail 50 DRV_BAD bad advice");
        lab.ensure(&lab.spec()).await.unwrap_err();
    }
    assert!(!lab.fake.calls().contains("delete"), "{}", lab.fake.calls());
}

#[tokio::test]
async fn a_delete_is_believed_only_when_the_profile_is_gone() {
    let lab = Lab::new();
    lab.ensure(&lab.spec()).await.unwrap();
    lab.fake.set("delete-stays", "");
    let error = lab.minikube.delete("lab", &lab.never).await.unwrap_err();
    assert!(
        error.to_string().ends_with("the profile is still there"),
        "{error}"
    );
    assert!(lab.made_here(), "so that the next run tries again");
    lab.fake.unset("delete-stays");
    assert!(lab.minikube.delete("lab", &lab.never).await.unwrap());
    assert!(!lab.minikube.delete("lab", &lab.never).await.unwrap());
    let left = std::fs::read_dir(lab.directory.path().join("state")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn nothing_is_asked_of_minikube_that_may_not_come_back() {
    let lab = Lab::new();
    let logs = lab.directory.path().join("logs");
    lab.ensure(&lab.spec()).await.unwrap();
    lab.fake.set("profiles/lab/state", "Paused");
    lab.ensure(&lab.spec()).await.unwrap();
    let archive = lab.directory.path().join("image.tar");
    let (minikube, never) = (&lab.minikube, &lab.never);
    minikube.load_archive("lab", &archive, never).await.unwrap();
    minikube.export_logs("lab", &logs, never).await.unwrap();
    minikube.delete("lab", never).await.unwrap();
    let calls = lab.fake.calls();
    let verb = |call: &str| {
        let words = call.split(' ').take_while(|it| !it.starts_with('-'));
        words.take(2).collect::<Vec<_>>().join(" ")
    };
    let mut verbs: Vec<String> = calls.lines().map(verb).collect();
    verbs.sort_unstable();
    verbs.dedup();
    // `service --url` and `mount` stay until they are interrupted, `docker-env` and `kubectl` use the user's own files.
    assert_eq!(
        verbs,
        [
            "delete",
            "image load",
            "logs",
            "profile list",
            "start",
            "status",
            "unpause",
            "update-context"
        ]
    );
}
