//! The recorded stack that a command looks at: its state, checked against what really runs, and the way to its Redis.
//!
//! It must not start or stop anything.

use crate::context::Context;
use crate::error::{Code, Error};
use kedactl_local::{Layout, StackState};
use kedactl_queue::{HostPort, QueueName, RedisConfig, Secret};
use std::path::PathBuf;

/// A stack with a state.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) layout: Layout,
    pub(crate) state: StackState,
}

impl Stack {
    /// The stack that the command line names.
    pub(crate) fn open(context: &Context) -> Result<Self, Error> {
        let dir = context.stack_dir()?;
        let state = kedactl_local::read_state(&dir)?;
        let state = state.ok_or_else(|| {
            Error::new(Code::NoStack, format!("no stack runs in {}", dir.display()))
        })?;
        Ok(Self {
            layout: Layout::new(dir),
            state,
        })
    }

    /// Reads the state again.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        let state = kedactl_local::read_state(self.layout.dir())?;
        let state = state.ok_or_else(|| Error::new(Code::NoStack, "the stack was removed"))?;
        Ok(Self {
            layout: self.layout.clone(),
            state,
        })
    }

    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.state.endpoints.api)
    }

    /// The queue that the stack's configuration names.
    pub(crate) fn queue(&self) -> Result<QueueName, Error> {
        let desired = kedactl_local::read_desired(self.layout.dir())?;
        let desired = desired
            .ok_or_else(|| Error::new(Code::NoStack, "the stack has no recorded configuration"))?;
        queue_name(&desired.config.queue.name)
    }

    /// How the stack's Redis is reached from here.
    pub(crate) fn redis(&self) -> Result<RedisConfig, Error> {
        let ends = &self.state.endpoints;
        let mut config = if ends.sentinels.is_empty() {
            let addr = ends
                .redis
                .first()
                .ok_or_else(|| Error::new(Code::Redis, "the stack has no Redis server yet"))?;
            RedisConfig::single(address(addr)?)
        } else {
            let addrs = ends
                .sentinels
                .iter()
                .map(|text| address(text))
                .collect::<Result<_, _>>()?;
            RedisConfig::sentinel(addrs, &ends.master_name)
        };
        config.password = secret(&ends.redis_password_file)?;
        config.sentinel_password = secret(&ends.sentinel_password_file)?;
        Ok(config)
    }
}

/// Reads a queue's name as a user gave it.
pub(crate) fn queue_name(text: &str) -> Result<QueueName, Error> {
    text.parse().map_err(|error| {
        Error::new(Code::Usage, format!("`{text}` is not the name of a queue")).source(error)
    })
}

fn address(text: &str) -> Result<HostPort, Error> {
    text.parse().map_err(|error| {
        Error::new(Code::StaleState, "the stack's state has a bad address").source(error)
    })
}

fn secret(path: &PathBuf) -> Result<Option<Secret>, Error> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Code::Io, format!("{} could not be read", path.display())).source(error)
    })?;
    Ok(Some(Secret::new(text.trim_end())))
}
