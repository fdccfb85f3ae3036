//! How the stack's own Redis is reached from this machine, by what its state says.
//! Must not connect, and must not put a password anywhere but into what it gives back.

use std::path::Path;

use kedactl_queue::{HostPort, RedisConfig, Secret};

use crate::layout::fail;
use crate::{LocalError, StackState};

/// The Sentinels of the stack, or its one server, with their passwords.
pub fn redis_config(state: &StackState) -> Result<RedisConfig, LocalError> {
    let ends = &state.endpoints;
    let mut config = match (ends.sentinels.as_slice(), ends.redis.first()) {
        ([], Some(server)) => RedisConfig::single(address(server)?),
        ([], None) => return Err(LocalError::NoServer),
        (sentinels, _) => {
            let addrs = sentinels.iter().map(|text| address(text));
            RedisConfig::sentinel(addrs.collect::<Result<_, _>>()?, &ends.master_name)
        }
    };
    config.password = secret(&ends.redis_password_file)?;
    config.sentinel_password = secret(&ends.sentinel_password_file)?;
    Ok(config)
}

fn address(text: &str) -> Result<HostPort, LocalError> {
    text.parse().map_err(|_| LocalError::Damaged {
        path: "state.json".into(),
        message: format!("`{text}` is no address"),
    })
}

fn secret(path: &Path) -> Result<Option<Secret>, LocalError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(fail("read", path))?;
    Ok(Some(Secret::new(text.trim_end())))
}
