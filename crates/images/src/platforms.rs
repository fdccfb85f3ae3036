//! Which of an image's manifests is meant: one for each platform, and documents about them beside.
//! Must not take a manifest that its maker says nothing runs.

use std::fmt;
use std::str::FromStr;

use crate::oci::{ForPlatform, Platform};

/// Annotation of documents about an image that stand in its list like another platform's manifest.
const ABOUT: &str = "vnd.docker.reference.type";

impl Platform {
    /// What this machine's containers run.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// Whether what was made for `other` runs here.
    pub(crate) fn runs(&self, other: &Self) -> bool {
        let variant = |it: &Self| it.variant.clone().or_else(|| usual(&it.architecture));
        self.os == other.os
            && self.architecture == other.architecture
            && (variant(self) == variant(other)
                || (self.variant.is_none() && other.variant.is_none()))
    }
}

/// The variant that is meant where none is said.
fn usual(architecture: &str) -> Option<String> {
    match architecture {
        "arm64" => Some("v8".to_owned()),
        "arm" => Some("v7".to_owned()),
        "amd64" => Some("v1".to_owned()),
        _ => None,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|it| write!(f, "/{it}"))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        match parts[..] {
            [os, architecture, ref variant @ ..]
                if variant.len() < 2 && parts.iter().all(plain) =>
            {
                Ok(Self {
                    os: os.to_owned(),
                    architecture: architecture.to_owned(),
                    variant: variant.first().map(|it| (*it).to_owned()),
                })
            }
            _ => Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64".to_owned()),
        }
    }
}

/// The manifest for a platform; else the platforms that there are.
pub(crate) fn choose<'a>(
    listed: &'a [ForPlatform],
    platform: &Platform,
) -> Result<&'a ForPlatform, Vec<String>> {
    let images = listed
        .iter()
        .filter(|it| !it.manifest.annotations.contains_key(ABOUT));
    let of_any = |it: &&ForPlatform| it.platform.as_ref().is_some_and(|has| platform.runs(has));
    if let Some(found) = images.clone().find(of_any) {
        return Ok(found);
    }
    let known = images
        .clone()
        .filter_map(|it| it.platform.as_ref())
        .filter(|it| it.os != "unknown");
    let names: Vec<String> = known.map(ToString::to_string).collect();
    // A list of one that says nothing is that one.
    let mut only = images.filter(|it| it.platform.is_none());
    match (only.next(), only.next()) {
        (Some(found), None) if names.is_empty() => Ok(found),
        _ => Err(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(of: &[(&str, bool)]) -> Vec<ForPlatform> {
        let one = |(platform, about): &(&str, bool)| {
            let digest = crate::Digest::of(platform.as_bytes());
            let mut manifest = crate::Descriptor::new(crate::oci::MANIFEST, digest, 1);
            if *about {
                manifest
                    .annotations
                    .insert(ABOUT.to_owned(), "attestation-manifest".to_owned());
            }
            ForPlatform {
                manifest,
                platform: platform.parse().ok(),
            }
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn the_platforms_own_manifest_is_chosen_and_no_document_about_it() {
        let all = list(&[
            ("unknown/unknown", true),
            ("linux/amd64", false),
            ("linux/arm/v6", false),
            ("linux/arm/v7", false),
            ("linux/arm64/v8", false),
        ]);
        for (asked, chosen) in [
            ("linux/amd64", Some(1)),
            ("linux/arm64", Some(4)),
            ("linux/arm", Some(3)),
            ("linux/arm/v6", Some(2)),
            ("linux/s390x", None),
            ("windows/amd64", None),
            ("unknown/unknown", None),
        ] {
            let found = choose(&all, &asked.parse().unwrap());
            assert_eq!(found.ok(), chosen.map(|at: usize| &all[at]), "{asked}");
        }
        let has = choose(&all, &"linux/s390x".parse().unwrap()).unwrap_err();
        assert_eq!(
            has,
            [
                "linux/amd64",
                "linux/arm/v6",
                "linux/arm/v7",
                "linux/arm64/v8"
            ]
        );
        let unsaid = list(&[("?", false)]);
        assert!(choose(&unsaid, &Platform::here()).is_ok());
    }

    #[test]
    fn a_platform_is_read_as_it_is_written() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "linux",
            "linux/",
            "Linux/amd64",
            "linux/arm/v7/x",
            "linux//v8",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
