//! One scripted program that plays helm or kind: it writes down how it was called, and does what a test says.
//! Must not know what helm or kind would say; the tests do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) struct Fake {
    pub(crate) program: PathBuf,
    directory: PathBuf,
}

impl Fake {
    /// A program in a folder. `script` is the shell text that answers; `$1` is the verb and `$HERE` the folder.
    pub(crate) fn new(directory: &Path, name: &str, script: &str) -> Self {
        let program = directory.join(name);
        let text = format!(
            "#!/bin/sh\nHERE='{here}'\nprintf '%s\\n' \"$*\" >>\"$HERE/calls\"\nenv >>\"$HERE/env\"\n{script}\n",
            here = directory.display()
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            program,
            directory: directory.to_owned(),
        }
    }

    pub(crate) fn calls(&self) -> String {
        fs::read_to_string(self.directory.join("calls")).unwrap_or_default()
    }

    /// The first words of every call.
    pub(crate) fn verbs(&self) -> Vec<String> {
        let verb = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        self.calls().lines().map(verb).collect()
    }

    pub(crate) fn environment(&self) -> String {
        fs::read_to_string(self.directory.join("env")).unwrap_or_default()
    }
}
