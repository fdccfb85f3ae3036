//! Where in which object an image stands, and why it is taken for one.
//! Must not be more than words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `application`, `release keda`.
    pub source: String,
    /// `Deployment keda-system/keda-operator`.
    pub object: String,
    /// `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Why it is an image.
    pub reason: Reason,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            object,
            path,
            reason,
        } = self;
        write!(f, "{object} of {source}, {path} ({reason})")
    }
}

/// Why a text is taken for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A pod's container.
    Container,
    /// A pod's init container.
    InitContainer,
    /// A container that is added to a running pod.
    EphemeralContainer,
    /// A volume that is an image.
    Volume,
    /// A field of a custom resource that is called so.
    Field,
    /// Several fields of a custom resource, put together.
    Fields,
    /// An argument of a program.
    Argument,
    /// A variable of a program.
    Variable,
    /// An entry of a `ConfigMap`, or a line of one.
    ConfigMap,
    /// An annotation.
    Annotation,
    /// Any other text that is a whole name of an image.
    Text,
    /// The nodes of a kind cluster.
    Node,
    /// The user named it.
    Named,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "a container",
            Self::InitContainer => "an init container",
            Self::EphemeralContainer => "an ephemeral container",
            Self::Volume => "a volume",
            Self::Field => "a field of a custom resource",
            Self::Fields => "fields of a custom resource",
            Self::Argument => "an argument",
            Self::Variable => "a variable",
            Self::ConfigMap => "an entry of a ConfigMap",
            Self::Annotation => "an annotation",
            Self::Text => "a text",
            Self::Node => "the nodes' image",
            Self::Named => "named by --image",
        })
    }
}
