//! What can go wrong between a program and a node that can run its image, and what to do about it.
//! Must not decide exit codes, and must not carry a password.

use std::io;
use std::path::{Path, PathBuf};

use kedactl_exec::ExecError;
use oci_client::errors::OciDistributionError;

use crate::{Digest, Reference, Requested};

/// Why an image could not be named, built, kept, loaded or pushed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A text that is no image name.
    #[error("`{text}` is not an image name: {reason}")]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder could not be used.
    #[error("could not {action} {}", path.display())]
    File {
        /// "read", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A program or library that is no usable ELF file.
    #[error("{} cannot go into an image: {reason}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A library that is in none of the loader's folders.
    #[error("library {library}, which {} needs, was not found", needed_by.display())]
    Library {
        /// Its name as the program asks for it.
        library: String,
        /// What asks for it.
        needed_by: PathBuf,
    },
    /// Two files for one place in the image.
    #[error("{at} would be both {} and {}", first.display(), second.display())]
    Conflict {
        /// The place in the image.
        at: String,
        /// One file.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// A specification that makes no image.
    #[error("the image {name} cannot be built: {reason}")]
    Spec {
        /// The image's repository.
        name: String,
        /// Why.
        reason: String,
    },
    /// A blob that is not there, or is not what its name says.
    #[error("blob {digest} in {} {reason}", store.display())]
    Blob {
        /// The store's folder.
        store: PathBuf,
        /// The blob.
        digest: Digest,
        /// "is missing", "has other bytes than its digest says".
        reason: String,
    },
    /// A folder that is no image layout, or a damaged one.
    #[error("{} is not a usable image layout: {reason}", path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No such image in the store.
    #[error("no image {name} in {}", store.display())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The store's folder.
        store: PathBuf,
    },
    /// A node cannot be asked or has no containerd.
    #[error("node {node} cannot take images")]
    Node {
        /// The node.
        node: String,
        /// Why.
        source: ExecError,
    },
    /// A node's answer makes no sense.
    #[error("node {node} gave an answer that cannot be read: {answer}")]
    Answer {
        /// The node.
        node: String,
        /// What it said.
        answer: String,
    },
    /// A node does not have the image after the delta and after the whole archive.
    #[error("node {node} did not take {image}: {reason}")]
    NotLoaded {
        /// The node.
        node: String,
        /// The image.
        image: Box<Reference>,
        /// What the node lacks or says instead.
        reason: String,
    },
    /// No node to load onto.
    #[error("no node of {0} was found")]
    NoNode(String),
    /// A registry did not do what was asked.
    #[error("{registry} refused to {action}")]
    Registry {
        /// Host of the registry.
        registry: String,
        /// "take blob sha256:…", "tell the digest of …".
        action: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// A registry has other bytes than were sent.
    #[error("{image} has the digest {found} in the registry, {expected} was pushed")]
    NotPushed {
        /// The image.
        image: Box<Reference>,
        /// What was sent.
        expected: Digest,
        /// What the registry says.
        found: String,
    },
    /// A registry gave other bytes than it was asked for.
    #[error("{registry} gave bytes of {found} where {expected} was asked for")]
    OtherBytes {
        /// Host of the registry.
        registry: String,
        /// What was asked for, or what the registry itself said it would give.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// An image is not there for the platform.
    #[error("{image} is not there for {platform}{}", only(has))]
    NoPlatform {
        /// The image.
        image: Box<Requested>,
        /// What shall run it.
        platform: String,
        /// What it is there for.
        has: Vec<String>,
    },
    /// What a name leads to is no image.
    #[error("{image} is no image: {reason}")]
    NoImage {
        /// The name.
        image: Box<Requested>,
        /// What it is.
        reason: String,
    },
    /// A file that holds no images, or damaged ones.
    #[error("{} is no archive of images: {reason}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A registry wants every manifest of a list, and the image is here for one platform.
    #[error("{registry} refused to take the list {list}, of which only {here} is here")]
    PartOfList {
        /// Host of the registry.
        registry: String,
        /// Digest of the list.
        list: Digest,
        /// Digest of the manifest for the one platform.
        here: Digest,
        /// What was refused.
        source: Box<OciDistributionError>,
    },
    /// The docker configuration cannot give credentials.
    #[error("credentials for {registry} could not be read: {reason}")]
    Credentials {
        /// Host of the registry.
        registry: String,
        /// Why.
        reason: String,
    },
}

impl ImageError {
    /// What to do about it, where that depends on the case.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Library { library, .. } => format!(
                "install the package that has it (`apt-file search {library}`), or link the program statically"
            ),
            Self::Reference { .. } => "an image's name is registry/repository:tag, the repository in lower case".to_owned(),
            Self::Blob { .. } | Self::Layout { .. } => {
                "run it again: every layer is read and written anew; where that fails, remove the folder first".to_owned()
            }
            Self::Unknown { .. } => {
                "`kedactl images list` shows what is there, `kedactl images build` makes the platform's".to_owned()
            }
            Self::NotPushed { .. } => {
                "somebody else pushed this tag at the same time, or the registry rewrites manifests".to_owned()
            }
            Self::OtherBytes { .. } => {
                "something between here and the registry changes what it carries; try again, or without the mirror".to_owned()
            }
            Self::PartOfList { here, .. } => format!(
                "name the image by its tag or by the digest of its platform (@{here}), or let the registry take lists of one platform \
                 (distribution 3: `validation: {{manifests: {{indexes: {{platforms: none}}}}}}`)"
            ),
            Self::NoPlatform { .. } => "--platform names another one; its maker may have it under another tag".to_owned(),
            Self::Archive { .. } => {
                "`docker save IMAGE… -o FILE.tar` and `skopeo copy … oci-archive:FILE.tar` write ones; unpack .gz first".to_owned()
            }
            Self::NoNode(_) => "`kind get clusters` and `docker ps` show what runs".to_owned(),
            _ => return None,
        };
        Some(hint)
    }

    pub(crate) fn reading(path: &Path) -> impl Fn(io::Error) -> Self {
        Self::file("read", path)
    }

    pub(crate) fn writing(path: &Path) -> impl Fn(io::Error) -> Self {
        Self::file("write", path)
    }

    fn file(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn only(has: &[String]) -> String {
    if has.is_empty() {
        String::new()
    } else {
        format!(", only for {}", has.join(", "))
    }
}
