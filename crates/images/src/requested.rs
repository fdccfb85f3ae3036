//! The name of an image as a manifest asks for it: short or whole, with a tag, a digest, both or neither.
//! Must not be given to an image: what neither tag nor digest says is `latest` here, as it is for a node.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, ImageError, Reference};

/// An asked-for image, its name in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requested {
    /// The name by its tag; `latest` where neither tag nor digest was given.
    tagged: Option<Reference>,
    /// The name by its digest.
    pinned: Option<Reference>,
}

impl Requested {
    /// What a node looks for: where there is a digest, the tag is only for people.
    pub fn reference(&self) -> &Reference {
        let wins = self.pinned.as_ref().or(self.tagged.as_ref());
        wins.expect("one of both is there")
    }

    /// The name by its tag, where it has one.
    pub fn tagged(&self) -> Option<&Reference> {
        self.tagged.as_ref()
    }

    /// The digest that is asked for.
    pub fn digest(&self) -> Option<&Digest> {
        self.pinned.as_ref().and_then(Reference::digest)
    }
}

impl FromStr for Requested {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let has_tag = name
            .rsplit_once(':')
            .is_some_and(|(_, tag)| !tag.contains('/'));
        let tagged = match (has_tag, digest) {
            (true, _) => Some(name.parse::<Reference>()?),
            (false, None) => Some(format!("{name}:latest").parse()?),
            (false, Some(_)) => None,
        };
        let pinned = match (digest, &tagged) {
            (None, _) => None,
            (Some(digest), Some(tagged)) => {
                Some(tagged.pinned(&Digest::parse(digest).ok_or_else(|| {
                    ImageError::Reference {
                        text: text.to_owned(),
                        reason: "what follows the @ is not a SHA-256 digest".to_owned(),
                    }
                })?))
            }
            (Some(_), None) => Some(text.parse()?),
        };
        Ok(Self { tagged, pinned })
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.tagged, self.digest()) {
            (Some(tagged), Some(digest)) => write!(f, "{tagged}@{digest}"),
            _ => write!(f, "{}", self.reference()),
        }
    }
}

impl From<Requested> for String {
    fn from(name: Requested) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Requested {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_the_one_that_a_node_looks_for() {
        let digest = Digest::of(b"x");
        let pinned = format!("@{digest}");
        for (asked, whole, looked_for) in [
            ("busybox", "docker.io/library/busybox:latest", None),
            ("grafana/loki:2.9.8", "docker.io/grafana/loki:2.9.8", None),
            ("localhost:5000/a", "localhost:5000/a:latest", None),
            ("quay.io/a/b@D", "quay.io/a/b@D", None),
            ("quay.io/a/b:1@D", "quay.io/a/b:1@D", Some("quay.io/a/b@D")),
        ] {
            let full = |text: &str| text.replace("@D", &pinned);
            let name: Requested = full(asked).parse().unwrap();
            assert_eq!(name.to_string(), full(whole));
            assert_eq!(
                name.reference().to_string(),
                full(looked_for.unwrap_or(whole))
            );
            assert_eq!(name.to_string().parse::<Requested>().unwrap(), name);
            assert_eq!(name.digest().is_some(), asked.contains('@'));
        }
    }

    #[test]
    fn what_no_node_would_take_is_refused() {
        for text in [
            "",
            "UPPER/x:1",
            "a:1@sha256:00",
            "a@md5:00",
            "http://x/y:1",
            "a b",
            "a:",
            "@",
        ] {
            assert!(text.parse::<Requested>().is_err(), "{text}");
        }
    }
}
