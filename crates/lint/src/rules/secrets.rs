//! Secrets where they can be read: variables, command lines, URLs, `ConfigMap`s, files for everybody.
//! Shows names and places, never values.

use crate::finding::Findings;
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::set::Set;
use crate::view::At;

rules! {
    LITERAL "KL0501" Error "a secret stands in a variable",
        why "Everyone who may read the Deployment reads it, as does everyone with the repository of the manifests; it is in the history for ever.",
        cure "put it into a Secret, and mount that as a file",
        peers "polaris sensitiveContainerEnvVar";
    FROM_SECRET "KL0502" Warning "a secret comes as a variable",
        why "Variables are inherited by every child process, printed by crash handlers and `/proc`, and do not change when the Secret does.",
        cure "mount the Secret as a file with mode 0400, and give the program the path",
        peers "kube-linter env-var-secret read-secret-from-env-var, CIS 5.4.1, CKV_K8S_35";
    IN_ARGV "KL0503" Error "a secret stands on a command line",
        why "A command line is readable by every process of the pod and of the node, and shows in every process list and crash report.",
        cure "give the program a file, or let it read its environment or standard input",
        peers "";
    IN_URL "KL0504" Error "a URL holds a password",
        why "URLs are logged, shown in error messages and kept in histories.",
        cure "take the password out of the URL, and give it as a file",
        peers "";
    IN_CONFIG_MAP "KL0505" Error "a ConfigMap holds a secret",
        why "ConfigMaps are not encrypted at rest and are readable by far more accounts than Secrets.",
        cure "move it to a Secret",
        peers "polaris sensitiveConfigmapContent";
    READABLE "KL0506" Note "the files of a Secret are readable by every user of the container",
        why "The default mode is 0644: any process that gets into the container reads them, whatever its user.",
        cure "set `defaultMode: 256` (0400) and the pod's `fsGroup`",
        peers "";
}

/// Endings of names whose values are secrets.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credentials",
];

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        for container in pod.containers() {
            environment(pod, container, out);
            command_line(pod, container, out);
        }
        volumes(pod, out);
    }
    for (at, object) in set.of_kind("", "ConfigMap") {
        for (key, value) in object.root().key("data").entries() {
            let text = value.text().unwrap_or_default();
            if is_secret(key) && literal(text) {
                out.add(
                    IN_CONFIG_MAP,
                    at,
                    &value,
                    format!("the key `{key}` is named like a secret"),
                );
            } else if url_with_password(text) {
                out.add(IN_URL, at, &value, format!("the value of `{key}` has one"));
            }
        }
    }
}

fn environment(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    for variable in container.spec.key("env").items() {
        let name = variable.key("name").text().unwrap_or_default();
        let value = variable.key("value");
        let text = value.shown();
        if value.exists() && is_secret(name) && literal(&text) {
            out.add(LITERAL, pod.at, &value, format!("`{name}` is written out"));
        } else if url_with_password(&text) {
            out.add(
                IN_URL,
                pod.at,
                &value,
                format!("the value of `{name}` has one"),
            );
        }
        let reference = variable.dig("valueFrom.secretKeyRef");
        if reference.exists() {
            out.add(
                FROM_SECRET,
                pod.at,
                &reference,
                format!("`{name}` is read from a Secret"),
            );
        }
    }
    for source in container.spec.key("envFrom").items() {
        let reference = source.key("secretRef");
        if reference.exists() {
            let name = reference.key("name").shown();
            out.add(
                FROM_SECRET,
                pod.at,
                &reference,
                format!("every key of the Secret {name} is"),
            );
        }
    }
}

fn command_line(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let secret_variables: Vec<&str> = container
        .spec
        .key("env")
        .items()
        .iter()
        .filter(|it| it.dig("valueFrom.secretKeyRef").exists())
        .filter_map(|it| it.key("name").text())
        .collect();
    let argv = container.argv();
    for (place, at) in argv.iter().enumerate() {
        let word = at.shown();
        if url_with_password(&word) {
            out.add(IN_URL, pod.at, at, "an argument has one");
        }
        for name in &secret_variables {
            if word.contains(&format!("$({name})")) {
                out.add(
                    IN_ARGV,
                    pod.at,
                    at,
                    format!("`$({name})` is replaced by the secret before the program starts"),
                );
            }
        }
        let Some((flag, value)) = flag(&word) else {
            continue;
        };
        let value = value.map(str::to_owned).or_else(|| {
            let next = argv.get(place + 1).map(At::shown);
            next.filter(|next| !next.starts_with('-'))
        });
        if value.is_some_and(|value| literal(&value)) {
            out.add(
                IN_ARGV,
                pod.at,
                at,
                format!("`{flag}` is given its value there"),
            );
        }
    }
}

/// A flag that takes a secret, and its value where it stands in the same word.
fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let (name, value) = bare
        .split_once('=')
        .map_or((bare, None), |(name, value)| (name, Some(value)));
    let known = matches!(name, "requirepass" | "masterauth" | "sentinel-pass");
    let shown = &word[..word.len() - value.map_or(0, |value| value.len() + 1)];
    (known || is_secret(name)).then_some((shown, value))
}

fn volumes(pod: &Pod<'_>, out: &mut Findings<'_>) {
    for volume in pod.spec.key("volumes").items() {
        let secret = volume.key("secret");
        let mode = secret.key("defaultMode");
        // YAML 1.1 reads 0400 as 256, YAML 1.2 as text.
        let octal = mode
            .text()
            .and_then(|text| i64::from_str_radix(text, 8).ok());
        let bits = mode.whole().or(octal).unwrap_or(0o644);
        if secret.exists() && bits & 0o007 != 0 {
            let name = volume.key("name").shown();
            out.add(
                READABLE,
                pod.at,
                &mode,
                format!("volume `{name}` has mode {bits:o}"),
            );
        }
    }
}

/// Whether a name says that its value is a secret; `…_FILE` and the like name a place instead.
pub(super) fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    WORDS.iter().any(|word| plain.ends_with(word))
}

/// Whether a value is a secret itself: not empty, not a switch, not a path, not a reference to something else.
pub(super) fn literal(value: &str) -> bool {
    let value = value.trim();
    let place =
        value.starts_with(['/', '$', '{', '<']) || value.starts_with("./") || value.contains("$(");
    let switch = matches!(
        value.to_ascii_lowercase().as_str(),
        "" | "true" | "false" | "yes" | "no" | "null"
    );
    let number = value.parse::<f64>().is_ok() && value.len() < 5;
    !place && !switch && !number
}

/// `scheme://user:password@host`, with a password that is written out.
fn url_with_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        let authority = rest
            .split(|c: char| c.is_whitespace() || "/\"'?#,".contains(c))
            .next();
        let user = authority.and_then(|authority| authority.rsplit_once('@'));
        user.and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| literal(password))
    })
}
