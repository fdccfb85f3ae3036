//! The templates of `templates/`, built in, with those of a project over them.
//! Holds texts; renders through `engine` and reads through the reader that it is given.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kedactl_config::{Config, FileReader, Limits};

use crate::error::Place;
use crate::{Manifests, RenderError, documents, engine, references};

/// Name and text of every file of `templates/`. Those that end in `.yaml.hbs` are manifests, below `releases/` values of
/// charts, below `monitoring/` the configuration of Prometheus and Alertmanager; the others are parts of them.
pub const TEMPLATES: &[(&str, &str)] = &[
    (
        "api.yaml.hbs",
        include_str!("../../../templates/api.yaml.hbs"),
    ),
    (
        "dashboards.yaml.hbs",
        include_str!("../../../templates/dashboards.yaml.hbs"),
    ),
    ("egress.hbs", include_str!("../../../templates/egress.hbs")),
    (
        "from-monitoring.hbs",
        include_str!("../../../templates/from-monitoring.hbs"),
    ),
    (
        "ingress.yaml.hbs",
        include_str!("../../../templates/ingress.yaml.hbs"),
    ),
    (
        "monitoring/alertmanager.yaml.hbs",
        include_str!("../../../templates/monitoring/alertmanager.yaml.hbs"),
    ),
    (
        "monitoring/rules.yaml.hbs",
        include_str!("../../../templates/monitoring/rules.yaml.hbs"),
    ),
    (
        "monitoring/rules/api.hbs",
        include_str!("../../../templates/monitoring/rules/api.hbs"),
    ),
    (
        "monitoring/rules/autoscaling.hbs",
        include_str!("../../../templates/monitoring/rules/autoscaling.hbs"),
    ),
    (
        "monitoring/rules/queue.hbs",
        include_str!("../../../templates/monitoring/rules/queue.hbs"),
    ),
    (
        "monitoring/rules/redis.hbs",
        include_str!("../../../templates/monitoring/rules/redis.hbs"),
    ),
    (
        "monitoring/rules/watch.hbs",
        include_str!("../../../templates/monitoring/rules/watch.hbs"),
    ),
    (
        "monitoring/rules/webhook.hbs",
        include_str!("../../../templates/monitoring/rules/webhook.hbs"),
    ),
    (
        "monitoring/rules/workers.hbs",
        include_str!("../../../templates/monitoring/rules/workers.hbs"),
    ),
    (
        "namespace.yaml.hbs",
        include_str!("../../../templates/namespace.yaml.hbs"),
    ),
    (
        "network.yaml.hbs",
        include_str!("../../../templates/network.yaml.hbs"),
    ),
    ("probe.hbs", include_str!("../../../templates/probe.hbs")),
    (
        "redis-egress.hbs",
        include_str!("../../../templates/redis-egress.hbs"),
    ),
    (
        "redis-env.hbs",
        include_str!("../../../templates/redis-env.hbs"),
    ),
    (
        "redis-mounts.hbs",
        include_str!("../../../templates/redis-mounts.hbs"),
    ),
    (
        "redis-volumes.hbs",
        include_str!("../../../templates/redis-volumes.hbs"),
    ),
    (
        "releases/monitoring/classic.yaml.hbs",
        include_str!("../../../templates/releases/monitoring/classic.yaml.hbs"),
    ),
    (
        "releases/monitoring/minimal.yaml.hbs",
        include_str!("../../../templates/releases/monitoring/minimal.yaml.hbs"),
    ),
    (
        "releases/monitoring/modern.yaml.hbs",
        include_str!("../../../templates/releases/monitoring/modern.yaml.hbs"),
    ),
    (
        "releases/redis/bitnami.yaml.hbs",
        include_str!("../../../templates/releases/redis/bitnami.yaml.hbs"),
    ),
    (
        "releases/redis/own.yaml.hbs",
        include_str!("../../../templates/releases/redis/own.yaml.hbs"),
    ),
    (
        "tracing-egress.hbs",
        include_str!("../../../templates/tracing-egress.hbs"),
    ),
    (
        "tracing-env.hbs",
        include_str!("../../../templates/tracing-env.hbs"),
    ),
    (
        "tracing-mounts.hbs",
        include_str!("../../../templates/tracing-mounts.hbs"),
    ),
    (
        "tracing-volumes.hbs",
        include_str!("../../../templates/tracing-volumes.hbs"),
    ),
    (
        "webhook.yaml.hbs",
        include_str!("../../../templates/webhook.yaml.hbs"),
    ),
    (
        "worker.yaml.hbs",
        include_str!("../../../templates/worker.yaml.hbs"),
    ),
];

/// A set of templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    texts: BTreeMap<String, String>,
}

impl Templates {
    /// The built-in templates.
    pub fn embedded() -> Self {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self {
            texts: TEMPLATES.iter().map(own).collect(),
        }
    }

    /// The built-in templates, each replaced by the project's `templates/<name>` where there is one.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or is not UTF-8.
    pub fn load(project: Option<&Path>, files: &dyn FileReader) -> Result<Self, RenderError> {
        let mut templates = Self::embedded();
        let Some(project) = project else {
            return Ok(templates);
        };
        for (name, _) in TEMPLATES {
            let path = project.join("templates").join(name);
            if let Some(text) = read(name, &path, files)? {
                templates = templates.with(name, text);
            }
        }
        Ok(templates)
    }

    /// The same set with the values templates that the releases of a configuration name: those of the project, and other
    /// files by their paths. One that is not there is told about when it is rendered.
    ///
    /// # Errors
    /// A file that cannot be read, is too large or is not UTF-8.
    pub fn with_releases(
        mut self,
        config: &Config,
        project: Option<&Path>,
        files: &dyn FileReader,
    ) -> Result<Self, RenderError> {
        for (_, release) in config.wanted_releases() {
            let Some(name) = release.values_template.as_deref() else {
                continue;
            };
            let path = match project {
                _ if name.starts_with(['.', '/']) => name.into(),
                Some(project) => project.join("templates").join(name),
                None => continue,
            };
            if let Some(text) = read(name, &path, files)? {
                self = self.with(name, text);
            }
        }
        Ok(self)
    }

    /// The same set with one template added or replaced.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        self.texts.insert(name.to_owned(), text.into());
        self
    }

    /// All templates, by name.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts().map(|(name, _)| name)
    }

    /// One of them.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Renders all templates into typed objects, ordered as they should be applied.
    ///
    /// # Errors
    /// The first template, document, field or reference that does not hold.
    pub fn render(&self, config: &Config) -> Result<Manifests, RenderError> {
        let mut objects = Vec::new();
        let manifests: Vec<&str> = self.names().filter(|name| is_manifest(name)).collect();
        for (template, text) in engine::render(self, config, &manifests)? {
            objects.extend(documents::objects(&template, &text)?);
        }
        objects.sort_by(|a, b| {
            (a.object.rank(), a.object.name()).cmp(&(b.object.rank(), b.object.name()))
        });
        let manifests = Manifests { objects };
        references::check(&manifests)?;
        Ok(manifests)
    }
}

/// Whether a template is rendered into objects: one at the top that ends in `.yaml.hbs`.
fn is_manifest(name: &str) -> bool {
    name.ends_with(".yaml.hbs") && !name.contains('/')
}

/// The text of a file, `None` where there is no such file.
fn read(name: &str, path: &Path, files: &dyn FileReader) -> Result<Option<String>, RenderError> {
    let refuse = |message: String| RenderError::new(name, Place::Unknown, message);
    let bytes = match files.read(path, Limits::BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let shown = path.display();
            return Err(refuse(format!("{shown} cannot be read: {error}")));
        }
    };
    if bytes.len() as u64 > Limits::BYTES {
        let most = Limits::BYTES / 1024;
        return Err(refuse(format!(
            "{} is larger than {most} KiB",
            path.display()
        )));
    }
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|_| refuse(format!("{} is not UTF-8", path.display())))
}
