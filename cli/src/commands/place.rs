//! Where a stack runs: what the options, the configuration and the record say together, for `up`, `plan` and `diff`.
//!
//! It must not ask a cluster anything, nor write to one.

use super::block_on;
use crate::args::{Adopt, Layers, OwnershipArgs, PlaceArgs, Provider};
use crate::context::Context;
use crate::error::{Code, Error};
use kedactl_cluster::Adopt as Take;
use kedactl_config::{Config, Loaded, Provider as Kind};
use kedactl_images::Credentials;
use kedactl_render::Templates;
use kedactl_stack::{Choice, Home, Record, Request, Way, choose};
use std::path::Path;
use std::time::Duration;

/// A configuration, and why it is for that provider where nobody named one.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) loaded: Loaded,
    pub(super) choice: Option<Choice>,
}

/// The provider that the option names.
pub(super) fn named(provider: Provider) -> Option<Kind> {
    match provider {
        Provider::Auto => None,
        Provider::Local => Some(Kind::Local),
        Provider::Kind => Some(Kind::Kind),
        Provider::Minikube => Some(Kind::Minikube),
        Provider::Context => Some(Kind::Context),
    }
}

/// Loads the configuration for the provider that is meant: the option's, the configuration's, the recorded one, else the one
/// that fits this machine best.
pub(super) fn load(context: &Context, layers: &Layers, place: &PlaceArgs) -> Result<Chosen, Error> {
    let named = named(place.provider);
    let loaded = context.load_for(layers, named)?;
    if loaded.config.provider != Kind::Auto || named.is_some() {
        return Ok(Chosen {
            loaded,
            choice: None,
        });
    }
    let name = context.name_of(&loaded.config);
    let home = context.home(&name)?;
    let record = Record::read(&home)?;
    let dir = context.dir_of(&name)?;
    // A run that was refused leaves folders, and nothing in them that anybody would miss.
    let data = std::fs::read_dir(dir.join("data")).is_ok_and(|mut data| data.next().is_some());
    let local = data || kedactl_local::read_state(&dir)?.is_some();
    let chosen = choose(&home, &loaded.config, record.as_ref(), local);
    let choice = block_on(async { Ok(chosen.await) })?;
    Ok(Chosen {
        loaded: context.load_for(layers, Some(choice.provider))?,
        choice: Some(choice),
    })
}

/// Loads the configuration for the provider that it names, else for the recorded one: nothing is chosen for a look.
pub(super) fn as_recorded(context: &Context, layers: &Layers) -> Result<Loaded, Error> {
    let loaded = context.load(layers)?;
    if loaded.config.provider != Kind::Auto {
        return Ok(loaded);
    }
    match Record::read(&context.home(&context.name_of(&loaded.config))?)? {
        Some(record) => context.load_for(layers, Some(record.provider)),
        None => Ok(loaded),
    }
}

/// What is said before anything is done: where the stack goes, and where nobody said so, why and what else there is.
pub(super) fn head(name: &str, provider: Kind, choice: Option<&Choice>) -> String {
    let mut text = format!("stack {name} on provider {}", provider.environment());
    let Some(choice) = choice else {
        return text;
    };
    text += &format!(" (auto: {})", choice.why);
    if let Some(cluster) = &choice.makes {
        text += &format!("; makes the cluster {cluster}");
    }
    let others = choice.others.iter().map(|it| {
        let provider = it.provider.environment();
        match (&it.lacks[..], it.provider) {
            ([], Kind::Local) => "--provider local runs without a cluster".to_owned(),
            ([], _) => format!("--provider {provider} does too"),
            (lacks, _) => format!("{provider}: {}", lacks.join(", ")),
        }
    });
    let others: Vec<String> = others.collect();
    if !others.is_empty() {
        text += &format!("\n  {}", others.join("; "));
    }
    text
}

/// Options that mean a cluster are wrong without one.
pub(super) fn only_cluster(
    place: &PlaceArgs,
    ownership: &OwnershipArgs,
    plan: Option<&Path>,
) -> Result<(), Error> {
    let given = [
        (place.kubeconfig.is_some(), "--kubeconfig"),
        (place.context.is_some(), "--context"),
        (place.allow_cluster.is_some(), "--allow-cluster"),
        (ownership.adopt.is_some(), "--adopt"),
        (ownership.revert_edits, "--revert-edits"),
        (plan.is_some(), "a plan"),
    ];
    let Some((_, option)) = given.into_iter().find(|(given, _)| *given) else {
        return Ok(());
    };
    let message = format!("{option} means a cluster, and the provider is local");
    Err(Error::new(Code::Usage, message).hint("add --provider context, kind or minikube"))
}

/// A stack of that name on a cluster would be hidden by a local one.
pub(super) fn not_on_a_cluster(context: &Context, name: &str) -> Result<(), Error> {
    let Some(record) = Record::read(&context.home(name)?)? else {
        return Ok(());
    };
    let place = record.provider.environment();
    let message = format!("stack {name} is on {place} ({}) already", record.context);
    Err(Error::new(Code::Elsewhere, message))
}

/// What the library is asked for.
pub(super) fn request(
    context: &Context,
    config: Config,
    templates: Templates,
    place: &PlaceArgs,
    ownership: &OwnershipArgs,
) -> Result<Request, Error> {
    let home: Home = context.home(&context.name_of(&config))?;
    if kedactl_local::read_state(&context.dir_of(home.stack())?)?.is_some() {
        let message = format!("stack {} runs on this machine already", home.stack());
        return Err(Error::new(Code::Elsewhere, message));
    }
    let docker = context.env.docker_config();
    Ok(Request {
        home,
        config,
        templates,
        way: Way {
            kubeconfig: place.kubeconfig.clone(),
            context: place.context.clone(),
            allow: place.allow_cluster.clone(),
        },
        default_kubeconfig: context.env.default_kubeconfig(),
        adopt: match ownership.adopt {
            None => Take::Refuse,
            Some(Adopt::Unowned) => Take::Unowned,
            Some(Adopt::All) => Take::All,
        },
        revert_edits: ownership.revert_edits,
        credentials: docker.map_or(Credentials::Anonymous, Credentials::DockerConfig),
        helper: vec![std::env::current_exe()?.into(), super::tunnel::WORD.into()],
        who: context.env.who(),
        within: Duration::MAX,
        plan: None,
        bundle: None,
        outside: Vec::new(),
    })
}
