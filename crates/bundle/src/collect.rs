//! What a bundle's images are, and where each is had: made here, taken from a file, or pulled.
//! Must not leave out what it cannot get: it is had, named by `--without`, or an error.

use kedactl_config::{Config, Provider};
use kedactl_images::{Image, ImageError, Requested, Store, import, pull};
use kedactl_plan::Sink;

use crate::contents::{Contents, ImageEntry, Origin};
use crate::create::Create;
use crate::{BundleError, Certainty, Closure, Found, Place, Reason, Sourced};

/// What everything leads to, with what the user adds and takes away.
pub(crate) fn closure(
    request: &Create<'_>,
    config: &Config,
    objects: &[Sourced],
) -> Result<Closure, BundleError> {
    let mut closure = Closure::of(objects);
    closure.found.extend(of_nodes(config)?);
    for image in request.also {
        closure.found.push(named(
            image.clone(),
            "command line",
            "--image",
            Reason::Named,
        ));
    }
    closure
        .found
        .retain(|it| !request.without.contains(&it.image));
    if let Some(unreadable) = closure.unreadable.first() {
        return Err(BundleError::NoName {
            text: unreadable.text.clone(),
            place: Box::new(unreadable.place.clone()),
        });
    }
    Ok(closure)
}

/// The image of a kind cluster's nodes, where the configuration names one.
pub(crate) fn of_nodes(config: &Config) -> Result<Option<Found>, ImageError> {
    let of_kind = config.provider == Provider::Kind;
    let image = config.kind.image.as_ref().filter(|_| of_kind);
    let found = |image: &String| {
        let image = image.parse()?;
        Ok(named(image, "kind cluster", "kind.image", Reason::Node))
    };
    image.map(found).transpose()
}

fn named(image: Requested, object: &str, path: &str, reason: Reason) -> Found {
    Found {
        image,
        place: Place {
            source: "configuration".to_owned(),
            object: object.to_owned(),
            path: path.to_owned(),
            reason,
        },
        certainty: Certainty::Certain,
        always: false,
    }
}

/// Every image, from where it can be had.
pub(crate) async fn images<'a>(
    request: &'a Create<'_>,
    closure: &Closure,
    contents: &mut Contents,
    sink: &dyn Sink,
) -> Result<Vec<(&'a Store, Image)>, BundleError> {
    let imported = imported(request).await?;
    let mut all = Vec::new();
    for (wanted, places) in closure.images() {
        let certain = places.iter().any(|it| it.certainty == Certainty::Certain);
        let built = request
            .built
            .0
            .iter()
            .find(|(_, it)| it.reference == *wanted.reference());
        let saved = imported
            .iter()
            .find(|it: &&Image| it.reference == *wanted.reference());
        let (store, image, list, origin) = if let Some((_, image)) = built {
            (request.built.1, image.clone(), None, Origin::Built)
        } else if let Some(image) = saved {
            (request.pulled, image.clone(), None, Origin::Archive)
        } else {
            let pulled = pull(request.pulled, wanted, request.upstream, sink).await;
            let pulled = pulled.map_err(|source| not_had(wanted, places[0], !certain, source))?;
            let list = Some(pulled.digest).filter(|it| *it != pulled.image.manifest.digest);
            (request.pulled, pulled.image, list, Origin::Registry)
        };
        let entry = ImageEntry {
            image: image.reference.clone(),
            digest: image.manifest.digest.clone(),
            list,
            size: image.size(),
            origin,
            certainty: if certain {
                Certainty::Certain
            } else {
                Certainty::Probable
            },
            places: places.iter().map(|it| it.place.clone()).collect(),
        };
        contents.add(entry);
        all.push((store, image));
    }
    contents.images.sort_by(|a, b| a.image.cmp(&b.image));
    Ok(all)
}

/// The images of all files.
async fn imported(request: &Create<'_>) -> Result<Vec<Image>, BundleError> {
    let mut imported = Vec::new();
    for archive in request.archives {
        let (store, archive) = (request.pulled.clone(), archive.clone());
        let platform = request.upstream.platform.clone();
        let import = tokio::task::spawn_blocking(move || import(&store, &archive, &platform));
        let import = import.await;
        imported
            .extend(import.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    Ok(imported)
}

fn not_had(wanted: &Requested, found: &Found, doubtful: bool, source: ImageError) -> BundleError {
    BundleError::NotHad {
        image: wanted.to_string(),
        place: Box::new(found.place.clone()),
        doubtful,
        source: Box::new(source),
    }
}
