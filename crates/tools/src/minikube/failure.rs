//! How minikube fails: its exit codes by what they blame, in a sentence, with a cure.
//! Must not outvote minikube's own advice where it gives one.

use crate::Action;

use super::event::Said;

/// minikube did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("minikube could not {action} {profile} ({how}{}): {said}", blamed(*code))]
pub struct Failure {
    /// What it was asked for.
    pub action: Action,
    /// The profile.
    pub profile: String,
    /// "exit code 63".
    pub how: String,
    /// The exit code.
    pub code: Option<i32>,
    /// minikube's name of the trouble.
    pub id: Option<String>,
    /// Its last words.
    pub said: String,
    /// What it suggests.
    pub advice: Option<String>,
}

impl Failure {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let own = self.code.and_then(family).map(|it| it.cure);
        let cure = match (&self.advice, own) {
            (Some(advice), Some(own)) => format!("minikube says: {advice}; else {own}"),
            (Some(advice), None) => format!("minikube says: {advice}"),
            (None, Some(own)) => own.to_owned(),
            (None, None) => return None,
        };
        Some(cure)
    }

    /// Made of how it ended and the last error that it told.
    pub(super) fn new(
        action: Action,
        profile: &str,
        (how, code): (String, Option<i32>),
        told: Option<Said>,
        last_words: String,
    ) -> Self {
        let (message, id, advice) = match told {
            Some(Said::Error {
                message,
                id,
                advice,
                ..
            }) => (message, id, advice),
            _ => (String::new(), None, None),
        };
        let said = match (&id, message.is_empty()) {
            (_, true) => last_words,
            (Some(id), false) => format!("{id}: {message}"),
            (None, false) => message,
        };
        Self {
            action,
            profile: profile.to_owned(),
            how,
            code,
            id,
            said,
            advice,
        }
    }
}

/// A row of the table of exit codes, `pkg/minikube/reason/exitcodes.go` of minikube: ten codes to each source of trouble.
struct Family {
    blames: &'static str,
    cure: &'static str,
}

fn family(code: i32) -> Option<&'static Family> {
    let single = SINGLE.iter().find(|(at, _)| *at == code).map(|(_, it)| it);
    single.or_else(|| {
        let tens = FAMILIES.iter().find(|(tens, _)| *tens == code / 10);
        tens.map(|(_, it)| it)
    })
}

fn blamed(code: Option<i32>) -> String {
    let family = code.and_then(family);
    family.map_or_else(String::new, |it| format!(", {}", it.blames))
}

const fn of(blames: &'static str, cure: &'static str) -> Family {
    Family { blames, cure }
}

/// Codes that say more than their ten do.
const SINGLE: &[(i32, Family)] = &[
    (
        14,
        of(
            "an option was refused",
            "look at minikube.startArgs and the other values of the section minikube",
        ),
    ),
    (
        23,
        of(
            "too little memory",
            "free memory, or ask for less with minikube.memoryMib",
        ),
    ),
    (
        26,
        of(
            "the disk is full",
            "free disk space: `docker system prune`, or `minikube ssh -- docker system prune` inside of the node",
        ),
    ),
    (
        29,
        of(
            "too few CPUs",
            "give the engine more CPUs, or ask for fewer with minikube.cpus",
        ),
    ),
    (
        63,
        of(
            "the engine does not run",
            "start the container engine (`docker version` must answer), or take another with minikube.driver",
        ),
    ),
    (
        65,
        of(
            "the driver's program is missing",
            "install the program of the driver, or take another with minikube.driver",
        ),
    ),
    (
        67,
        of(
            "no permission for the engine",
            "join the group that may use the engine (`docker`), and log in again",
        ),
    ),
];

const FAMILIES: &[(i32, Family)] = &[
    (
        1,
        of(
            "minikube itself",
            "`minikube logs` and its version may say more: 1.38 is what is tested",
        ),
    ),
    (
        2,
        of(
            "a resource of this machine",
            "free what it names, or ask for less with minikube.cpus and minikube.memoryMib",
        ),
    ),
    (
        3,
        of(
            "this machine",
            "look at the rights of ~/.minikube (or $MINIKUBE_HOME) and at what it names",
        ),
    ),
    (
        4,
        of(
            "the internet",
            "look at proxy and name server; without a network, minikube needs its cache filled before (`minikube start --download-only`)",
        ),
    ),
    (
        5,
        of(
            "the driver",
            "look whether the driver's engine is well, or take another with minikube.driver",
        ),
    ),
    (
        6,
        of(
            "the driver's provider",
            "look whether the driver's engine is well (`docker info`), or take another with minikube.driver",
        ),
    ),
    (
        7,
        of(
            "this machine's network",
            "another network or VPN may have the addresses: minikube.startArgs takes --subnet",
        ),
    ),
    (
        8,
        of(
            "a node",
            "`minikube logs -p PROFILE` says what the node says; `kedactl down --purge` and `up` begin anew",
        ),
    ),
    (
        9,
        of(
            "the container runtime",
            "take another with minikube.containerRuntime",
        ),
    ),
    (
        10,
        of(
            "the control plane",
            "`minikube logs -p PROFILE` says more; a slow machine needs minikube.waitTimeoutSeconds",
        ),
    ),
    (
        11,
        of(
            "a service of the cluster",
            "`kubectl get pods -A` shows what does not run",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: i32, told: Option<Said>) -> Failure {
        let how = format!("exit code {code}");
        Failure::new(
            Action::Create,
            "demo",
            (how, Some(code)),
            told,
            "last words".to_owned(),
        )
    }

    #[test]
    fn a_failure_names_what_minikube_blames_and_both_cures() {
        let told = Said::Error {
            message: "deadline exceeded".to_owned(),
            id: Some("PROVIDER_DOCKER_NOT_RUNNING".to_owned()),
            advice: Some("Start the Docker service".to_owned()),
            code: Some(63),
        };
        let error = failed(63, Some(told));
        assert_eq!(
            error.to_string(),
            "minikube could not create demo (exit code 63, the engine does not run): PROVIDER_DOCKER_NOT_RUNNING: deadline exceeded"
        );
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with("minikube says: Start the Docker service; else start"),
            "{hint}"
        );
        assert_eq!(
            failed(1, None).to_string(),
            "minikube could not create demo (exit code 1): last words"
        );
        assert_eq!(failed(1, None).hint(), None);
    }

    #[test]
    fn every_code_of_the_table_blames_somebody() {
        for code in (10..120).filter(|it| *it != 64) {
            assert!(family(code).is_some(), "{code}");
        }
        assert!(family(9).is_none() && family(130).is_none());
        assert!(failed(52, None).to_string().contains("the driver"));
    }
}
