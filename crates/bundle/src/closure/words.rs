//! Which texts are names of images: those that can be nothing else, and those that the name beside them explains.
//! Must not take an address, a path, a label or a version for one.

use kedactl_images::Requested;

/// What a name beside a text says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// Nothing.
    None,
    /// It has to do with images: `--image-registry`.
    Mentions,
    /// It is an image: `sidecarImage`, `PROXY_IMAGE`, `--image`.
    Says,
}

/// Words that stand where an image could be named, and name none.
const NONE: [&str; 10] = [
    "true", "false", "none", "null", "auto", "always", "never", "default", "yes", "no",
];

/// What a key, a flag or a variable says about its value.
pub(super) fn hint(key: &str) -> Hint {
    let words = words(key);
    match words.last().map(String::as_str) {
        Some("image") => Hint::Says,
        // `imageName`, `IMAGE_REF`.
        Some("name" | "ref" | "reference")
            if words.len() > 1 && words[words.len() - 2] == "image" =>
        {
            Hint::Says
        }
        _ if words.iter().any(|it| it == "image" || it == "images") => Hint::Mentions,
        _ => Hint::None,
    }
}

/// `sidecarImage` and `SIDECAR_IMAGE` are `sidecar` and `image`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in key.chars() {
        if !c.is_ascii_alphanumeric() || (small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        small = c.is_ascii_lowercase() || c.is_ascii_digit();
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The image that a text names, with what the name beside it says.
pub(super) fn image(text: &str, hint: Hint) -> Option<Requested> {
    let name: Requested = text.parse().ok()?;
    let exact = name.digest().is_some() || has_tag(text);
    let good = match hint {
        Hint::None => exact && has_host(text),
        Hint::Mentions => exact && (has_host(text) || text.contains('/')),
        Hint::Says => {
            !NONE.contains(&text)
                && !text
                    .bytes()
                    .all(|c| c.is_ascii_digit() || c == b'.' || c == b':')
        }
    };
    good.then_some(name)
}

/// Whether it says which image of its repository it means.
pub(super) fn exact(text: &str) -> bool {
    text.contains('@') || has_tag(text)
}

fn has_tag(text: &str) -> bool {
    let name = text.split('@').next().unwrap_or_default();
    name.rsplit_once(':')
        .is_some_and(|(_, tag)| !tag.contains('/'))
}

/// Whether it begins with a host that cannot be a folder: one with a port, an address, or a domain.
fn has_host(text: &str) -> bool {
    let Some((host, _)) = text.split_once('/') else {
        return false;
    };
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    if let Some(port) = port {
        return !name.is_empty() && port.parse::<u16>().is_ok();
    }
    let top = name.rsplit('.').next().unwrap_or_default();
    let domain =
        name.contains('.') && top.len() > 1 && top.bytes().all(|c| c.is_ascii_alphabetic());
    domain || name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok()
}

/// The texts of an argument that may name something, each with the flag or variable before it: blanks, quotes and commas
/// divide them.
pub(super) fn parts(argument: &str) -> Vec<(String, &str)> {
    let divides = |c: char| c.is_whitespace() || "'\",;()`".contains(c);
    let mut parts = Vec::new();
    let mut flag = "";
    for word in argument.split(divides).filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some((key, value)) => {
                parts.push((key.to_owned(), value));
                flag = "";
            }
            None if word.starts_with('-') => flag = word,
            None => {
                parts.push((flag.to_owned(), word));
                flag = "";
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_say_what_they_say() {
        for key in [
            "image",
            "sidecarImage",
            "PROXY_IMAGE",
            "--config-reloader-image",
            "imageName",
            "RELATED_IMAGE_REF",
        ] {
            assert_eq!(hint(key), Hint::Says, "{key}");
        }
        for key in [
            "RELATED_IMAGE_PROMETHEUS",
            "--image-registry",
            "images",
            "imagePullPolicy",
        ] {
            assert_eq!(hint(key), Hint::Mentions, "{key}");
        }
        for key in ["", "--prometheus-config-reloader", "imagine", "reimagined"] {
            assert_eq!(hint(key), Hint::None, "{key}");
        }
    }

    #[test]
    fn texts_that_can_be_nothing_else_are_images() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "quay.io/prometheus-operator/prometheus-config-reloader:v0.93.1",
            "registry.k8s.io/pause:3.10",
            "localhost/a:1",
            "10.0.0.1:5000/a:1",
            "10.0.0.1/a:1",
            &format!("ghcr.io/a/b@{digest}"),
        ] {
            assert!(image(text, Hint::None).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_in_manifests_and_no_image_is_none() {
        for text in [
            "monitoring.coreos.com/v1",
            "http://loki:3100/loki/api/v1/push",
            "10.0.0.0/8",
            "127.0.0.1:8080",
            "system:serviceaccount:keda:keda",
            "kubernetes.io/hostname",
            "keda-operator.keda.svc:9666",
            "/etc/config/x.yaml:/etc/y",
            "docker.io/bitnami/redis",
            "v1.2/foo:3",
            "a/b:1",
            "busybox",
            "TCP:80",
            "4317",
            "2026-01-01T00:00:00Z",
            "prometheus.io/scrape",
            "app.kubernetes.io/name=x:y",
        ] {
            assert_eq!(image(text, Hint::None), None, "{text}");
        }
        for text in [
            "docker.io",
            "IfNotPresent",
            "quay.io/prometheus",
            "Always",
            "1:2",
        ] {
            assert_eq!(image(text, Hint::Mentions), None, "{text}");
        }
        for text in ["true", "auto", "", "8080", "1.2.3", "{{ x }}", "Always"] {
            assert_eq!(image(text, Hint::Says), None, "{text}");
        }
        for text in ["busybox", "grafana/loki:2.9.8"] {
            assert!(image(text, Hint::Says).is_some(), "{text}");
        }
    }

    #[test]
    fn an_argument_falls_into_words_with_their_flags() {
        let own = |parts: Vec<(String, &str)>| -> Vec<String> {
            parts
                .iter()
                .map(|(key, value)| format!("{key} {value}"))
                .collect()
        };
        assert_eq!(own(parts("--a=b")), ["--a b"]);
        assert_eq!(
            own(parts("run --image 'x/y:1' z")),
            [" run", "--image x/y:1", " z"]
        );
        assert_eq!(own(parts("A=\"b c\"; d")), ["A ", " b", " c", " d"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}", key in "\\PC{0,20}") {
            for hint in [Hint::None, Hint::Mentions, hint(&key)] {
                let _name = image(&text, hint);
            }
            let _parts = parts(&text);
        }

        #[test]
        fn every_whole_name_is_found_in_a_flag(
            host in "[a-z]{1,8}\\.(io|com|local)", path in "[a-z]{1,9}(/[a-z0-9]{1,9}){0,2}", tag in "[a-z0-9][a-z0-9.]{0,8}",
        ) {
            let name = format!("{host}/{path}:{tag}");
            for argument in [format!("--x={name}"), format!("--x {name}"), name.clone(), format!("sh -c \"run '{name}'\"")] {
                let parts = parts(&argument);
                let found: Vec<_> = parts.iter().filter_map(|(key, value)| image(value, hint(key))).collect();
                prop_assert_eq!(found.len(), 1, "{}", argument);
                prop_assert_eq!(found[0].to_string(), &*name);
            }
        }
    }
}
