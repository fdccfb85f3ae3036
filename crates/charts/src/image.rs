//! Names of images and versions in their tags.
//! Must not ask a registry.

/// An image's name in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    /// With its registry, where the name has one.
    pub(crate) repository: &'a str,
    /// Empty where it has none.
    pub(crate) tag: &'a str,
}

impl<'a> Image<'a> {
    pub(crate) fn of(name: &'a str) -> Self {
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => Self { repository, tag },
            _ => Self {
                repository: name,
                tag: "",
            },
        }
    }

    /// Whether it is this one of docker.io, `grafana/loki`, wherever it was copied to.
    pub(crate) fn is(&self, path: &str) -> bool {
        let rest = self.repository.strip_suffix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    }

    /// Its version; `None` where the tag is none.
    pub(crate) fn version(&self) -> Option<Version> {
        version(self.tag)
    }

    /// Whether its registry is Docker's, by name or by none.
    pub(crate) fn on_docker_hub(&self, path: &str) -> bool {
        let name = self.repository;
        let name = name.strip_prefix("registry-1.docker.io/").unwrap_or(name);
        name.strip_prefix("docker.io/")
            .unwrap_or(name)
            .starts_with(path)
    }
}

/// Three numbers.
pub(crate) type Version = (u32, u32, u32);

/// The numbers at the start of a version: `v3.19.0-x`, `9.5`.
pub(crate) fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let number = |part: Option<&str>| -> Option<u32> {
        let part = part.unwrap_or("0");
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..end].parse().ok()
    };
    let mut parts = text.splitn(3, '.');
    let first = number(parts.next())?;
    Some((first, number(parts.next())?, number(parts.next())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_read() {
        let image = Image::of("registry.example.com:5000/grafana/loki:2.9.8@sha256:0123");
        assert!(image.is("grafana/loki") && !image.is("loki-canary"));
        assert_eq!(image.version(), Some((2, 9, 8)));
        assert!(!Image::of("my-grafana/loki").is("grafana/loki"));
        assert_eq!(Image::of("localhost:5000/x").tag, "");
        assert_eq!(version("v0.8"), Some((0, 8, 0)));
        assert_eq!(version("8.2.1-debian-12-r0"), Some((8, 2, 1)));
        assert_eq!(version("latest"), None);
        assert!(Image::of("docker.io/bitnami/redis:1").on_docker_hub("bitnami/"));
        assert!(!Image::of("quay.io/bitnami/redis:1").on_docker_hub("bitnami/"));
    }
}
