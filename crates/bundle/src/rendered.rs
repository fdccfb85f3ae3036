//! All objects that a configuration puts on a cluster, by the application's templates and every release's chart.
//! Must not ask a cluster, and fetches nothing where every chart is a file.

use kedactl_config::Config;
use kedactl_render::{Templates, release_values};
use kedactl_tools::CancellationToken;
use kedactl_tools::helm::Helm;

use crate::{BundleError, Sourced};

/// The source of what is no release's.
pub(crate) const APPLICATION: &str = "application";

/// Renders everything. `helm` may be missing where there are no releases.
pub async fn rendered(
    config: &Config,
    templates: &Templates,
    helm: Option<&Helm>,
    stop: &CancellationToken,
) -> Result<Vec<Sourced>, BundleError> {
    let mut all = Vec::new();
    for it in templates.render(config)?.objects {
        all.push(Sourced {
            source: APPLICATION.to_owned(),
            object: it.object.to_json(),
        });
    }
    let Some(helm) = helm else {
        return Ok(all);
    };
    for (name, release) in config.wanted_releases() {
        let beneath = release_values(config, templates, name, release)?;
        let helm = helm.clone().beneath(name, beneath);
        let rendered = helm.render(name, release, stop).await?;
        let source = format!("release {name}");
        all.extend(rendered.objects.into_iter().map(|object| Sourced {
            source: source.clone(),
            object,
        }));
    }
    Ok(all)
}
