//! The background programs of the local provider: `kedactl __local ROLE DIR`, started by `up` alone.
//!
//! They are no part of the grammar, so that neither help nor completions offer them; what they have to say goes to
//! their log.

use crate::error::{Error, Exit};
use std::ffi::OsString;
use std::path::Path;

/// First word of a background program's command line.
pub(crate) const WORD: &str = "__local";

/// Runs the background program that the command line names; `None` where it names none.
pub(crate) fn run(args: &[OsString]) -> Option<Result<Exit, Error>> {
    let [_, word, role, dir] = args else {
        return None;
    };
    (word == WORD).then(|| {
        kedactl_local::helper_main(&role.to_string_lossy(), Path::new(dir))?;
        Ok(Exit::Done)
    })
}
