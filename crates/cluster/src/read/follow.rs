//! One container's log: read once, or followed over lost connections.
//! Must not depend on the clock of this machine: it resumes at the time of the last line that it told.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use kube::core::request::Request as Builder;
use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;

use super::logs::LogLine;
use super::views::{ContainerView, PodView};
use crate::api::{ApiError, classify};
use crate::connect::Cluster;
use crate::error::Error;
use crate::mask::Secrets;

/// Longest line that is kept whole.
const LONGEST: usize = 64 << 10;

/// One instance of one container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    namespace: String,
    pod: String,
    container: String,
    component: String,
    /// Restarts so far: the next instance is another source.
    instance: u32,
    /// The instance before this one is meant.
    previous: bool,
}

/// Lines from before and seconds back, both optional.
type Window = (Option<i64>, Option<i64>);

impl Source {
    pub(crate) fn new(pod: &PodView, container: &ContainerView) -> Self {
        let component = if pod.component.is_empty() {
            &pod.name
        } else {
            &pod.component
        };
        Self {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: container.name.clone(),
            component: component.clone(),
            instance: container.restarts,
            previous: false,
        }
    }

    /// The instance before this one, of which the node keeps the log.
    pub(crate) fn before(&self) -> Option<Self> {
        let previous = true;
        (self.instance > 0).then(|| Self {
            previous,
            ..self.clone()
        })
    }

    fn request(&self, params: &LogParams) -> Result<http::Request<Vec<u8>>, ApiError> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        Builder::new(path)
            .logs(&self.pod, params)
            .map_err(|error| ApiError::Answer(error.to_string()))
    }

    fn params(&self, (tail, since): Window, follow: bool) -> LogParams {
        LogParams {
            container: Some(self.container.clone()),
            follow,
            tail_lines: tail,
            since_seconds: since,
            timestamps: true,
            previous: self.previous,
            ..LogParams::default()
        }
    }

    fn line(&self, raw: &[u8], secrets: &Secrets) -> LogLine {
        let text = String::from_utf8_lossy(raw);
        let (at, text) = text.split_once(' ').unwrap_or((&text, ""));
        LogLine {
            component: self.component.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            at: at.to_owned(),
            text: secrets.scrub(text.trim_end_matches('\r')),
        }
    }

    /// Everything that is there now. A container that has no log (yet, or any more) has no lines.
    pub(crate) async fn read(
        &self,
        cluster: &Cluster,
        window: Window,
        secrets: &Secrets,
    ) -> Result<Vec<LogLine>, Error> {
        let action = || format!("read the log of pod {}/{}", self.namespace, self.pod);
        let fail = |error| Error::api(action(), error);
        let request = self.request(&self.params(window, false)).map_err(fail)?;
        let response = match cluster.open(request).await {
            Ok(response) => response,
            Err(error)
                if error
                    .status()
                    .is_some_and(|it| matches!(it.code, 400 | 404)) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(fail(error)),
        };
        let bytes = response.into_body().collect().await;
        let bytes = bytes
            .map_err(|error| fail(classify(&error, cluster.server())))?
            .to_bytes();
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        Ok(lines.map(|line| self.line(line, secrets)).collect())
    }
}

/// How a connection ended.
enum End {
    /// The container ended, or nobody listens any more.
    Over,
    /// The connection broke.
    Broken,
}

/// Follows one instance until it ended; reconnects, and tells each line once.
pub(crate) async fn follow(
    cluster: Cluster,
    source: Source,
    window: Window,
    last: Arc<Mutex<String>>,
    (secrets, lines): (Secrets, mpsc::Sender<LogLine>),
) {
    // One reader an instance: nobody else waits for this.
    let mut last = last.lock().await;
    loop {
        let mut params = source.params(window, true);
        if let Ok(time) = last.parse::<Timestamp>() {
            params.tail_lines = None;
            params.since_seconds = None;
            // The server counts in whole seconds: one second back, and what was told is left out.
            let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
            params.since_time = Some(whole);
        }
        match stream(&cluster, &source, &params, &secrets, &lines, &mut last).await {
            End::Over => return,
            End::Broken => {}
        }
        tokio::select! {
            () = lines.closed() => return,
            () = sleep(Duration::from_millis(500)) => {}
        }
    }
}

async fn stream(
    cluster: &Cluster,
    source: &Source,
    params: &LogParams,
    secrets: &Secrets,
    lines: &mpsc::Sender<LogLine>,
    last: &mut String,
) -> End {
    let Ok(request) = source.request(params) else {
        return End::Over;
    };
    let mut body = match cluster.open(request).await {
        Ok(response) => response.into_body(),
        // Gone, or not started: its next instance is another source.
        Err(error)
            if error
                .status()
                .is_some_and(|it| matches!(it.code, 400 | 404)) =>
        {
            return End::Over;
        }
        Err(_) => return End::Broken,
    };
    let told = last.clone();
    let mut splitter = Splitter::default();
    loop {
        let frame = tokio::select! {
            () = lines.closed() => return End::Over,
            frame = body.frame() => frame,
        };
        let data = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return End::Broken,
            None => return End::Over,
        };
        for raw in splitter.feed(&data) {
            let line = source.line(&raw, secrets);
            if later(&line.at, &told) {
                last.clone_from(&line.at);
                if lines.send(line).await.is_err() {
                    return End::Over;
                }
            }
        }
    }
}

/// Whether a line is later than the last one that was told. Fractions have any number of digits, so text does not sort.
fn later(at: &str, told: &str) -> bool {
    match (at.parse::<Timestamp>(), told.parse::<Timestamp>()) {
        (Ok(at), Ok(told)) => at > told,
        _ => true,
    }
}

/// Puts lines together from pieces.
#[derive(Debug, Default)]
struct Splitter(Vec<u8>);

impl Splitter {
    fn feed(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LONGEST.saturating_sub(self.0.len());
            self.0.extend_from_slice(&piece[..piece.len().min(room)]);
            if whole {
                lines.push(std::mem::take(&mut self.0));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_where_the_pieces_end(
            lines in proptest::collection::vec("[a-z ]{0,12}", 0..8),
            cuts in proptest::collection::vec(1..9_usize, 1..40),
        ) {
            let whole: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            let (mut splitter, mut found, mut rest) = (Splitter::default(), Vec::new(), whole.as_bytes());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                found.extend(splitter.feed(piece));
                rest = after;
            }
            let expected: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut splitter = Splitter::default();
        assert!(splitter.feed(&vec![b'x'; LONGEST * 2]).is_empty());
        assert_eq!(splitter.feed(b"\n")[0].len(), LONGEST);
        assert_eq!(splitter.feed(b"y\n"), [b"y".to_vec()]);
    }

    #[test]
    fn times_are_compared_as_times() {
        assert!(later("2026-01-01T00:00:00.10Z", "2026-01-01T00:00:00.09Z"));
        assert!(later("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00Z"));
        assert!(!later("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"));
        assert!(later("x", ""));
    }
}
