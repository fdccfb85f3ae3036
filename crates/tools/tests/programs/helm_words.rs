//! What is said to helm, and in which surroundings: no word that is known to bite, no home and no variable of the user's.
//! Must not look at what helm answers; the faults do.

use std::collections::BTreeSet;

use kedactl_plan::{Collect, Kind, Step};
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, ToolError};

use crate::fake::Fake;
use crate::support::{chart, name, release, settings};

/// A helm of that version with one release after its first upgrade. `over` stands before it and may answer first.
fn helm(directory: &std::path::Path, version: &str, over: &str) -> Fake {
    let script = format!(
        r#"
if read -r line; then echo "$line" >>"$HERE/asked"; fi
{over}
case $1 in
  version) echo {version}+gabc ;;
  template) printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: r}}\n' ;;
  list) if [ -e "$HERE/deployed" ]; then echo '[{{"name":"r","revision":"2"}}]'; else echo '[]'; fi ;;
  history) if [ -e "$HERE/deployed" ]; then echo '[{{"revision":2,"status":"deployed"}}]'; else echo 'Error: release: not found' >&2; exit 1; fi ;;
  upgrade) : >"$HERE/deployed"; echo '{{"name":"r","version":2}}' ;;
  rollback) : ;;
  uninstall) rm "$HERE/deployed" ;;
  package) eval "last=\${{$#}}"; : >"$last/small-1.0.0.tgz" ;;
  *) echo "Error: what is $*?" >&2; exit 64 ;;
esac"#
    );
    Fake::new(directory, "helm", &script)
}

/// Everything that the driver ever does with helm, on a release that is there in the end no more.
async fn everything(fake: &Fake, directory: &std::path::Path) {
    let never = CancellationToken::new();
    let driver = Helm::open(settings(fake.program.clone(), directory), &never).await;
    let driver = driver.unwrap();
    let (chart, r) = (chart(directory), name("r"));
    let release = release(&chart, "{auth: {password: canary-4}}");
    let sink = Collect::default();
    let step = Step::start(&sink, "r", "r");
    driver.look(&r, &release, &never).await.unwrap();
    driver
        .apply(&r, &release, None, &step, &never)
        .await
        .unwrap();
    driver
        .apply_again(&r, &release, None, &step, &never)
        .await
        .unwrap();
    driver.roll_back(&r, "apps", 1, &never).await.unwrap();
    driver.uninstall(&r, "apps", &never).await.unwrap();
    driver.package(&chart, &never).await.unwrap();
    step.done("", false);
}

/// Options by their names, and verbs.
fn words(calls: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let options = calls.split_whitespace().filter(|it| it.starts_with('-'));
    let options = options.map(|it| it.split('=').next().unwrap_or_default());
    let verbs = calls.lines().filter_map(|it| it.split(' ').next());
    (options.collect(), verbs.collect())
}

#[tokio::test]
async fn no_word_is_said_that_is_known_to_bite() {
    for version in ["v3.19.0", "v4.1.0"] {
        let directory = tempfile::tempdir().unwrap();
        let fake = helm(directory.path(), version, "");
        everything(&fake, directory.path()).await;
        let calls = fake.calls();
        let (options, verbs) = words(&calls);
        // A new one has to be thought about: docs/known-traps.md.
        insta::allow_duplicates! {
            insta::assert_snapshot!(verbs.into_iter().collect::<Vec<_>>().join(" "),
                @"history list package rollback template uninstall upgrade version");
        }
        for bites in [
            // They undo a failed upgrade, and with it what shows why it failed.
            "--atomic",
            "--rollback-on-failure",
            "--cleanup-on-fail",
            // Objects are deleted and made anew, or fields taken from who owns them.
            "--force",
            "--force-replace",
            "--force-conflicts",
            "--force-pending",
            "--take-ownership",
            // Helm keeps to what the last revision was written with.
            "--server-side",
            // A plugin in one major, a program in the other.
            "--post-renderer",
            // They print Secrets.
            "--dry-run",
            "--debug",
            // Values in a command line are everybody's.
            "--set",
            "--set-string",
            "--set-file",
            "--set-json",
            "--set-literal",
            // Values of the revision before, in place of what is declared.
            "--reuse-values",
            "--reset-then-reuse-values",
            // Sources are asked once, when a chart is fetched.
            "--dependency-update",
            "--devel",
        ] {
            assert!(!options.contains(bites), "{bites}: {calls}");
        }
        for needed in ["--history-max", "--hide-notes", "--install", "--values"] {
            assert!(options.contains(needed), "{needed}: {calls}");
        }
    }
}

#[tokio::test]
async fn helm_waits_for_hooks_alone_in_the_words_of_its_major() {
    for (version, waits) in [("v3.19.0", None), ("v4.1.0", Some("--wait=hookOnly"))] {
        let directory = tempfile::tempdir().unwrap();
        let fake = helm(directory.path(), version, "");
        everything(&fake, directory.path()).await;
        let calls = fake.calls();
        for call in calls.lines() {
            let waiting = call.split(' ').find(|it| it.starts_with("--wait"));
            let wanted = waits.filter(|_| call.starts_with("upgrade"));
            assert_eq!(waiting, wanted, "{version}: {call}");
        }
    }
}

#[tokio::test]
async fn helm_has_homes_of_its_own_and_nothing_to_ask() {
    let directory = tempfile::tempdir().unwrap();
    let fake = helm(directory.path(), "v4.1.0", "");
    everything(&fake, directory.path()).await;
    let environment = fake.environment();
    let mut ours: Vec<&str> = environment
        .lines()
        .filter(|it| it.starts_with("HELM_") || it.starts_with("KUBE"))
        .collect();
    ours.sort_unstable();
    ours.dedup();
    let state = directory.path().join("state").display().to_string();
    insta::assert_snapshot!(ours.join("\n").replace(&state, "[STATE]"), @r"
    HELM_BURST_LIMIT=1000
    HELM_CACHE_HOME=[STATE]/helm/cache
    HELM_CONFIG_HOME=[STATE]/helm/config
    HELM_DATA_HOME=[STATE]/helm/data
    HELM_DRIVER=secret
    HELM_NO_PLUGINS=1
    HELM_QPS=100
    KUBECACHEDIR=[STATE]/helm/cache/kube
    ");
    assert!(
        !directory.path().join("asked").exists(),
        "its standard input is empty"
    );
}

#[tokio::test]
async fn a_failed_upgrade_leaves_what_shows_why() {
    let directory = tempfile::tempdir().unwrap();
    let fails = r#"[ "$1" != upgrade ] || { : >"$HERE/deployed"; echo 'Error: INSTALLATION FAILED: post-install hook failed' >&2; exit 1; }"#;
    let fake = helm(directory.path(), "v4.1.0", fails);
    let error = apply(&fake, directory.path(), &Collect::default()).await;
    assert!(error.unwrap_err().to_string().contains("hook failed"));
    let verbs = fake.verbs();
    assert_eq!(verbs.last().unwrap(), "upgrade", "{verbs:?}");
}

async fn apply(fake: &Fake, directory: &std::path::Path, sink: &Collect) -> Result<(), ToolError> {
    let never = CancellationToken::new();
    let driver = Helm::open(settings(fake.program.clone(), directory), &never).await?;
    let release = release(&chart(directory), "{}");
    let step = Step::start(sink, "r", "r");
    let applied = driver
        .apply(&name("r"), &release, None, &step, &never)
        .await;
    step.done("", false);
    applied.map(drop)
}

#[tokio::test]
async fn a_release_is_found_among_more_than_a_page_of_others() {
    let directory = tempfile::tempdir().unwrap();
    // A page has 256, by name; ours is not on the first.
    let crowd = r#"
if [ "$1" = list ]; then case "$*" in *"--filter ^r$ "*) ;; *)
  i=0; printf '['; while [ $i -lt 256 ]; do [ $i = 0 ] || printf ,; printf '{"name":"a%s","revision":"1"}' $i; i=$((i + 1)); done; echo ']'; exit 0 ;;
esac; fi"#;
    let fake = helm(directory.path(), "v3.19.0", crowd);
    let sink = Collect::default();
    apply(&fake, directory.path(), &sink).await.unwrap();
    apply(&fake, directory.path(), &sink).await.unwrap();
    let verbs = fake.verbs();
    assert_eq!(verbs.iter().filter(|it| *it == "upgrade").count(), 1);
}

#[tokio::test]
async fn definitions_that_helm_leaves_as_they_were_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"
[ "$1" != template ] || { printf -- '---\n# Source: small/crds/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\n'; exit 0; }
if [ "$1" = list ] && [ ! -e "$HERE/upgraded" ]; then echo '[]'; exit 0; fi
[ "$1" != upgrade ] || : >"$HERE/upgraded"
if [ "$1" = history ] && [ -e "$HERE/before" ]; then
  version=$(cat "$HERE/before"); [ ! -e "$HERE/upgraded" ] || version=2.0.0
  echo '[{"revision":2,"status":"deployed","chart":"small-'"$version"'"}]'; exit 0
fi"#;
    let fake = helm(directory.path(), "v4.1.0", text);
    for (before, told) in [(None, false), (Some("2.0.0"), false), (Some("1.0.0"), true)] {
        if let Some(version) = before {
            std::fs::write(directory.path().join("before"), version).unwrap();
            std::fs::remove_file(directory.path().join("upgraded")).unwrap();
        }
        let sink = Collect::default();
        apply(&fake, directory.path(), &sink).await.unwrap();
        let events = sink.take();
        let notes = events.iter().filter_map(|event| match &event.kind {
            Kind::Progress { note, .. } => Some(note.as_str()),
            _ => None,
        });
        let said = notes.collect::<Vec<_>>().join("\n");
        let warning = "warning: helm left the definitions in crds/ as small-1.0.0 brought them; those of small-2.0.0: `helm show crds ";
        assert_eq!(said.contains(warning), told, "{before:?}: {said}");
    }
}

#[tokio::test]
async fn what_helm_says_in_other_words_than_it_means_has_its_own_cure() {
    for (said, cure) in [
        (
            "unable to build kubernetes objects from current release manifest: resource mapping not found for name: \"p\" namespace: \"\" from \"\": no matches for kind \"PodDisruptionBudget\" in version \"policy/v1beta1\" ensure CRDs are installed first",
            "mapkubeapis",
        ),
        (
            "create: failed to create: Secret \"sh.helm.release.v1.r.v1\" is invalid: data: Too long: may not be more than 1048576 bytes",
            "1 MiB",
        ),
        (
            "client rate limiter Wait returned an error: context deadline exceeded",
            "many kinds",
        ),
        ("context deadline exceeded", "a hook"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let quoted = said.replace('"', "\\\"");
        let over = format!(
            r#"[ "$1" != upgrade ] || {{ echo "Error: UPGRADE FAILED: {quoted}" >&2; exit 1; }}"#
        );
        let fake = helm(directory.path(), "v4.1.0", &over);
        let error = apply(&fake, directory.path(), &Collect::default()).await;
        let hint = error.unwrap_err().hint().unwrap();
        assert!(hint.contains(cure), "{said}: {hint}");
    }
}
