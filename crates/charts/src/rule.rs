//! What a rule is, and the macro with which each family of rules writes its table.
//! Holds no rule.

use serde::Serialize;

/// One known bad pair.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// As in `KC0101`; never reused for another meaning.
    pub id: &'static str,
    /// What holds where the rule is broken, in lower case.
    pub title: &'static str,
    /// What comes of it.
    pub why: &'static str,
    /// Issues in which users met it, joined by commas.
    pub issues: &'static str,
}

/// Writes a table of rules: one constant each, and `RULES` with all of them.
macro_rules! rules {
    ($($name:ident $id:literal $title:literal, why $why:literal, issues $issues:literal;)*) => {
        $(const $name: &$crate::Rule = &$crate::Rule {
            id: $id,
            title: $title,
            why: $why,
            issues: $issues,
        };)*

        /// The rules of this family, by id.
        pub(crate) const RULES: &[&$crate::Rule] = &[$($name),*];
    };
}
pub(crate) use rules;
