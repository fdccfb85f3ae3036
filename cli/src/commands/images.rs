//! `kedactl images build|list|load|push|check`.
//!
//! It must not know what an image is made of, nor what a node lacks.

use super::block_on;
use crate::args::{ImagesArgs, ImagesBuildArgs, ImagesCommand, ImagesLoadArgs, ImagesPushArgs};
use crate::context::{Context, read_file};
use crate::error::{Code, Error, Exit};
use crate::output::view::images as view;
use crate::output::{Readers, follow};
use kedactl_images::{
    ContainerdSocket, Credentials, DockerContainer, Image, Service, Spec, Store, build, kind_nodes,
    load, push, service,
};
use kedactl_stack::recipe_spec;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const PASSWORD_LIMIT: u64 = 64 * 1024;

pub(crate) fn images(context: &Context, args: &ImagesArgs) -> Result<Exit, Error> {
    let store = store(context, args.store.as_deref())?;
    let text = match &args.command {
        ImagesCommand::Build(args) => build_all(context, &store, args)?,
        ImagesCommand::List => shown(context, &store.images()?)?,
        ImagesCommand::Load(args) => load_all(context, &store, args)?,
        ImagesCommand::Push(args) => push_all(context, &store, args)?,
        ImagesCommand::Check => return check(context, &store),
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn store(context: &Context, named: Option<&Path>) -> Result<Store, Error> {
    let root = || context.env.state_root(context.global.state_dir.as_ref());
    let path = named
        .map(Path::to_owned)
        .or_else(|| Some(root()?.join("images")));
    path.map(Store::new)
        .ok_or_else(|| Error::new(Code::NoStateRoot, "no folder for images is known"))
}

fn build_all(context: &Context, store: &Store, args: &ImagesBuildArgs) -> Result<String, Error> {
    let specs = if args.images.is_empty() {
        platform(context, store, args)?
    } else {
        let specs = args.images.iter().map(|text| of_programs(text));
        specs.collect::<Result<_, _>>()?
    };
    let mut built = Vec::new();
    for spec in &specs {
        if spec.certificates.is_none() {
            let name = &spec.repository;
            context.printer.say(&format!(
                "{name} has no certificate authorities: this machine has none (`apt-get install ca-certificates`)"
            ));
        }
        built.push(build(store, spec)?);
    }
    store.keep_newest(args.keep.into())?;
    shown(context, &built)
}

fn platform(context: &Context, store: &Store, args: &ImagesBuildArgs) -> Result<Vec<Spec>, Error> {
    let version = env!("CARGO_PKG_VERSION");
    let spec = |which: Service, named: Option<&PathBuf>| -> Result<Spec, Error> {
        let program = match named {
            Some(path) => path.clone(),
            None => program(which.program())?,
        };
        Ok(service(which, &program, version))
    };
    let config = context.load(&args.layers)?.config;
    let worker = match config
        .images
        .recipes
        .worker
        .filter(|_| args.worker.is_none())
    {
        Some(recipe) => recipe_spec(&recipe, store.path())?,
        None => spec(Service::Worker, args.worker.as_ref())?,
    };
    let mut all = vec![spec(Service::Api, args.api.as_ref())?, worker];
    if config.webhook.runs() || args.webhook.is_some() {
        all.push(spec(Service::Webhook, args.webhook.as_ref())?);
    }
    Ok(all)
}

/// Beside this program, else in PATH.
fn program(name: &str) -> Result<PathBuf, Error> {
    let beside = std::env::current_exe()
        .ok()
        .map(|it| it.with_file_name(name));
    if let Some(path) = beside.filter(|path| path.is_file()) {
        return Ok(path);
    }
    kedactl_exec::find(name).map_err(|error| {
        let option = name.trim_start_matches("kedactl-");
        Error::new(Code::ProgramMissing, error.to_string()).hint(format!(
            "put {name} beside kedactl or into PATH, or name it with --{option} FILE"
        ))
    })
}

fn of_programs(text: &str) -> Result<Spec, Error> {
    let wrong = || {
        Error::new(
            Code::Usage,
            format!("`{text}` is not NAME=PROGRAM[,PROGRAM]"),
        )
    };
    let (name, programs) = text.split_once('=').ok_or_else(wrong)?;
    let programs: Vec<PathBuf> = programs.split(',').map(PathBuf::from).collect();
    if name.is_empty() || programs.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(wrong());
    }
    let repository = if name.contains('/') {
        name.to_owned()
    } else {
        format!("kedactl.local/{name}")
    };
    Ok(Spec::of_programs(repository, &programs))
}

/// The named images, or the newest build of each.
fn chosen(store: &Store, names: &[String]) -> Result<Vec<Image>, Error> {
    if !names.is_empty() {
        let images = names
            .iter()
            .map(|name| store.image(name).map_err(Error::from));
        return images.collect();
    }
    let newest = store.newest()?;
    if newest.is_empty() {
        let message = format!("no image was built in {}", store.path().display());
        return Err(Error::new(Code::NoImage, message));
    }
    Ok(newest)
}

fn load_all(context: &Context, store: &Store, args: &ImagesLoadArgs) -> Result<String, Error> {
    let images = chosen(store, &args.images)?;
    let engine = &args.engine;
    let loaded = follow(context.printer, Readers::new(None)?, |sink| {
        block_on(async {
            if let Some(socket) = &args.target.containerd {
                let nodes = [ContainerdSocket::new(socket)];
                return Ok(load(store, &images, &nodes, sink).await?);
            }
            let nodes = match &args.target.kind_cluster {
                Some(cluster) => kind_nodes(engine, cluster).await?,
                None => args
                    .target
                    .node
                    .iter()
                    .map(|name| container(engine, name))
                    .collect(),
            };
            Ok(load(store, &images, &nodes, sink).await?)
        })
    })?;
    if context.json() {
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.images.load/v1", "loaded": loaded}),
        );
    }
    Ok(view::loaded(&loaded))
}

fn container(engine: &Path, name: &str) -> DockerContainer {
    DockerContainer {
        engine: engine.to_owned(),
        container: name.to_owned(),
    }
}

fn push_all(context: &Context, store: &Store, args: &ImagesPushArgs) -> Result<String, Error> {
    let images = chosen(store, &args.images)?;
    let credentials = credentials(context, args)?;
    let pushed = follow(context.printer, Readers::new(None)?, |sink| {
        block_on(async {
            let mut pushed = Vec::new();
            for image in &images {
                let target = image.reference.moved(&args.registry)?;
                pushed.push(push(store, image, &target, &credentials, sink).await?);
            }
            Ok(pushed)
        })
    })?;
    if context.json() {
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.images.push/v1", "pushed": pushed}),
        );
    }
    Ok(view::pushed(&pushed))
}

fn credentials(context: &Context, args: &ImagesPushArgs) -> Result<Credentials, Error> {
    let (Some(username), Some(path)) = (&args.username, &args.password_file) else {
        let file = context.env.docker_config();
        return Ok(file.map_or(Credentials::Anonymous, Credentials::DockerConfig));
    };
    let refused =
        |error| Error::new(Code::Io, format!("{} could not be read", path.display())).source(error);
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let stdin = std::io::stdin()
            .lock()
            .take(PASSWORD_LIMIT)
            .read_to_end(&mut bytes);
        stdin.map(|_| bytes)
    } else {
        read_file(path, PASSWORD_LIMIT)
    };
    let password = String::from_utf8_lossy(&bytes.map_err(refused)?)
        .trim_end_matches(['\r', '\n'])
        .to_owned();
    Ok(Credentials::Given {
        username: username.clone(),
        password,
    })
}

fn shown(context: &Context, images: &[Image]) -> Result<String, Error> {
    if context.json() {
        let images: Vec<_> = images.iter().map(view::image_json).collect();
        return crate::output::json(
            &serde_json::json!({"schema": "kedactl.images/v1", "images": images}),
        );
    }
    Ok(view::images(images))
}

fn check(context: &Context, store: &Store) -> Result<Exit, Error> {
    let checked = store.check()?;
    let text = if context.json() {
        crate::output::json(&view::checked_json(&checked))?
    } else {
        view::checked(&checked)
    };
    context.printer.data(&text)?;
    if checked.problems.is_empty() {
        return Ok(Exit::Done);
    }
    let message = format!(
        "{} of {} blobs or names are damaged",
        checked.problems.len(),
        checked.blobs
    );
    Err(Error::new(Code::ImageDamaged, message))
}
