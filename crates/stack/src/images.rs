//! The images of a stack: made from this machine's programs, named by content, brought to where the pods will look.
//! Must not believe that an image arrived: the node or the registry names its digest.

mod minikube;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_config::{BuiltImage, Config, Delivery, Provider};
use kedactl_exec::{Run, find};
use kedactl_images::{
    Credentials, How, Image, Service, Spec, Store, archive, build_changed, kind_nodes, load, push,
    redis, service,
};
use kedactl_plan::Sink;
use kedactl_tools::CancellationToken;

use crate::place::Own;
use crate::{Home, StackError, recipe};

/// How long a load command of the user may take for one image.
const LOAD_WITHIN: Duration = Duration::from_mins(10);

/// What was built, and the configuration that uses it.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) images: Vec<Image>,
    pub(crate) config: Config,
}

impl Built {
    /// Digests by repository, for the pins of a plan.
    pub(crate) fn pins(&self) -> impl Iterator<Item = (String, String)> {
        self.images.iter().map(|image| {
            let name = format!("image {}", image.reference.name());
            (name, image.manifest.digest.to_string())
        })
    }
}

/// Builds what the configuration names, on a thread of its own, and puts the names into the configuration.
pub(crate) async fn make(config: &Config, store: PathBuf) -> Result<Built, StackError> {
    let delivery = delivery(config)?;
    let (wanted, images) = (config.clone(), store.clone());
    let specs = tokio::task::spawn_blocking(move || specs(&wanted, &images));
    let specs = match specs.await {
        Ok(specs) => specs?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let which: Vec<BuiltImage> = specs.iter().map(|(which, _)| *which).collect();
    let building = tokio::task::spawn_blocking(move || {
        let store = Store::new(store);
        let built = specs.iter().map(|(_, spec)| build_changed(&store, spec));
        built.collect::<Result<Vec<Image>, _>>()
    });
    let images = match building.await {
        Ok(images) => images?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let mut config = config.clone();
    for (which, image) in which.into_iter().zip(&images) {
        let name = match &delivery {
            Delivery::Registry(prefix) => image.reference.moved(prefix)?,
            _ => image.reference.clone(),
        };
        match which {
            BuiltImage::Api => config.api.image = name.to_string(),
            BuiltImage::Worker => config.worker.image = name.to_string(),
            BuiltImage::Redis => config.redis.image = Some(name.to_string()),
        }
    }
    Ok(Built { images, config })
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
            BuiltImage::Redis => redis(find)?,
        };
        all.push((*which, spec));
    }
    Ok(all)
}

/// How images reach the pods; checked before anything is built.
pub(crate) fn delivery(config: &Config) -> Result<Delivery, StackError> {
    config.delivery().map_err(|problem| StackError::Config {
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
    let store = Store::new(home.images());
    let delivery = match (delivery(&built.config)?, own) {
        (Delivery::None, Some(Own::Kind(name))) if into_own_nodes(&built.config) => {
            Delivery::Nodes {
                kind_cluster: name.clone(),
            }
        }
        (named, _) => named,
    };
    match delivery {
        Delivery::Minikube => match own {
            Some(Own::Minikube(name)) => {
                minikube::deliver(built, &store, home, name, sink, stop).await
            }
            _ => Ok(nothing),
        },
        Delivery::Nodes { kind_cluster } => {
            let engine = find(&built.config.images.engine)?;
            let nodes = kind_nodes(&engine, &kind_cluster).await?;
            let loaded = load(&store, &built.images, &nodes, sink).await?;
            Ok(Delivered {
                changed: loaded.iter().any(|it| it.how != How::Present),
                places: nodes.len(),
            })
        }
        Delivery::Registry(prefix) => {
            let mut changed = false;
            for image in &built.images {
                let target = image.reference.moved(&prefix)?;
                let pushed = push(&store, image, &target, credentials, sink).await?;
                changed |= pushed.sent > 0;
            }
            Ok(Delivered { changed, places: 1 })
        }
        Delivery::Command(words) => {
            for image in &built.images {
                hand_over(&store, image, &words).await?;
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

/// Whether the provider's own nodes take the images where nothing else is said.
fn into_own_nodes(config: &Config) -> bool {
    config.provider == Provider::Kind
}
