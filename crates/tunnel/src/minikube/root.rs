//! Whether `minikube tunnel` can become root: it runs `sudo ip route`, and where that asks for a password, nobody sees the question.
//! Must not ask for one.

use std::time::Duration;

use kedactl_exec::{CancellationToken, Job, find, last_words};

use crate::TunnelError;
use crate::service::Target;

const WITHIN: Duration = Duration::from_secs(5);
/// Ports below this one are forwarded by a `sudo ssh`.
const FIRST: u16 = 1024;

/// Refuses where it would have to ask.
pub(super) async fn ready(targets: &[Target]) -> Result<(), TunnelError> {
    // There nodes have no address of their own, and every port goes through ssh.
    let routes = !windows_below();
    let low = targets.iter().find(|it| it.port < FIRST);
    let why = match low {
        Some(low) => format!("port {} of {} belongs to root", low.port, low.service()),
        None if routes => "it adds a route".to_owned(),
        None => return Ok(()),
    };
    let needs = |problem: String| TunnelError::NeedsRoot { why, problem };
    // It calls sudo also where it is root already, and then that gives what is asked for.
    let Ok(sudo) = find("sudo") else {
        return Err(needs("there is no program sudo".to_owned()));
    };
    let job = Job::new(sudo).args(["-n", "true"]).within(WITHIN);
    match job.run(&CancellationToken::new()).await {
        Ok(ended) if ended.code == Some(0) => Ok(()),
        Ok(ended) => Err(needs(last_words(&ended.stderr))),
        Err(error) => Err(needs(error.to_string())),
    }
}

/// A Linux that runs below Windows.
fn windows_below() -> bool {
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    version.to_lowercase().contains("microsoft")
}
