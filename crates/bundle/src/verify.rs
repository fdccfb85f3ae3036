//! Proves that a bundle is whole and enough: every blob hashed, everything rendered, every image that it leads to inside.
//! Must not use a network, and must not stop at the first thing that is wrong.

use kedactl_config::{ChartSource, Config};
use kedactl_images::{Digest, ImageError, Reference, Requested};
use kedactl_render::Templates;
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, Chart};

use crate::collect::of_nodes;
use crate::rendered::rendered;
use crate::{Bundle, BundleError, Certainty, Closure, Contents, Place};

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A blob is missing or has other bytes.
    #[error(transparent)]
    Damaged(#[from] ImageError),
    /// Another version made it, or it rests on another chart of ours.
    #[error("it was made by kedactl {made}, and this is {here}")]
    Foreign {
        /// That version.
        made: String,
        /// This version.
        here: String,
    },
    /// A chart of ours is not the one that the bundle was made with.
    #[error("our own chart {0} is not the one that the bundle was made with")]
    OwnChart(String),
    /// A chart is not inside.
    #[error("release {release} has a chart that is not inside: {chart}")]
    Chart {
        /// The release.
        release: String,
        /// As it is declared.
        chart: String,
    },
    /// An image is not inside.
    #[error("{image} is not inside; {certainty} image of {place}", certainty = word(*certainty))]
    Missing {
        /// The image.
        image: Requested,
        /// Where it stands.
        place: Place,
        /// Whether it is one for sure.
        certainty: Certainty,
    },
    /// The name leads to something else than the bundle says.
    #[error("{image} leads to {found} in the index, the bundle was made with {expected}")]
    Changed {
        /// The image.
        image: Reference,
        /// What the table of contents says.
        expected: Digest,
        /// What the index says.
        found: String,
    },
    /// A tag that another digest than the bundle's stands beside.
    #[error(
        "{image} names a digest that the bundle does not have under that tag, but {has}; {place}"
    )]
    OtherDigest {
        /// The image.
        image: Requested,
        /// What the bundle has under the tag.
        has: Digest,
        /// Where it stands.
        place: Place,
    },
    /// A node would ask the registry although it has the image.
    #[error("{image} is asked for at its registry each time (imagePullPolicy Always); {place}")]
    Always {
        /// The image.
        image: Requested,
        /// Where it stands.
        place: Place,
    },
    /// A text that is no image.
    #[error("`{text}` is no image's name; {place}")]
    Unreadable {
        /// The text.
        text: String,
        /// Where it stands.
        place: Place,
    },
}

fn word(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Certain => "certain",
        Certainty::Probable => "probable",
    }
}

/// What was proved, or is wrong.
#[derive(Debug, Default)]
pub struct Verified {
    /// Blobs that were read and hashed.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were rendered.
    pub objects: usize,
    /// Images that they lead to.
    pub images: usize,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// Verifies a bundle with its configuration, or with one that lies above it; without one, which is damage, only the blobs.
/// `helm` renders charts that were unpacked before.
pub async fn verify(
    bundle: &Bundle,
    parts: Option<(&Config, &Templates)>,
    helm: Option<&Helm>,
    stop: &CancellationToken,
) -> Result<Verified, BundleError> {
    let store = bundle.store().clone();
    let checked = tokio::task::spawn_blocking(move || store.check());
    let checked = checked
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let mut verified = Verified {
        blobs: checked.blobs,
        bytes: checked.bytes,
        ..Verified::default()
    };
    let problems = &mut verified.problems;
    problems.extend(checked.problems.into_iter().map(Problem::Damaged));
    let damaged = !problems.is_empty();
    if let Err(BundleError::Foreign { made, here, .. }) = bundle.of_this_version() {
        problems.push(Problem::Foreign { made, here });
    }
    index(bundle, problems)?;
    let contents = bundle.contents();
    let Some((config, templates)) = parts else {
        return Ok(verified);
    };
    if !charts(contents, config, helm, problems, stop).await? {
        return Ok(verified);
    }
    let objects = match rendered(config, templates, helm, stop).await {
        // A chart that is damaged has been told about.
        Err(_) if damaged => return Ok(verified),
        other => other?,
    };
    verified.objects = objects.len();
    let mut closure = Closure::of(&objects);
    closure.found.extend(of_nodes(config)?);
    verified.images = closure.images().len();
    judge(contents, closure, &mut verified.problems);
    Ok(verified)
}

/// The index must name what the table of contents says.
fn index(bundle: &Bundle, problems: &mut Vec<Problem>) -> Result<(), BundleError> {
    let entries = bundle.store().entries()?;
    for image in &bundle.contents().images {
        let name = image.image.to_string();
        let named = |it: &&kedactl_images::Descriptor| {
            it.annotations.get(kedactl_images::IMAGE_NAME) == Some(&name)
        };
        let found = entries.iter().find(named).map(|it| it.digest.to_string());
        if found.as_deref() != Some(image.digest.as_str()) {
            problems.push(Problem::Changed {
                image: image.image.clone(),
                expected: image.digest.clone(),
                found: found.unwrap_or_else(|| "nothing".to_owned()),
            });
        }
    }
    Ok(())
}

/// Whether every chart is at hand; those that would be fetched are problems.
async fn charts(
    contents: &Contents,
    config: &Config,
    helm: Option<&Helm>,
    problems: &mut Vec<Problem>,
    stop: &CancellationToken,
) -> Result<bool, BundleError> {
    let mut all = true;
    for (release, declared) in config.wanted_releases() {
        match declared.source() {
            Ok(ChartSource::Embedded(name)) => {
                let Some(helm) = helm else { continue };
                let Chart { digest, .. } = helm.chart(release, declared, stop).await?;
                if contents.own_charts.get(&name) != Some(&digest) {
                    problems.push(Problem::OwnChart(name));
                }
            }
            Ok(ChartSource::Path(path)) if path.exists() => {}
            _ => {
                all = false;
                problems.push(Problem::Chart {
                    release: release.to_string(),
                    chart: declared.chart.clone(),
                });
            }
        }
    }
    Ok(all)
}

fn judge(contents: &Contents, closure: Closure, problems: &mut Vec<Problem>) {
    for it in closure.unreadable {
        problems.push(Problem::Unreadable {
            text: it.text,
            place: it.place,
        });
    }
    for it in closure.found {
        if contents.without.contains(&it.image) {
            continue;
        }
        let Some(inside) = contents.image(it.image.reference()) else {
            problems.push(Problem::Missing {
                image: it.image,
                place: it.place,
                certainty: it.certainty,
            });
            continue;
        };
        if it.always {
            problems.push(Problem::Always {
                image: it.image.clone(),
                place: it.place.clone(),
            });
        }
        // The tag beside a digest is only for people, until somebody goes by it.
        let tagged = it.image.tagged().filter(|_| it.image.digest().is_some());
        let other = tagged.and_then(|tag| contents.image(tag));
        if let Some(other) = other.filter(|other| !same(other, inside)) {
            problems.push(Problem::OtherDigest {
                image: it.image,
                has: other.digest.clone(),
                place: it.place,
            });
        }
    }
}

/// Whether two entries are one image: a tag leads to the manifest, a digest perhaps to the list that has it.
fn same(a: &crate::ImageEntry, b: &crate::ImageEntry) -> bool {
    let names = |it: &crate::ImageEntry| [Some(it.digest.clone()), it.list.clone()];
    names(a)
        .iter()
        .flatten()
        .any(|one| names(b).iter().flatten().any(|two| one == two))
}

/// The images of objects that a bundle does not have, one for each place: what a run above a bundle would have to pull.
pub fn outside(contents: &Contents, objects: &[crate::Sourced]) -> Vec<crate::Found> {
    let mut found = Closure::of(objects).found;
    found.retain(|it| {
        contents.image(it.image.reference()).is_none() && !contents.without.contains(&it.image)
    });
    found
}
