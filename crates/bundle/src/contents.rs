//! The table of contents of a bundle, as it stands in it.
//! Must not hold a time, a path of the machine that made it, or anything else that differs between two runs.

use std::collections::BTreeMap;

use kedactl_images::{Digest, Platform, Reference, Requested};
use serde::{Deserialize, Serialize};

use crate::{Certainty, Place};

/// The form of this document; another one is refused.
pub(crate) const FORMAT: u32 = 1;
/// Type of a bundle's own entry in the index.
pub(crate) const BUNDLE: &str = "application/vnd.kedactl.bundle.v1+json";
/// Type of the configuration.
pub(crate) const CONFIGURATION: &str = "application/vnd.kedactl.configuration.v1+json";
/// Type of the templates: one document of names and texts.
pub(crate) const TEMPLATES: &str = "application/vnd.kedactl.templates.v1+json";
/// Type of a values file of a release.
pub(crate) const VALUES: &str = "application/vnd.kedactl.values.v1+yaml";
/// Helm's types: what a chart says of itself, and its archive.
pub(crate) const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
pub(crate) const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Annotation with the path of a document below the folder that a run unpacks.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The form of this document.
    pub format: u32,
    /// Version of the program that made it.
    pub kedactl: String,
    /// What runs the images.
    pub platform: Platform,
    /// The Kubernetes that charts were rendered for.
    pub kube_version: String,
    /// Charts, by release.
    pub charts: Vec<ChartEntry>,
    /// Our own charts that are part of the program, by name, with the digest that they had.
    pub own_charts: BTreeMap<String, String>,
    /// Images, by name.
    pub images: Vec<ImageEntry>,
    /// Texts that look like images and were left out on purpose.
    pub without: Vec<Requested>,
    /// The images that were made, by the section of the configuration that names them.
    pub built: BTreeMap<String, Reference>,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChartEntry {
    /// The release that uses it.
    pub release: String,
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it was declared to come from, without a path of a machine.
    pub source: String,
    /// Digest of its manifest in the index.
    pub manifest: Digest,
    /// Digest of its archive.
    pub archive: Digest,
    /// Length of the archive.
    pub size: u64,
}

/// Where an image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A registry.
    Registry,
    /// A file of `docker save` or the like.
    Archive,
    /// It was made from programs.
    Built,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageEntry {
    /// The name that nodes look for.
    pub image: Reference,
    /// What the name leads to in this bundle.
    pub digest: Digest,
    /// What its registry calls it, where that is the list of all platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Digest>,
    /// Bytes of all its blobs, as they are stored.
    pub size: u64,
    /// Where it came from.
    pub origin: Origin,
    /// Whether a container runtime reads its name for sure.
    pub certainty: Certainty,
    /// Where it stands.
    pub places: Vec<Place>,
}

impl Contents {
    /// Adds an image. One that is there already, with another tag beside its digest, gets the places.
    pub(crate) fn add(&mut self, entry: ImageEntry) {
        match self.images.iter_mut().find(|it| it.image == entry.image) {
            Some(there) => {
                there.certainty = there.certainty.min(entry.certainty);
                there.places.extend(entry.places);
            }
            None => self.images.push(entry),
        }
    }

    /// The entry of an image.
    pub fn image(&self, name: &Reference) -> Option<&ImageEntry> {
        self.images.iter().find(|it| it.image == *name)
    }

    /// The chart of a release.
    pub fn chart(&self, release: &str) -> Option<&ChartEntry> {
        self.charts.iter().find(|it| it.release == release)
    }
}
