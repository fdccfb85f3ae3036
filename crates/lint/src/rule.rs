//! What a rule is, and the macro with which each family of rules writes its table.
//! Holds no rule.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; often right as it is.
    Note,
    /// A reviewer asks for it; it works all the same.
    Warning,
    /// It is refused, does not work, loses tasks or gives a secret or the node away.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// As in `KL0001`; never reused for another meaning.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What holds where the rule is broken, in lower case.
    pub title: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to write in place of it.
    pub cure: &'static str,
    /// Names of the same rule elsewhere, joined by commas; `Pod Security: x` is a check of the standard itself.
    pub peers: &'static str,
}

/// Writes a table of rules: one constant each, and `RULES` with all of them.
macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $title:literal, why $why:literal, cure $cure:literal, peers $peers:literal;)*) => {
        $(const $name: &$crate::Rule = &$crate::Rule {
            id: $id,
            severity: $crate::Severity::$severity,
            title: $title,
            why: $why,
            cure: $cure,
            peers: $peers,
        };)*

        /// The rules of this family, by id.
        pub(crate) const RULES: &[&$crate::Rule] = &[$($name),*];
    };
}
pub(crate) use rules;
