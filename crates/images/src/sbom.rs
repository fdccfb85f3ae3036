//! The bill of materials of an image: `CycloneDX` 1.6 in JSON, with crates and Debian packages.
//! Must not hold a time or a random serial number: it is as reproducible as the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::build::{Content, Spec};
use crate::dpkg::{self, Owner};
use crate::{Digest, ImageError, Reference};

/// Media type of the document.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// crates.io, or a workspace of crates.
    Cargo,
    /// The Python package index.
    PyPi,
    /// Somewhere that has no form of its own.
    Other,
}

impl Maker {
    /// Its word in package URLs.
    fn word(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::PyPi => "pypi",
            Self::Other => "generic",
        }
    }
}

/// A package that a program was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name there.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence as an SPDX expression, where it names one.
    pub license: Option<String>,
    /// Where it comes from.
    pub maker: Maker,
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
            maker: Maker::Cargo,
        })
    });
    parsed.collect()
}

/// Everything that an image was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inventory {
    packages: Vec<Package>,
    debian: Vec<Owner>,
    /// Place in the image and digest of each program.
    programs: Vec<(String, Digest)>,
}

impl Inventory {
    /// Looks up the owners of the programs and of the files of their closure.
    pub(crate) fn of(spec: &Spec, closure: &BTreeMap<String, PathBuf>) -> Result<Self, ImageError> {
        let programs = spec.programs.iter().map(|program| &program.source);
        // Libraries of a tree are its package's; its programs may be Debian's.
        let more = spec.layers.iter().flat_map(|layer| &layer.files);
        let more = more
            .filter(|it| it.executable)
            .filter_map(|it| match &it.content {
                Content::File(source) => Some(source),
                Content::Bytes(_) => None,
            });
        let files = programs
            .chain(more)
            .chain(closure.values())
            .chain(&spec.certificates);
        let owners = dpkg::owners(files.map(PathBuf::as_path))?;
        let mut packages = spec.packages.clone();
        packages.sort();
        packages.dedup();
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
            packages,
            debian: owners.into_iter().collect(),
            programs,
        })
    }

    /// The document about the image with this digest.
    pub(crate) fn cyclonedx(&self, image: &Reference, digest: &Digest) -> Vec<u8> {
        let programs = self.programs.iter().map(program_component);
        let debian = self.debian.iter().map(debian_component);
        let packages = self.packages.iter().map(package_component);
        let subject = json!({
            "type": "container",
            "bom-ref": image.to_string(),
            "name": image.name(),
            "version": digest.as_str(),
            "purl": format!("pkg:oci/{}@{}", last(image.repository()), digest.as_str().replace(':', "%3A")),
        });
        let components: Vec<Value> = programs.chain(debian).chain(packages).collect();
        document(&subject, &components)
    }
}

/// The document about programs that are given away as they are: their digests by name, and the crates in them, listed as
/// `cargo xtask gen` lists them.
pub fn bill_of_programs(
    name: &str,
    version: &str,
    programs: &[(String, Digest)],
    crates: &str,
) -> Vec<u8> {
    let purl = format!("pkg:cargo/{name}@{}", escaped(version));
    let subject = json!({
        "type": "application", "bom-ref": purl, "name": name, "version": version, "purl": purl,
    });
    let crates = cargo_packages(crates);
    // The subject is no component of itself.
    let others = crates.iter().filter(|it| it.name != name);
    let programs = programs.iter().map(program_component);
    let components: Vec<Value> = programs.chain(others.map(package_component)).collect();
    document(&subject, &components)
}

fn document(subject: &Value, components: &[Value]) -> Vec<u8> {
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    });
    format!("{document:#}\n").into_bytes()
}

fn program_component((at, digest): &(String, Digest)) -> Value {
    json!({
        "type": "file", "bom-ref": at, "name": at,
        "hashes": [{"alg": "SHA-256", "content": digest.hex()}],
    })
}

/// Name under which the document is pushed beside the image, as cosign and ko name it.
pub(crate) fn reference(image: &Reference, digest: &Digest) -> Result<Reference, ImageError> {
    Reference::new(&image.name(), &format!("sha256-{}.sbom", digest.hex()))
}

fn package_component(package: &Package) -> Value {
    let name = match package.maker {
        // The index knows one spelling of a name: small letters, and dashes between its words.
        Maker::PyPi => package.name.to_lowercase().replace(['_', '.'], "-"),
        Maker::Cargo | Maker::Other => package.name.clone(),
    };
    let (maker, version) = (package.maker.word(), escaped(&package.version));
    let purl = format!("pkg:{maker}/{name}@{version}");
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
            packages: cargo_packages("# remark\nhttp 1.3.1+x MIT/Apache-2.0\nown 0.1.0\n"),
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
