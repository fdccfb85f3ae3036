//! From sources to a checked [`Config`]: the order of the layers, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::embedded;
use crate::error::Problem;
use crate::merge::{merge, merge_below};
use crate::source::{Layer, Origin};
use crate::tree::{Node, Value};
use crate::yaml::{self, Limits};
use crate::{
    Config, ConfigError, Provider, check, cross, effective, format, paths, provider, set, show,
};

/// The only way to files.
pub trait FileReader {
    /// Reads a file, at most `limit + 1` bytes of it, so that a file that is too large is seen as such.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
}

impl<F: Fn(&Path, u64) -> io::Result<Vec<u8>>> FileReader for F {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self(path, limit)
    }
}

/// One `--set`, `--set-string` or `--set-file`, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetArg {
    /// `a.b=c`; the value is read as YAML, an empty one is empty text.
    Value(String),
    /// `a.b=c`; the value is text.
    Text(String),
    /// `a.b=PATH`; the value is the text of a file.
    File(String),
}

/// A whole configuration that was put together before, as of a bundle: it stands in the place of everything built in, of the
/// environment and of the project.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// Its values, all of them.
    pub values: Json,
    /// What it is called in messages; relative paths in it are read from this file's folder.
    pub file: PathBuf,
}

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A configuration that is complete; `env` and `project` have no effect with it.
    pub whole: Option<Whole>,
    /// Name of the environment: `values/env/<env>.yaml`; empty: the one of the provider that the other layers name.
    pub env: String,
    /// Folder of the project; its `values/` wins over the embedded files and its `kedactl.yaml` is a layer.
    pub project: Option<PathBuf>,
    /// `-f`: paths, or the name of an embedded profile (`fast`).
    pub files: Vec<PathBuf>,
    /// `--set` and its kin.
    pub sets: Vec<SetArg>,
    /// The last layer: what the provider decides.
    pub provider: Option<Json>,
    /// The working folder; with it, relative paths in releases become absolute.
    pub here: Option<PathBuf>,
}

/// A configuration and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// Who set each leaf, by dotted path (`api.env.LOG_LEVEL`, `api.autoscaling.behavior.scaleUp.policies[0].value`).
    pub origins: BTreeMap<String, Origin>,
    pub(crate) tree: Node,
    /// The values as they are written, before paths were resolved.
    pub(crate) shown: Json,
}

/// Loads, merges and checks all layers.
///
/// # Errors
/// All problems of all files; problems between values only once each file is right by itself.
pub fn load(request: &Request, files: &dyn FileReader) -> Result<Loaded, ConfigError> {
    let mut sources = Sources {
        files,
        releases: Vec::new(),
        profiles: Vec::new(),
        layers: Vec::new(),
        problems: Vec::new(),
    };
    sources.gather(request);
    let mut problems = std::mem::take(&mut sources.problems);
    let profiles = sources.profiles.iter().map(|(_, layer)| layer);
    let all = sources.releases.iter().chain(profiles);
    problems.extend(all.chain(&sources.layers).flat_map(check::layer));
    refuse(problems)?;

    let tree = merged(sources)?;
    let (json, problems) = check::merged(&tree);
    refuse(problems)?;
    let mut config: Config = serde_json::from_value(json).map_err(|error| ConfigError {
        problems: vec![Problem {
            origin: None,
            path: String::new(),
            message: error.to_string(),
            hint: None,
        }],
    })?;
    refuse(cross::check(&config, &tree))?;
    let origins = show::origins(&tree);
    let shown = serde_json::to_value(&config).unwrap_or_default();
    paths::resolve(&mut config, &tree, request);
    Ok(Loaded {
        config,
        origins,
        tree,
        shown,
    })
}

/// All layers in one tree; the declared releases and the chosen profiles lie below the first.
fn merged(sources: Sources<'_>) -> Result<Node, ConfigError> {
    let mut layers = sources.layers.into_iter();
    let Some(mut tree) = layers.next() else {
        let problems = Vec::new();
        return Err(ConfigError { problems });
    };
    let of_monitoring = sources.profiles.iter().filter(|it| it.0 == "monitoring");
    let of_monitoring: Vec<String> = of_monitoring
        .flat_map(|(_, layer)| effective::releases_of(layer))
        .collect();
    let profiles = sources.profiles.into_iter().map(|(_, layer)| layer);
    for release in sources.releases.into_iter().chain(profiles).rev() {
        merge_below(&mut tree, release);
    }
    for mut layer in layers {
        effective::none_of_them(&mut layer, &tree);
        let named = effective::named_images(&layer);
        merge(&mut tree, layer);
        effective::do_not_make(&mut tree, &named);
    }
    effective::without_use(&mut tree);
    effective::namespaces(&mut tree, &of_monitoring);
    effective::node_port(&mut tree);
    Ok(tree)
}

fn refuse(problems: Vec<Problem>) -> Result<(), ConfigError> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ConfigError { problems })
    }
}

struct Sources<'a> {
    files: &'a dyn FileReader,
    /// `values/releases/`.
    releases: Vec<Node>,
    /// The chosen file of each section that has profiles, with the section.
    profiles: Vec<(&'static str, Node)>,
    layers: Vec<Node>,
    problems: Vec<Problem>,
}

impl Sources<'_> {
    fn gather(&mut self, request: &Request) {
        if let Some(whole) = &request.whole {
            self.layers
                .push(provider::whole(&whole.values, &whole.file));
            self.above(request, None);
            return;
        }
        let project = request.project.as_deref();
        for release in embedded::releases() {
            self.values(release, Layer::Base, project);
        }
        self.releases = std::mem::take(&mut self.layers);
        self.values("values/base.yaml", Layer::Base, project);
        let below = self.layers.len();
        if let Some(project) = project {
            self.project(project);
        }
        self.above(request, project);
        let above = self.layers.split_off(below);
        match request.env.as_str() {
            "" => {
                let env = self
                    .layers
                    .iter()
                    .chain(&above)
                    .rev()
                    .find_map(named_provider);
                self.environment(env.unwrap_or(Provider::Auto).environment(), project);
            }
            env => self.environment(env, project),
        }
        self.layers.extend(above);
        self.chosen(project);
    }

    /// The files that `<section>.profile` chooses, now that every layer is known.
    fn chosen(&mut self, project: Option<&Path>) {
        let layers = std::mem::take(&mut self.layers);
        for section in embedded::SECTIONS.iter().copied() {
            let named = |layer: &Node| layer.at(&[section, "profile"]).cloned();
            let Some(node) = layers.iter().rev().find_map(named) else {
                continue;
            };
            // What is no name is told about when its layer is checked.
            let Value::Scalar(scalar) = &node.value else {
                continue;
            };
            let name = scalar.text.as_str();
            if !format::format("dns-label").is_some_and(|it| (it.holds)(name)) {
                continue;
            }
            let file = format!("values/releases/{section}/{name}.yaml");
            if !self.values(&file, Layer::Base, project) {
                self.problems.push(no_profile(section, name, &node.origin));
            }
            let read = self.layers.drain(..).map(|layer| (section, layer));
            self.profiles.extend(read);
        }
        self.layers = layers;
    }

    /// What a run adds: files, single values, and what the program itself decides.
    fn above(&mut self, request: &Request, project: Option<&Path>) {
        for file in &request.files {
            self.file(file, project);
        }
        for arg in &request.sets {
            let tree = set::tree(arg, self.files);
            self.take(tree);
        }
        if let Some(json) = &request.provider {
            self.layers.push(provider::tree(json));
        }
    }

    fn take(&mut self, tree: Result<Node, Problem>) {
        match tree {
            Ok(tree) => self.layers.push(tree),
            Err(problem) => self.problems.push(problem),
        }
    }

    /// A file of `values/`: the project's, else the embedded one. False where neither exists.
    fn values(&mut self, name: &str, layer: Layer, project: Option<&Path>) -> bool {
        if let Some(project) = project {
            let path = project.join(name);
            match self.read(&path, layer) {
                Ok(Some(text)) => {
                    self.take(yaml::parse(&text, layer, &path.display().to_string()));
                    return true;
                }
                Ok(None) => {}
                Err(problem) => {
                    self.problems.push(problem);
                    return true;
                }
            }
        }
        let Some(text) = embedded::values(name) else {
            return false;
        };
        self.take(yaml::parse(text, layer, name));
        true
    }

    fn environment(&mut self, env: &str, project: Option<&Path>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let named = !env.is_empty() && env.chars().all(plain);
        if !named || !self.values(&format!("values/env/{env}.yaml"), Layer::Env, project) {
            let known: Vec<_> = embedded::environments().collect();
            let near = crate::near::nearest(env, known.iter().copied());
            let meant = near
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            self.problems.push(Problem {
                origin: None,
                path: String::new(),
                message: format!("unknown environment `{env}`{meant}"),
                hint: Some(format!(
                    "built in: {}; a project adds its own as values/env/<name>.yaml",
                    known.join(", ")
                )),
            });
        }
    }

    fn project(&mut self, project: &Path) {
        let path = project.join("kedactl.yaml");
        match self.read(&path, Layer::Project) {
            Ok(Some(text)) => {
                self.take(yaml::parse(
                    &text,
                    Layer::Project,
                    &path.display().to_string(),
                ));
            }
            Ok(None) => self.problems.push(not_found(&path, Layer::Project)),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn file(&mut self, path: &Path, project: Option<&Path>) {
        match self.read(path, Layer::File) {
            Ok(Some(text)) => {
                self.take(yaml::parse(&text, Layer::File, &path.display().to_string()));
            }
            Ok(None) => {
                let name = path.to_string_lossy();
                let name = name.strip_prefix("values/").unwrap_or(&name);
                let name = name.strip_suffix(".yaml").unwrap_or(name);
                let profile = !name.contains(['/', '\\']) && !name.starts_with('.');
                let found =
                    profile && self.values(&format!("values/{name}.yaml"), Layer::File, project);
                if !found {
                    self.problems.push(not_found(path, Layer::File));
                }
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    /// The text of a file, `None` where there is no such file.
    fn read(&self, path: &Path, layer: Layer) -> Result<Option<String>, Problem> {
        let bytes = match self.files.read(path, Limits::BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(in_file(path, layer, format!("cannot be read: {error}"))),
        };
        if bytes.len() as u64 > Limits::BYTES {
            let message = format!("the file is larger than {} KiB", Limits::BYTES / 1024);
            return Err(in_file(path, layer, message));
        }
        let text = String::from_utf8(bytes);
        text.map(Some)
            .map_err(|_| in_file(path, layer, "the file is not UTF-8".into()))
    }
}

/// The provider that a layer names; one that does not exist is told about when the layer is checked.
fn named_provider(layer: &Node) -> Option<Provider> {
    let Value::Map(entries) = &layer.value else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.key == "provider")?;
    let Value::Scalar(scalar) = &entry.node.value else {
        return None;
    };
    serde_json::from_value(Json::from(scalar.text.as_str())).ok()
}

fn no_profile(section: &str, name: &str, origin: &Origin) -> Problem {
    let known: Vec<_> = embedded::profiles_of(section).collect();
    let near = crate::near::nearest(name, known.iter().copied());
    let meant = near.map(|near| format!(", did you mean `{near}`?"));
    Problem {
        origin: Some(origin.clone()),
        path: format!("{section}.profile"),
        message: format!("unknown profile `{name}`{}", meant.unwrap_or_default()),
        hint: Some(format!(
            "built in: {}; a project adds its own as values/releases/{section}/<name>.yaml",
            known.join(", ")
        )),
    }
}

fn not_found(path: &Path, layer: Layer) -> Problem {
    let profiles: Vec<_> = embedded::profiles().collect();
    let hint = match layer {
        Layer::File => format!(
            "give a path, or a built-in profile: {}",
            profiles.join(", ")
        ),
        _ => "name a folder that holds a kedactl.yaml".into(),
    };
    Problem {
        hint: Some(hint),
        ..in_file(path, layer, "there is no such file".into())
    }
}

fn in_file(path: &Path, layer: Layer, message: String) -> Problem {
    let file = path.display().to_string().into();
    let origin = Some(Origin {
        layer,
        file,
        line: 0,
        column: 0,
    });
    Problem {
        origin,
        path: String::new(),
        message,
        hint: None,
    }
}
