//! A layout that is packed into one tar file, read where it lies: its table of contents, and a reader for each file.
//! Must not write, and must not let a name lead out of the archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Take};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use crate::ImageError;

/// Links of links end somewhere, or are refused.
const LINKS: usize = 8;

/// The table of contents of a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    path: PathBuf,
    /// Offset and length of each file.
    files: BTreeMap<String, (u64, u64)>,
    /// Links within the archive, as `docker save` writes them for layers that stand twice.
    links: BTreeMap<String, String>,
}

impl Packed {
    /// Reads the headers of a tar file; contents are skipped. A folder that everything lies in is taken off the names.
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::reading(path))?;
        let mut packed = Self {
            path: path.to_owned(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        packed.scan(file).map_err(|error| ImageError::Layout {
            path: path.to_owned(),
            reason: format!("it is not a tar file: {error}"),
        })?;
        packed.take_off_folder();
        Ok(packed)
    }

    fn scan(&mut self, file: File) -> io::Result<()> {
        let mut archive = Archive::new(BufReader::new(file));
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = plain(&entry.path()?);
            let known = self.files.contains_key(&name) || self.links.contains_key(&name);
            match entry.header().entry_type() {
                EntryType::Directory => {}
                _ if known => return Err(io::Error::other(format!("{name} stands in it twice"))),
                EntryType::Symlink | EntryType::Link => {
                    let hard = entry.header().entry_type() == EntryType::Link;
                    let to = entry.link_name()?.unwrap_or_default();
                    // A hard link is written from the archive's root, a symbolic one from where it lies.
                    let from = Path::new(&name).parent().filter(|_| !hard);
                    let to = from.map_or_else(|| to.to_path_buf(), |from| from.join(&to));
                    self.links.insert(name, plain(&to));
                }
                EntryType::Regular | EntryType::Continuous => {
                    let place = (entry.raw_file_position(), entry.size());
                    self.files.insert(name, place);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_off_folder(&mut self) {
        let roots = ["oci-layout", "manifest.json"];
        let mut names = self.files.keys();
        let root = names.find_map(|name| {
            let folder = roots.iter().find_map(|root| name.strip_suffix(root))?;
            folder.ends_with('/').then(|| folder.to_owned())
        });
        let at_root = roots.iter().any(|root| self.files.contains_key(*root));
        let Some(root) = root.filter(|_| !at_root) else {
            return;
        };
        let within = |name: String| name.strip_prefix(&root).map(str::to_owned);
        self.files = std::mem::take(&mut self.files)
            .into_iter()
            .filter_map(|(name, place)| Some((within(name)?, place)))
            .collect();
        self.links = std::mem::take(&mut self.links)
            .into_iter()
            .filter_map(|(name, to)| Some((within(name)?, within(to)?)))
            .collect();
    }

    /// The names of its files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// A file of it; its limit is its length.
    pub(crate) fn file(&self, name: &str) -> io::Result<Take<File>> {
        let mut name = name;
        for _ in 0..LINKS {
            if let Some(&(offset, length)) = self.files.get(name) {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(offset))?;
                return Ok(file.take(length));
            }
            match self.links.get(name) {
                Some(to) => name = to,
                None => break,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A name without `.` and `..`, from the archive's root.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    fn packed(
        fill: impl FnOnce(&mut Builder<Vec<u8>>),
    ) -> (tempfile::TempDir, Result<Packed, ImageError>) {
        let dir = tempfile::tempdir().unwrap();
        let mut tar = Builder::new(Vec::new());
        fill(&mut tar);
        let path = dir.path().join("x.tar");
        std::fs::write(&path, tar.into_inner().unwrap()).unwrap();
        let packed = Packed::open(&path);
        (dir, packed)
    }

    fn add(tar: &mut Builder<Vec<u8>>, name: &str, text: &str) {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }

    fn read(packed: &Packed, name: &str) -> String {
        let mut text = String::new();
        packed
            .file(name)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn files_are_read_where_they_lie_whatever_folder_they_were_packed_in() {
        for folder in ["", "./", "bundle/", "./a/b/"] {
            let (_dir, packed) = packed(|tar| {
                add(tar, &format!("{folder}blobs/sha256/00"), "first");
                add(tar, &format!("{folder}oci-layout"), "second");
            });
            let packed = packed.unwrap();
            assert_eq!(read(&packed, "blobs/sha256/00"), "first", "{folder}");
            assert_eq!(read(&packed, "oci-layout"), "second", "{folder}");
            assert!(packed.file("index.json").is_err());
        }
    }

    #[test]
    fn links_lead_within_the_archive_and_come_to_an_end() {
        let (_dir, packed) = packed(|tar| {
            add(tar, "manifest.json", "[]");
            add(tar, "a/layer.tar", "layer");
            for (name, to) in [
                ("b/layer.tar", "../a/layer.tar"),
                ("c/x", "../../../etc/passwd"),
                ("r/r", "r"),
            ] {
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, to).unwrap();
            }
        });
        let packed = packed.unwrap();
        assert_eq!(read(&packed, "b/layer.tar"), "layer");
        assert!(packed.file("c/x").is_err() && packed.file("r/r").is_err());
    }

    #[test]
    fn what_is_no_tar_or_has_a_name_twice_is_refused() {
        let (_dir, twice) = packed(|tar| {
            add(tar, "oci-layout", "a");
            add(tar, "./oci-layout", "b");
        });
        assert!(twice.unwrap_err().to_string().contains("twice"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tar");
        std::fs::write(&path, [0x1f_u8, 0x8b].repeat(600)).unwrap();
        let error = Packed::open(&path).unwrap_err().to_string();
        assert!(error.contains("is not a tar file"), "{error}");
    }
}
