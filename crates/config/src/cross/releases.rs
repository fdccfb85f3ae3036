//! Releases against each other and against the sections that rely on them; images against their ways to the nodes.
//! What concerns a cluster alone is checked for a cluster alone: a stack of processes has no releases.

use std::collections::BTreeSet;

use super::Cross;
use crate::error::Problem;
use crate::model::{BuiltImage, ChartSource, Config, Release, ReleaseName, is_loopback};

impl Cross<'_> {
    pub(super) fn releases(&mut self, config: &Config) {
        for (name, release) in config.wanted_releases() {
            let name = name.as_str();
            if let Err(problem) = release.source() {
                self.add(&["releases", name, problem.key], problem.message);
            }
            self.access(name, release);
            self.template(name, release);
            for other in &release.depends_on {
                self.dependency(config, name, other);
            }
        }
        if let Some(circle) = circle(config) {
            let message = format!("the release depends on itself: {}", circle.join(" → "));
            self.add(&["releases", circle[0], "dependsOn"], message);
        }
        if let Some(keda) = config.release("keda")
            && keda.namespace.as_ref() != Some(&config.keda.namespace)
        {
            let message = format!(
                "must be keda.namespace, `{}`: pods there may read the queue's length",
                config.keda.namespace
            );
            self.add(&["releases", "keda", "namespace"], message);
        }
        if config.provider.is_cluster() {
            self.redis_release(config);
        }
    }

    fn template(&mut self, name: &str, release: &Release) {
        let own = "releases/redis/own.yaml.hbs";
        if release.values_template.as_deref() == Some(own) && !release.is_own_redis() {
            let message =
                format!("`{own}` is made for our own chart, and this release has another");
            let hint = "write a template for this chart, or `valuesTemplate: null`".to_owned();
            self.add_with(&["releases", name, "valuesTemplate"], message, Some(hint));
        }
    }

    /// What says how a chart is fetched, against where it comes from.
    fn access(&mut self, name: &str, release: &Release) {
        let Ok(source) = release.source() else { return };
        let (address, archive) = match &source {
            ChartSource::Repo(repo, ..) => (Some(repo.as_str()), true),
            ChartSource::Oci(reference, _) => (Some(reference.as_str()), true),
            ChartSource::Path(path) => (None, path.extension().is_some_and(|it| it == "tgz")),
            ChartSource::Embedded(_) => (None, false),
        };
        if release.digest.is_some() && !archive {
            let message = "has an effect on archives alone, and `chart` is a folder or one of ours";
            self.add(&["releases", name, "digest"], message.into());
        }
        let access = &release.access;
        let login = access.username.is_some() || access.password_file.is_some();
        let Some(address) = address else {
            if login || access.ca_file.is_some() {
                let message = "has no effect: the chart is on this machine";
                self.add(&["releases", name, "access"], message.into());
            }
            return;
        };
        let host = address.split_once("://").map_or(address, |(_, rest)| rest);
        if host
            .split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
        {
            let key = if release.repo.is_some() {
                "repo"
            } else {
                "chart"
            };
            let message = "names a user, and a password there would stand in arguments";
            let hint = "give access.username and access.passwordFile";
            self.add_with(&["releases", name, key], message.into(), Some(hint.into()));
        }
        match (&access.username, &access.password_file) {
            (Some(_), None) => {
                let message = "needs access.passwordFile beside it";
                self.add(&["releases", name, "access", "username"], message.into());
            }
            (None, Some(_)) => {
                let message = "needs access.username beside it";
                self.add(
                    &["releases", name, "access", "passwordFile"],
                    message.into(),
                );
            }
            (Some(_), Some(_)) if address.starts_with("http://") && !is_loopback(address) => {
                let message = "would go over the network in clear text: the repository is http://";
                let path = ["releases", name, "access", "passwordFile"];
                self.add_with(
                    &path,
                    message.into(),
                    Some("use its https:// address".into()),
                );
            }
            _ => {}
        }
    }

    fn dependency(&mut self, config: &Config, name: &str, other: &ReleaseName) {
        let message = match config.releases.get(other) {
            Some(Some(_)) => return,
            Some(None) => format!("the release `{other}` is switched off"),
            None => {
                let known = config.releases.keys().map(ReleaseName::as_str);
                let near = crate::nearest(other.as_str(), known);
                let meant = near.map(|near| format!(", did you mean `{near}`?"));
                let meant = meant.unwrap_or_default();
                format!("there is no release `{other}`{meant}")
            }
        };
        self.add(&["releases", name, "dependsOn"], message);
    }

    /// The release `redis` and the section `redis`: what one says must reach the other.
    fn redis_release(&mut self, config: &Config) {
        let Some(release) = config.release("redis") else {
            return;
        };
        if config.outside_redis() {
            if release.is_own_redis() {
                let key = match config.redis.sentinels {
                    0 => "address",
                    _ => "sentinelAddresses",
                };
                let message =
                    "names a Redis elsewhere, and the release `redis` would start another one";
                let hint = "switch the release off: `releases: {redis: null}`";
                self.add_with(&["redis", key], message.into(), Some(hint.into()));
            }
            return;
        }
        if release.namespace.as_ref() != Some(&config.namespace) {
            let message = format!(
                "must be the stack's, `{}`: the services look for Redis there",
                config.namespace
            );
            let hint = "for a Redis elsewhere give redis.sentinelAddresses, or redis.address where there are no Sentinels";
            let path = ["releases", "redis", "namespace"];
            self.add_with(&path, message, Some(hint.into()));
        }
        if release.is_own_redis() || release.is_bitnami_redis() {
            for problem in config.redis_chart_problems(release) {
                let path: Vec<&str> = problem.path.split('.').collect();
                self.add_with(&path, problem.message, problem.hint);
            }
        }
    }

    pub(super) fn images(&mut self, config: &Config) {
        let images = &config.images;
        let mut seen = BTreeSet::new();
        for image in &images.build {
            if !seen.insert(image) {
                let message = format!("`{}` is given twice", image.name());
                self.add(&["images", "build"], message);
            }
        }
        let ways = [
            ("registry", images.registry.is_some()),
            ("kindCluster", images.kind_cluster.is_some()),
            ("loadCommand", !images.load_command.is_empty()),
        ];
        let given: Vec<&str> = ways.iter().filter(|way| way.1).map(|way| way.0).collect();
        if let [first, second, ..] = given[..] {
            let message = format!("images go one way, and images.{first} is given as well");
            let hint = format!("keep one; `{first}: null` in a later layer takes the other away");
            self.add_with(&["images", second], message, Some(hint));
        }
        if config.provider.makes_a_cluster() && images.kind_cluster.is_some() {
            let provider = config.provider.environment();
            let message = format!(
                "has no effect with `provider: {provider}`: images go into the stack's own cluster"
            );
            let hint = "leave it out; kind.cluster and minikube.profile name the stack's cluster"
                .to_owned();
            self.add_with(&["images", "kindCluster"], message, Some(hint));
        }
        let runs = config.release("redis").is_some_and(Release::is_own_redis);
        if config.provider.is_cluster() && seen.contains(&BuiltImage::Redis) && !runs {
            let message = "`redis` has no effect: the release `redis` is not our own chart";
            self.add(&["images", "build"], message.into());
        }
        let mut wanted = config.wanted_releases();
        let watches = wanted.any(|(_, release)| release.is_own_monitoring());
        for image in [BuiltImage::Prometheus, BuiltImage::Alertmanager] {
            if config.provider.is_cluster() && seen.contains(&image) && !watches {
                let message = format!(
                    "`{}` has no effect: no release is our own chart of the monitoring",
                    image.name()
                );
                let hint = "`monitoring.profile: minimal` has it".to_owned();
                self.add_with(&["images", "build"], message, Some(hint));
            }
        }
    }
}

impl Config {
    /// What the section `redis` asks of the chart of its profile that it cannot do, or is not told by our template; each
    /// with its path and a cure.
    pub fn redis_chart_problems(&self, release: &Release) -> Vec<Problem> {
        let redis = &self.redis;
        let mut found = Vec::new();
        let bitnami = release.is_bitnami_redis();
        let chart = if bitnami {
            "the profile `bitnami`"
        } else {
            "our own chart of Redis"
        };
        let mut refuse = |key: &str, message: String| {
            let hint = "leave it out, or name a Redis elsewhere (redis.sentinelAddresses or redis.address, and \
                        `releases: {redis: null}`)";
            found.push(Problem {
                origin: None,
                path: format!("redis.{key}"),
                message,
                hint: Some(hint.into()),
            });
        };
        if redis.tls.is_some() {
            refuse("tls", format!("{chart} does not encrypt"));
        }
        for (key, name) in [
            ("username", &redis.username),
            ("sentinelUsername", &redis.sentinel_username),
        ] {
            if name.is_some() {
                refuse(key, format!("{chart} has the default user alone"));
            }
        }
        if redis.sentinels != 0 && redis.sentinels != redis.nodes {
            found.push(Problem {
                origin: None,
                path: "redis.sentinels".into(),
                message: format!(
                    "must be redis.nodes, {}: {chart} has a Sentinel beside each server",
                    redis.nodes
                ),
                hint: Some(
                    "give both the same number; a single server does without Sentinels (0)".into(),
                ),
            });
        }
        if bitnami {
            found.extend(self.bitnami_problems());
        }
        found
    }

    /// What holds for Bitnami's chart alone.
    fn bitnami_problems(&self) -> Vec<Problem> {
        let redis = &self.redis;
        let problem = |key: &str, message: String, hint: &str| Problem {
            origin: None,
            path: format!("redis.{key}"),
            message,
            hint: Some(hint.into()),
        };
        let mut found = Vec::new();
        if redis.image.is_some() {
            let message =
                "the profile `bitnami` needs Bitnami's own images: its scripts are in them";
            let hint = "name them in releases.redis.values.image and .sentinel.image, or take `profile: own`";
            found.push(problem("image", message.into(), hint));
        }
        if redis.sentinels > 0 && redis.secret.sentinel_password_key != redis.secret.password_key {
            let message = format!(
                "must be redis.secret.passwordKey, `{}`: the profile `bitnami` gives Sentinels the servers' password",
                redis.secret.password_key
            );
            let hint = "give both keys the same name";
            found.push(problem("secret.sentinelPasswordKey", message, hint));
        }
        found
    }
}

/// Names of releases that wait for each other, the first again at the end.
fn circle(config: &Config) -> Option<Vec<&str>> {
    let names = config.wanted_releases().map(|(name, _)| name.as_str());
    let mut left: BTreeSet<&str> = names.collect();
    while let Some(free) = left
        .iter()
        .find(|name| waits_for(config, name, &left).is_none())
    {
        let free = *free;
        left.remove(free);
    }
    // Each that is left waits for another that is left.
    let mut path = vec![*left.first()?];
    while let Some(other) = path.last().and_then(|last| waits_for(config, last, &left)) {
        let seen = path.iter().position(|known| *known == other);
        path.push(other);
        if let Some(first) = seen {
            return Some(path.split_off(first));
        }
    }
    None
}

/// The first of these releases that a release depends on.
fn waits_for<'a>(config: &Config, name: &str, left: &BTreeSet<&'a str>) -> Option<&'a str> {
    let others = &config.release(name)?.depends_on;
    others
        .iter()
        .find_map(|other| left.get(other.as_str()).copied())
}
