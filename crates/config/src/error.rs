//! What can be wrong with a configuration, all problems of a load at once.
//! Words the problems; finds none.

use std::fmt;

use crate::source::{Layer, Origin};

/// A configuration that cannot be used, with every problem that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid:{}", list(.problems))]
pub struct ConfigError {
    /// At least one, in the order of files and lines.
    pub problems: Vec<Problem>,
}

/// One problem, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the offending value stands; `None` where no source has it.
    pub origin: Option<Origin>,
    /// Dotted path of the value, empty for a whole file.
    pub path: String,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        let named = self.origin.as_ref().is_some_and(|origin| {
            origin.layer == Layer::Set && origin.file.split(' ').next_back() == Some(&self.path)
        });
        if !self.path.is_empty() && !named {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl ConfigError {
    /// The hints of all problems, each once, in order.
    pub fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self
            .problems
            .iter()
            .filter_map(|problem| problem.hint.clone())
        {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |text, problem| {
        text + "\n  " + &problem.to_string()
    })
}
