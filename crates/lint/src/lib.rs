//! What reviewers of manifests look for, checked offline on any YAML.
//!
//! Law: no I/O and no network; a finding names object, path and cure, and the same document gives the same findings.
