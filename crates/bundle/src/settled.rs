//! The configuration as it goes into a bundle: complete, with charts and files of the bundle in the place of addresses and paths.
//! Must not keep a path or a program of the machine that made it.

use kedactl_config::{BuiltImage, Config, ReleaseName};
use kedactl_images::Reference;

/// What a file of a release is called below the folder that a run unpacks.
pub(crate) fn chart_path(release: &ReleaseName) -> String {
    format!("charts/{release}.tgz")
}

pub(crate) fn values_path(release: &ReleaseName, at: usize) -> String {
    format!("values/{release}/{at}.yaml")
}

/// The name of a template that the user keeps elsewhere.
fn template_name(release: &ReleaseName) -> String {
    format!("bundle/{release}.yaml.hbs")
}

/// The configuration of a bundle, and the templates that have another name in it.
pub(crate) fn settled(config: &Config) -> (Config, Vec<(String, String)>) {
    let mut config = config.clone();
    let mut renamed = Vec::new();
    for (name, release) in &mut config.releases {
        let Some(release) = release else { continue };
        if release
            .source()
            .is_ok_and(|it| !matches!(it, kedactl_config::ChartSource::Embedded(_)))
        {
            release.chart = format!("./{}", chart_path(name));
            release.repo = None;
            // What was let in and held against its pin lies in the bundle, whose own digests count from here on.
            release.access = kedactl_config::ChartAccess::default();
            release.digest = None;
        }
        for (at, file) in release.values_files.iter_mut().enumerate() {
            *file = values_path(name, at).into();
        }
        if let Some(template) = &mut release.values_template
            && template.starts_with(['.', '/'])
        {
            let old = std::mem::replace(template, template_name(name));
            renamed.push((old, template.clone()));
        }
    }
    // Programs and addresses of this machine mean nothing elsewhere.
    config.images.programs = kedactl_config::ImagePrograms::default();
    config.webhook.bot_token_file = None;
    config.images.mirrors.clear();
    config.images.recipes = kedactl_config::Recipes::default();
    config.helm.program = None;
    config.helm.vendored = None;
    config.kind.program = None;
    config.minikube.program = None;
    config.local.programs = kedactl_config::LocalPrograms::default();
    (config, renamed)
}

/// Puts the name of an image that was made where the configuration names it.
pub(crate) fn name(config: &mut Config, which: BuiltImage, image: &Reference) {
    which.put(config, image.to_string());
}
