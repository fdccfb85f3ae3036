//! Why a request did not come to a good end.
//! Must not repeat what a credential plugin printed: its output is a credential.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::core::response::Status;

/// The failure of one request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server answered with a refusal.
    #[error("{}", said(.0))]
    Status(Box<Status>),
    /// Nobody answers at the address.
    #[error("nothing answers at {server}: {reason}")]
    Unreachable {
        /// Address of the API server.
        server: String,
        /// What the operating system said.
        reason: String,
    },
    /// The connection could not be secured.
    #[error("no secure connection to {server}: {reason}")]
    Tls {
        /// Address of the API server.
        server: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// A program that makes credentials is not there.
    #[error("the credential plugin {command} of this context could not be started: {reason}")]
    PluginMissing {
        /// The program.
        command: String,
        /// What the operating system said.
        reason: String,
    },
    /// Credentials could not be made or read.
    #[error("no credentials for this context: {0}")]
    Credentials(String),
    /// The API server did not answer in time.
    #[error("{server} did not answer within {} s", within.as_secs())]
    TimedOut {
        /// Address of the API server.
        server: String,
        /// The limit.
        within: Duration,
    },
    /// The answer is not what Kubernetes answers.
    #[error("the answer cannot be understood: {0}")]
    Answer(String),
}

fn said(status: &Status) -> String {
    let text = status.message.trim();
    if text.is_empty() {
        format!("the API server answered {} {}", status.code, status.reason)
    } else {
        text.to_owned()
    }
}

impl ApiError {
    /// The server's own words, where it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|it| it.code == 404)
    }

    /// Whether the object changed since it was read, or exists already.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status().is_some_and(|it| it.code == 409)
    }

    /// Whether we may not.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|it| it.code == 403)
    }

    /// Whether no answer came, or one that says who we are not.
    pub(crate) fn is_connection(&self) -> bool {
        match self {
            Self::Status(status) => status.code == 401,
            Self::Answer(_) => false,
            _ => true,
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Status(status) => {
                matches!(status.code, 429 | 502..=504)
                    || (status.code == 500 && status.message.contains("etcdserver"))
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// Names the credential plugin, which the failure to start it does not.
    pub(crate) fn with_plugin(self, name: Option<String>) -> Self {
        match (self, name) {
            (Self::PluginMissing { reason, .. }, Some(command)) => {
                Self::PluginMissing { command, reason }
            }
            (other, _) => other,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Status(status) if status.code == 401 => {
                Some("the credentials of this context are not accepted; log in again".into())
            }
            Self::Status(status) if status.message.contains("being terminated") => {
                Some("its namespace is being deleted: run the command again when it is gone".into())
            }
            Self::Status(status) if status.message.contains("field is immutable") => Some(
                "Kubernetes does not let this field change: delete the object, and run the command again".into(),
            ),
            Self::Status(status) if status.code == 403 => Some(forbidden(&status.message)),
            Self::Status(_) | Self::Answer(_) => None,
            Self::Unreachable { .. } | Self::TimedOut { .. } => Some(
                "is the cluster running, and is its address reachable from here (VPN, firewall)?"
                    .into(),
            ),
            Self::Tls { .. } => Some(
                "check certificate-authority-data of the context; an intercepting proxy also looks like this"
                    .into(),
            ),
            Self::PluginMissing { command, .. } => Some(format!(
                "install {command}, or choose a context that does not need it"
            )),
            Self::Credentials(_) => Some("log in again with the cluster's own tool".into()),
        }
    }
}

/// Names the one right that is missing.
fn forbidden(message: &str) -> String {
    let quoted = |after: &str| {
        let rest = message.split_once(after)?.1;
        rest.split('"').next()
    };
    match (quoted("cannot ").map(str::trim), quoted("resource \"")) {
        (Some(verb), Some(resource)) => format!(
            "ask for the right to {} {resource}: kubectl auth can-i {} {resource}",
            verb.trim_end_matches(" resource"),
            verb.trim_end_matches(" resource")
        ),
        _ => "the user of this context lacks the right; see `kubectl auth can-i --list`".into(),
    }
}

/// Puts a failed call into words. `kube::Error` is taken apart because its text repeats credentials and addresses.
pub(crate) fn classify(error: &kube::Error, server: &str) -> ApiError {
    match error {
        kube::Error::Api(status) => ApiError::Status(status.clone()),
        kube::Error::Auth(auth) => credentials(auth),
        other => transport(other, server),
    }
}

fn credentials(error: &kube::client::AuthError) -> ApiError {
    use kube::client::AuthError;
    match error {
        AuthError::AuthExecStart(source) => ApiError::PluginMissing {
            command: "of the context".into(),
            reason: source.to_string(),
        },
        // The output of the plugin is a credential: only its end is told.
        AuthError::AuthExecRun { cmd, out } => ApiError::Credentials(format!(
            "{} ended with {}",
            cmd.split_whitespace().next().unwrap_or(cmd),
            out.status
        )),
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            ApiError::Credentials("the credential plugin's answer cannot be understood".into())
        }
        other => ApiError::Credentials(other.to_string()),
    }
}

fn transport(error: &kube::Error, server: &str) -> ApiError {
    let server = server.to_owned();
    let mut deepest: &(dyn StdError + 'static) = error;
    let mut refused = false;
    loop {
        if let Some(found) = deepest.downcast_ref::<kube::client::AuthError>() {
            return credentials(found);
        }
        if let Some(found) = deepest.downcast_ref::<io::Error>() {
            if found.kind() == io::ErrorKind::TimedOut {
                let reason = "no answer in time".to_owned();
                return ApiError::Unreachable { server, reason };
            }
            refused |=
                found.kind() != io::ErrorKind::Other && found.kind() != io::ErrorKind::InvalidData;
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    let reason = deepest.to_string();
    let certificate = ["certificate", "InvalidContentType", "tls", "UnknownIssuer"];
    if !refused && certificate.iter().any(|word| reason.contains(word)) {
        return ApiError::Tls { server, reason };
    }
    ApiError::Unreachable { server, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_named() {
        let status = Status::failure(
            r#"deployments.apps "api" is forbidden: User "dev" cannot patch resource "deployments" in API group "apps" in the namespace "keda""#,
            "Forbidden",
        )
        .with_code(403);
        let error = ApiError::Status(status.boxed());
        assert!(error.is_forbidden() && !error.is_transient() && !error.is_connection());
        let hint = error.hint().unwrap();
        assert!(hint.contains("patch deployments"), "{hint}");
    }

    #[test]
    fn the_output_of_a_credential_plugin_is_never_told() {
        let out = Box::new(std::process::Output {
            status: std::process::ExitStatus::default(),
            stdout: b"token-that-is-secret".to_vec(),
            stderr: b"also-secret".to_vec(),
        });
        let error = kube::Error::Auth(kube::client::AuthError::AuthExecRun {
            cmd: "get-token --password hidden".into(),
            out,
        });
        let told = classify(&error, "https://c").to_string();
        assert!(told.contains("get-token"), "{told}");
        for secret in ["secret", "hidden", "116"] {
            assert!(!told.contains(secret), "{told}");
        }
    }

    #[test]
    fn overload_is_transient_and_refusal_is_not() {
        let status = |code| ApiError::Status(Status::default().with_code(code).boxed());
        assert!(
            [429, 502, 503, 504]
                .iter()
                .all(|code| status(*code).is_transient())
        );
        assert!(
            ![400, 401, 403, 404, 409, 422, 500]
                .iter()
                .any(|code| status(*code).is_transient())
        );
        assert!(status(401).is_connection());
    }
}
