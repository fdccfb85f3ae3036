//! One try to fetch a chart with helm: by a repository or a registry, with login and authority where they are given.
//! Must not put a password into arguments, nor leave one in a file that outlives the try.

use std::fs;
use std::path::{Path, PathBuf};

use kedactl_config::is_loopback;
use kedactl_exec::{CancellationToken, Job};
use serde_json::{Value, json};

use crate::charts::Wanted;
use crate::helm::Helm;
use crate::mask::base64;
use crate::{Action, Mask, PrivateDir, Release, ToolError};

/// What the repository is called in helm's file of repositories.
const NAME: &str = "source";
const MOST_PASSWORD: usize = 64 << 10;

struct Login {
    username: String,
    password: String,
}

impl Helm {
    /// Fetches into a folder, once. The archive is what helm left there; nothing of it has been read.
    pub(super) async fn once(
        &self,
        wanted: &Wanted,
        release: &Release,
        folder: &Path,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, ToolError> {
        let login = login(release)?;
        let mut mask = self.settings.mask.clone();
        if let Some(login) = &login {
            mask.add(login.password.as_str());
        }
        // Another folder than that of the archive: files with a password have names of their own.
        let private = PrivateDir::inside(&self.settings.state.join("tmp"))?;
        let job = match (&wanted.repo, &login) {
            (None, _) => self.registry_job(wanted, release, login.as_ref(), &private)?,
            (Some(repo), None) => self
                .job(&["pull", &wanted.chart, "--repo", repo])
                .args(ca(release)),
            (Some(repo), Some(login)) => {
                let known = Known::write(repo, release, login, &private)?;
                self.index(wanted, &known, &mask, cancel).await?;
                self.job(&["pull", &format!("{NAME}/{}", wanted.chart)])
                    .args(known.args())
            }
        };
        let destination = folder.to_string_lossy().into_owned();
        let job = job
            .args(["--version", &wanted.version, "--destination", &destination])
            .within(self.settings.fetch_within);
        self.finish(Action::Fetch, &wanted.chart, &job, &mask, cancel)
            .await?;
        archive_in(folder).ok_or_else(|| ToolError::NoEffect {
            program: "helm",
            action: Action::Fetch,
            subject: wanted.chart.clone(),
            found: "there is no archive".to_owned(),
        })
    }

    fn registry_job(
        &self,
        wanted: &Wanted,
        release: &Release,
        login: Option<&Login>,
        private: &PrivateDir,
    ) -> Result<Job, ToolError> {
        let mut job = self.job(&["pull", &wanted.chart]).args(ca(release));
        // A registry of this machine has a certificate where its authority is named.
        if is_loopback(&wanted.chart) && release.access.ca_file.is_none() {
            job = job.arg("--plain-http");
        }
        if let Some(login) = login {
            let both = format!("{}:{}", login.username, login.password);
            let auth = json!({"auths": {wanted.address(): {"auth": base64(both.as_bytes())}}});
            let file = private.write("registry.json", auth.to_string().as_bytes())?;
            job = job.env("HELM_REGISTRY_CONFIG", file);
        }
        Ok(job)
    }

    /// Fetches the repository's index. Helm 3 ends well also where it could not: the index itself says.
    async fn index(
        &self,
        wanted: &Wanted,
        known: &Known,
        mask: &Mask,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        let job = self.job(&["repo", "update", NAME]).args(known.args());
        let job = job.within(self.settings.fetch_within);
        let said = self
            .finish(Action::Fetch, &wanted.chart, &job, mask, cancel)
            .await?;
        if known.cache.join(format!("{NAME}-index.yaml")).is_file() {
            return Ok(());
        }
        Err(ToolError::Refused {
            program: "helm",
            action: Action::Fetch,
            subject: wanted.chart.clone(),
            how: "no index came".to_owned(),
            said: kedactl_exec::last_words(&mask.apply(&said)),
        })
    }
}

/// A repository that helm knows by a private file.
struct Known {
    file: PathBuf,
    cache: PathBuf,
}

impl Known {
    /// Writes helm's file of repositories for one of them.
    fn write(
        repo: &str,
        release: &Release,
        login: &Login,
        private: &PrivateDir,
    ) -> Result<Self, ToolError> {
        let ca = release.access.ca_file.as_ref();
        let entry = json!({
            "name": NAME,
            "url": repo,
            "username": login.username,
            "password": login.password,
            "caFile": ca.map_or(Value::from(""), |it| it.to_string_lossy().into()),
        });
        let file = json!({"apiVersion": "v1", "repositories": [entry]});
        Ok(Self {
            file: private.write("repositories.yaml", file.to_string().as_bytes())?,
            cache: private.path().join("cache"),
        })
    }

    fn args(&self) -> [std::ffi::OsString; 4] {
        [
            "--repository-config".into(),
            self.file.clone().into(),
            "--repository-cache".into(),
            self.cache.clone().into(),
        ]
    }
}

fn ca(release: &Release) -> Vec<std::ffi::OsString> {
    match &release.access.ca_file {
        Some(file) => vec!["--ca-file".into(), file.clone().into()],
        None => Vec::new(),
    }
}

fn login(release: &Release) -> Result<Option<Login>, ToolError> {
    let (Some(username), Some(path)) = (&release.access.username, &release.access.password_file)
    else {
        return Ok(None);
    };
    let bytes = crate::private::read(path)?;
    let text = (bytes.len() <= MOST_PASSWORD)
        .then(|| String::from_utf8(bytes).ok())
        .flatten();
    let text = text.ok_or_else(|| ToolError::File {
        path: path.clone(),
        source: std::io::Error::other("it is no password: larger than 64 KiB, or not UTF-8"),
    })?;
    Ok(Some(Login {
        username: username.clone(),
        password: text.trim_end_matches(['\r', '\n']).to_owned(),
    }))
}

pub(crate) fn archive_in(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
}
