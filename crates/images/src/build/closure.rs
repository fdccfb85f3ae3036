//! The ELF closure of programs: the loader and every library, found as the loader finds them.
//! Must not run a program: `ldd` would, and it would answer for this machine's processor.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::elf::Elf;
use super::search::Search;
use crate::ImageError;

/// What programs need beside themselves, and for which machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closure {
    /// The machine as images name it.
    pub(crate) architecture: &'static str,
    /// Place in the image → file on this machine. Libraries lie beside the C library, where the loader looks
    /// without a configuration of its own.
    pub(crate) files: BTreeMap<String, PathBuf>,
}

/// A file whose needs are still to be looked up.
struct Pending {
    path: PathBuf,
    elf: Elf,
    /// Folders of the RPATHs of everything on the way to it.
    inherited: Vec<PathBuf>,
}

/// Looks up what the programs need, and the libraries that they open by name at run time.
pub(crate) fn closure(
    programs: &[PathBuf],
    opened: &[String],
    roots: &[PathBuf],
) -> Result<Closure, ImageError> {
    let mut pending = VecDeque::new();
    let mut interpreter = None;
    let mut architecture = None;
    for path in programs {
        let elf = parse(path)?;
        let first = *architecture.get_or_insert(elf.architecture);
        if first != elf.architecture {
            return Err(wrong(
                path,
                format!("it is for {}, others are for {first}", elf.architecture),
            ));
        }
        interpreter = interpreter.or_else(|| elf.interpreter.clone());
        pending.push_back(Pending {
            path: path.clone(),
            elf,
            inherited: Vec::new(),
        });
    }
    let architecture = architecture.unwrap_or(host_architecture());
    let search = Search::new(roots, architecture);
    let mut found = BTreeMap::new();
    if let (Some(interpreter), Some(program)) = (&interpreter, programs.first()) {
        // Only what has a loader can open libraries.
        for library in opened {
            let path = find(&search, library, &[], architecture, program)?;
            add(&mut found, library, path, Vec::new(), &mut pending)?;
        }
        let place = search
            .locate(interpreter)
            .ok_or_else(|| ImageError::Library {
                library: interpreter.clone(),
                needed_by: program.clone(),
            })?;
        let libraries = follow(&search, architecture, found, pending)?;
        return Ok(Closure {
            architecture,
            files: placed(interpreter, place, libraries, roots),
        });
    }
    Ok(Closure {
        architecture,
        files: BTreeMap::new(),
    })
}

/// Follows `DT_NEEDED` until nothing new is found; answers name → file.
fn follow(
    search: &Search,
    architecture: &str,
    mut found: BTreeMap<String, PathBuf>,
    mut pending: VecDeque<Pending>,
) -> Result<BTreeMap<String, PathBuf>, ImageError> {
    while let Some(file) = pending.pop_front() {
        let origin = file.path.parent().unwrap_or(Path::new("/"));
        let rpath: Vec<PathBuf> = expanded(&file.elf.rpath, origin)
            .chain(file.inherited)
            .collect();
        let own: Vec<PathBuf> = if file.elf.runpath.is_empty() {
            rpath.clone()
        } else {
            expanded(&file.elf.runpath, origin).collect()
        };
        for library in &file.elf.needed {
            let path = find(search, library, &own, architecture, &file.path)?;
            add(&mut found, library, path, rpath.clone(), &mut pending)?;
        }
    }
    Ok(found)
}

fn add(
    found: &mut BTreeMap<String, PathBuf>,
    library: &str,
    path: PathBuf,
    inherited: Vec<PathBuf>,
    pending: &mut VecDeque<Pending>,
) -> Result<(), ImageError> {
    let name = library.rsplit('/').next().unwrap_or(library);
    match found.get(name) {
        Some(known) if same(known, &path) => {}
        Some(known) => {
            return Err(ImageError::Conflict {
                at: name.to_owned(),
                first: known.clone(),
                second: path,
            });
        }
        None => {
            let elf = parse(&path)?;
            found.insert(name.to_owned(), path.clone());
            pending.push_back(Pending {
                path,
                elf,
                inherited,
            });
        }
    }
    Ok(())
}

/// The first candidate that is a library for the same machine, as the loader skips the others.
fn find(
    search: &Search,
    library: &str,
    own: &[PathBuf],
    architecture: &str,
    needed_by: &Path,
) -> Result<PathBuf, ImageError> {
    let fits = |path: &PathBuf| {
        path.is_file() && parse(path).is_ok_and(|elf| elf.architecture == architecture)
    };
    let place = if library.starts_with('/') {
        search.locate(library).filter(|path| fits(path))
    } else {
        search.candidates(library, own).find(fits)
    };
    place.ok_or_else(|| ImageError::Library {
        library: library.to_owned(),
        needed_by: needed_by.to_owned(),
    })
}

/// Gives each file its place: the loader where programs name it, libraries in the C library's folder.
fn placed(
    interpreter: &str,
    loader: PathBuf,
    libraries: BTreeMap<String, PathBuf>,
    roots: &[PathBuf],
) -> BTreeMap<String, PathBuf> {
    let loader_name = interpreter.rsplit('/').next().unwrap_or(interpreter);
    let folder = match libraries.get("libc.so.6").and_then(|libc| libc.parent()) {
        Some(folder) => standard(folder, roots),
        None => interpreter[..interpreter.len() - loader_name.len()].to_owned(),
    };
    let mut files: BTreeMap<String, PathBuf> = libraries
        .into_iter()
        .filter(|(name, _)| name != loader_name)
        .map(|(name, path)| (format!("{}/{name}", folder.trim_end_matches('/')), path))
        .collect();
    files.insert(interpreter.to_owned(), loader);
    files
}

/// The C library's folder without the root it was found below: `/lib/x86_64-linux-gnu`, `/lib64`.
fn standard(folder: &Path, roots: &[PathBuf]) -> String {
    let below = roots
        .iter()
        .filter_map(|root| folder.strip_prefix(root).ok());
    // The deepest root leaves the shortest rest.
    let rest = below.min_by_key(|rest| rest.as_os_str().len());
    format!("/{}", rest.unwrap_or(folder).display())
}

fn expanded<'a>(folders: &'a [String], origin: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let origin = origin.to_string_lossy();
    folders.iter().map(move |folder| {
        let folder = folder.replace("${ORIGIN}", &origin);
        PathBuf::from(folder.replace("$ORIGIN", &origin))
    })
}

fn parse(path: &Path) -> Result<Elf, ImageError> {
    let data = fs::read(path).map_err(ImageError::reading(path))?;
    Elf::parse(path, &data)
}

/// Whether two paths have the same bytes; `/lib` and `/usr/lib` are often one folder.
fn same(first: &Path, second: &Path) -> bool {
    let bytes = |path: &Path| fs::read(path).ok();
    first == second
        || fs::canonicalize(first).ok() == fs::canonicalize(second).ok()
        || bytes(first) == bytes(second)
}

fn wrong(path: &Path, reason: String) -> ImageError {
    ImageError::Program {
        path: path.to_owned(),
        reason,
    }
}

/// The machine that this program runs on, as images name it.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_brings_its_loader_and_its_libraries_and_theirs() {
        let program = std::env::current_exe().unwrap();
        let closure = closure(&[program], &[], &["/".into()]).unwrap();
        let names: Vec<&str> = closure
            .files
            .keys()
            .filter_map(|at| at.rsplit('/').next())
            .collect();
        assert!(
            names.iter().any(|name| name.starts_with("ld-")),
            "{names:?}"
        );
        assert!(
            names.iter().any(|name| name.starts_with("libc.")),
            "{names:?}"
        );
        assert_eq!(closure.architecture, host_architecture());
    }

    #[test]
    fn a_library_that_is_nowhere_names_who_needs_it() {
        let program = std::env::current_exe().unwrap();
        let missing = ["libnot-there.so.9".to_owned()];
        let error = closure(&[program], &missing, &["/".into()]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("library libnot-there.so.9, which /"),
            "{text}"
        );
        assert!(error.hint().unwrap().contains("libnot-there.so.9"));
    }

    #[test]
    fn the_root_is_cut_off_the_c_librarys_folder() {
        let roots = ["/tmp/x".into(), "/".into()];
        let of = |folder: &str| standard(Path::new(folder), &roots);
        assert_eq!(of("/lib/x86_64-linux-gnu"), "/lib/x86_64-linux-gnu");
        assert_eq!(
            of("/tmp/x/usr/lib/x86_64-linux-gnu"),
            "/usr/lib/x86_64-linux-gnu"
        );
        assert_eq!(of("/lib64"), "/lib64");
    }
}
