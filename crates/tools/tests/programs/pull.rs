//! Charts from repositories and registries on this machine, by the real helm: what comes, what is kept, and what is refused.
//! Must not use the network beyond 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use kedactl_exec::Run;
use kedactl_testkit::{
    Certificates, ChartServer, Fault, Registry, RegistryOptions, free_port, packed_chart,
};
use kedactl_tools::helm::{Helm, Settings};
use kedactl_tools::{
    Came, CancellationToken, LOCK, Locked, Place, Pulled, Release, Store, ToolError, Vendored,
};

use crate::support::{declared, helms, left_over, name, settings};

/// `hunter2` for the user `me`, with few rounds.
const HTPASSWD: &str = "me:$2b$04$yrbGMFi69LAg9uKTx2M9JuABbDfG3qFqBTOiUbjRxq5FbeMDgZ3zi\n";
const LOGIN: &str = "Basic bWU6aHVudGVyMg==";
const ARCHIVE: &str = "/small-1.2.3.tgz";

fn small(version: &str) -> Vec<u8> {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small}\n";
    packed_chart("small", version, &[("templates/map.yaml", map)])
}

/// A helm with a state of its own, and what it said while it waited.
struct Here {
    helm: Helm,
    settings: Settings,
    said: Mutex<Vec<String>>,
    directory: tempfile::TempDir,
}

impl Here {
    async fn new(program: PathBuf) -> Self {
        Self::with(program, |_, _| {}).await
    }

    async fn with(program: PathBuf, change: impl FnOnce(&mut Settings, &Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(program, directory.path());
        change(&mut settings, directory.path());
        let helm = Helm::open(settings.clone(), &CancellationToken::new())
            .await
            .unwrap();
        Self {
            helm,
            settings,
            said: Mutex::default(),
            directory,
        }
    }

    async fn pull(&self, release: &Release) -> Result<Pulled, ToolError> {
        let tell = |text: String| self.said.lock().unwrap().push(text);
        let pulled = self
            .helm
            .pull(&name("r"), release, &tell, &CancellationToken::new())
            .await;
        assert!(
            left_over(self.directory.path()).is_empty(),
            "a private file stays"
        );
        pulled
    }

    fn place(&self, release: &Release) -> Place {
        let store = Store::open(&self.settings.state, self.settings.vendored.as_deref()).unwrap();
        store.place(&name("r"), release).unwrap()
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

fn from(server: &ChartServer, more: &str) -> Release {
    declared(&format!(
        "{{chart: small, repo: '{}', version: 1.2.3, namespace: apps{more}}}",
        server.url()
    ))
}

fn served() -> ChartServer {
    let server = ChartServer::start();
    server.add("small", "1.2.3", small("1.2.3"));
    server
}

#[tokio::test]
async fn what_was_fetched_is_used_again_and_pull_asks_the_source_each_time() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program).await);
        let release = from(&server, "");
        assert_eq!(place.place(&release), Place::NotFetched);
        let never = CancellationToken::new();
        let first = place
            .helm
            .chart(&name("r"), &release, &never)
            .await
            .unwrap();
        let again = place
            .helm
            .chart(&name("r"), &release, &never)
            .await
            .unwrap();
        assert_eq!((first.clone(), server.gets(ARCHIVE)), (again, 1));
        assert_eq!(place.place(&release), Place::Cached(first.clone()));
        assert_eq!(first.about().unwrap().app_version.as_deref(), Some("9.9"));
        assert_eq!(place.pull(&release).await.unwrap().came, Came::Fetched);
        assert_eq!(server.gets(ARCHIVE), 2);
        // Its source is gone: what is here serves, and it is said why.
        drop(server);
        let kept = place.pull(&release).await.unwrap();
        let Came::Kept(reason) = &kept.came else {
            panic!("{kept:?}");
        };
        assert!(
            reason.contains("refused") && kept.chart == first,
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_busy_source_is_asked_again_when_it_says_so() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program).await);
        server.fail(
            ARCHIVE,
            [Fault::Status(429, Some(2)), Fault::Status(503, None)],
        );
        let start = tokio::time::Instant::now();
        let pulled = place.pull(&from(&server, "")).await.unwrap();
        assert_eq!(pulled.came, Came::Fetched);
        assert!(
            start.elapsed() >= Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(server.gets(ARCHIVE), 3);
        let said = place.said().replace(&server.url(), "URL");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @r"
            URL: HTTP 429; again in 2.0 s
            URL: HTTP 503; again in 1.0 s
            ");
        }
        // The index may be busy as well; a source that stays busy is given up, and one that asks for too much at once.
        server.fail("/index.yaml", vec![Fault::Status(429, Some(3600)); 9]);
        let other = Here::new(place.settings.program.clone().unwrap()).await;
        let error = other.pull(&from(&server, "")).await.unwrap_err();
        assert!(
            matches!(&error, ToolError::Fetch { tries: 1, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("429"), "{error}");
    }
}

#[tokio::test]
async fn what_is_cut_is_fetched_again_and_never_becomes_a_chart() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program).await);
        let release = from(&server, "");
        server.fail(ARCHIVE, [Fault::Cut, Fault::CutSilently]);
        let pulled = place.pull(&release).await.unwrap();
        assert_eq!((pulled.came, server.gets(ARCHIVE)), (Came::Fetched, 3));
        assert!(
            place.said().contains("the download was cut"),
            "{}",
            place.said()
        );
        let other = Here::new(place.settings.program.clone().unwrap()).await;
        server.fail(ARCHIVE, vec![Fault::CutSilently; 9]);
        let error = other.pull(&release).await.unwrap_err();
        assert!(
            matches!(&error, ToolError::Fetch { tries: 4, .. }),
            "{error}"
        );
        assert_eq!(other.place(&release), Place::NotFetched);
        // Damage to what was fetched before is noticed too.
        let kept = place.place(&release).chart().unwrap().path.clone();
        let bytes = fs::read(&kept).unwrap();
        fs::write(&kept, &bytes[..bytes.len() - 9]).unwrap();
        assert_eq!(place.place(&release), Place::NotFetched);
    }
}

#[tokio::test]
async fn another_archive_than_the_pinned_one_is_refused_and_not_kept() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program).await);
        let right = place.pull(&from(&server, "")).await.unwrap().chart.digest;
        let pinned = from(&server, &format!(", digest: 'sha256:{right}'"));
        assert_eq!(place.pull(&pinned).await.unwrap().chart.digest, right);
        // Same name, same version, other content.
        server.add(
            "small",
            "1.2.3",
            packed_chart("small", "1.2.3", &[("x", "evil")]),
        );
        let error = place.pull(&pinned).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, ToolError::Digest { .. }), "{told}");
        assert!(
            told.contains(&format!("sha256:{right} was asked for, sha256:")),
            "{told}"
        );
        // What was there before still is, and is the pinned one; with a new pin it counts for nothing.
        assert_eq!(place.place(&pinned).chart().unwrap().digest, right);
        let other = from(&server, &format!(", digest: 'sha256:{}'", "0".repeat(64)));
        assert_eq!(place.place(&other), Place::NotFetched);
        let never = CancellationToken::new();
        let error = place
            .helm
            .chart(&name("r"), &other, &never)
            .await
            .unwrap_err();
        assert!(matches!(error, ToolError::Digest { .. }), "{error}");
    }
}

#[tokio::test]
async fn another_version_or_chart_than_was_asked_for_is_refused() {
    for program in helms() {
        let (server, place) = (ChartServer::start(), Here::new(program).await);
        server.add("small", "1.2.3", small("1.2.4"));
        let error = place
            .pull(&from(&server, ""))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("version 1.2.3 was asked for, and the source gave 1.2.4"),
            "{error}"
        );
        server.add("small", "1.2.3", packed_chart("large", "1.2.3", &[]));
        let error = place
            .pull(&from(&server, ""))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("the source gave the chart `large`"),
            "{error}"
        );
        let missing = Release {
            version: Some("9.9.9".to_owned()),
            ..from(&server, "")
        };
        let error = place.pull(&missing).await.unwrap_err();
        assert!(matches!(error, ToolError::Refused { .. }), "{error}");
        assert!(
            error
                .hint()
                .unwrap()
                .contains("check `chart` and `version`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_source_that_is_too_slow_is_given_up_and_so_is_one_that_nobody_waits_for() {
    for program in helms() {
        let server = served();
        let place = Here::with(program, |settings, _| {
            settings.fetch_within = Duration::from_secs(2);
        })
        .await;
        let release = from(&server, "");
        server.fail(ARCHIVE, vec![Fault::Slow; 9]);
        let error = place.pull(&release).await.unwrap_err().to_string();
        assert!(error.contains("it did not come within 2 s"), "{error}");
        assert_eq!(server.gets(ARCHIVE), 1);
        // Ctrl-C while a source is waited for.
        server.fail(ARCHIVE, vec![Fault::Status(429, Some(25)); 9]);
        let cancel = CancellationToken::new();
        let tell = |_: String| cancel.cancel();
        let name = name("r");
        let pulled = place.helm.pull(&name, &release, &tell, &cancel);
        let error = tokio::time::timeout(Duration::from_secs(20), pulled)
            .await
            .unwrap();
        assert!(error.unwrap_err().to_string().contains("cancelled"));
        assert_eq!(place.place(&release), Place::NotFetched);
        assert!(left_over(place.directory.path()).is_empty());
    }
}

#[tokio::test]
async fn a_password_reaches_a_repository_by_a_private_file_alone() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program.clone()).await);
        server.only(LOGIN);
        let error = place.pull(&from(&server, "")).await.unwrap_err();
        assert!(error.hint().unwrap().contains("passwordFile"), "{error}");
        let file = place.directory.path().join("password");
        fs::write(&file, "hunter2\n").unwrap();
        let access = |file: &Path| {
            format!(
                ", access: {{username: me, passwordFile: '{}'}}",
                file.display()
            )
        };
        let pulled = place.pull(&from(&server, &access(&file))).await.unwrap();
        assert_eq!(pulled.came, Came::Fetched);
        let logins = server
            .asked()
            .into_iter()
            .filter(|it| it.login.as_deref() == Some(LOGIN));
        assert!(logins.count() >= 2, "index and archive");
        fs::write(&file, "letmein-canary").unwrap();
        let error = place
            .pull(&from(&server, &access(&file)))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("401") && !error.contains("canary"),
            "{error}"
        );
        // What helm is told, as the system shows it to everybody.
        let fake = crate::fake::Fake::new(place.directory.path(), "told", "echo v3.19.0; exit 0");
        let told = Here::new(fake.program.clone()).await;
        told.pull(&from(&server, &access(&file))).await.unwrap_err();
        assert!(
            fake.calls().contains("repo update source"),
            "{}",
            fake.calls()
        );
        assert!(!fake.calls().contains("canary") && !fake.environment().contains("canary"));
    }
}

/// A registry with TLS and a password, and a chart in it.
struct Secured {
    registry: Registry,
    certificates: Certificates,
}

impl Secured {
    fn new(program: &Path, folder: &Path) -> Self {
        let certificates = Certificates::make();
        let registry = Registry::start(&RegistryOptions {
            htpasswd: Some(HTPASSWD.to_owned()),
            tls: Some(certificates.clone()),
        });
        let archive = folder.join("small-1.2.3.tgz");
        fs::write(&archive, small("1.2.3")).unwrap();
        let logins = folder.join("logins.json");
        let auths = format!(
            r#"{{"auths": {{"{}": {{"auth": "bWU6aHVudGVyMg=="}}}}}}"#,
            registry.host()
        );
        fs::write(&logins, auths).unwrap();
        Run::new(program)
            .args(["push", &archive.display().to_string()])
            .args([format!("oci://{}/charts", registry.host())])
            .args(["--ca-file", &certificates.ca().display().to_string()])
            .args(["--registry-config", &logins.display().to_string()])
            .run()
            .unwrap();
        Self {
            registry,
            certificates,
        }
    }

    fn release(&self, ca: bool, more: &str) -> Release {
        let ca = if ca {
            format!("caFile: '{}'", self.certificates.ca().display())
        } else {
            String::new()
        };
        declared(&format!(
            "{{chart: 'oci://{}/charts/small', version: 1.2.3, namespace: apps, access: {{{ca}{more}}}}}",
            self.registry.host()
        ))
    }
}

#[tokio::test]
async fn a_registry_with_tls_and_a_login_is_used_by_dockers_file_or_by_the_releases_own() {
    for program in helms() {
        let folder = tempfile::tempdir().unwrap();
        let secured = Secured::new(&program, folder.path());
        let logins = folder.path().join("logins.json");
        let known = Here::with(program.clone(), |settings, _| {
            settings.registry_config = Some(logins.clone());
        })
        .await;
        let pulled = known.pull(&secured.release(true, "")).await.unwrap();
        assert_eq!(pulled.came, Came::Fetched);
        assert_eq!(pulled.chart.about().unwrap().version, "1.2.3");
        let stranger = Here::new(program.clone()).await;
        let error = stranger.pull(&secured.release(true, "")).await.unwrap_err();
        assert!(
            error.hint().is_some_and(|it| it.contains("docker login")),
            "{error}"
        );
        let file = folder.path().join("password");
        fs::write(&file, "hunter2").unwrap();
        let own = format!(", username: me, passwordFile: '{}'", file.display());
        let pulled = stranger.pull(&secured.release(true, &own)).await.unwrap();
        assert_eq!(pulled.came, Came::Fetched);
        // Without its authority it is taken for a plain one of this machine, and nothing secret is spoken to it in clear text.
        let fresh = Here::new(program).await;
        fresh.pull(&secured.release(false, "")).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_plain_registry_of_this_machine_needs_nothing() {
    for program in helms() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::start(&RegistryOptions::default());
        let archive = folder.path().join("small-1.2.3.tgz");
        fs::write(&archive, small("1.2.3")).unwrap();
        let to = format!("oci://{}/charts", registry.host());
        Run::new(&program)
            .args(["push", &archive.display().to_string(), &to, "--plain-http"])
            .run()
            .unwrap();
        let place = Here::new(program).await;
        let release = declared(&format!(
            "{{chart: '{to}/small', version: 1.2.3, namespace: apps}}"
        ));
        assert_eq!(place.pull(&release).await.unwrap().came, Came::Fetched);
        assert_eq!(
            place
                .helm
                .render(&name("r"), &release, &CancellationToken::new())
                .await
                .unwrap()
                .objects
                .len(),
            1
        );
        let gone = declared(&format!(
            "{{chart: 'oci://127.0.0.1:{}/charts/small', version: 1.2.3, namespace: apps}}",
            free_port()
        ));
        let error = place.pull(&gone).await.unwrap_err();
        assert!(
            matches!(error, ToolError::Fetch { tries: 1, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn vendored_archives_are_used_without_their_source_and_held_against_the_lock() {
    for program in helms() {
        let (server, place) = (served(), Here::new(program.clone()).await);
        let release = from(&server, "");
        let chart = place.pull(&release).await.unwrap().chart;
        let folder = place.directory.path().join("vendor");
        let locked = Locked {
            chart: "small".to_owned(),
            repo: release.repo.clone(),
            version: "1.2.3".to_owned(),
            file: "small-1.2.3.tgz".to_owned(),
            digest: String::new(),
        };
        let mut vendored = Vendored::open_or_new(&folder).unwrap();
        vendored.add(&chart, locked.clone()).unwrap();
        vendored.add(&chart, locked).unwrap();
        drop(server);
        let carried = Here::with(program, |settings, _| {
            settings.vendored = Some(folder.clone());
        })
        .await;
        let never = CancellationToken::new();
        let found = carried
            .helm
            .chart(&name("r"), &release, &never)
            .await
            .unwrap();
        assert_eq!(found.digest, chart.digest);
        assert_eq!(carried.pull(&release).await.unwrap().came, Came::Vendored);
        let lock = fs::read_to_string(folder.join(LOCK)).unwrap();
        assert_eq!(lock.matches(&chart.digest).count(), 1, "{lock}");
        fs::write(folder.join("small-1.2.3.tgz"), small("1.2.3-evil")).unwrap();
        let error = carried
            .helm
            .chart(&name("r"), &release, &never)
            .await
            .unwrap_err();
        assert!(matches!(error, ToolError::Digest { .. }), "{error}");
        fs::remove_file(folder.join(LOCK)).unwrap();
        let error = carried
            .helm
            .chart(&name("r"), &release, &never)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(LOCK), "{error}");
    }
}
