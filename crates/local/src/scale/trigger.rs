//! Reads triggers as KEDA's scalers do: their credentials, the Sentinels, the same script.
//! Must not read a queue in any other way, and refuses the types that it does not know by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use kedactl_autoscale::api::{ScaledObject, Trigger};
use kedactl_autoscale::keda::Reading;
use redis::{RedisError, cmd};

use crate::LocalError;
use crate::context::Context;
use crate::desired::Desired;
use crate::pod::materialize::secret_value;
use crate::redis::link::Link;
use crate::redis::view;

/// What KEDA's redis scaler runs (`redis_scaler.go`): one length for any of the countable types.
const LENGTH: &str = "\
local kind = redis.call('type', KEYS[1]).ok
if kind == 'list' or kind == 'none' then return redis.call('llen', KEYS[1]) end
if kind == 'zset' then return redis.call('zcard', KEYS[1]) end
if kind == 'set' then return redis.call('scard', KEYS[1]) end
if kind == 'hash' then return redis.call('hlen', KEYS[1]) end
return redis.error_reply('unsupported key type ' .. kind)";

/// The types that are read here; `cpu` is the HPA's.
const READ: [&str; 3] = ["redis", "redis-sentinel", "cpu"];

/// Refuses a `ScaledObject` with a trigger that cannot be read.
pub(crate) fn check(object: &ScaledObject) -> Result<(), LocalError> {
    let unknown = object
        .spec
        .triggers
        .iter()
        .find(|trigger| !READ.contains(&trigger.kind.as_str()));
    unknown.map_or(Ok(()), |trigger| {
        Err(LocalError::TriggerUnsupported {
            scaled_object: object.name().to_owned(),
            kind: trigger.kind.clone(),
        })
    })
}

/// Reads the triggers of one `ScaledObject`.
#[derive(Debug)]
pub(crate) struct Reader {
    scalers: Vec<Option<Scaler>>,
}

/// One redis scaler.
#[derive(Debug)]
struct Scaler {
    list: String,
    database: u32,
    password: String,
    sentinels: Vec<Link>,
    master_name: String,
    /// The server of a `redis` trigger.
    fixed: u16,
    server: Option<Link>,
}

impl Reader {
    /// Resolves addresses and credentials. The host names of the manifest are those of the cluster, and mean our servers.
    pub(crate) fn new(object: &ScaledObject, desired: &Desired, context: &Arc<Context>) -> Self {
        let scalers = object.spec.triggers.iter().map(|trigger| {
            matches!(trigger.kind.as_str(), "redis" | "redis-sentinel")
                .then(|| Scaler::new(trigger, desired, context))
        });
        Self {
            scalers: scalers.collect(),
        }
    }

    /// Asks every trigger; one that fails is asked once more with new connections, as KEDA does it.
    pub(crate) async fn read(&mut self) -> Vec<Reading> {
        let mut readings = Vec::new();
        for (index, scaler) in self.scalers.iter_mut().enumerate() {
            let Some(scaler) = scaler else { continue };
            let mut answer = scaler.length().await;
            if answer.is_err() {
                scaler.server = None;
                answer = scaler.length().await;
            }
            readings.push(match answer {
                Ok(length) => Reading::count(index, length),
                Err(error) => Reading::failed(index, error.to_string()),
            });
        }
        readings
    }
}

impl Scaler {
    fn new(trigger: &Trigger, desired: &Desired, context: &Context) -> Self {
        let parameters = parameters(trigger, desired, context);
        let text = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let sentinels = if trigger.kind == "redis-sentinel" {
            context.identity.sentinels.as_slice()
        } else {
            &[]
        };
        Self {
            list: text("listName"),
            database: text("databaseIndex").parse().unwrap_or(0),
            password: text("password"),
            sentinels: sentinels
                .iter()
                .map(|port| Link::new(*port, &text("sentinelPassword")))
                .collect(),
            master_name: text("sentinelMaster"),
            fixed: context.identity.redis[0],
            server: None,
        }
    }

    async fn length(&mut self) -> Result<u64, RedisError> {
        let port = if self.sentinels.is_empty() {
            self.fixed
        } else {
            view::master(&mut self.sentinels, &self.master_name)
                .await
                .ok_or_else(|| {
                    RedisError::from((
                        redis::ErrorKind::Io,
                        "no Sentinel names a master",
                        self.master_name.clone(),
                    ))
                })?
        };
        if self
            .server
            .as_ref()
            .is_none_or(|server| server.port() != port)
        {
            self.server = Some(Link::new(port, &self.password).database(self.database));
        }
        match &mut self.server {
            Some(server) => {
                server
                    .ask(cmd("EVAL").arg(LENGTH).arg(1).arg(&self.list))
                    .await
            }
            None => Ok(0),
        }
    }
}

/// A trigger's metadata, and beneath it what its `TriggerAuthentication` adds.
fn parameters(trigger: &Trigger, desired: &Desired, context: &Context) -> BTreeMap<String, String> {
    let named = trigger
        .authentication_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let secrets = desired
        .authentications
        .iter()
        .filter(|found| found.metadata.name.as_deref() == named)
        .flat_map(|found| found.spec.secret_target_ref.iter().flatten());
    let mut parameters: BTreeMap<String, String> = secrets
        .filter_map(|target| {
            Some((
                target.parameter.clone(),
                secret_value(context, &target.name, &target.key)?,
            ))
        })
        .collect();
    parameters.extend(trigger.metadata.clone());
    parameters
}
