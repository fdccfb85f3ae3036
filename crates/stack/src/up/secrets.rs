//! Secrets that are made here once: Redis' passwords, and those that releases ask for.
//! Must not replace what is there, nor give a value to helm.

use std::collections::BTreeMap;

use kedactl_cluster::{ObjectRef, Secrets, Wanted, read_secret};
use kedactl_config::Config;
use kedactl_tools::ReleaseName;

use crate::place::Place;
use crate::releases;

/// Letters and digits of a generated password: 190 bits.
const PASSWORD: usize = 32;

/// What belongs to the stack and is made once: Redis' passwords, and the Secrets that releases ask for.
pub(crate) fn kept(config: &Config) -> Vec<ObjectRef> {
    let secrets = made_secrets(config, &|_| true).into_iter();
    let reference = |it: MadeSecret| ObjectRef::new("v1", "Secret", Some(&it.namespace), &it.name);
    secrets.map(reference).collect()
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
            let drawn = |key: &str| matches!(secret.wanted.get(key), Some(Wanted::Random(_)));
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
    fn grafanas_password_is_made_beside_redis_one_and_only_where_it_is_installed() {
        let all = |_: &ReleaseName| true;
        let redis = r#"keda/redis {"redis-password": Random(32), "sentinel-password": Random(32)}"#;
        assert_eq!(names(&made_secrets(&config(&[]), &all)), [redis]);
        let grafana = r#"keda-monitoring/grafana-admin {"admin-password": Random(32), "admin-user": Given(5 B)}"#;
        for profile in ["classic", "modern"] {
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
