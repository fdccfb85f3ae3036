//! Secrets that are made here once: Redis' passwords, those that releases ask for, and the tokens of the webhook.
//! Must not replace what is there, nor give a value to helm.

use std::collections::BTreeMap;

use kedactl_cluster::{Made, ObjectRef, Secrets, Stack, Wanted, ensure_secret, read_secret};
use kedactl_config::{Config, Webhook};
use kedactl_tools::ReleaseName;

use crate::place::Place;
use crate::{StackError, releases};

/// Letters and digits of a generated password: 190 bits.
const PASSWORD: usize = 32;

/// What belongs to the stack and is made once: Redis' passwords, and the Secrets that releases ask for.
pub(crate) fn kept(config: &Config) -> Vec<ObjectRef> {
    let secrets = made_secrets(config, &|_| true).into_iter();
    let reference = |it: MadeSecret| ObjectRef::new("v1", "Secret", Some(&it.namespace), &it.name);
    let mut all: Vec<ObjectRef> = secrets.map(reference).collect();
    if is_shared(config) {
        let namespace = Some(config.monitoring.namespace.as_str());
        all.push(ObjectRef::new(
            "v1",
            "Secret",
            namespace,
            Webhook::TOKEN_SECRET,
        ));
    }
    all
}

/// Whether Alertmanager needs the token of the webhook in its own namespace.
fn is_shared(config: &Config) -> bool {
    config.webhook.runs() && config.is_monitored()
}

/// The bot's token, where a file of this machine has it.
///
/// # Errors
/// A file that cannot be read, or that is empty.
pub(super) fn bot_token(config: &Config) -> Result<Option<String>, StackError> {
    let webhook = &config.webhook;
    let Some(file) = webhook.bot_token_file.as_ref().filter(|_| webhook.runs()) else {
        return Ok(None);
    };
    let refuse = |why: String| StackError::Config {
        problem: format!("webhook.botTokenFile: {} {why}", file.display()),
        cure: "put the token that @BotFather gave into it".to_owned(),
    };
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| refuse(format!("cannot be read: {error}")))?;
    match text.trim() {
        "" => Err(refuse("is empty".to_owned())),
        token => Ok(Some(token.to_owned())),
    }
}

/// A Secret that is made here.
pub(super) struct MadeSecret {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) wanted: BTreeMap<String, Wanted>,
}

/// The Secrets that are made here. A Redis from outside brings its own, and so does a release that the cluster has already.
pub(super) fn made_secrets(
    config: &Config,
    ours: &dyn Fn(&ReleaseName) -> bool,
) -> Vec<MadeSecret> {
    let mut all = Vec::new();
    if config.release("redis").is_some() {
        all.push(MadeSecret {
            namespace: config.namespace.clone(),
            name: config.redis.secret.name.clone(),
            wanted: passwords(config),
        });
    }
    let webhook = &config.webhook;
    if webhook.runs() {
        let token = (Webhook::TOKEN_KEY.to_owned(), Wanted::Random(PASSWORD));
        all.push(MadeSecret {
            namespace: config.namespace.clone(),
            name: Webhook::TOKEN_SECRET.to_owned(),
            wanted: BTreeMap::from([token]),
        });
    }
    // One that cannot be read was refused before.
    if let Ok(Some(token)) = bot_token(config) {
        let key = webhook.bot_token_secret.key.clone();
        all.push(MadeSecret {
            namespace: config.namespace.clone(),
            name: webhook.bot_token_secret.name.clone(),
            wanted: BTreeMap::from([(key, Wanted::Exactly(token))]),
        });
    }
    for (_, it) in config.wanted_releases().filter(|(name, _)| ours(name)) {
        for (name, secret) in &it.secrets {
            let given = secret.given.iter();
            let given = given.map(|(key, text)| (key.clone(), Wanted::Given(text.0.clone())));
            let drawn = secret.random.iter();
            let drawn = drawn.map(|key| (key.clone(), Wanted::Random(PASSWORD)));
            all.push(MadeSecret {
                namespace: releases::namespace(it, config).to_owned(),
                name: name.clone(),
                wanted: given.chain(drawn).collect(),
            });
        }
    }
    all
}

/// Puts the token of the webhook where Alertmanager finds it.
///
/// # Errors
/// There is a webhook, and no token of a bot for it.
pub(super) async fn share_token(
    place: &Place,
    config: &Config,
    stack: &Stack,
) -> Result<Made, StackError> {
    if config.webhook.runs() {
        let bot = &config.webhook.bot_token_secret;
        let there = read_secret(&place.cluster, &config.namespace, &bot.name).await?;
        if there.is_none_or(|it| !it.contains_key(&bot.key)) {
            return Err(StackError::Config {
                problem: format!("the webhook has routes, and no token of a bot: {}/{} has no key {}", config.namespace, bot.name, bot.key),
                cure: "set webhook.botTokenFile to a file with the token that @BotFather gave, or make the Secret".to_owned(),
            });
        }
    }
    if !is_shared(config) {
        return Ok(Made::Unchanged);
    }
    let (key, name) = (Webhook::TOKEN_KEY, Webhook::TOKEN_SECRET);
    let values = read_secret(&place.cluster, &config.namespace, name).await?;
    let Some(token) = values.and_then(|mut it| it.remove(key)) else {
        return Ok(Made::Unchanged);
    };
    let wanted = BTreeMap::from([(key.to_owned(), Wanted::Exactly(token))]);
    let namespace = &config.monitoring.namespace;
    let ensured = ensure_secret(&place.cluster, stack, namespace, name, &wanted).await?;
    Ok(ensured.1)
}

fn passwords(config: &Config) -> BTreeMap<String, Wanted> {
    let secret = &config.redis.secret;
    let mut keys = vec![secret.password_key.clone()];
    if config.redis.sentinels > 0 {
        keys.push(secret.sentinel_password_key.clone());
    }
    keys.into_iter()
        .map(|key| (key, Wanted::Random(PASSWORD)))
        .collect()
}

/// What logs that are quoted must not show. Where the Secret cannot be read, there is nothing to hide yet.
pub(super) async fn secrets(place: &Place, config: &Config) -> Secrets {
    let mut secrets = Secrets::default();
    for secret in made_secrets(config, &|_| true) {
        let (namespace, name) = (&secret.namespace, &secret.name);
        if let Ok(Some(values)) = read_secret(&place.cluster, namespace, name).await {
            // A text that is given stands in the configuration: it is no secret.
            let drawn =
                |key: &str| !matches!(secret.wanted.get(key), Some(Wanted::Given(_)) | None);
            for (_, value) in values.iter().filter(|(key, _)| drawn(key)) {
                secrets.add(value);
            }
        }
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let set = |it: &&str| kedactl_config::SetArg::Value((*it).to_owned());
        let request = kedactl_config::Request {
            env: "kind".to_owned(),
            sets: sets.iter().map(set).collect(),
            ..kedactl_config::Request::default()
        };
        let none = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        kedactl_config::load(&request, &none).unwrap().config
    }

    fn names(secrets: &[MadeSecret]) -> Vec<String> {
        let keys = |it: &MadeSecret| format!("{}/{} {:?}", it.namespace, it.name, it.wanted);
        secrets.iter().map(keys).collect()
    }

    #[test]
    fn the_webhook_has_its_tokens_and_alertmanager_one_of_them() {
        let all = |_: &ReleaseName| true;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1:AAAAAAAA\n").unwrap();
        let named = format!("webhook.botTokenFile={}", file.path().display());
        let route = "webhook.routes={default: {chats: [{id: 1}]}}";
        let config = config(&[route, &named, "monitoring.profile=classic"]);
        let made = names(&made_secrets(&config, &all));
        assert_eq!(made[1], r#"keda/webhook-token {"token": Random(32)}"#);
        assert_eq!(made[2], r#"keda/telegram-bot {"token": Exactly(10 B)}"#);
        let shared = |it: &ObjectRef| it.to_string().contains("keda-monitoring/webhook-token");
        assert!(kept(&config).iter().any(shared), "{:?}", kept(&config));
        std::fs::write(file.path(), "\n").unwrap();
        let error = bot_token(&config).unwrap_err().to_string();
        assert!(
            error.contains("webhook.botTokenFile") && error.contains("is empty"),
            "{error}"
        );
    }

    #[test]
    fn grafanas_password_is_made_beside_redis_one_and_only_where_it_is_installed() {
        let all = |_: &ReleaseName| true;
        let redis = r#"keda/redis {"redis-password": Random(32), "sentinel-password": Random(32)}"#;
        assert_eq!(names(&made_secrets(&config(&[]), &all)), [redis]);
        let grafana = r#"keda-monitoring/grafana-admin {"admin-password": Random(32), "admin-user": Given(5 B)}"#;
        for profile in ["minimal", "classic", "modern"] {
            let config = config(&[&format!("monitoring.profile={profile}")]);
            assert_eq!(names(&made_secrets(&config, &all)), [redis, grafana]);
            assert_eq!(kept(&config).len(), 2, "it is known before it is made");
            let nobody = |_: &ReleaseName| false;
            assert_eq!(names(&made_secrets(&config, &nobody)), [redis]);
        }
        // One key, one password.
        let bitnami = config(&["redis.profile=bitnami"]);
        let one = r#"keda/redis {"redis-password": Random(32)}"#;
        assert_eq!(names(&made_secrets(&bitnami, &all)), [one]);
    }
}
