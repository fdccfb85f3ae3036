//! Which helm it is.
//! Must not guess: a version that cannot be read is an error.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use kedactl_exec::{CancellationToken, Job};

use crate::{Action, ToolError};

/// Major and minor number of a helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 or 4.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

/// The oldest helm that has every flag that is used.
const OLDEST: Version = Version {
    major: 3,
    minor: 18,
};

impl Version {
    /// Reads what `helm version --short` says: `v3.19.0+g3d8990f`, `v4.1.0`; builds from source say `v3.19`.
    pub(crate) fn parse(said: &str) -> Result<Self, ToolError> {
        let garbled = || ToolError::Garbled {
            program: "helm",
            action: Action::Version,
            subject: "itself".to_owned(),
            problem: format!("`{}` is no version", said.trim()),
        };
        // Warnings may stand before it.
        let word = said
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('v'))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .ok_or_else(garbled)?;
        let mut numbers = word
            .split(['.', '+', '-'])
            .map(|number| number.parse::<u32>().ok());
        let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
            return Err(garbled());
        };
        let version = Self { major, minor };
        if version < OLDEST {
            return Err(ToolError::TooOld {
                program: "helm",
                found: version.to_string(),
                needed: "3.18",
            });
        }
        Ok(version)
    }
}

/// Asks a helm for its version, without a stack and without a folder.
pub async fn version(program: &Path, within: Duration) -> Result<Version, ToolError> {
    let job = Job::new(program)
        .args(["version", "--short"])
        .without_env("HELM_");
    let ended = job.within(within).run(&CancellationToken::new()).await?;
    Version::parse(&ended.stdout)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_old_ones_refused() {
        for (said, major, minor) in [
            ("v3.19.0+g3d8990f\n", 3, 19),
            ("v4.3\n", 4, 3),
            (
                "WARNING: Kubernetes configuration file is group-readable\nv3.18.6+gb76a950\n",
                3,
                18,
            ),
        ] {
            assert_eq!(Version::parse(said).unwrap(), Version { major, minor });
        }
        let old = Version::parse("v3.12.3+g3a31588").unwrap_err();
        assert_eq!(old.to_string(), "helm is 3.12, 3.18 is needed");
        assert!(matches!(
            Version::parse("command not found"),
            Err(ToolError::Garbled { .. })
        ));
    }
}
