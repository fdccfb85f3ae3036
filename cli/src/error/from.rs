//! Which code each library error gets.
//!
//! It must not change messages: the library names what happened, this names how it counts.

use super::{Code, Error};
use kedactl_bundle::BundleError;
use kedactl_config::ConfigError;
use kedactl_images::ImageError;
use kedactl_local::LocalError;
use kedactl_outbox::OutboxError;
use kedactl_queue::QueueError;
use kedactl_render::RenderError;
use kedactl_tunnel::TunnelError;

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let mut out = Self::new(Code::Config, error.to_string());
        for hint in error.hints() {
            out = out.hint(hint);
        }
        out
    }
}

impl From<RenderError> for Error {
    fn from(error: RenderError) -> Self {
        let out = Self::new(Code::Template, error.to_string());
        match error.hint {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        let code = match &error {
            ImageError::Reference { .. } => Code::Usage,
            ImageError::Program { .. }
            | ImageError::Library { .. }
            | ImageError::Conflict { .. }
            | ImageError::Spec { .. } => Code::ImageBuild,
            ImageError::File { .. } => Code::Io,
            ImageError::Blob { .. } | ImageError::Layout { .. } => Code::ImageDamaged,
            ImageError::Unknown { .. } => Code::NoImage,
            ImageError::Node { .. } | ImageError::Answer { .. } | ImageError::NoNode(_) => {
                Code::NoNode
            }
            ImageError::NotLoaded { .. } => Code::NotLoaded,
            ImageError::Registry { .. }
            | ImageError::NotPushed { .. }
            | ImageError::PartOfList { .. }
            | ImageError::Credentials { .. } => Code::Registry,
            ImageError::OtherBytes { .. }
            | ImageError::NoPlatform { .. }
            | ImageError::NoImage { .. }
            | ImageError::Archive { .. } => Code::NotHad,
        };
        let hint = error.hint();
        let out = Self::new(code, error.to_string()).source(error);
        match hint {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}

impl From<BundleError> for Error {
    fn from(error: BundleError) -> Self {
        let code = match &error {
            BundleError::NotHad { .. } | BundleError::NoName { .. } => Code::NotHad,
            BundleError::NoBundle { .. } | BundleError::Foreign { .. } => Code::NoBundle,
            BundleError::Fetched { .. } => Code::BundleIncomplete,
            BundleError::Taken { .. } => Code::Usage,
            BundleError::Chart { .. } => Code::Chart,
            BundleError::File { .. } => Code::Io,
            BundleError::Image(_) | BundleError::Tool(_) | BundleError::Render(_) => {
                return match error {
                    BundleError::Image(error) => error.into(),
                    BundleError::Tool(error) => error.into(),
                    BundleError::Render(error) => error.into(),
                    other => Self::new(Code::Internal, other.to_string()),
                };
            }
        };
        let hint = error.hint();
        let out = Self::new(code, error.to_string()).source(error);
        match hint {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}

impl From<LocalError> for Error {
    fn from(error: LocalError) -> Self {
        let code = match &error {
            LocalError::ProgramMissing { .. } => Code::ProgramMissing,
            LocalError::PortTaken { .. } | LocalError::NoPort { .. } => Code::PortTaken,
            LocalError::Manifest { .. }
            | LocalError::TriggerUnsupported { .. }
            | LocalError::NoBotToken { .. } => Code::Config,
            LocalError::OtherUser { .. } => Code::ForeignStack,
            LocalError::OtherVersion { .. } | LocalError::Damaged { .. } => Code::StaleState,
            LocalError::Busy { .. } => Code::Locked,
            LocalError::Supervisor { .. } => Code::Supervisor,
            LocalError::NotReady { .. } => Code::NotReady,
            LocalError::NotRunning { .. } => Code::NoStack,
            LocalError::Failover { .. } => Code::Failover,
            LocalError::Redis { .. } | LocalError::NoServer => Code::Redis,
            LocalError::Left { .. } => Code::Leftover,
            LocalError::File { .. } => Code::Io,
            LocalError::Exec(_) => Code::Internal,
        };
        let hint = error.hint();
        let message = error.to_string();
        let out = Self::new(code, message).source(error);
        match hint {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        let code = match &error {
            QueueError::Config { .. } => Code::Config,
            QueueError::Invalid(_) => Code::Usage,
            QueueError::Unavailable { .. } | QueueError::Refused(_) | QueueError::Answer(_) => {
                Code::Redis
            }
        };
        Self::new(code, error.to_string()).source(error)
    }
}

impl From<OutboxError> for Error {
    fn from(error: OutboxError) -> Self {
        Self::new(Code::Redis, error.to_string()).source(error)
    }
}

impl From<TunnelError> for Error {
    fn from(error: TunnelError) -> Self {
        let code = match &error {
            TunnelError::Wanted { .. } | TunnelError::NoProfile => Code::Usage,
            TunnelError::Kubeconfig { .. } | TunnelError::Context { .. } => Code::Kubeconfig,
            TunnelError::Api { .. } => Code::ClusterApi,
            TunnelError::NoService { .. }
            | TunnelError::NoPort { .. }
            | TunnelError::Nothing { .. } => Code::NoService,
            TunnelError::PortTaken { .. } => Code::PortTaken,
            TunnelError::Running { .. } => Code::TunnelRuns,
            TunnelError::NotRunning { .. } | TunnelError::Stale { .. } => Code::NoTunnel,
            TunnelError::Deaf { .. } | TunnelError::Died { .. } | TunnelError::Published { .. } => {
                Code::TunnelFailed
            }
            TunnelError::NotReady { .. } => Code::NotReady,
            TunnelError::NeedsRoot { .. } => Code::NeedsRoot,
            TunnelError::OtherMinikube { .. } => Code::OtherMinikubeTunnel,
            TunnelError::RouteLeft { .. } => Code::RouteLeft,
            TunnelError::File { .. } | TunnelError::Listen { .. } => Code::Io,
            TunnelError::Exec(_) => Code::Internal,
        };
        let hint = error.hint();
        let out = Self::new(code, error.to_string()).source(error);
        match hint {
            Some(hint) => out.hint(hint),
            None => out,
        }
    }
}
