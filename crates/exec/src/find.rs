//! Finds programs: an explicit path, beside this program, or in PATH.
//! Must not run what it finds.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::ExecError;

/// Looks a program up. A name with a slash is a path; else the directory of this program comes before PATH.
pub fn find(program: &str) -> Result<PathBuf, ExecError> {
    let missing = || ExecError::Missing {
        program: program.to_owned(),
    };
    if program.is_empty() {
        return Err(missing());
    }
    if program.contains('/') {
        let path = PathBuf::from(program);
        return if runnable(&path) {
            Ok(path)
        } else {
            Err(missing())
        };
    }
    beside(program)
        .or_else(|| in_path(program))
        .ok_or_else(missing)
}

/// The first of several names that is found, or the error for the first.
pub fn find_first(programs: &[&str]) -> Result<PathBuf, ExecError> {
    programs
        .iter()
        .find_map(|program| find(program).ok())
        .ok_or_else(|| ExecError::Missing {
            program: programs.first().copied().unwrap_or_default().to_owned(),
        })
}

fn beside(program: &str) -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let directory = own.parent()?;
    // A test binary lies in `deps/`, one level below the programs that it tests.
    [Some(directory), directory.parent()]
        .into_iter()
        .flatten()
        .map(|directory| directory.join(program))
        .find(|path| runnable(path))
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| runnable(path))
}

fn runnable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(find("sh").unwrap().is_absolute());
        assert!(matches!(
            find("no-such-program-here"),
            Err(ExecError::Missing { .. })
        ));
        assert!(find_first(&["no-such-program-here", "sh"]).is_ok());
    }
}
