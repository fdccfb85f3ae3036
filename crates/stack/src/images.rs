//! The images of a stack: made from this machine's programs or taken out of a bundle, and brought to where the pods will look.
//! Must not believe that an image arrived: the node or the registry names its digest.

mod own;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_bundle::{Bundle, Contents, ImageEntry, Origin, Reason};
use kedactl_config::{BuiltImage, Config, Delivery};
use kedactl_exec::{Run, find};
use kedactl_images::{
    Credentials, How, Image, REGISTRY, Reference, Service, Spec, Store, alertmanager, archive,
    build_changed, kind_nodes, load, prometheus, push, redis, service,
};
use kedactl_plan::Sink;
use kedactl_tools::CancellationToken;

use crate::place::Own;
use crate::programs::{of_alertmanager, of_prometheus};
use crate::up::Request;
use crate::{Home, StackError, recipe};

/// How long a load command of the user may take for one image.
const LOAD_WITHIN: Duration = Duration::from_mins(10);

/// What was built or comes in a bundle, and the configuration that uses it.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) images: Vec<Image>,
    pub(crate) config: Config,
    /// Where the images are.
    store: Store,
    way: Delivery,
}

impl Built {
    /// Digests by repository, for the pins of a plan.
    pub(crate) fn pins(&self) -> impl Iterator<Item = (String, String)> {
        self.images.iter().map(|image| {
            // Ours have their digest for a tag; of others one repository may give several.
            let name = match image.reference.registry() {
                REGISTRY => image.reference.name(),
                _ => image.reference.to_string(),
            };
            let digest = image.manifest.digest.to_string();
            (format!("image {name}"), digest)
        })
    }
}

/// The images that pods shall run: out of the bundle where there is one, else made.
pub(crate) async fn at_hand(request: &Request) -> Result<Built, StackError> {
    match &request.bundle {
        Some(bundle) => of_bundle(bundle, &request.config),
        None => make(&request.config, request.home.images()).await,
    }
}

/// Builds what the configuration names, on a thread of its own, and puts the names into the configuration.
async fn make(config: &Config, store: PathBuf) -> Result<Built, StackError> {
    let way = delivery(config)?;
    let store = Store::new(store);
    let made = build(config, &store).await?;
    let mut config = config.clone();
    for (which, image) in &made {
        name(&mut config, *which, &image.reference, &way)?;
    }
    let images = made.into_iter().map(|(_, image)| image).collect();
    Ok(Built {
        images,
        config,
        store,
        way,
    })
}

/// Builds what the configuration names, on a thread of its own.
pub async fn build(config: &Config, store: &Store) -> Result<Vec<(BuiltImage, Image)>, StackError> {
    let (config, store) = (config.clone(), store.clone());
    let building = tokio::task::spawn_blocking(move || {
        let made = specs(&config, store.path())?;
        let made = made
            .iter()
            .map(|(which, spec)| Ok((*which, build_changed(&store, spec)?)));
        made.collect::<Result<Vec<_>, StackError>>()
    });
    match building.await {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Puts the name under which pods will find an image of ours into the configuration.
fn name(
    config: &mut Config,
    which: BuiltImage,
    image: &Reference,
    way: &Delivery,
) -> Result<(), StackError> {
    let name = match way {
        Delivery::Registry(prefix) => image.moved(prefix)?.to_string(),
        _ => image.to_string(),
    };
    which.put(config, name);
    Ok(())
}

/// The configuration with the names of the images that a bundle has in the place of those that would be made.
pub(crate) fn named_by(
    bundle: &Bundle,
    config: &Config,
    way: &Delivery,
) -> Result<Config, StackError> {
    let mut named = config.clone();
    for which in &config.images.build {
        let image = bundle.contents().built.get(which.name());
        let image = image.ok_or_else(|| StackError::Config {
            problem: format!(
                "images.build has {}, and the bundle has no image of it",
                which.name()
            ),
            cure: "make the bundle again with it, or leave images.build as the bundle has it"
                .to_owned(),
        })?;
        name(&mut named, *which, image, way)?;
    }
    Ok(named)
}

/// The images of a bundle, but for those that are no pod's.
fn of_bundle(bundle: &Bundle, config: &Config) -> Result<Built, StackError> {
    let of_nodes = |entry: &ImageEntry| entry.places.iter().all(|it| it.reason == Reason::Node);
    let mut images = bundle.images()?;
    images.retain(|image| {
        let entry = bundle.contents().image(&image.reference);
        entry.is_some_and(|entry| !of_nodes(entry) && wanted(entry, bundle.contents(), config))
    });
    let way = way(config)?;
    Ok(Built {
        images,
        config: named_by(bundle, config, &way)?,
        store: bundle.store().clone(),
        way,
    })
}

/// An image of ours that another layer replaced is not brought anywhere.
fn wanted(entry: &ImageEntry, contents: &Contents, config: &Config) -> bool {
    let of = |which: &BuiltImage| contents.built.get(which.name()) == Some(&entry.image);
    entry.origin != Origin::Built || config.images.build.iter().any(of)
}

fn specs(config: &Config, images: &Path) -> Result<Vec<(BuiltImage, Spec)>, StackError> {
    let programs = &config.images.programs;
    let ours = |which: Service, named: &Option<String>| -> Result<Spec, StackError> {
        let program = find(named.as_deref().unwrap_or(which.program()))?;
        Ok(service(which, &program, env!("CARGO_PKG_VERSION")))
    };
    let mut all = Vec::new();
    for which in &config.images.build {
        let spec = match which {
            BuiltImage::Api => ours(Service::Api, &programs.api)?,
            BuiltImage::Worker => match &config.images.recipes.worker {
                Some(recipe) => recipe::spec(recipe, images)?,
                None => ours(Service::Worker, &programs.worker)?,
            },
            BuiltImage::Webhook => ours(Service::Webhook, &programs.webhook)?,
            BuiltImage::Redis => redis(find)?,
            BuiltImage::Prometheus => prometheus(&of_prometheus(config)?),
            BuiltImage::Alertmanager => alertmanager(&of_alertmanager(config)?),
        };
        all.push((*which, spec));
    }
    Ok(all)
}

/// How images reach the pods; checked before anything is built.
pub(crate) fn delivery(config: &Config) -> Result<Delivery, StackError> {
    refused(config.delivery())
}

/// How the images of a bundle reach the pods.
pub(crate) fn way(config: &Config) -> Result<Delivery, StackError> {
    refused(config.way_for_images())
}

fn refused(way: Result<Delivery, String>) -> Result<Delivery, StackError> {
    way.map_err(|problem| StackError::Config {
        problem,
        cure: "docs/images.md shows each way; `kedactl config show --origin` says where a value comes from"
            .to_owned(),
    })
}

/// What became of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) changed: bool,
    pub(crate) places: usize,
}

/// Brings every image to where pods look for it. `own` is the cluster that the stack runs on, where that is its own.
pub(crate) async fn deliver(
    built: &Built,
    home: &Home,
    own: Option<&Own>,
    credentials: &Credentials,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Delivered, StackError> {
    let nothing = Delivered {
        changed: false,
        places: 0,
    };
    if built.images.is_empty() {
        return Ok(nothing);
    }
    let store = &built.store;
    match &built.way {
        Delivery::Own => match own {
            Some(own) => own::deliver(built, home, own, sink, stop).await,
            // A stack without a cluster of its own is given another way by its configuration.
            None => Ok(nothing),
        },
        Delivery::Nodes { kind_cluster } => {
            let engine = find(&built.config.images.engine)?;
            let nodes = kind_nodes(&engine, kind_cluster).await?;
            let loaded = load(store, &built.images, &nodes, sink).await?;
            Ok(Delivered {
                changed: loaded.iter().any(|it| it.how != How::Present),
                places: nodes.len(),
            })
        }
        Delivery::Registry(prefix) => {
            let mut changed = false;
            for image in &built.images {
                let target = if image.reference.registry() == REGISTRY {
                    image.reference.moved(prefix)?
                } else {
                    image.reference.mirrored(prefix)?
                };
                let pushed = push(store, image, &target, credentials, sink).await?;
                changed |= pushed.sent > 0;
            }
            Ok(Delivered { changed, places: 1 })
        }
        Delivery::Command(words) => {
            for image in &built.images {
                hand_over(store, image, words).await?;
            }
            Ok(Delivered {
                changed: true,
                places: 1,
            })
        }
        Delivery::None => Ok(nothing),
    }
}

/// Feeds an archive to the user's own command.
async fn hand_over(store: &Store, image: &Image, words: &[String]) -> Result<(), StackError> {
    let Some((program, args)) = words.split_first() else {
        return Ok(());
    };
    let run = Run::new(find(program)?)
        .args(args.iter().cloned())
        .within(LOAD_WITHIN);
    let (store, image) = (store.clone(), image.clone());
    let fed = tokio::task::spawn_blocking(move || {
        run.run_fed(move |out: &mut dyn std::io::Write| {
            archive(&store, &image, &std::collections::BTreeSet::new(), out)
        })
    });
    match fed.await {
        Ok(ended) => Ok(ended.map(drop)?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kedactl_bundle::Certainty;
    use kedactl_images::{Digest, Platform};

    fn entry(image: &str, origin: Origin) -> ImageEntry {
        ImageEntry {
            image: image.parse().unwrap(),
            digest: Digest::of(image.as_bytes()),
            list: None,
            size: 1,
            origin,
            certainty: Certainty::Certain,
            places: Vec::new(),
        }
    }

    #[test]
    fn only_an_image_of_ours_that_another_layer_replaced_stays_in_the_bundle() {
        let request = kedactl_config::Request::default();
        let none = |_: &Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        let mut config = kedactl_config::load(&request, &none).unwrap().config;
        let (api, worker) = (
            "kedactl.local/kedactl-api:1",
            "kedactl.local/kedactl-worker:1",
        );
        let contents = Contents {
            format: 1,
            kedactl: "1".to_owned(),
            platform: Platform::here(),
            kube_version: "1".to_owned(),
            charts: Vec::new(),
            own_charts: std::collections::BTreeMap::new(),
            images: Vec::new(),
            without: Vec::new(),
            built: [("api", api), ("worker", worker)]
                .map(|(section, image)| (section.to_owned(), image.parse().unwrap()))
                .into(),
        };
        config.images.build = vec![BuiltImage::Api];
        let wanted = |image, origin| wanted(&entry(image, origin), &contents, &config);
        assert!(wanted(api, Origin::Built));
        assert!(!wanted(worker, Origin::Built));
        // Others' images are wanted whatever they are called.
        assert!(wanted("team/my-worker:1", Origin::Registry));
        assert!(wanted("team/my-worker:1", Origin::Archive));
    }
}
