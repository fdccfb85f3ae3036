//! The same questions to the scripted minikube and to the real one, where it is: what needs no engine behaves alike.
//!
//! The real one is `KEDACTL_TEST_MINIKUBE`, else the one in PATH; its profiles are in a folder that goes away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kedactl_exec::{Job, find};
use kedactl_plan::{Collect, Step};
use kedactl_testkit::{FakeMinikube, skipped};
use kedactl_tools::minikube::{Minikube, Said, Seen, Spec, Status, parse};
use kedactl_tools::{CancellationToken, ToolError};

/// Both programs, each in a folder of its own.
fn both(directory: &Path) -> Vec<(&'static str, PathBuf)> {
    let mut all = vec![(
        "the scripted one",
        FakeMinikube::new(&directory.join("fake")).program(),
    )];
    let named = std::env::var_os("KEDACTL_TEST_MINIKUBE").map(PathBuf::from);
    match named.or_else(|| find("minikube").ok()) {
        Some(real) => all.push(("the real one", at_home(directory, &real))),
        None => {
            skipped("no minikube is installed: the contract is asked of the scripted one alone");
        }
    }
    all
}

/// The real program with a home of its own, and an engine that is not there.
fn at_home(directory: &Path, real: &Path) -> PathBuf {
    let wrapper = directory.join("minikube");
    let text = format!(
        "#!/bin/sh\nexport HOME='{0}/home' MINIKUBE_HOME='{0}/home' DOCKER_HOST='unix://{0}/no.sock'\nexec '{1}' \"$@\"\n",
        directory.display(),
        real.display()
    );
    fs::create_dir_all(directory.join("home")).unwrap();
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    wrapper
}

fn code(error: &ToolError) -> Option<i32> {
    match error {
        ToolError::Minikube(failure) => failure.code,
        _ => None,
    }
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_told_alike() {
    let directory = tempfile::tempdir().unwrap();
    for (who, program) in both(directory.path()) {
        let state = directory.path().join("state");
        let minikube = Minikube::open(Some(&program), &state).unwrap();
        let never = CancellationToken::new();
        let status = minikube.status("contract-none", &never).await;
        assert_eq!(status.unwrap(), Status::Missing, "{who}");
        assert!(minikube.profiles(&never).await.unwrap().is_empty(), "{who}");
        assert!(
            !minikube.delete("contract-none", &never).await.unwrap(),
            "{who}: deleted already"
        );
        let error = minikube.write_kubeconfig("contract-none", &never).await;
        assert_eq!(code(&error.unwrap_err()), Some(85), "{who}");
        let archive = directory.path().join("no.tar");
        let error = minikube
            .load_archive("contract-none", &archive, &never)
            .await;
        let error = error.unwrap_err();
        assert_eq!(code(&error), Some(14), "{who}");
        assert_eq!(
            error.to_string(),
            "minikube could not load images into contract-none (exit code 14, an option was refused): MK_USAGE: \
             loading profile: cluster \"contract-none\" does not exist",
            "{who}: above the box"
        );
        for verb in ["tunnel", "ssh"] {
            let job = Job::new(&program).args([verb, "-p", "contract-none"]);
            let ended = job.run(&never).await.unwrap();
            assert_eq!(ended.code, Some(85), "{who}: {verb}");
        }
    }
}

#[tokio::test]
async fn a_start_without_an_engine_ends_with_an_event_that_has_code_name_and_advice() {
    let directory = tempfile::tempdir().unwrap();
    for (who, program) in both(directory.path()) {
        if who == "the scripted one" {
            let fails =
                r#"fail 63 PROVIDER_DOCKER_NOT_RUNNING "no daemon" "Start the Docker service""#;
            fs::write(directory.path().join("fake/start-fails"), fails).unwrap();
        }
        let state = directory.path().join("state");
        let minikube = Minikube::open(Some(&program), &state).unwrap();
        let sink = Collect::default();
        let step = Step::start(&sink, "cluster", "cluster");
        let mut spec = Spec::named("contract-start");
        spec.logs = directory.path().join("logs");
        let never = CancellationToken::new();
        let made = minikube.ensure(&spec, async |_: &Path| Seen::Silent, &step, &never);
        let error = made.await.unwrap_err();
        let ToolError::Minikube(failure) = &error else {
            panic!("{who}: {error}");
        };
        assert!(
            failure.id.is_some() && failure.code.is_some(),
            "{who}: {failure:?}"
        );
        assert!(error.hint().is_some(), "{who}: {error}");
        println!("{who}: {error}\n  hint: {}", error.hint().unwrap());
        assert_eq!(
            minikube.status("contract-start", &never).await.unwrap(),
            Status::Missing,
            "{who}"
        );
    }
}

#[tokio::test]
async fn output_of_start_is_events_alone() {
    let directory = tempfile::tempdir().unwrap();
    for (who, program) in both(directory.path()) {
        let kubeconfig = directory.path().join("kubeconfig");
        let job = Job::new(&program)
            .args([
                "start",
                "-p",
                "contract-events",
                "-o",
                "json",
                "--driver=docker",
            ])
            .env("KUBECONFIG", kubeconfig);
        let ended = job.run(&CancellationToken::new()).await.unwrap();
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert!(!lines.is_empty(), "{who}");
        for line in &lines {
            assert!(parse(line).is_some(), "{who}: {line}");
        }
        let first = parse(lines[0]);
        let numbered = matches!(
            &first,
            Some(Said::Step {
                current: Some(0),
                total: Some(19),
                ..
            })
        );
        assert!(numbered, "{who}: {first:?}");
    }
}
