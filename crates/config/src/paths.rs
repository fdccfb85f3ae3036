//! Relative paths in releases and beside them, read from the folder of the file that names them.
//! Joins words; never looks whether anything is there.

use std::path::{Component, Path, PathBuf};

use crate::load::Request;
use crate::model::{Config, Release, is_path};
use crate::source::{Layer, Origin};
use crate::tree::Node;

/// Makes the paths of every release ones of the working folder, absolute where the request knows that folder.
pub(crate) fn resolve(config: &mut Config, tree: &Node, request: &Request) {
    for (name, release) in &mut config.releases {
        let Some(release) = release else { continue };
        let node = tree.at(&["releases", name.as_str()]);
        if let Some(node) = node {
            of_release(release, node, request);
        }
    }
    if let (Some(vendored), Some(node)) =
        (&mut config.helm.vendored, tree.at(&["helm", "vendored"]))
    {
        *vendored = join(&folder(&node.origin, request), vendored);
    }
    let token = tree.at(&["webhook", "botTokenFile"]);
    if let (Some(file), Some(node)) = (&mut config.webhook.bot_token_file, token) {
        *file = join(&folder(&node.origin, request), file);
    }
}

fn of_release(release: &mut Release, node: &Node, request: &Request) {
    let from = |path: &[&str]| {
        let origin = node.at(path).map(|node| &node.origin);
        folder(origin.unwrap_or(&node.origin), request)
    };
    if release.repo.is_none() && is_path(&release.chart) {
        release.chart = written(&from(&["chart"]), &release.chart);
    }
    if let Some(template) = &mut release.values_template
        && is_file(template)
    {
        *template = written(&from(&["valuesTemplate"]), template);
    }
    for file in &mut release.values_files {
        *file = join(&from(&["valuesFiles"]), file);
    }
    let access = &mut release.access;
    for (file, key) in [
        (&mut access.password_file, "passwordFile"),
        (&mut access.ca_file, "caFile"),
    ] {
        if let Some(file) = file {
            *file = join(&from(&["access", key]), file);
        }
    }
}

/// Whether `valuesTemplate` is a file of the user's, and not a name below `templates/`.
fn is_file(template: &str) -> bool {
    template.starts_with(['.', '/'])
}

/// The folder from which an origin's relative paths are read: that of its file, but the project's for `kedactl.yaml`
/// and all of `values/`; the working folder for the command line.
fn folder(origin: &Origin, request: &Request) -> PathBuf {
    let here = request.here.clone().unwrap_or_default();
    let file = Path::new(&*origin.file);
    let project = request
        .project
        .as_deref()
        .filter(|_| request.whole.is_none());
    let below = match (origin.layer, project) {
        (Layer::Set | Layer::Provider, _) => Path::new(""),
        (Layer::Base | Layer::Env | Layer::Project, Some(project)) => project,
        (Layer::File, Some(project)) if file.starts_with(project.join("values")) => project,
        _ => file.parent().unwrap_or(Path::new("")),
    };
    here.join(below)
}

fn join(folder: &Path, path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    folder.join(parts.collect::<PathBuf>())
}

/// A joined path that still reads as one: `./` in front where it would be taken for a name.
fn written(folder: &Path, path: &str) -> String {
    let joined = join(folder, Path::new(path)).display().to_string();
    if joined.starts_with(['.', '/']) {
        joined
    } else {
        format!("./{joined}")
    }
}
