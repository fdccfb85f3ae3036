//! What every command is given: global options, the environment, the printer, and the way to files and stacks.
//!
//! It must not run anything by itself.

use crate::args::{Global, Layers, Output, Part, Settings};
use crate::env::Env;
use crate::error::{Code, Error};
use crate::output::Printer;
use kedactl_config::{Config, Loaded, Provider, Request, SetArg, Whole};
use kedactl_stack::Home;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The wiring of one run.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) env: Env,
    pub(crate) printer: Printer,
}

impl Context {
    pub(crate) fn new(global: Global, env: Env, printer: Printer) -> Self {
        Self {
            global,
            env,
            printer,
        }
    }

    pub(crate) fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Loads the configuration from its layers.
    pub(crate) fn load(&self, layers: &Layers) -> Result<Loaded, Error> {
        self.load_with(&layers.settings, &layers.files)
    }

    /// Loads the configuration from its layers, for a provider that was named elsewhere.
    pub(crate) fn load_for(
        &self,
        layers: &Layers,
        provider: Option<Provider>,
    ) -> Result<Loaded, Error> {
        let mut request = self.request(&layers.settings, &layers.files);
        let named = provider.map(|it| SetArg::Value(format!("provider={}", it.environment())));
        request.sets.extend(named);
        self.rooted(loaded(request, &layers.settings)?)
    }

    /// Loads a configuration that was put together before, with layers on top, for a provider that was named elsewhere.
    pub(crate) fn load_whole(
        &self,
        layers: &Layers,
        whole: Whole,
        provider: Option<&str>,
    ) -> Result<Loaded, Error> {
        let mut request = self.request(&layers.settings, &layers.files);
        request.whole = Some(whole);
        request.project = None;
        let named = provider.map(|it| SetArg::Value(format!("provider={it}")));
        request.sets.extend(named);
        loaded(request, &layers.settings)
    }

    /// Loads the configuration with these values files on top of the project's.
    pub(crate) fn load_with(
        &self,
        settings: &Settings,
        values: &[PathBuf],
    ) -> Result<Loaded, Error> {
        let request = self.request(settings, values);
        self.rooted(loaded(request, settings)?)
    }

    /// Lets paths of the project begin at its folder, wherever a later part of this program runs.
    fn rooted(&self, mut loaded: Loaded) -> Result<Loaded, Error> {
        if let Some(recipe) = &mut loaded.config.images.recipes.worker {
            let folder = self.project().unwrap_or_else(|| PathBuf::from("."));
            recipe.rooted(&std::path::absolute(folder)?);
        }
        Ok(loaded)
    }

    fn request(&self, settings: &Settings, values: &[PathBuf]) -> Request {
        let sets = settings.set.iter().cloned().map(SetArg::Value);
        let texts = settings.set_string.iter().cloned().map(SetArg::Text);
        let files = settings.set_file.iter().cloned().map(SetArg::File);
        Request {
            whole: None,
            env: settings.environment.clone().unwrap_or_default(),
            project: self.project(),
            files: values.to_vec(),
            sets: sets.chain(texts).chain(files).collect(),
            provider: None,
            here: std::env::current_dir().ok(),
        }
    }

    /// The project's folder: the flag's, else this folder where it has a `kedactl.yaml`.
    pub(crate) fn project(&self) -> Option<PathBuf> {
        let here = || {
            Path::new("kedactl.yaml")
                .exists()
                .then(|| PathBuf::from("."))
        };
        self.global.project.clone().or_else(here)
    }

    /// The stack that a configuration is for.
    pub(crate) fn name_of(&self, config: &Config) -> String {
        let named = self.global.stack.clone();
        named.unwrap_or_else(|| config.name.clone())
    }

    /// Folder of the stack's tunnel.
    pub(crate) fn tunnel_dir(&self) -> Result<PathBuf, Error> {
        self.folder("tunnel", &self.stack_name())
    }

    /// The stack that `--stack`, the project or the default names.
    pub(crate) fn stack_name(&self) -> String {
        let named = self.global.stack.clone().or_else(|| self.project_stack());
        named.unwrap_or_else(|| "kedactl".to_owned())
    }

    /// Folders of the stack `name` on a cluster.
    pub(crate) fn home(&self, name: &str) -> Result<Home, Error> {
        // The name is checked as that of every stack's folder.
        self.folder("clusters", name)?;
        Ok(Home::new(self.root()?, name))
    }

    /// Folder of the local stack `name`.
    pub(crate) fn dir_of(&self, name: &str) -> Result<PathBuf, Error> {
        self.folder("local", name)
    }

    fn root(&self) -> Result<PathBuf, Error> {
        let root = self.env.state_root(self.global.state_dir.as_ref());
        root.ok_or_else(|| {
            Error::new(
                Code::NoStateRoot,
                "no folder for the state of stacks is known",
            )
        })
    }

    fn folder(&self, kind: &str, name: &str) -> Result<PathBuf, Error> {
        let root = self.root()?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
            let message = format!("`{name}` is not the name of a stack");
            return Err(Error::new(Code::Usage, message).hint("use at most 63 of a-z, 0-9 and -"));
        }
        Ok(root.join(kind).join(name))
    }

    /// The stack's name as the project says; commands that only look go on without a valid project.
    fn project_stack(&self) -> Option<String> {
        let request = Request {
            project: Some(self.project()?),
            ..Request::default()
        };
        kedactl_config::load(&request, &read_file)
            .ok()
            .map(|loaded| loaded.config.name)
    }
}

/// Reads at most `limit` bytes and one more, so that a file that is too large is seen as such.
pub(crate) fn read_file(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Loads it, with the parts that were asked for where the configuration does not choose them itself.
fn loaded(mut request: Request, settings: &Settings) -> Result<Loaded, Error> {
    let loaded = kedactl_config::load(&request, &read_file)?;
    if !settings.with.contains(&Part::Monitoring) || loaded.config.is_monitored() {
        return Ok(loaded);
    }
    let minimal = "monitoring.profile=minimal".to_owned();
    request.sets.push(SetArg::Value(minimal));
    Ok(kedactl_config::load(&request, &read_file)?)
}
