//! A cluster of the stack's own: whichever program made it, it is found, brought to be and deleted in one way.
//! Must not know how any of the programs is driven.

use kedactl_config::{Config, Provider};
use kedactl_plan::Step;
use kedactl_tools::CancellationToken;
use kedactl_tools::kind::Kind;
use kedactl_tools::minikube::Minikube;

use super::{kind, minikube};
use crate::{Home, Record, StackError};

/// A cluster that a program of this machine makes, by its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Own {
    /// Of kind.
    Kind(String),
    /// Of minikube: a profile.
    Minikube(String),
}

impl Record {
    /// The cluster that is the stack's own; `None` where it is somebody else's.
    pub(crate) fn own(&self) -> Option<Own> {
        let kind = self.kind.clone().map(Own::Kind);
        kind.or_else(|| self.minikube.clone().map(Own::Minikube))
    }
}

impl Own {
    /// The one that a provider makes for a stack; `None` where the provider makes none.
    pub(crate) fn of(provider: Provider, home: &Home, config: &Config) -> Option<Self> {
        let or_stack =
            |named: &Option<String>| named.clone().unwrap_or_else(|| home.stack().to_owned());
        match provider {
            Provider::Kind => Some(Self::Kind(or_stack(&config.kind.cluster))),
            Provider::Minikube => Some(Self::Minikube(or_stack(&config.minikube.profile))),
            _ => None,
        }
    }

    /// The record of a stack on it; what an earlier one says holds for the same cluster alone.
    pub(super) fn record(self, home: &Home, config: &Config, before: Option<Record>) -> Record {
        let (folder, context) = match &self {
            Self::Kind(name) => (home.kind(), Kind::context(name)),
            // minikube names the context as the profile.
            Self::Minikube(name) => (home.minikube(), name.clone()),
        };
        let kubeconfig = folder.join(format!("{}.kubeconfig", self.name()));
        let mut record = Record::new(config.provider, kubeconfig, context, config.clone());
        if let Some(before) = before.filter(|it| it.own().as_ref() == Some(&self)) {
            record.cluster = before.cluster;
            record.last_run = before.last_run;
        }
        match self {
            Self::Kind(name) => record.kind = Some(name),
            Self::Minikube(name) => record.minikube = Some(name),
        }
        record
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Kind(name) | Self::Minikube(name) => name,
        }
    }

    /// What shows its nodes and what they say, as a user would type it.
    pub(super) fn look(&self, config: &Config) -> String {
        match self {
            Self::Kind(name) => {
                let engine = &config.images.engine;
                format!(
                    "`{engine} ps` shows its nodes, `{engine} logs {name}-control-plane` what the first one says"
                )
            }
            Self::Minikube(name) => {
                format!(
                    "`minikube status -p {name}` shows its nodes, `minikube logs -p {name}` what they say"
                )
            }
        }
    }

    /// Whether it was begun or made here, so that it may be deleted.
    pub(crate) fn made_here(&self, home: &Home) -> bool {
        match self {
            Self::Kind(name) => Kind::made_here(&home.kind(), name),
            Self::Minikube(name) => Minikube::made_here(&home.minikube(), name),
        }
    }

    /// Makes, starts or adopts it; whether it was made here.
    pub(super) async fn ensure(
        &self,
        home: &Home,
        config: &Config,
        step: &Step<'_>,
        stop: &CancellationToken,
    ) -> Result<bool, StackError> {
        match self {
            Self::Kind(name) => kind::ensure(home, config, name, step, stop).await,
            Self::Minikube(name) => minikube::ensure(home, config, name, step, stop).await,
        }
    }

    /// Whether there is one of that name, running or not.
    pub(crate) async fn is_there(
        &self,
        home: &Home,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<bool, StackError> {
        match self {
            Self::Kind(name) => {
                let driver = kind::driver(home, config)?;
                Ok(driver.clusters(stop).await?.contains(name))
            }
            Self::Minikube(name) => minikube::is_there(home, config, name, stop).await,
        }
    }

    /// Writes the kubeconfig of one that runs anew.
    pub(super) async fn write_kubeconfig(
        &self,
        home: &Home,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<(), StackError> {
        match self {
            Self::Kind(name) => {
                let driver = kind::driver(home, config)?;
                driver.write_kubeconfig(name, stop).await?;
            }
            Self::Minikube(name) => minikube::write_kubeconfig(home, config, name, stop).await?,
        }
        Ok(())
    }

    /// Makes sure of the way to one that is there: a profile that was started again has other ports, and one that stopped is told.
    pub(crate) async fn refresh(
        &self,
        home: &Home,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<(), StackError> {
        match self {
            Self::Kind(_) => Ok(()),
            Self::Minikube(name) => minikube::write_kubeconfig(home, config, name, stop).await,
        }
    }

    /// Deletes it; `false` where it was gone already.
    pub(crate) async fn delete(
        &self,
        home: &Home,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<bool, StackError> {
        Ok(match self {
            Self::Kind(name) => kind::driver(home, config)?.delete(name, stop).await?,
            Self::Minikube(name) => minikube::driver(home, config)?.delete(name, stop).await?,
        })
    }
}
