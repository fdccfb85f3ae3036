//! Programs of this machine that a run needs on its way: looked up before anything is written, with the key that names each.
//! Must not run them; helm and kind are looked up by those who drive them.

use std::path::PathBuf;

use kedactl_config::{BuiltImage, Config, Delivery, Provider};
use kedactl_exec::{find, find_first};
use kedactl_images::{Service, redis};

use crate::{StackError, recipe};

/// Refuses where an image cannot be made for want of a program.
pub(crate) fn to_build(config: &Config) -> Result<(), StackError> {
    let programs = &config.images.programs;
    for which in &config.images.build {
        match which {
            BuiltImage::Api => service(Service::Api, programs.api.as_deref(), "api")?,
            BuiltImage::Worker => match &config.images.recipes.worker {
                Some(recipe) => recipe::lookup(recipe)?,
                None => service(Service::Worker, programs.worker.as_deref(), "worker")?,
            },
            BuiltImage::Webhook => {
                service(Service::Webhook, programs.webhook.as_deref(), "webhook")?;
            }
            BuiltImage::Redis => drop(redis(of_redis)?),
            BuiltImage::Prometheus => drop(of_prometheus(config)?),
            BuiltImage::Alertmanager => drop(of_alertmanager(config)?),
        }
    }
    Ok(())
}

/// Refuses where an image cannot be brought to the nodes for want of a program.
pub(crate) fn to_deliver(config: &Config, way: Delivery) -> Result<(), StackError> {
    match way {
        Delivery::Nodes { .. } => engine(&config.images.engine),
        Delivery::Own if config.provider == Provider::Kind => engine(&config.images.engine),
        Delivery::Command(words) => words.first().map_or(Ok(()), |it| command(it)),
        // Whoever drives minikube looks for it; where the engine's client is missing, images go by `minikube ssh`.
        Delivery::Own | Delivery::Registry(_) | Delivery::None => Ok(()),
    }
}

fn service(which: Service, named: Option<&str>, key: &str) -> Result<(), StackError> {
    let name = named.unwrap_or(which.program());
    let purpose = "an image is made from";
    let cure = format!(
        "put {} beside kedactl or into PATH, or name it in images.programs.{key}; {key}.image uses an image that exists",
        which.program()
    );
    there(name, purpose, cure)
}

fn of_redis(name: &str) -> Result<PathBuf, StackError> {
    let cure = "install redis-server, or take redis out of images.build where the cluster can pull its image";
    find(name).map_err(|_| StackError::Missing {
        program: name.to_owned(),
        purpose: "the image of Redis is made from",
        cure: cure.to_owned(),
    })
}

/// This machine's Prometheus.
pub(crate) fn of_prometheus(config: &Config) -> Result<PathBuf, StackError> {
    of_monitoring(
        config.images.programs.prometheus.as_deref(),
        &["prometheus"],
        "prometheus",
    )
}

/// This machine's Alertmanager, under the name that Debian or its makers give it.
pub(crate) fn of_alertmanager(config: &Config) -> Result<PathBuf, StackError> {
    let usual = ["prometheus-alertmanager", "alertmanager"];
    of_monitoring(
        config.images.programs.alertmanager.as_deref(),
        &usual,
        "alertmanager",
    )
}

fn of_monitoring(named: Option<&str>, usual: &[&str], key: &str) -> Result<PathBuf, StackError> {
    let found = match named {
        Some(name) => find(name),
        None => find_first(usual),
    };
    found.map_err(|_| StackError::Missing {
        program: named.unwrap_or(usual[0]).to_owned(),
        purpose: "an image of the monitoring is made from",
        cure: format!(
            "install {}, or name its program in images.programs.{key}; take {key} out of images.build where the cluster can \
             pull its image",
            usual[0]
        ),
    })
}

fn engine(name: &str) -> Result<(), StackError> {
    let cure = "install Docker or Podman, or name its client in images.engine; images.registry and images.loadCommand need none";
    there(name, "images reach the nodes through", cure.to_owned())
}

fn command(name: &str) -> Result<(), StackError> {
    let cure = "install it, or name another one in images.loadCommand";
    there(name, "images are handed to", cure.to_owned())
}

fn there(name: &str, purpose: &'static str, cure: String) -> Result<(), StackError> {
    let found = find(name).map(drop);
    found.map_err(|_| StackError::Missing {
        program: name.to_owned(),
        purpose,
        cure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::delivery;

    fn config() -> Config {
        let request = kedactl_config::Request::default();
        let none = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        kedactl_config::load(&request, &none).unwrap().config
    }

    fn refused(change: impl FnOnce(&mut Config)) -> (String, String) {
        let mut config = config();
        config.provider = Provider::Context;
        config.images.build = vec![BuiltImage::Api];
        config.images.programs.api = Some("/bin/sh".to_owned());
        change(&mut config);
        let checked = to_build(&config).and_then(|()| to_deliver(&config, delivery(&config)?));
        let error = checked.unwrap_err();
        (error.to_string(), error.hint().unwrap())
    }

    #[test]
    fn what_is_missing_is_named_with_its_key() {
        let gone = || "/nonexistent/it".to_owned();
        let (told, cure) = refused(|it| it.images.programs.api = Some(gone()));
        assert_eq!(
            told,
            "program /nonexistent/it not found: an image is made from it"
        );
        assert!(cure.contains("images.programs.api"), "{cure}");
        let (told, cure) = refused(|it| {
            it.images.kind_cluster = Some("dev".to_owned());
            it.images.engine = gone();
        });
        assert!(told.contains("reach the nodes"), "{told}");
        assert!(cure.contains("images.engine"), "{cure}");
        let (_, cure) = refused(|it| it.images.load_command = vec![gone()]);
        assert!(cure.contains("images.loadCommand"), "{cure}");
    }

    #[test]
    fn nothing_is_needed_for_images_that_are_there() {
        let mut config = config();
        config.images.build = Vec::new();
        config.images.engine = "/nonexistent/docker".to_owned();
        to_build(&config).unwrap();
        to_deliver(&config, delivery(&config).unwrap()).unwrap();
    }
}
