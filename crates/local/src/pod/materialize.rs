//! From a template to one process: ports of its own, addresses of this machine, files in place of mounts.
//! Must not start it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use kedactl_config::Webhook;
use kedactl_exec::Spawn;

use super::template::{Template, Text};
use crate::context::Context;
use crate::layout::{make_dir, write_private};
use crate::{LocalError, monitoring, ports, secrets};

/// The variables of our own services that name Redis; what they hold in the manifest is replaced wherever it occurs.
const SENTINELS: &str = "KEDACTL_REDIS_SENTINELS";
const SERVER: &str = "KEDACTL_REDIS_ADDR";

/// One pod's ports: what the manifest calls them, and where they are.
pub(crate) type Ports = BTreeMap<String, u16>;

/// A free port for each port of the manifest.
pub(crate) fn choose_ports(template: &Template, context: &Context) -> Result<Ports, LocalError> {
    let mut taken: BTreeSet<u16> = context.board.read(|state| {
        let pods = state.workloads.values().flat_map(|workload| &workload.pods);
        pods.flat_map(|pod| pod.ports.values().copied()).collect()
    });
    template
        .ports
        .keys()
        .map(|name| {
            let port = ports::for_pod(&taken)?;
            taken.insert(port);
            Ok((name.clone(), port))
        })
        .collect()
}

/// The process of a pod.
pub(crate) fn process(
    template: &Template,
    context: &Context,
    pod: &str,
    ports: &Ports,
) -> Result<Spawn, LocalError> {
    mount_secrets(template, context)?;
    mount_files(template, context)?;
    let swaps = swaps(template, context, ports);
    let swap = |text: &str| {
        swaps
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let args = template
        .args
        .iter()
        .map(|arg| OsString::from(swap(arg)))
        .collect();
    let mut spawn = context.process(pod, template.program.clone(), args);
    for (name, value) in &template.env {
        let value: OsString = match value {
            Text::Plain(text) => swap(text).into(),
            Text::PodName => pod.into(),
            Text::SecretKey { secret, key } => secret_value(context, secret, key)
                .ok_or_else(|| LocalError::Manifest {
                    object: format!("Deployment/{}", template.workload),
                    message: format!("its variable {name} names the key {key} of the Secret {secret}, which is not known here"),
                })?
                .into(),
        };
        spawn.env.insert(name.clone(), value);
    }
    // For programs of other makers, that take their port from the environment.
    for (name, port) in ports {
        let name = name.to_uppercase().replace('-', "_");
        spawn
            .env
            .insert(format!("KEDACTL_PORT_{name}"), port.to_string().into());
    }
    Ok(spawn)
}

/// The texts of the manifest that mean something else on this machine, longest first.
fn swaps(template: &Template, context: &Context, ports: &Ports) -> Vec<(String, String)> {
    let identity = &context.identity;
    let local = |ports: &[u16]| {
        ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect::<Vec<_>>()
    };
    let plain = |name: &str| {
        template.env.iter().find_map(|(found, text)| match text {
            Text::Plain(text) if found == name => Some(text.clone()),
            _ => None,
        })
    };
    let mut swaps = Vec::new();
    let sentinels = local(&identity.sentinels);
    if let Some(rendered) = plain(SENTINELS) {
        for (index, one) in rendered
            .split(',')
            .enumerate()
            .filter(|_| !sentinels.is_empty())
        {
            swaps.push((
                one.trim().to_owned(),
                sentinels[index % sentinels.len()].clone(),
            ));
        }
        swaps.push((rendered, sentinels.join(",")));
    }
    if let Some(rendered) = plain(SERVER) {
        swaps.push((rendered, local(&identity.redis)[0].clone()));
    }
    for mount in &template.secret_mounts {
        let directory = context.layout.secrets().join(&mount.secret);
        swaps.push((mount.path.clone(), directory.to_string_lossy().into_owned()));
    }
    for mount in &template.config_mounts {
        let directory = context.layout.mounted(&mount.config_map);
        swaps.push((mount.path.clone(), directory.to_string_lossy().into_owned()));
    }
    swaps.extend(monitoring::files::swaps(context));
    for (name, number) in &template.ports {
        if let Some(port) = ports.get(name) {
            swaps.push((format!("0.0.0.0:{number}"), format!("127.0.0.1:{port}")));
        }
    }
    swaps.retain(|(from, _)| !from.is_empty());
    swaps.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    swaps
}

fn mount_secrets(template: &Template, context: &Context) -> Result<(), LocalError> {
    for mount in &template.secret_mounts {
        let directory = context.layout.secrets().join(&mount.secret);
        make_dir(&directory)?;
        for (key, file) in &mount.items {
            let Some(value) = secret_value(context, &mount.secret, key) else {
                continue;
            };
            write_if_other(&directory.join(file), &value)?;
        }
    }
    Ok(())
}

fn mount_files(template: &Template, context: &Context) -> Result<(), LocalError> {
    for mount in &template.config_mounts {
        let directory = context.layout.mounted(&mount.config_map);
        make_dir(&directory)?;
        for (file, text) in &mount.files {
            write_if_other(&directory.join(file), text)?;
        }
    }
    Ok(())
}

fn write_if_other(path: &Path, value: &str) -> Result<(), LocalError> {
    if std::fs::read(path).is_ok_and(|found| found == value.as_bytes()) {
        return Ok(());
    }
    write_private(path, value.as_bytes())
}

/// A key of a Secret that is made here, or whose text a file of the user's has.
pub(crate) fn secret_value(context: &Context, secret: &str, key: &str) -> Option<String> {
    let (redis, webhook) = (&context.config.redis.secret, &context.config.webhook);
    if secret == redis.name {
        return if key == redis.password_key {
            Some(context.redis_password.clone())
        } else if key == redis.sentinel_password_key {
            Some(context.sentinel_password.clone())
        } else {
            None
        };
    }
    if secret == Webhook::TOKEN_SECRET && key == Webhook::TOKEN_KEY {
        return Some(context.webhook_token.clone());
    }
    let bot = &webhook.bot_token_secret;
    if secret == bot.name && key == bot.key {
        return secrets::given(webhook.bot_token_file.as_deref()?).ok();
    }
    None
}
