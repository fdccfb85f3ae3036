//! Whether a fetch that failed is tried again, and when.
//! Must not try again what will fail again, nor wait longer than a person would.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use kedactl_exec::ExecError;

use crate::charts::Wanted;
use crate::{Action, ToolError};

const TRIES: u32 = 4;
const FIRST: Duration = Duration::from_millis(500);
/// A source that wants more is not waited for.
const LONGEST: Duration = Duration::from_secs(30);
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    kind: Kind,
    said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The source says that it cannot now: 429, or 5xx.
    Busy(u16),
    /// The connection or the archive was cut.
    Cut,
    /// There is no way to the source, or it does not answer in time.
    Unreachable,
    /// It says no.
    No,
}

impl Failure {
    /// Of what helm said.
    pub(super) fn of(said: String) -> Self {
        const CUT: [&str; 5] = [
            "unexpected eof",
            "connection reset",
            "broken pipe",
            "server closed idle connection",
            ": eof",
        ];
        const UNREACHABLE: [&str; 8] = [
            "no such host",
            "connection refused",
            "network is unreachable",
            "no route to host",
            "i/o timeout",
            "handshake timeout",
            "deadline exceeded",
            "server misbehaving",
        ];
        let text = said.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|it| text.contains(it));
        let kind = match status(&text) {
            Some(status) if status == 429 || (500..600).contains(&status) => Kind::Busy(status),
            None if has(&UNREACHABLE) => Kind::Unreachable,
            None if has(&CUT) => Kind::Cut,
            _ => Kind::No,
        };
        Self { kind, said }
    }

    pub(super) fn cut(said: String) -> Self {
        Self {
            kind: Kind::Cut,
            said,
        }
    }

    pub(super) fn slow(within: Duration) -> Self {
        Self {
            kind: Kind::Unreachable,
            said: format!("it did not come within {} s", within.as_secs_f64()),
        }
    }

    /// A few words for a line of progress.
    pub(super) fn short(&self) -> String {
        match self.kind {
            Kind::Busy(status) => format!("HTTP {status}"),
            Kind::Cut => "the download was cut".to_owned(),
            Kind::Unreachable => "it does not answer".to_owned(),
            Kind::No => self.said.clone(),
        }
    }

    /// What the user is told in the end: a source that gave nothing, or one that said no.
    pub(super) fn into_error(self, wanted: &Wanted, tries: u32) -> ToolError {
        let chart = format!("{} {}", wanted.chart, wanted.version);
        if self.kind == Kind::No {
            return ToolError::Refused {
                program: "helm",
                action: Action::Fetch,
                subject: chart,
                how: format!("from {}", wanted.address()),
                said: self.said,
            };
        }
        ToolError::Fetch {
            chart,
            source_address: wanted.address(),
            tries,
            said: self.said,
        }
    }
}

/// The HTTP status in what helm said: `: 429 Too Many Requests`, `status code 503`.
fn status(text: &str) -> Option<u16> {
    let before = ["status code ", "status code: ", " : ", ": "];
    let starts = before
        .iter()
        .flat_map(|word| text.match_indices(word).map(|(at, _)| at + word.len()));
    let mut found = starts.filter_map(|start| {
        let digits = text.get(start..start + 3)?;
        let next = text[start + 3..].chars().next();
        let alone = next.is_none_or(|it| !it.is_ascii_alphanumeric() && it != '.');
        let status = digits.parse::<u16>().ok()?;
        (alone && (400..600).contains(&status)).then_some(status)
    });
    found.next()
}

/// The address that helm could not fetch.
fn address(said: &str) -> Option<&str> {
    let words = "failed to fetch ";
    let said = said
        .find(words)
        .map_or(said, |at| &said[at + words.len()..]);
    let start = said.find("http://").or_else(|| said.find("https://"))?;
    let rest = &said[start..];
    let end = rest
        .find(|c: char| c.is_whitespace() || c == '"')
        .unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches(':'))
}

/// How often it was tried, and how long was waited last.
#[derive(Debug, Default)]
pub(super) struct Patience {
    tries: u32,
}

impl Patience {
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// How long to wait before the next try; `None` where there is none.
    pub(super) async fn after(&mut self, failure: &Failure, ca: Option<&Path>) -> Option<Duration> {
        self.tries += 1;
        let worth = match failure.kind {
            Kind::Busy(_) | Kind::Cut => self.tries < TRIES,
            Kind::Unreachable | Kind::No => false,
        };
        if !worth {
            return None;
        }
        let own = FIRST * 2_u32.pow(self.tries - 1);
        if !matches!(failure.kind, Kind::Busy(_)) {
            return Some(own);
        }
        // Helm does not hand on how long the source asks to be left alone.
        let asked = match address(&failure.said) {
            Some(address) => retry_after(address, ca).await,
            None => None,
        };
        let wait = own.max(asked.unwrap_or_default());
        (wait <= LONGEST).then_some(wait)
    }
}

/// Asks a source that is busy for its `Retry-After`, in seconds; a date is left alone.
async fn retry_after(address: &str, ca: Option<&Path>) -> Option<Duration> {
    static TLS: Once = Once::new();
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut client = reqwest::Client::builder().timeout(ASK_WITHIN);
    if let Some(ca) = ca {
        let pem = crate::private::read(ca).ok()?;
        client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).ok()?);
    }
    let answer = client.build().ok()?.head(address).send().await.ok()?;
    let header = answer.headers().get("retry-after")?.to_str().ok()?;
    header.trim().parse().ok().map(Duration::from_secs)
}

pub(super) fn cancelled(wanted: &Wanted) -> ToolError {
    ToolError::Exec(ExecError::Cancelled {
        command: format!("helm pull {}", wanted.chart),
        how: "not started again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_says_is_told_apart() {
        let of = |said: &str| Failure::of(said.to_owned()).kind;
        for (said, kind) in [
            (
                "failed to fetch https://x.example/a-1.0.0.tgz : 429 Too Many Requests",
                Kind::Busy(429),
            ),
            (
                "looks like \"http://x\" is not a valid chart repository or cannot be reached: failed to fetch \
                 http://x/index.yaml : 503 Service Unavailable",
                Kind::Busy(503),
            ),
            (
                "failed to perform \"FetchReference\" on source: GET \"http://x/v2\": response status code 429: toomanyrequests",
                Kind::Busy(429),
            ),
            (
                "failed to fetch http://x/a-1.0.0.tgz : 404 Not Found",
                Kind::No,
            ),
            (
                "failed to fetch http://x:4290/a-1.0.0.tgz : 401 Unauthorized",
                Kind::No,
            ),
            ("unexpected EOF", Kind::Cut),
            (
                "read tcp 127.0.0.1:5->127.0.0.1:6: read: connection reset by peer",
                Kind::Cut,
            ),
            (
                "Get \"http://127.0.0.1:500/index.yaml\": dial tcp 127.0.0.1:500: connect: connection refused",
                Kind::Unreachable,
            ),
            (
                "dial tcp: lookup x.example: no such host",
                Kind::Unreachable,
            ),
            (
                "chart \"a\" version \"2.0.0\" not found in http://x repository",
                Kind::No,
            ),
        ] {
            assert_eq!(of(said), kind, "{said}");
        }
    }

    #[test]
    fn the_address_is_found_in_helms_words() {
        let said = "failed to fetch https://x.example/a.tgz : 429 Too Many Requests";
        assert_eq!(address(said), Some("https://x.example/a.tgz"));
        assert_eq!(
            address("cannot be reached: \"http://x\": bad"),
            Some("http://x")
        );
        let said = "looks like \"http://x\" is not a valid chart repository: failed to fetch http://x/index.yaml : 429 Too Many";
        assert_eq!(address(said), Some("http://x/index.yaml"));
        assert_eq!(address("unexpected EOF"), None);
    }
}
