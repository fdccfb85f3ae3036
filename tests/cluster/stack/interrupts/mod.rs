//! A run that is cut off at any moment: killed, told to end, or met by another. The next one goes on, and nothing is left.
//!
//! It must not repair anything itself: what `kedactl up` or `down` does not put right, fails the test.

mod down;
mod helm;
mod kill;
mod left;
pub(crate) mod run;
pub(crate) mod signal;
mod twice;

use crate::rig::Rig;
pub(crate) use left::files;
use run::Cut;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// A stack that is cut off, with a second port for its tunnel.
struct Trial {
    rig: Rig,
    other: u16,
}

impl Trial {
    fn new(purpose: &str) -> Self {
        Self {
            rig: Rig::new(purpose),
            other: kedactl_testkit::free_port(),
        }
    }

    /// Where the API is reached from here after [`Self::vary`].
    fn port(&self, round: usize) -> u16 {
        if round.is_multiple_of(2) {
            self.rig.port
        } else {
            self.other
        }
    }

    /// A change that every writing node has something to do for: labels of the namespaces, the release's budget, pods of
    /// the API that are replaced, the scaler, an object that goes and comes, another port of the tunnel.
    fn vary(&self, round: usize) {
        let other = !round.is_multiple_of(2);
        let (version, ingress) = if other {
            ("v1.33", "null")
        } else {
            (
                "v1.34",
                "{host: api.example, className: nginx, tlsSecret: api-tls}",
            )
        };
        let budget = 1 + usize::from(other);
        let port = self.port(round);
        self.rig.context.write(
            "more.yaml",
            &format!(
                "podSecurityVersion: {version}\n\
                 releases: {{redis: {{values: {{pdb: {{maxUnavailable: {budget}}}}}}}}}\n\
                 api: {{env: {{ROUND: 'r{round}'}}}}\n\
                 worker: {{autoscaling: {{cooldownPeriod: {}}}}}\n\
                 ingress: {ingress}\n\
                 tunnel: {{port: {port}}}\n",
                10 + budget
            ),
        );
    }

    /// `up` in the background, its events followed.
    fn up(&self) -> Cut {
        let place = self.rig.place();
        let args: Vec<&str> = place.iter().map(String::as_str).collect();
        Cut::start(&self.rig, "up", &args)
    }

    /// The next run converges, the one after it writes nothing, and nothing of those before it is left.
    fn converges(&self, round: usize) {
        let rig = &self.rig;
        let up = rig.up(&["-o", "json"]).expect(0).json();
        let url = format!("http://127.0.0.1:{}", self.port(round));
        assert_eq!(up["api_url"], url.as_str(), "{up}");
        answers(self.port(round));
        let before = rig.versions();
        let again = rig.up(&["-o", "json"]).expect(0).json();
        assert_eq!(again["changed"], false, "{again}");
        assert_eq!(rig.versions(), before);
        left::nothing_locked(rig);
        left::nothing_but_the_tunnel(rig);
        left::nothing_half_written(rig);
    }
}

/// The API answers through the tunnel.
fn answers(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Everything below the state folder that belongs to this stack or to none.
fn state(rig: &Rig) -> PathBuf {
    rig.context.dir().join("state")
}
