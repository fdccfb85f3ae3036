//! What an image shall hold and how it is run.
//! Must not hold a tag: that is the hash of what is built.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::layer::Content;
use crate::sbom::Package;

/// Places of the bundle of certificate authorities: Debian and Alpine, Fedora, SUSE.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// A program that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file on this machine.
    pub source: PathBuf,
    /// Its absolute path in the image.
    pub at: String,
}

/// A file that goes into the image beside the programs, owned by root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its absolute path in the image.
    pub at: String,
    /// What it holds.
    pub content: Content,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A layer between the libraries and the programs: what changes together, and less often than the programs do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layered {
    /// What it is, for the image's history.
    pub made_of: String,
    /// Its files. ELF files among them bring their libraries, as programs do.
    pub files: Vec<ExtraFile>,
}

/// The specification of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Registry and repository, without a tag.
    pub repository: String,
    /// Programs; the first one is the entry point unless `entrypoint` says otherwise.
    pub programs: Vec<Program>,
    /// Libraries that the programs open by name at run time (glibc before 2.34 opens `libnss_dns.so.2`).
    pub opened: Vec<String>,
    /// Where programs' libraries are looked for: `/`, and before it the roots of unpacked packages.
    pub roots: Vec<PathBuf>,
    /// Files that change with the programs; they lie in the programs' layer.
    pub files: Vec<ExtraFile>,
    /// Files that seldom change; they lie in the layer of the libraries, which a node gets once.
    pub shared_files: Vec<ExtraFile>,
    /// Layers between the libraries' and the programs'.
    pub layers: Vec<Layered>,
    /// Folders that the image's user may write to.
    pub writable: Vec<String>,
    /// The bundle of certificate authorities on this machine; it goes to Debian's place.
    pub certificates: Option<PathBuf>,
    /// The command; empty for the first program.
    pub entrypoint: Vec<String>,
    /// Its default arguments.
    pub arguments: Vec<String>,
    /// Variables beside PATH.
    pub env: BTreeMap<String, String>,
    /// TCP ports that it serves.
    pub ports: Vec<u16>,
    /// The signal that stops it; absent: the runtime's, SIGTERM.
    pub stop_signal: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The folder it starts in.
    pub working_dir: String,
    /// What the programs were made from, for the bill of materials.
    pub packages: Vec<Package>,
}

impl Spec {
    /// An image of programs that lie in `/usr/bin`, with the machine's certificate authorities.
    pub fn of_programs(repository: impl Into<String>, sources: &[PathBuf]) -> Self {
        let programs = sources.iter().map(|source| {
            let name = source.file_name().unwrap_or_default().to_string_lossy();
            Program {
                at: format!("/usr/bin/{name}"),
                source: source.clone(),
            }
        });
        Self {
            repository: repository.into(),
            programs: programs.collect(),
            opened: Vec::new(),
            roots: vec!["/".into()],
            files: Vec::new(),
            shared_files: Vec::new(),
            layers: Vec::new(),
            writable: Vec::new(),
            certificates: BUNDLES.iter().map(PathBuf::from).find(|it| it.is_file()),
            entrypoint: Vec::new(),
            arguments: Vec::new(),
            env: BTreeMap::new(),
            ports: Vec::new(),
            stop_signal: None,
            labels: BTreeMap::new(),
            working_dir: "/".to_owned(),
            packages: Vec::new(),
        }
    }

    /// The command that the image runs.
    pub(crate) fn command(&self) -> Vec<String> {
        match self.programs.first() {
            Some(program) if self.entrypoint.is_empty() => vec![program.at.clone()],
            _ => self.entrypoint.clone(),
        }
    }
}
