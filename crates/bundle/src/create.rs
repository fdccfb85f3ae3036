//! Makes a bundle: charts as files, everything rendered, every image that it leads to, one layout.
//! Must not hold a time or a path of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kedactl_config::{BuiltImage, ChartSource, Config};
use kedactl_images::{Image, REF_NAME, Requested, Store, Upstream};
use kedactl_plan::{Sink, Step};
use kedactl_render::Templates;
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, Chart};

use crate::collect::{closure, images};
use crate::contents::{
    BUNDLE, CHART, CHART_CONFIG, CONFIGURATION, Contents, FORMAT, TEMPLATES, TITLE, VALUES,
};
use crate::rendered::rendered;
use crate::settled::{chart_path, name, settled, values_path};
use crate::write::{Layout, free, json};
use crate::{BundleError, ChartEntry, Sourced, chart};

/// An image that was made, and the section of the configuration that it is for.
pub type Built = (BuiltImage, Image);

/// What shall be bundled, and how it is had.
#[derive(Debug)]
pub struct Create<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What manifests are made from.
    pub templates: &'a Templates,
    /// Fetches and renders charts; may be missing where there are no releases.
    pub helm: Option<&'a Helm>,
    /// The Kubernetes that helm renders for.
    pub kube_version: &'a str,
    /// The images that were made, and their store.
    pub built: (&'a [Built], &'a Store),
    /// Where images that are pulled or imported lie.
    pub pulled: &'a Store,
    /// How they are pulled.
    pub upstream: &'a Upstream<'a>,
    /// Files of images.
    pub archives: &'a [PathBuf],
    /// More images.
    pub also: &'a [Requested],
    /// What looks like an image and is to be left out.
    pub without: &'a [Requested],
}

/// A part of a bundle, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `image`, `chart`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: kedactl_images::Digest,
    /// Its bytes as they are stored.
    pub size: u64,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Digest of the index.
    pub digest: kedactl_images::Digest,
    /// What is in it.
    pub contents: Contents,
    /// Bytes of all blobs, each counted once.
    pub size: u64,
    /// Places that ask a registry each time, although the image is there.
    pub always: Vec<String>,
}

/// Makes the bundle at a path: a tar file where it ends in `.tar`, else a folder.
pub async fn create(
    request: &Create<'_>,
    at: &Path,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Created, BundleError> {
    free(at)?;
    let mut layout = Layout::default();
    let mut config = request.config.clone();
    let mut contents = contents(request);
    for (which, image) in request.built.0 {
        name(&mut config, *which, &image.reference);
        contents
            .built
            .insert(which.name().to_owned(), image.reference.clone());
    }
    let step = Step::start(sink, "bundle/render", "charts and manifests");
    let done = gather(request, &config, &mut layout, &mut contents, stop).await;
    let (documents, objects, charts) = told(step, done, |(_, objects, _)| {
        format!("{} objects", objects.len())
    })?;
    let closure = closure(request, &config, &objects)?;
    let images = images(request, &closure, &mut contents, sink).await?;
    let own = own_entry(&mut layout, &contents, documents);
    layout.entry(own);
    for chart in charts {
        layout.entry(chart);
    }
    for (store, image) in images {
        layout.image(store, &image);
    }
    let size = layout.size();
    let step = Step::start(sink, "bundle/write", "write");
    let place = at.to_owned();
    let written = tokio::task::spawn_blocking(move || layout.write(&place));
    let written = written
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let digest = told(step, written, ToString::to_string)?;
    let always = closure.found.iter().filter(|it| it.always);
    Ok(Created {
        digest,
        contents,
        size,
        always: always
            .map(|it| format!("{} in {}", it.image, it.place))
            .collect(),
    })
}

fn contents(request: &Create<'_>) -> Contents {
    Contents {
        format: FORMAT,
        kedactl: env!("CARGO_PKG_VERSION").to_owned(),
        platform: request.upstream.platform.clone(),
        kube_version: request.kube_version.to_owned(),
        charts: Vec::new(),
        own_charts: BTreeMap::new(),
        images: Vec::new(),
        without: request.without.to_vec(),
        built: BTreeMap::new(),
    }
}

type Gathered = (
    Vec<kedactl_images::Descriptor>,
    Vec<Sourced>,
    Vec<kedactl_images::Descriptor>,
);

/// The bundle's own documents, what everything renders to, and the entries of charts.
async fn gather(
    request: &Create<'_>,
    config: &Config,
    layout: &mut Layout,
    contents: &mut Contents,
    stop: &CancellationToken,
) -> Result<Gathered, BundleError> {
    let mut documents = Vec::new();
    let mut entries = Vec::new();
    for (release, declared) in config.wanted_releases() {
        for (at, path) in declared.values_files.iter().enumerate() {
            let bytes = fs::read(path).map_err(BundleError::reading(path))?;
            let mut document = layout.blob(VALUES, bytes);
            document
                .annotations
                .insert(TITLE.to_owned(), values_path(release, at));
            documents.push(document);
        }
        let Some(helm) = request.helm else { continue };
        let chart = helm.chart(release, declared, stop).await?;
        let source = declared.source().map_err(|error| BundleError::Chart {
            release: release.to_string(),
            reason: error.to_string(),
        })?;
        if let ChartSource::Embedded(name) = &source {
            contents.own_charts.insert(name.clone(), chart.digest);
            continue;
        }
        let (mut archive, entry) = add_chart(
            layout,
            contents,
            (helm, &chart),
            release.as_str(),
            &source,
            stop,
        )
        .await?;
        archive
            .annotations
            .insert(TITLE.to_owned(), chart_path(release));
        documents.push(archive);
        entries.push(entry);
    }
    let (kept, renamed) = settled(config);
    documents.push(layout.blob(CONFIGURATION, kedactl_images::bytes(&kept)));
    let mut texts: BTreeMap<&str, &str> = request.templates.texts().collect();
    for (old, new) in &renamed {
        if let Some(text) = texts.remove(old.as_str()) {
            texts.insert(new, text);
        }
    }
    documents.push(layout.blob(TEMPLATES, kedactl_images::bytes(&texts)));
    let objects = rendered(config, request.templates, request.helm, stop).await?;
    Ok((documents, objects, entries))
}

/// A chart as Helm's own artifact; its archive, and its entry in the index.
async fn add_chart(
    layout: &mut Layout,
    contents: &mut Contents,
    (helm, chart): (&Helm, &Chart),
    release: &str,
    source: &ChartSource,
    stop: &CancellationToken,
) -> Result<(kedactl_images::Descriptor, kedactl_images::Descriptor), BundleError> {
    let broken = |reason: String| BundleError::Chart {
        release: release.to_owned(),
        reason,
    };
    let bytes = if chart.path.is_dir() {
        let packed = helm.package(&chart.path, stop).await?;
        chart::settled(&packed).map_err(|error| broken(error.to_string()))?
    } else {
        fs::read(&chart.path).map_err(BundleError::reading(&chart.path))?
    };
    let about = chart::about(&bytes).map_err(broken)?;
    let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
    let config = layout.blob(CHART_CONFIG, json(&about));
    let archive = layout.blob(CHART, bytes);
    let mut entry = layout.artifact(None, config, vec![archive.clone()]);
    let reference = format!("charts/{}:{}", text("name"), text("version"));
    entry.annotations.insert(REF_NAME.to_owned(), reference);
    contents.charts.push(ChartEntry {
        release: release.to_owned(),
        name: text("name"),
        version: text("version"),
        source: match source {
            ChartSource::Repo(repo, name, version) => format!("{name} {version} of {repo}"),
            ChartSource::Oci(reference, version) => format!("{reference} {version}"),
            ChartSource::Path(_) => "a file".to_owned(),
            ChartSource::Embedded(name) => name.clone(),
        },
        manifest: entry.digest.clone(),
        archive: archive.digest.clone(),
        size: archive.size,
    });
    Ok((archive, entry))
}

fn own_entry(
    layout: &mut Layout,
    contents: &Contents,
    documents: Vec<kedactl_images::Descriptor>,
) -> kedactl_images::Descriptor {
    let config = layout.blob(BUNDLE, kedactl_images::bytes(contents));
    let mut entry = layout.artifact(Some(BUNDLE), config, documents);
    entry
        .annotations
        .insert(REF_NAME.to_owned(), "bundle".to_owned());
    entry
}

fn told<T>(
    step: Step<'_>,
    result: Result<T, BundleError>,
    note: impl FnOnce(&T) -> String,
) -> Result<T, BundleError> {
    match &result {
        Ok(value) => step.done(note(value), true),
        Err(error) => step.failed(error, error.hint()),
    }
    result
}
