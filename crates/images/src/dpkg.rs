//! Which Debian package owns a file, read from dpkg's own database.
//! Must not run dpkg, and must not fail where there is none: other systems have no such list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ImageError;

const DATABASE: &str = "/var/lib/dpkg";

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
}

/// The packages that own the files, sorted; files that no package owns have none.
pub(crate) fn owners<'a>(
    files: impl Iterator<Item = &'a Path>,
) -> Result<BTreeSet<Owner>, ImageError> {
    owners_in(Path::new(DATABASE), files)
}

fn owners_in<'a>(
    database: &Path,
    files: impl Iterator<Item = &'a Path>,
) -> Result<BTreeSet<Owner>, ImageError> {
    let wanted: BTreeSet<String> = files.flat_map(spellings).collect();
    let status_file = database.join("status");
    let status = match fs::read_to_string(&status_file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        other => other.map_err(ImageError::reading(&status_file))?,
    };
    let mut owners = BTreeSet::new();
    for owner in installed(&status) {
        let names = [
            format!("info/{}.list", owner.name),
            format!("info/{}:{}.list", owner.name, owner.architecture),
        ];
        let lists = names
            .iter()
            .filter_map(|name| fs::read_to_string(database.join(name)).ok());
        if lists
            .into_iter()
            .any(|list| list.lines().any(|line| wanted.contains(line)))
        {
            owners.insert(owner);
        }
    }
    Ok(owners)
}

/// A file as it was found, as it is, and each with and without `/usr`: packages list what they shipped,
/// and the folders may have been merged since.
fn spellings(file: &Path) -> BTreeSet<String> {
    let real = fs::canonicalize(file).ok();
    let given = [Some(file.to_owned()), real];
    given
        .into_iter()
        .flatten()
        .flat_map(|path: PathBuf| {
            let text = path.to_string_lossy().into_owned();
            let other = match text.strip_prefix("/usr/") {
                Some(rest) => format!("/{rest}"),
                None => format!("/usr{text}"),
            };
            [text, other]
        })
        .collect()
}

fn installed(status: &str) -> impl Iterator<Item = Owner> + '_ {
    status.split("\n\n").filter_map(|paragraph| {
        let fields: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_once(": "))
            .collect();
        let field = |name: &str| fields.get(name).map(|it| (*it).to_owned());
        fields
            .get("Status")?
            .ends_with(" installed")
            .then_some(())?;
        Some(Owner {
            name: field("Package")?,
            version: field("Version")?,
            architecture: field("Architecture")?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_through_merged_folders_and_removed_packages_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("info")).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "status",
            "Package: libx1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\nDescription: x\n y: z\n\n\
             Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n",
        );
        write("info/libx1:amd64.list", "/.\n/lib/libx.so.1\n");
        write("info/gone.list", "/lib/libx.so.1\n");
        let found = owners_in(dir.path(), [Path::new("/usr/lib/libx.so.1")].into_iter()).unwrap();
        let expected = Owner {
            name: "libx1".into(),
            version: "1:2-3".into(),
            architecture: "amd64".into(),
        };
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn no_database_is_no_package() {
        let none = owners_in(Path::new("/not/there"), [Path::new("/bin/sh")].into_iter());
        assert!(none.unwrap().is_empty());
    }
}
