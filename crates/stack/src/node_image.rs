//! The image of a kind cluster's nodes, out of a bundle into the container engine: kind itself would pull it.
//! Must not load what the engine has.

use std::io::Write;
use std::time::Duration;

use kedactl_bundle::{Bundle, Reason};
use kedactl_config::{Config, Provider};
use kedactl_exec::{Run, find};
use kedactl_images::{Image, Reference, Requested, engine_archive};
use kedactl_plan::Step;

use crate::StackError;

/// A node's image is large.
const WITHIN: Duration = Duration::from_mins(15);

/// The image that a bundle has for the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeImage {
    image: Image,
    /// The name that engine and kind get: engines take no name by digest.
    pub(crate) name: Reference,
}

impl NodeImage {
    /// The one that the configuration names, where the bundle has it.
    pub(crate) fn of(bundle: &Bundle, config: &Config) -> Result<Option<Self>, StackError> {
        let Some(named) = config
            .kind
            .image
            .as_ref()
            .filter(|_| config.provider == Provider::Kind)
        else {
            return Ok(None);
        };
        let wanted: Requested = named.parse()?;
        let entry = bundle.contents().image(wanted.reference());
        let Some(entry) = entry.filter(|it| it.places.iter().any(|it| it.reason == Reason::Node))
        else {
            return Ok(None);
        };
        let images = bundle.images()?;
        let Some(image) = images.into_iter().find(|it| it.reference == entry.image) else {
            return Ok(None);
        };
        let name = match wanted.tagged() {
            Some(tagged) => tagged.clone(),
            None => Reference::new(
                &image.reference.name(),
                &format!("bundle-{}", image.manifest.digest.short()),
            )?,
        };
        Ok(Some(Self { image, name }))
    }

    /// Loads it where the engine lacks it; whether it did.
    pub(crate) async fn ensure(
        &self,
        bundle: &Bundle,
        config: &Config,
        step: &Step<'_>,
    ) -> Result<bool, StackError> {
        let engine = find(&config.images.engine)?;
        let name = self.name.to_string();
        let look = Run::new(&engine).args(["image", "inspect", "--format", "{{.Id}}", &name]);
        let known = [
            Some(&self.image.manifest),
            self.image.of_platform.as_ref(),
            Some(&self.image.config),
        ];
        let there = joined(tokio::task::spawn_blocking(move || look.run()).await);
        if there.is_ok_and(|it| {
            known
                .iter()
                .flatten()
                .any(|known| known.digest.as_str() == it.stdout.trim())
        }) {
            return Ok(false);
        }
        step.progress(0, None, format!("{name} into {}", config.images.engine));
        let (store, image, tag) = (
            bundle.store().clone(),
            self.image.clone(),
            self.name.clone(),
        );
        let load = Run::new(&engine).args(["load"]).within(WITHIN);
        let feed = move |out: &mut dyn Write| engine_archive(&store, &image, &tag, out);
        joined(tokio::task::spawn_blocking(move || load.run_fed(feed)).await)?;
        Ok(true)
    }
}

fn joined<T>(result: Result<T, tokio::task::JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
