//! `kedactl bundle create|verify|list`, and what `up --bundle` asks for.
//!
//! It must not know what a bundle consists of.

use super::{block_on, place};
use crate::args::{
    BundleArgs, BundleCommand, BundleCreateArgs, BundleUse, BundleVerifyArgs, Layers,
    OwnershipArgs, PlaceArgs, Provider,
};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::view::bundle as view;
use crate::output::{Readers, follow};
use clap::ValueEnum as _;
use kedactl_bundle::{Bundle, BundleError, Create, Verified};
use kedactl_config::{Config, Provider as Kind, Whole};
use kedactl_images::{Credentials, ImageError, Platform, Store, Upstream};
use kedactl_stack::Request;
use kedactl_tools::helm::{Helm, Settings};
use kedactl_tools::{CancellationToken, Mask};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What charts are rendered for where nobody says it: the Kubernetes of the newest kind.
const KUBE_VERSION: &str = "1.34.0";

/// How long one try to fetch a chart may take.
const FETCH_WITHIN: Duration = Duration::from_mins(3);

pub(crate) fn bundle(context: &Context, args: &BundleArgs) -> Result<Exit, Error> {
    match &args.command {
        BundleCommand::Create(args) => create(context, args),
        BundleCommand::Verify(args) => verify(context, args),
        BundleCommand::List(args) => {
            let bundle = Bundle::open(&args.path)?;
            shown(context, "kedactl.bundle/v1", &view::Shown::of(&bundle)?)
        }
    }
}

fn shown(context: &Context, schema: &str, shown: &view::Shown) -> Result<Exit, Error> {
    let text = if context.json() {
        crate::output::json(&shown.json(schema))?
    } else {
        shown.text()
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn create(context: &Context, args: &BundleCreateArgs) -> Result<Exit, Error> {
    let config = of_cluster(context, args)?;
    let templates = super::render::templates(context, &config)?;
    let platform = args.images.platform.clone().unwrap_or_else(Platform::here);
    made_here(&config, &platform)?;
    let home = context.home(&context.name_of(&config))?;
    let (made, pulled) = (Store::new(home.images()), Store::new(home.pulled()));
    let docker = context.env.docker_config();
    let logins = docker.clone().filter(|file| file.is_file());
    let upstream = Upstream {
        credentials: &docker.map_or(Credentials::Anonymous, Credentials::DockerConfig),
        mirrors: &config.images.mirrors,
        platform: &platform,
    };
    let kube_version = args.render.kube_version.as_deref().unwrap_or(KUBE_VERSION);
    let state = scratch()?;
    let stop = CancellationToken::new();
    let created = follow(context.printer, Readers::new(None)?, |sink| {
        block_on(async {
            let built = kedactl_stack::build(&config, &made).await?;
            let helm = helm(&config, (state.path(), logins), kube_version, &stop).await?;
            let request = Create {
                config: &config,
                templates: &templates,
                helm: helm.as_ref(),
                kube_version,
                built: (&built, &made),
                pulled: &pulled,
                upstream: &upstream,
                archives: &args.images.from_archive,
                also: &args.images.image,
                without: &args.images.without,
            };
            Ok(kedactl_bundle::create(&request, &args.path, sink, &stop).await?)
        })
    })?;
    for it in &created.always {
        context.printer.say(&format!(
            "{it} is pulled each time (imagePullPolicy Always): without a network that fails, and `bundle verify` says so"
        ));
    }
    shown(
        context,
        "kedactl.bundle.create/v1",
        &view::Shown::of(&Bundle::open(&args.path)?)?,
    )
}

/// The configuration of a stack on a cluster.
fn of_cluster(context: &Context, args: &BundleCreateArgs) -> Result<Config, Error> {
    // What is on this machine does not choose: the bundle is for another one.
    let named = place::named(args.provider);
    let config = context.load_for(&args.layers, named)?.config;
    if config.provider.is_cluster() {
        return Ok(config);
    }
    let message = match config.provider {
        Kind::Auto => "a bundle is for a stack on a cluster, and nothing names the provider",
        _ => "a bundle is for a stack on a cluster, and the provider is local",
    };
    Err(Error::new(Code::Usage, message).hint("add --provider kind, minikube or context"))
}

/// Images that are made are made for this machine.
fn made_here(config: &Config, platform: &Platform) -> Result<(), Error> {
    let here = Platform::here();
    if config.images.build.is_empty() || *platform == here {
        return Ok(());
    }
    let message = format!("images.build makes images for {here}, and the bundle is for {platform}");
    Err(Error::new(Code::Usage, message).hint(
        "make the bundle on a machine of that platform, or set `images.build: []` and name images that exist for it",
    ))
}

fn verify(context: &Context, args: &BundleVerifyArgs) -> Result<Exit, Error> {
    let bundle = Bundle::open(&args.bundle.path)?;
    let state = scratch()?;
    let stop = CancellationToken::new();
    // What is damaged is told about with everything else.
    let unpacked = damage(bundle.unpack(state.path()))?;
    let (whole, templates) = (
        damage(bundle.configuration(state.path()))?,
        damage(bundle.templates())?,
    );
    let (Some(()), Some(whole), Some(templates)) = (unpacked, whole, templates) else {
        let verified =
            block_on(async { Ok(kedactl_bundle::verify(&bundle, None, None, &stop).await?) })?;
        return judged(context, &bundle, &verified);
    };
    let config = above(context, &args.above, whole, None)?;
    let kube_version = args.render.kube_version.as_deref();
    let kube_version = kube_version.unwrap_or(&bundle.contents().kube_version);
    let verified = block_on(async {
        let helm = match helm(&config, (state.path(), None), kube_version, &stop).await {
            Ok(helm) => helm,
            Err(error) => {
                // Damage is told about also where nothing can be rendered.
                let verified = kedactl_bundle::verify(&bundle, None, None, &stop).await?;
                return if verified.problems.is_empty() {
                    Err(error)
                } else {
                    Ok(verified)
                };
            }
        };
        let parts = Some((&config, &templates));
        Ok(kedactl_bundle::verify(&bundle, parts, helm.as_ref(), &stop).await?)
    })?;
    judged(context, &bundle, &verified)
}

/// Nothing where a blob is damaged.
fn damage<T>(result: Result<T, BundleError>) -> Result<Option<T>, BundleError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BundleError::Image(ImageError::Blob { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

fn judged(context: &Context, bundle: &Bundle, verified: &Verified) -> Result<Exit, Error> {
    let text = if context.json() {
        crate::output::json(&view::verified_json(bundle, verified))?
    } else {
        view::verified(bundle, verified)
    };
    context.printer.data(&text)?;
    if verified.problems.is_empty() {
        return Ok(Exit::Done);
    }
    let path = bundle.path().display();
    let message = match verified.problems.len() {
        1 => format!("one thing is wrong with {path}"),
        several => format!("{several} things are wrong with {path}"),
    };
    Err(Error::new(Code::BundleIncomplete, message))
}

/// What `up`, `plan` and `diff` ask for where a bundle is named: its configuration with the user's layers on top, and its charts
/// and values files unpacked for helm.
pub(super) fn request(
    context: &Context,
    from: &BundleUse,
    layers: &Layers,
    (at, ownership): (&PlaceArgs, &OwnershipArgs),
) -> Result<Option<Request>, Error> {
    let Some(path) = &from.bundle else {
        return Ok(None);
    };
    let alone = [
        (context.global.project.is_some(), "--project"),
        (layers.settings.environment.is_some(), "--env"),
    ];
    if let Some((_, option)) = alone.into_iter().find(|(given, _)| *given) {
        let message = format!("{option} has no effect: the bundle stands in its place");
        return Err(Error::new(Code::Usage, message).hint("-f and --set lie above the bundle"));
    }
    let bundle = Bundle::open(path)?;
    bundle.of_this_version()?;
    let (config, folder) = of_bundle(context, &bundle, layers, at.provider)?;
    usable(&config)?;
    let templates = bundle.templates()?;
    let mut request = place::request(context, config, templates, at, ownership)?;
    bundle.unpack(&folder)?;
    request.bundle = Some(bundle);
    request.outside.clone_from(&from.outside);
    Ok(Some(request))
}

/// The configuration, and the folder that its paths lead to: one for each bundle, as another run may still use an earlier one.
fn of_bundle(
    context: &Context,
    bundle: &Bundle,
    layers: &Layers,
    provider: Provider,
) -> Result<(Config, PathBuf), Error> {
    let provider = provider
        .to_possible_value()
        .map(|it| it.get_name().to_owned())
        .filter(|it| it != "auto");
    let load = |folder: &Path| -> Result<Config, Error> {
        let whole = bundle.configuration(folder)?;
        above(context, layers, whole, provider.as_deref())
    };
    // The folder is the stack's, and the stack's name stands in the configuration.
    let name = context.name_of(&load(Path::new(""))?);
    let folder = context.home(&name)?.bundle();
    let folder = folder.join(bundle.digest().short());
    Ok((load(&folder)?, folder))
}

/// The configuration of a bundle with the user's layers on top.
fn above(
    context: &Context,
    layers: &Layers,
    whole: Whole,
    provider: Option<&str>,
) -> Result<Config, Error> {
    let had = [
        (&whole.values["redis"], "redis.profile"),
        (&whole.values["monitoring"], "monitoring.profile"),
    ]
    .map(|(section, key)| (section["profile"].as_str().map(str::to_owned), key));
    let config = context.load_whole(layers, whole, provider)?.config;
    let asked = [&config.redis.profile, &config.monitoring.profile];
    // A profile stands for charts and their values, which the bundle has of one alone.
    for ((had, key), asked) in had.into_iter().zip(asked) {
        if had.as_ref() != Some(asked) {
            let message = format!("{key} is chosen when a bundle is made, not when it is used");
            return Err(Error::new(Code::Usage, message)
                .hint(format!("make the bundle again with `--set {key}={asked}`")));
        }
    }
    Ok(config)
}

/// Refuses a configuration that a bundle cannot bring up.
fn usable(config: &Config) -> Result<(), Error> {
    use kedactl_config::ChartSource::{Embedded, Path};
    if !config.provider.is_cluster() {
        let message = "a bundle is for a cluster, and the provider is local";
        let hint = "add --provider kind, minikube or context";
        return Err(Error::new(Code::Usage, message).hint(hint));
    }
    for (release, declared) in config.wanted_releases() {
        if !matches!(declared.source(), Ok(Embedded(_) | Path(_))) {
            return Err(BundleError::Fetched {
                release: release.to_string(),
                chart: declared.chart.clone(),
            }
            .into());
        }
    }
    Ok(())
}

fn scratch() -> Result<tempfile::TempDir, Error> {
    Ok(tempfile::Builder::new().prefix("kedactl-").tempdir()?)
}

/// Opens helm where there are releases.
async fn helm(
    config: &Config,
    (state, logins): (&Path, Option<PathBuf>),
    kube_version: &str,
    stop: &CancellationToken,
) -> Result<Option<Helm>, Error> {
    if config.wanted_releases().next().is_none() {
        return Ok(None);
    }
    let settings = Settings {
        program: config.helm.program.as_ref().map(PathBuf::from),
        state: state.join("helm"),
        stack: config.name.clone(),
        run: "bundle".to_owned(),
        cluster: None,
        kube_version: Some(kube_version.to_owned()),
        api_versions: Vec::new(),
        registry_config: logins,
        vendored: config.helm.vendored.clone(),
        fetch_within: FETCH_WITHIN,
        mask: Mask::default(),
    };
    Ok(Some(Helm::open(settings, stop).await?))
}
