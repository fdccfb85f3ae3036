//! A folder of this machine as files of an image.
//! Must not take over what differs from machine to machine without being content: times, owners, the order of a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::layer::Content;
use super::spec::ExtraFile;
use crate::ImageError;

/// How deep folders may lie: links may lead in circles.
const MAX_DEPTH: usize = 64;

/// Every file below `from` (or `from` itself, where it is one), with its place below `at`. `keep` decides by the path below
/// `from` what is taken; a folder that is not kept is not looked into. Links are followed: the image gets what they lead to.
pub fn tree(
    from: &Path,
    at: &str,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Vec<ExtraFile>, ImageError> {
    let mut files = Vec::new();
    if fs::metadata(from)
        .map_err(ImageError::reading(from))?
        .is_file()
    {
        files.push(file(from, at.to_owned())?);
    } else {
        walk(
            from,
            Path::new(""),
            at.trim_end_matches('/'),
            keep,
            &mut files,
        )?;
    }
    Ok(files)
}

fn walk(
    from: &Path,
    below: &Path,
    at: &str,
    keep: &dyn Fn(&Path) -> bool,
    files: &mut Vec<ExtraFile>,
) -> Result<(), ImageError> {
    let folder = from.join(below);
    if below.components().count() > MAX_DEPTH {
        return Err(ImageError::Program {
            path: folder,
            reason: format!("it lies more than {MAX_DEPTH} folders deep; does a link lead back?"),
        });
    }
    let reading = ImageError::reading(&folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(&reading)? {
        names.push(entry.map_err(&reading)?.file_name());
    }
    names.sort();
    for name in names {
        let below = below.join(&name);
        if !keep(&below) {
            continue;
        }
        let path = from.join(&below);
        let Some(text) = below.to_str() else {
            return Err(ImageError::Program {
                path,
                reason: "its name is not UTF-8".to_owned(),
            });
        };
        let metadata = fs::metadata(&path).map_err(ImageError::reading(&path))?;
        if metadata.is_dir() {
            walk(from, &below, at, keep, files)?;
        } else if metadata.is_file() {
            files.push(file(&path, format!("{at}/{text}"))?);
        }
    }
    Ok(())
}

fn file(path: &Path, at: String) -> Result<ExtraFile, ImageError> {
    let metadata = fs::metadata(path).map_err(ImageError::reading(path))?;
    Ok(ExtraFile {
        at,
        content: Content::File(path.to_owned()),
        executable: metadata.permissions().mode() & 0o111 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(files: &[ExtraFile]) -> Vec<(&str, bool)> {
        files
            .iter()
            .map(|it| (it.at.as_str(), it.executable))
            .collect()
    }

    #[test]
    fn files_come_in_order_with_what_links_lead_to_and_without_what_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["b/__pycache__", "a"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for name in ["b/__pycache__/x.pyc", "b/x.py", "a/run"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::set_permissions(root.join("a/run"), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("../b/x.py", root.join("a/link")).unwrap();
        let keep = |path: &Path| !path.ends_with("__pycache__");
        let files = tree(root, "/app/", &keep).unwrap();
        let expected = [
            ("/app/a/link", false),
            ("/app/a/run", true),
            ("/app/b/x.py", false),
        ];
        assert_eq!(places(&files), expected);
        let one = tree(&root.join("a/run"), "/usr/bin/run", &keep).unwrap();
        assert_eq!(places(&one), [("/usr/bin/run", true)]);
    }

    #[test]
    fn a_link_to_nothing_and_a_link_in_a_circle_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
        let error = tree(dir.path(), "/x", &|_| true).unwrap_err().to_string();
        assert!(error.ends_with("/broken"), "{error}");
        fs::remove_file(dir.path().join("broken")).unwrap();
        std::os::unix::fs::symlink(".", dir.path().join("loop")).unwrap();
        let error = tree(dir.path(), "/x", &|_| true).unwrap_err().to_string();
        assert!(error.contains("loop"), "{error}");
    }
}
