//! Where the dynamic loader looks for libraries on this machine.
//! Must not read variables: an image must not depend on who builds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How deep `include` lines of ld.so.conf may nest.
const MAX_INCLUDES: usize = 8;

/// The loader's folders, below one or several roots (`/`, or unpacked packages).
#[derive(Debug, Clone)]
pub(crate) struct Search {
    roots: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Search {
    /// The folders of ld.so.conf, then the built-in ones, for a machine as images name it.
    ///
    /// The cache is not asked: it may prefer a variant for this very processor, and a node may have another.
    pub(crate) fn new(roots: &[PathBuf], architecture: &str) -> Self {
        let mut folders = Vec::new();
        configured(Path::new("/etc/ld.so.conf"), 0, &mut folders);
        folders.extend(built_in(architecture));
        let mut seen = BTreeSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        Self {
            roots: roots.to_vec(),
            folders,
        }
    }

    /// Every place where a library could be, best first: `own` folders, then the loader's.
    pub(crate) fn candidates<'a>(
        &'a self,
        library: &'a str,
        own: &'a [PathBuf],
    ) -> impl Iterator<Item = PathBuf> + 'a {
        let system = self.folders.iter().flat_map(move |folder| {
            self.roots
                .iter()
                .map(move |root| below(root, folder).join(library))
        });
        own.iter()
            .map(move |folder| folder.join(library))
            .chain(system)
    }

    /// A file by its absolute path in the first root that has it.
    pub(crate) fn locate(&self, path: &str) -> Option<PathBuf> {
        let places = self.roots.iter().map(|root| below(root, Path::new(path)));
        places.into_iter().find(|place| place.is_file())
    }
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn built_in(architecture: &str) -> Vec<PathBuf> {
    let triplet = match architecture {
        "amd64" => "x86_64-linux-gnu",
        "arm64" => "aarch64-linux-gnu",
        "arm" => "arm-linux-gnueabihf",
        _ => "riscv64-linux-gnu",
    };
    let multiarch = ["/lib", "/usr/lib"].map(|lib| Path::new(lib).join(triplet));
    let plain = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from);
    multiarch.into_iter().chain(plain).collect()
}

/// Reads a loader configuration; a file that is not there names no folder.
fn configured(file: &Path, depth: usize, folders: &mut Vec<PathBuf>) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let pattern = line.strip_prefix("include");
        match pattern.filter(|it| it.starts_with(char::is_whitespace)) {
            Some(pattern) if depth < MAX_INCLUDES => {
                let base = file.parent().unwrap_or(Path::new("/"));
                for included in expand(&base.join(pattern.trim())) {
                    configured(&included, depth + 1, folders);
                }
            }
            None if line.starts_with('/') => folders.push(PathBuf::from(line)),
            _ => {}
        }
    }
}

/// `folder/*.conf` in sorted order; a name without `*` stands for itself.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|name| name.to_str());
    let Some((before, after)) = name.and_then(|name| name.split_once('*')) else {
        return vec![pattern.to_owned()];
    };
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|it| it.starts_with(before) && it.ends_with(after))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_followed_and_comments_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("main", "include sub*.conf\n/opt/lib # mine\n# /no\n");
        write("sub2.conf", "/two\n");
        write("sub1.conf", "/one\ninclude main\n");
        let mut folders = Vec::new();
        configured(&dir.path().join("main"), MAX_INCLUDES - 1, &mut folders);
        assert_eq!(folders, ["/one", "/two", "/opt/lib"].map(PathBuf::from));
    }

    #[test]
    fn own_folders_come_first_and_every_root_is_tried() {
        let search = Search {
            roots: vec!["/unpacked".into(), "/".into()],
            folders: vec!["/lib".into()],
        };
        let own = [PathBuf::from("/opt/own")];
        let places: Vec<PathBuf> = search.candidates("liba.so", &own).collect();
        let expected = ["/opt/own/liba.so", "/unpacked/lib/liba.so", "/lib/liba.so"];
        assert_eq!(places, expected.map(PathBuf::from));
    }
}
