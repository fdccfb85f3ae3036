//! Applications in Python as images: the interpreter with its standard library, packages, and the application, a layer each.
//! Must not run an interpreter or fetch a package: where they lie comes in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::build::{ExtraFile, Layered, Spec, tree};
use crate::sbom::{Maker, Package};
use crate::{Content, ImageError};

/// Where packages lie in the image; the interpreter is told by a variable.
const PACKAGES: &str = "/usr/lib/python-packages";

/// Parts of the standard library that no server needs: half of its size, and what would need the libraries of a screen.
const LEFT_OUT: [&str; 9] = [
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tkinter",
    "turtledemo",
    "turtle.py",
];

/// An interpreter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its program, behind all links and shims.
    pub program: PathBuf,
    /// Folder of its standard library.
    pub library: PathBuf,
    /// As in `3.11.2`.
    pub version: String,
}

/// Puts an interpreter, and the packages of a folder that `pip install --target` filled, below a specification.
pub fn python(
    spec: &mut Spec,
    interpreter: &Interpreter,
    packages: Option<&Path>,
) -> Result<(), ImageError> {
    let short: Vec<&str> = interpreter.version.split('.').take(2).collect();
    let place = format!("/usr/lib/python{}", short.join("."));
    let mut files = vec![ExtraFile {
        at: "/usr/bin/python3".to_owned(),
        content: Content::File(interpreter.program.clone()),
        executable: true,
    }];
    files.extend(tree(&interpreter.library, &place, &in_library)?);
    spec.layers.push(Layered {
        made_of: format!("python {}", interpreter.version),
        files,
    });
    spec.packages.push(Package {
        name: "python".to_owned(),
        version: interpreter.version.clone(),
        license: Some("PSF-2.0".to_owned()),
        maker: Maker::Other,
    });
    // Nothing may be written beside the sources, and a log that is kept back is lost with its pod.
    for name in ["PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"] {
        spec.env
            .entry(name.to_owned())
            .or_insert_with(|| "1".to_owned());
    }
    let Some(packages) = packages else {
        return Ok(());
    };
    spec.layers.push(Layered {
        made_of: "packages".to_owned(),
        files: tree(packages, PACKAGES, &in_packages)?,
    });
    spec.packages.extend(installed(packages)?);
    let path = spec.env.entry("PYTHONPATH".to_owned()).or_default();
    *path = if path.is_empty() {
        PACKAGES.to_owned()
    } else {
        format!("{path}:{PACKAGES}")
    };
    Ok(())
}

fn in_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let top = path.components().count() == 1;
    // `config-3.11-x86_64-linux-gnu` is for linking the interpreter into other programs.
    let left_out = top && (LEFT_OUT.contains(&name.as_ref()) || name.starts_with("config-"));
    let of_a_screen = name.starts_with("_tkinter.") || name.starts_with("_test");
    !left_out && !of_a_screen && compiled_or_not(path)
}

/// Without the scripts, which name this machine's interpreter, and the list of files that has their digests.
fn in_packages(path: &Path) -> bool {
    let script = path == Path::new("bin");
    !script && !path.ends_with("RECORD") && compiled_or_not(path)
}

/// Compiled files hold the times of their sources.
fn compiled_or_not(path: &Path) -> bool {
    !path.ends_with("__pycache__") && path.extension().is_none_or(|it| it != "pyc")
}

/// What is installed in a folder, as each package says of itself.
fn installed(folder: &Path) -> Result<Vec<Package>, ImageError> {
    let mut packages = Vec::new();
    let reading = ImageError::reading(folder);
    for entry in fs::read_dir(folder).map_err(&reading)? {
        let path = entry.map_err(&reading)?.path();
        if path.extension().is_none_or(|it| it != "dist-info") {
            continue;
        }
        let path = path.join("METADATA");
        let text = fs::read_to_string(&path).map_err(ImageError::reading(&path))?;
        // The description follows the fields after an empty line.
        let fields = text.lines().take_while(|line| !line.is_empty());
        let fields: Vec<(&str, &str)> = fields.filter_map(|line| line.split_once(": ")).collect();
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        if let (Some(name), Some(version)) = (field("Name"), field("Version")) {
            packages.push(Package {
                name,
                version,
                license: field("License-Expression"),
                maker: Maker::PyPi,
            });
        }
    }
    packages.sort();
    Ok(packages)
}
