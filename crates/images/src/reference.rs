//! Names of images: `registry/repository:tag` or `registry/repository@sha256:…`, always whole.
//! Must not guess a tag: an image without one would be `latest`, and nothing stale may run here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, ImageError};

const DEFAULT_REGISTRY: &str = "docker.io";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// A whole image name: nodes and registries get the same words, whatever the user left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    which: Which,
}

/// What a name picks of its repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Which {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// The name of a repository with a tag; the repository as [`Reference::from_str`] takes it, without a tag.
    pub fn new(repository: &str, tag: &str) -> Result<Self, ImageError> {
        format!("{repository}:{tag}").parse()
    }

    /// Host, and port where there is one: `registry.example.com:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path in the registry: `team/kedactl-api`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; none where the name is one by digest.
    pub fn tag(&self) -> Option<&str> {
        match &self.which {
            Which::Tag(tag) => Some(tag),
            Which::Digest(_) => None,
        }
    }

    /// The digest, where the name is one by digest.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.which {
            Which::Tag(_) => None,
            Which::Digest(digest) => Some(digest),
        }
    }

    /// The same repository by digest: what a container runtime looks for where a pod's image names one.
    #[must_use]
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self {
            which: Which::Digest(digest.clone()),
            ..self.clone()
        }
    }

    /// Registry and repository without tag or digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image below another registry and folder: the last part of the repository and the tag stay.
    pub fn moved(&self, prefix: &str) -> Result<Self, ImageError> {
        let last = self.repository.rsplit('/').next().unwrap_or_default();
        self.at(&format!("{}/{last}", prefix.trim_end_matches('/')))
    }

    /// The same image below another registry and folder, its whole name kept as a path: what a mirror of several registries
    /// holds without mixing them up.
    pub fn mirrored(&self, prefix: &str) -> Result<Self, ImageError> {
        let registry = self.registry.replace([':', '[', ']'], "-");
        let prefix = prefix.trim_end_matches('/');
        self.at(&format!("{prefix}/{registry}/{}", self.repository))
    }

    /// The same tag or digest of another repository, which is written as [`Reference::from_str`] takes it.
    pub fn at(&self, repository: &str) -> Result<Self, ImageError> {
        format!("{repository}{}", self.which).parse()
    }

    /// Whether the registry is this machine itself, the only place that plain HTTP may go to.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
            _ => &self.registry,
        };
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.which)
    }
}

impl From<Reference> for String {
    fn from(name: Reference) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Reference {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl FromStr for Reference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let wrong = |reason: &str| ImageError::Reference {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, which) = match text.split_once('@') {
            Some((name, digest)) => match Digest::parse(digest) {
                Some(digest) => (name, Which::Digest(digest)),
                None => return Err(wrong("what follows the @ is not a SHA-256 digest")),
            },
            None => match text.rsplit_once(':') {
                Some((name, tag)) if !tag.contains('/') => (name, Which::Tag(tag.to_owned())),
                _ => return Err(wrong("it has no tag")),
            },
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (DEFAULT_REGISTRY, name),
        };
        let library = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if library {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if !registry_is_good(registry) {
            return Err(wrong("its registry is not a host with an optional port"));
        }
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(component_is_good) {
            return Err(wrong(
                "its repository must be of a-z, 0-9 and single `.`, `_`, `-` between them, in parts divided by `/`",
            ));
        }
        if matches!(&which, Which::Tag(tag) if !tag_is_good(tag)) {
            return Err(wrong(
                "its tag must be of A-Z, a-z, 0-9, `_`, `.`, `-`, at most 128",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            which,
        })
    }
}

/// The rule of every tool: a first part with a dot or a port, or `localhost`, is a host.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn registry_is_good(registry: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".-:[]".contains(&c);
    !registry.is_empty() && registry.bytes().all(plain)
}

fn component_is_good(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |run: &str| {
        matches!(run, "" | "." | "_" | "__") || (!run.is_empty() && run.chars().all(|c| c == '-'))
    };
    part.starts_with(word) && part.ends_with(word) && part.split(word).all(separator)
}

fn tag_is_good(tag: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    tag.len() <= MAX_TAG
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_becomes_the_one_that_nodes_use() {
        let whole = |text: &str| text.parse::<Reference>().map(|r| r.to_string());
        assert_eq!(whole("redis:7").unwrap(), "docker.io/library/redis:7");
        assert_eq!(whole("team/app:1").unwrap(), "docker.io/team/app:1");
        assert_eq!(whole("localhost:5000/a:1").unwrap(), "localhost:5000/a:1");
        assert_eq!(
            whole("kedactl.local/x-y:0f").unwrap(),
            "kedactl.local/x-y:0f"
        );
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_the_reason() {
        for text in [
            "",
            "redis",
            "host.x:5000/redis",
            "Redis:1",
            "a//b:1",
            "-a:1",
            "a:",
            "a:b c",
            "a:-1",
            "a@sha256:00",
            "x y/a:1",
            "a$(id):1",
            "host.x/a..b:1",
            "a:\u{fc}",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        let error = "redis".parse::<Reference>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`redis` is not an image name: it has no tag"
        );
    }

    #[test]
    fn an_image_moves_to_a_registry_with_its_last_name() {
        let image: Reference = "kedactl.local/kedactl-api:0f".parse().unwrap();
        let moved = image.moved("registry.example.com/team/").unwrap();
        assert_eq!(
            moved.to_string(),
            "registry.example.com/team/kedactl-api:0f"
        );
    }

    #[test]
    fn a_name_by_digest_is_one_too_and_moves_with_it() {
        let digest = Digest::of(b"x");
        let tagged: Reference = "quay.io:443/team/app:1".parse().unwrap();
        let pinned = tagged.pinned(&digest);
        assert_eq!(pinned.to_string(), format!("quay.io:443/team/app@{digest}"));
        assert_eq!(pinned.to_string().parse::<Reference>().unwrap(), pinned);
        assert_eq!((pinned.tag(), pinned.digest()), (None, Some(&digest)));
        assert_eq!(
            pinned.mirrored("r.example.com/m/").unwrap().to_string(),
            format!("r.example.com/m/quay.io-443/team/app@{digest}")
        );
        let both = format!("quay.io/team/app:1@{digest}");
        assert!(both.parse::<Reference>().is_err(), "one or the other");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text: &str| text.parse::<Reference>().unwrap().is_loopback();
        assert!(loopback("localhost/a:1") && loopback("127.0.0.1:5000/a:1"));
        assert!(loopback("[::1]:5000/a:1"));
        assert!(!loopback("a:1") && !loopback("localhost.example.com:5000/a:1"));
        assert!(!loopback("127.0.0.1.example.com/a:1"));
    }
}
