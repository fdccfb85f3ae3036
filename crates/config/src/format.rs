//! The forms that text values must have, named in the schema by `format`.
//! One predicate and one description a form; no other rules.

use std::net::IpAddr;

use crate::quantity::parse_milli;

/// A form: its name in the schema, what a message says is accepted, and the test.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) accepted: &'static str,
    pub(crate) holds: fn(&str) -> bool,
}

/// Every form that the schema may name.
pub(crate) const FORMATS: &[Format] = &[
    Format {
        name: "dns-label",
        accepted: "1 to 63 of a-z, 0-9 and `-`, first a letter, last not `-`",
        holds: |text| dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()),
    },
    Format {
        name: "dns-name",
        accepted: "a DNS name: parts of a-z, 0-9 and `-` joined by dots",
        holds: |text| text.len() <= 253 && text.split('.').all(dns_label),
    },
    Format {
        name: "queue-name",
        accepted: "1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`",
        holds: |text| (1..=64).contains(&text.len()) && text.chars().all(word),
    },
    Format {
        name: "secret-key",
        accepted: "1 to 253 of A-Z, a-z, 0-9, `.`, `_` and `-`",
        holds: |text| {
            (1..=253).contains(&text.len())
                && text.chars().all(word)
                && !text.starts_with("..")
                && text != "."
        },
    },
    Format {
        name: "quantity",
        accepted: "a positive Kubernetes quantity such as `100m`, `0.5` or `128Mi`",
        holds: |text| parse_milli(text).is_some_and(|milli| milli > 0),
    },
    Format {
        name: "image",
        accepted: "an image with a tag or a digest, such as `app:1.2` or `app@sha256:…`",
        holds: image,
    },
    Format {
        name: "release-name",
        accepted: RELEASE_NAME,
        holds: release_name,
    },
    Format {
        name: "digest",
        accepted: "`sha256:` and 64 of 0-9 and a-f",
        holds: |text| {
            let hex = text.strip_prefix("sha256:").unwrap_or_default();
            hex.len() == 64
                && hex
                    .chars()
                    .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        },
    },
    Format {
        name: "registry",
        accepted: "a registry: `host`, `host:port` or `host/path`, such as `registry.example.com:5000/team`",
        holds: registry,
    },
    Format {
        name: "host-port",
        accepted: "`host:port`",
        holds: host_port,
    },
    Format {
        name: "cidr",
        accepted: "a range of addresses such as `10.0.0.0/8` or `fd00::/8`",
        holds: |text| range(text).is_some(),
    },
    Format {
        name: "count-or-percent",
        accepted: "a number of pods from 1, or per cent from `1%` to `100%`",
        holds: |text| match text.strip_suffix('%') {
            Some(percent) => number(percent).is_some_and(|percent| (1..=100).contains(&percent)),
            None => number(text).is_some_and(|count| (1..=10_000).contains(&count)),
        },
    },
    Format {
        name: "pod-security-version",
        accepted: "`latest` or a version of Kubernetes such as `v1.34`",
        holds: |text| {
            text == "latest"
                || text
                    .strip_prefix("v1.")
                    .is_some_and(|it| number(it).is_some())
        },
    },
    Format {
        name: "label-key",
        accepted: "a label's name: at most 63 of A-Z, a-z, 0-9, `.`, `_`, `-`, with an optional `domain/` in front",
        holds: label_key,
    },
    Format {
        name: "label-value",
        accepted: "at most 63 of A-Z, a-z, 0-9, `.`, `_` and `-`, first and last a letter or digit",
        holds: is_label_value,
    },
    Format {
        name: "route-name",
        accepted: "1 to 64 of A-Z, a-z, 0-9, `_` and `-`",
        holds: |text| (1..=64).contains(&text.len()) && text.chars().all(|c| word(c) && c != '.'),
    },
    Format {
        name: "http-address",
        accepted: "an address such as `https://api.telegram.org`, without a path",
        holds: http_address,
    },
    Format {
        name: "version",
        accepted: "a version such as `0.28` or `0.28.1`",
        holds: |text| {
            let parts: Vec<&str> = text.split('.').collect();
            matches!(parts.len(), 2 | 3) && parts.iter().all(|part| number(part).is_some())
        },
    },
    Format {
        name: "label-name",
        accepted: "a label's name in Prometheus: A-Z, a-z, 0-9 and `_`, first not a digit",
        holds: is_env_name,
    },
    Format {
        name: "objective",
        accepted: "per cent from `94` to `99.9999`",
        holds: |text| objective(text).is_some(),
    },
    Format {
        name: "http-url",
        accepted: "an address that begins with `http://` or `https://`",
        holds: http_url,
    },
    Format {
        name: "env-name",
        accepted: "a variable's name: A-Z, a-z, 0-9 and `_`, first not a digit",
        holds: is_env_name,
    },
];

/// What helm takes for the name of a release.
pub(crate) const RELEASE_NAME: &str =
    "1 to 53 of a-z, 0-9 and `-`, first and last a letter or digit";

/// Whether helm takes a text for the name of a release; names of objects are made from it, so it is shorter than theirs.
pub(crate) fn release_name(text: &str) -> bool {
    dns_label(text) && text.len() <= 53
}

/// The form of that name.
pub(crate) fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn label_word(text: &str) -> bool {
    text.len() <= 63
        && text.chars().all(word)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Whether Kubernetes takes a text as the value of a label.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || label_word(text)
}

fn label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => {
            domain.len() <= 253 && domain.split('.').all(dns_label) && label_word(name)
        }
        None => label_word(text),
    }
}

fn image(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/:@".contains(c);
    let name = text.rsplit('/').next().unwrap_or(text);
    let tag = name.rsplit(['@', ':']).next().unwrap_or_default();
    text.len() <= 512
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !tag.is_empty()
        && name.find([':', '@']).is_some_and(|at| at > 0)
        && !text.ends_with(":latest")
}

fn is_env_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Per cent that are to succeed, in millionths: `99.9` is 999,000. `None` for what is no objective: below 94, the fastest burn,
/// 14.4 times the rest, would be nearly everything.
pub fn objective(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let percent = number(whole)?;
    let digits = decimals.chars().all(|c| c.is_ascii_digit());
    if !digits || !(1..=4).contains(&decimals.len()) || !(94..100).contains(&percent) {
        return None;
    }
    let behind: u32 = format!("{decimals:0<4}").parse().ok()?;
    Some(percent * 10_000 + behind)
}

/// One that can stand in an annotation of Prometheus, which is a template, and gets an anchor.
fn http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_graphic() && !"\"'\\`{}<>#".contains(c);
    text.len() <= 2048 && rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
}

/// A registry and a folder in it. The first part is a host: it has a dot or a port, or is `localhost`.
fn registry(text: &str) -> bool {
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    let component = |part: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.chars().all(inner) && part.starts_with(ends) && part.ends_with(ends)
    };
    let named = host == "localhost"
        || host_port(host)
        || (host.contains('.') && host.to_ascii_lowercase().split('.').all(dns_label));
    named && text.len() <= 255 && path.is_none_or(|path| path.split('/').all(component))
}

/// Scheme, host and maybe a port, and nothing behind: no path, no credentials.
fn http_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| {
        host_port(host) || (!host.is_empty() && host.len() <= 253 && host.chars().all(word))
    })
}

fn host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host_holds = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.chars().all(word),
    };
    host_holds && !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A number as Kubernetes writes it: digits, without a sign or leading zeros.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A range of addresses: whether it is IPv4, its bits from the left, the length of its prefix. `None` also where bits
/// behind the prefix are set, which the API server refuses.
pub(crate) fn range(text: &str) -> Option<(bool, u128, u32)> {
    let (address, length) = text.split_once('/')?;
    let length = number(length)?;
    let (v4, bits, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (true, u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (false, address.to_bits(), 128),
    };
    (length <= width && bits.checked_shl(length).unwrap_or(0) == 0).then_some((v4, bits, length))
}

#[cfg(test)]
mod tests {
    use super::{format, objective};

    #[test]
    fn each_form_takes_and_refuses() {
        let cases = [
            ("dns-label", "kedactl-1", "1kedactl"),
            ("dns-name", "redis.keda", "redis..keda"),
            ("queue-name", "mails.high", "mails:high"),
            ("secret-key", "redis-password", "redis/password"),
            ("quantity", "100m", "0"),
            ("image", "host:5000/app:1.2", "host:5000/app"),
            ("image", "app@sha256:0123abcd", "app:latest"),
            ("release-name", "loki-1", "Loki"),
            ("registry", "registry.example.com:5000/team", "team/images"),
            (
                "digest",
                "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                "sha256:0123",
            ),
            ("registry", "localhost:5000", "localhost:5000/"),
            ("registry", "ghcr.io/acme/tasks", "ghcr.io/Acme"),
            ("host-port", "[::1]:26379", "localhost"),
            ("host-port", "redis-node-0.redis:26379", "redis:0"),
            ("cidr", "10.0.0.0/8", "10.0.0.1/8"),
            ("cidr", "fd00::/8", "fd00::/129"),
            ("cidr", "0.0.0.0/0", "0.0.0.0"),
            ("cidr", "169.254.20.10/32", "169.254.20.10/033"),
            ("count-or-percent", "1", "0"),
            ("count-or-percent", "25%", "101%"),
            ("pod-security-version", "v1.34", "1.34"),
            ("label-key", "example.com/team", "example.com/"),
            ("label-value", "a.b", "a b"),
            ("env-name", "LOG_LEVEL", "1LOG"),
            ("route-name", "on-call_2", "on call"),
            ("http-address", "https://api.telegram.org", "https://a/b"),
            ("http-address", "http://127.0.0.1:8081", "127.0.0.1:8081"),
            ("version", "0.28.1", "v0.28"),
            ("version", "0.25", "25"),
            ("label-name", "severity", "app.kubernetes.io/name"),
            ("objective", "99.9", "100"),
            ("objective", "99.9999", "99.99999"),
            ("objective", "94", "93.9"),
            ("http-url", "https://example.com/runbooks.md", "example.com"),
            ("http-url", "http://runbooks", "http://{{ $value }}"),
        ];
        for (name, good, bad) in cases {
            let format = format(name).unwrap();
            assert!((format.holds)(good), "{name} takes {good:?}");
            assert!(!(format.holds)(bad), "{name} refuses {bad:?}");
        }
    }

    #[test]
    fn objectives_are_read_in_millionths() {
        assert_eq!(objective("99.9"), Some(999_000));
        assert_eq!(objective("99.9999"), Some(999_999));
        assert_eq!(objective("95"), Some(950_000));
        assert_eq!(objective("99."), None);
        assert_eq!(objective("99.+1"), None);
    }
}
