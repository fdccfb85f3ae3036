//! Which code the errors of a stack on a cluster get: the stack's own, the API server's, and those of helm and kind.
//!
//! It must not change messages: the library names what happened, this names how it counts.

use super::{Code, Error};
use kedactl_cluster::{Class, Error as ClusterError};
use kedactl_exec::ExecError;
use kedactl_stack::StackError;
use kedactl_tools::ToolError;

impl From<StackError> for Error {
    fn from(error: StackError) -> Self {
        let code = match &error {
            StackError::Config { .. } | StackError::Name(_) => Code::Config,
            StackError::Recipe { .. } => Code::Recipe,
            StackError::NoStack { .. } => Code::NoStack,
            StackError::Elsewhere { .. } => Code::Elsewhere,
            StackError::Record { .. } => Code::StaleState,
            StackError::ClusterNotReady { .. } => Code::NotReady,
            StackError::Check { .. } => Code::Check,
            StackError::Missing { .. } => Code::ProgramMissing,
            StackError::Machine { .. } => Code::Machine,
            StackError::Stopped | StackError::Interrupted { .. } => Code::Interrupted,
            StackError::File { .. } => Code::Io,
            StackError::OutOfReach { .. } => Code::Redis,
            StackError::Failover(_) => Code::Failover,
            StackError::NoAddress { .. } => Code::NoAddress,
            StackError::Outside { .. } => Code::BundleIncomplete,
            StackError::Graph(_) => Code::Internal,
            StackError::Exec(error) => of_exec(error),
            StackError::Render(_)
            | StackError::Cluster(_)
            | StackError::Tool(_)
            | StackError::Image(_)
            | StackError::Bundle(_)
            | StackError::Tunnel(_)
            | StackError::Queue(_) => return of_part(error),
        };
        let hint = error.hint();
        with(code, error, hint)
    }
}

/// The error of a part counts as it does where the part is used alone.
fn of_part(error: StackError) -> Error {
    match error {
        StackError::Render(error) => error.into(),
        StackError::Cluster(error) => error.into(),
        StackError::Tool(error) => error.into(),
        StackError::Image(error) => error.into(),
        StackError::Bundle(error) => (*error).into(),
        StackError::Tunnel(error) => error.into(),
        StackError::Queue(error) => error.into(),
        other => Error::new(Code::Internal, other.to_string()),
    }
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let (code, hint, notes) = (of_cluster(&error), error.hint(), error.notes());
        with(code, error, hint).notes(notes)
    }
}

fn of_cluster(error: &ClusterError) -> Code {
    match error {
        ClusterError::Kubeconfig { .. } | ClusterError::NoContext { .. } => Code::Kubeconfig,
        ClusterError::Api { .. } if error.class() == Class::Connection => Code::ClusterApi,
        ClusterError::Api { .. } | ClusterError::NotAllowed { .. } => Code::ApiRefused,
        ClusterError::WrongCluster { .. } => Code::ClusterRefused,
        ClusterError::Malformed { .. } | ClusterError::PlanFile { .. } => Code::Config,
        ClusterError::KindMissing { .. } => Code::KindMissing,
        ClusterError::Conflict(_) | ClusterError::Foreign { .. } => Code::Ownership,
        ClusterError::Locked { .. } => Code::Locked,
        ClusterError::LeaseLost { .. } => Code::LockLost,
        ClusterError::NotReady(_) => Code::NotReady,
        ClusterError::Stale { .. } => Code::PlanStale,
        ClusterError::Stuck { .. } => Code::Stuck,
        ClusterError::Stopped => Code::Interrupted,
        ClusterError::Several(all) => all.first().map_or(Code::ApiRefused, of_cluster),
    }
}

impl From<ToolError> for Error {
    fn from(error: ToolError) -> Self {
        let code = match &error {
            ToolError::Exec(error) => of_exec(error),
            ToolError::Missing { .. } => Code::ProgramMissing,
            ToolError::Refused { .. } | ToolError::NoEffect { .. } | ToolError::Garbled { .. } => {
                Code::ToolRefused
            }
            ToolError::Minikube(_) => Code::MinikubeFailed,
            ToolError::Locked { .. } => Code::ReleaseLocked,
            ToolError::Conflict { .. } => Code::Ownership,
            ToolError::TooOld { .. } => Code::ToolTooOld,
            ToolError::Chart { .. } => Code::Chart,
            ToolError::Digest { .. } => Code::ChartDigest,
            ToolError::Fetch { .. } => Code::ChartSource,
            ToolError::Declaration { .. } | ToolError::Name { .. } | ToolError::Profile { .. } => {
                Code::Config
            }
            ToolError::OtherCluster { .. } | ToolError::OtherProfile { .. } => Code::OtherCluster,
            ToolError::Silent { .. } => Code::ClusterApi,
            ToolError::File { .. } => Code::Io,
        };
        let hint = error.hint();
        with(code, error, hint)
    }
}

fn of_exec(error: &ExecError) -> Code {
    match error {
        ExecError::Missing { .. } => Code::ProgramMissing,
        ExecError::Cancelled { .. } => Code::Interrupted,
        ExecError::Log { .. } => Code::Io,
        ExecError::Start { .. }
        | ExecError::Failed { .. }
        | ExecError::TimedOut { .. }
        | ExecError::Feed { .. }
        | ExecError::Signal { .. } => Code::ToolRefused,
    }
}

fn with(
    code: Code,
    error: impl std::error::Error + Send + Sync + 'static,
    hint: Option<String>,
) -> Error {
    let out = Error::new(code, error.to_string()).source(error);
    match hint {
        Some(hint) => out.hint(hint),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Exit;
    use super::{ClusterError, Error, StackError, ToolError};

    fn exit(error: impl Into<StackError>) -> Exit {
        Error::from(error.into()).exit()
    }

    #[test]
    fn the_exit_codes_keep_the_contract() {
        let refused = ClusterError::WrongCluster {
            reason: "another".to_owned(),
            found: "0b5c7f3a-1111".to_owned(),
            about: "context dev".to_owned(),
        };
        assert_eq!(exit(refused), Exit::Refused);
        let held = ClusterError::Locked {
            stack: "demo".to_owned(),
            holder: "pid 7 on a".to_owned(),
            age: 2,
        };
        assert_eq!(exit(held), Exit::Locked);
        let stale = ClusterError::Stale {
            differences: vec!["x".to_owned()],
        };
        assert_eq!(exit(stale), Exit::Locked);
        let pending = ToolError::Locked {
            release: "redis".to_owned(),
            status: "pending-upgrade".to_owned(),
            since: "now".to_owned(),
        };
        assert_eq!(exit(pending), Exit::Locked);
        let check = StackError::Check {
            what: "the proof".to_owned(),
            why: "a task was lost".to_owned(),
        };
        assert_eq!(exit(check), Exit::CheckFailed);
        let late = StackError::ClusterNotReady {
            name: "demo".to_owned(),
            missing: "a node".to_owned(),
            waited_s: 9,
            look: String::new(),
        };
        assert_eq!(exit(late), Exit::NotReady);
    }

    #[test]
    fn a_parts_error_keeps_its_code_and_its_cure_through_the_stack() {
        let missing = ToolError::Missing {
            program: "helm".to_owned(),
            what: "helm 3.18 or later",
            key: "helm.program",
        };
        let error = Error::from(StackError::from(missing));
        insta::assert_snapshot!(error.report(), @r"
        error[KD0202]: program helm not found
        hint: install helm 3.18 or later, or name its path in helm.program
        ");
        let several = ClusterError::Several(vec![ClusterError::KindMissing {
            api_version: "keda.sh/v1alpha1".to_owned(),
            kind: "ScaledObject".to_owned(),
        }]);
        insta::assert_snapshot!(Error::from(StackError::from(several)).report(), @r"
        error[KD0805]: 1 objects failed, first: the cluster does not know ScaledObject of keda.sh/v1alpha1
        hint: ScaledObject comes with KEDA, which is not installed there
        ");
    }
}
