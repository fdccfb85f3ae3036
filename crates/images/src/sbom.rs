//! The bill of materials of an image: `CycloneDX` 1.6 in JSON, with crates and Debian packages.
//! Must not hold a time or a random serial number: it is as reproducible as the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::build::Spec;
use crate::dpkg::{self, Owner};
use crate::{Digest, ImageError, Reference};

/// Media type of the document.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// A package that a program was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name on crates.io, or in the workspace.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence as an SPDX expression, where it names one.
    pub license: Option<String>,
}

/// Reads the list that `cargo xtask gen` writes: `name version licence`, one package a line, `#` for remarks.
pub(crate) fn cargo_packages(text: &str) -> Vec<Package> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        let license = |words: &str| words.trim().replace('/', " OR ");
        Some(Package {
            name: words.next()?.to_owned(),
            version: words.next()?.to_owned(),
            license: words.next().map(license).filter(|it| !it.is_empty()),
        })
    });
    parsed.collect()
}

/// Everything that an image was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inventory {
    cargo: Vec<Package>,
    debian: Vec<Owner>,
    /// Place in the image and digest of each program.
    programs: Vec<(String, Digest)>,
}

impl Inventory {
    /// Looks up the owners of the programs and of the files of their closure.
    pub(crate) fn of(spec: &Spec, closure: &BTreeMap<String, PathBuf>) -> Result<Self, ImageError> {
        let programs = spec.programs.iter().map(|program| &program.source);
        let files = programs.chain(closure.values()).chain(&spec.certificates);
        let owners = dpkg::owners(files.map(PathBuf::as_path))?;
        let mut cargo = spec.packages.clone();
        cargo.sort();
        cargo.dedup();
        let mut programs = Vec::new();
        for program in &spec.programs {
            let reading = ImageError::reading(&program.source);
            let file = std::fs::File::open(&program.source).map_err(&reading)?;
            programs.push((
                program.at.clone(),
                Digest::of_reader(file).map_err(&reading)?.0,
            ));
        }
        Ok(Self {
            cargo,
            debian: owners.into_iter().collect(),
            programs,
        })
    }

    /// The document about the image with this digest.
    pub(crate) fn cyclonedx(&self, image: &Reference, digest: &Digest) -> Vec<u8> {
        let programs = self.programs.iter().map(|(at, digest)| {
            json!({
                "type": "file", "bom-ref": at, "name": at,
                "hashes": [{"alg": "SHA-256", "content": digest.hex()}],
            })
        });
        let debian = self.debian.iter().map(debian_component);
        let cargo = self.cargo.iter().map(cargo_component);
        let document = json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": {
                "type": "container",
                "bom-ref": image.to_string(),
                "name": image.name(),
                "version": digest.as_str(),
                "purl": format!("pkg:oci/{}@{}", last(image.repository()), digest.as_str().replace(':', "%3A")),
            }},
            "components": programs.chain(debian).chain(cargo).collect::<Vec<Value>>(),
        });
        format!("{document:#}\n").into_bytes()
    }
}

/// Name under which the document is pushed beside the image, as cosign and ko name it.
pub(crate) fn reference(image: &Reference, digest: &Digest) -> Result<Reference, ImageError> {
    Reference::new(&image.name(), &format!("sha256-{}.sbom", digest.hex()))
}

fn cargo_component(package: &Package) -> Value {
    let purl = format!("pkg:cargo/{}@{}", package.name, escaped(&package.version));
    let mut component = json!({
        "type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl,
    });
    if let Some(license) = &package.license {
        component["licenses"] = json!([{"expression": license}]);
    }
    component
}

fn debian_component(owner: &Owner) -> Value {
    let purl = format!(
        "pkg:deb/debian/{}@{}?arch={}",
        owner.name,
        escaped(&owner.version),
        owner.architecture
    );
    json!({"type": "library", "bom-ref": purl, "name": owner.name, "version": owner.version, "purl": purl})
}

/// The characters of versions that a package URL must not have bare.
fn escaped(version: &str) -> String {
    version
        .replace('%', "%25")
        .replace('+', "%2B")
        .replace(':', "%3A")
        .replace('~', "%7E")
}

fn last(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_image_program_package_and_crate() {
        let inventory = Inventory {
            cargo: cargo_packages("# remark\nhttp 1.3.1+x MIT/Apache-2.0\nown 0.1.0\n"),
            debian: vec![Owner {
                name: "libc6".into(),
                version: "2:2.36-9~x".into(),
                architecture: "amd64".into(),
            }],
            programs: vec![("/usr/bin/x".into(), Digest::of(b"x"))],
        };
        let image: Reference = "kedactl.local/x:1".parse().unwrap();
        let text = String::from_utf8(inventory.cyclonedx(&image, &Digest::of(b""))).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let purls: Vec<&str> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|component| component["purl"].as_str())
            .collect();
        assert_eq!(
            purls,
            [
                "pkg:deb/debian/libc6@2%3A2.36-9%7Ex?arch=amd64",
                "pkg:cargo/http@1.3.1%2Bx",
                "pkg:cargo/own@0.1.0"
            ]
        );
        let license = &document["components"][2]["licenses"][0]["expression"];
        assert_eq!(license, "MIT OR Apache-2.0");
        assert_eq!(document["specVersion"], "1.6");
    }
}
