//! Who we are to a registry: given, or as docker's configuration file says, its helper programs included.
//! Must not show a password in any form, and must not put one into a command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kedactl_exec::Run;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::ImageError;

/// How docker's configuration calls its own registry.
const DOCKER_IO: &str = "https://index.docker.io/v1/";

/// Where credentials come from.
#[derive(Clone)]
pub enum Credentials {
    /// None are sent.
    Anonymous,
    /// These.
    Given {
        /// The user.
        username: String,
        /// The password or token.
        password: String,
    },
    /// Those that `docker login` left in this file, or none where it has none for the registry.
    DockerConfig(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Given { username, .. } => write!(f, "Given({username})"),
            Self::DockerConfig(path) => write!(f, "DockerConfig({})", path.display()),
        }
    }
}

impl Credentials {
    pub(crate) async fn of(&self, registry: &str) -> Result<RegistryAuth, ImageError> {
        match self {
            Self::Anonymous => Ok(RegistryAuth::Anonymous),
            Self::Given { username, password } => {
                Ok(RegistryAuth::Basic(username.clone(), password.clone()))
            }
            Self::DockerConfig(path) => {
                let (path, registry) = (path.clone(), registry.to_owned());
                let read = tokio::task::spawn_blocking(move || from_config(&path, &registry));
                read.await
                    .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

fn from_config(path: &Path, registry: &str) -> Result<RegistryAuth, ImageError> {
    let wrong = |reason: String| ImageError::Credentials {
        registry: registry.to_owned(),
        reason,
    };
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(RegistryAuth::Anonymous);
        }
        other => other.map_err(ImageError::reading(path))?,
    };
    let config: Config = serde_json::from_slice(&text).map_err(|error| {
        // The error's text could quote the file.
        wrong(format!(
            "{} is not docker's JSON at line {}",
            path.display(),
            error.line()
        ))
    })?;
    let names = names(registry);
    let helper = names.iter().find_map(|name| config.cred_helpers.get(*name));
    if let Some(helper) = helper.or(config.creds_store.as_ref()) {
        return ask(helper, names[0]).map_err(wrong);
    }
    let Some(entry) = names.iter().find_map(|name| config.auths.get(*name)) else {
        return Ok(RegistryAuth::Anonymous);
    };
    match (&entry.auth, &entry.username, &entry.password) {
        (Some(auth), _, _) if !auth.is_empty() => {
            let plain = STANDARD
                .decode(auth.trim())
                .ok()
                .and_then(|it| String::from_utf8(it).ok());
            let pair = plain.as_deref().and_then(|it| it.split_once(':'));
            let (username, password) = pair.ok_or_else(|| {
                wrong(format!(
                    "`auth` in {} is not base64 of user:password",
                    path.display()
                ))
            })?;
            Ok(RegistryAuth::Basic(
                username.to_owned(),
                password.to_owned(),
            ))
        }
        (_, Some(username), Some(password)) => {
            Ok(RegistryAuth::Basic(username.clone(), password.clone()))
        }
        _ => Ok(RegistryAuth::Anonymous),
    }
}

/// The names under which a registry may stand in the file, docker's own spelling first.
fn names(registry: &str) -> Vec<&str> {
    if registry == "docker.io" {
        vec![DOCKER_IO, "docker.io", "index.docker.io"]
    } else {
        vec![registry]
    }
}

/// Asks a helper program; the registry goes in by standard input, the secret comes back by standard output.
fn ask(helper: &str, registry: &str) -> Result<RegistryAuth, String> {
    let program = format!("docker-credential-{helper}");
    let output = Run::new(&program).arg("get").stdin(registry).run();
    let output = match output {
        Ok(output) => output,
        // It says so on standard output, which errors do not carry; code 1 is its only failure.
        Err(kedactl_exec::ExecError::Failed { code: Some(1), .. }) => {
            return Ok(RegistryAuth::Anonymous);
        }
        Err(error) => return Err(error.to_string()),
    };
    let answer: Answer =
        serde_json::from_str(&output.stdout).map_err(|_| format!("{program} gave no JSON"))?;
    if answer.username == "<token>" {
        return Err(format!(
            "{program} holds an identity token, which needs `docker login` with a password"
        ));
    }
    Ok(RegistryAuth::Basic(answer.username, answer.secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, registry: &str) -> Result<RegistryAuth, ImageError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, text).unwrap();
        from_config(&path, registry)
    }

    #[test]
    fn a_login_is_found_under_the_registrys_names() {
        let basic = RegistryAuth::Basic("me".into(), "pa:ss".into());
        let text = r#"{"auths": {"r.example.com:5000": {"auth": "bWU6cGE6c3M="}}}"#;
        assert_eq!(read(text, "r.example.com:5000").unwrap(), basic);
        assert_eq!(read(text, "other").unwrap(), RegistryAuth::Anonymous);
        let hub = r#"{"auths": {"https://index.docker.io/v1/": {"username": "me", "password": "pa:ss"}}}"#;
        assert_eq!(read(hub, "docker.io").unwrap(), basic);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_does_not_quote_it() {
        let error = read("{\n\"auths\": hunter2", "r").unwrap_err().to_string();
        assert!(
            error.contains("at line 2") && !error.contains("hunter2"),
            "{error}"
        );
        let error = read(r#"{"auths": {"r": {"auth": "aHVudGVyMg=="}}}"#, "r").unwrap_err();
        assert!(error.to_string().contains("not base64 of user:password"));
        let debug = format!(
            "{:?}",
            Credentials::Given {
                username: "me".into(),
                password: "hunter2".into()
            }
        );
        assert_eq!(debug, "Given(me)");
    }

    #[test]
    fn a_helper_that_is_not_there_is_named() {
        let error = read(r#"{"credsStore": "not-there"}"#, "r")
            .unwrap_err()
            .to_string();
        assert!(error.contains("docker-credential-not-there"), "{error}");
    }
}
