//! A layer: a tar stream whose bytes depend on names, contents and modes alone.
//! Must not take over times, owners, umask or the order of a folder from this machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tar::{Builder, EntryType, Header};

use crate::Digest;
use crate::store::Origin;

/// The user that owns what is not the system's.
pub const USER: u64 = 65_532;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file of the machine holds.
    File(PathBuf),
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder { mode: u32, owner: u64 },
    File { content: Content, mode: u32 },
}

/// The entries of a layer by their absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// Adds an entry and the folders above it; answers the one that is there already.
    pub(crate) fn add(&mut self, at: &str, entry: Entry) -> Option<Entry> {
        let at = at.trim_start_matches('/').trim_end_matches('/');
        for (end, _) in at.match_indices('/') {
            self.entries
                .entry(at[..end].to_owned())
                .or_insert(Entry::Folder {
                    mode: 0o755,
                    owner: 0,
                });
        }
        self.entries.insert(at.to_owned(), entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the layer is made of, without reading its files; nothing where one cannot be looked at.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let (mut text, mut youngest) = (String::new(), UNIX_EPOCH);
        for (path, entry) in &self.entries {
            text += &match entry {
                Entry::Folder { mode, owner } => format!("{path}/ {mode:o} {owner}\n"),
                Entry::File {
                    content: Content::Bytes(bytes),
                    mode,
                } => format!("{path} {mode:o} {}\n", Digest::of(bytes).as_str()),
                Entry::File {
                    content: Content::File(source),
                    mode,
                } => {
                    let it = fs::metadata(source).ok()?;
                    let changed =
                        Duration::new(it.ctime().try_into().ok()?, it.ctime_nsec() as u32);
                    youngest = youngest.max(UNIX_EPOCH + changed).max(it.modified().ok()?);
                    format!(
                        "{path} {mode:o} {} {} {} {:?} {changed:?}\n",
                        it.dev(),
                        it.ino(),
                        it.len(),
                        it.modified().ok()?
                    )
                }
            };
        }
        Some(Origin {
            key: Digest::of(text.as_bytes()),
            youngest,
        })
    }

    /// Writes the tar stream.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = Builder::new(out);
        for (path, entry) in &self.entries {
            match entry {
                Entry::Folder { mode, owner } => {
                    let mut header = header(EntryType::Directory, *mode, *owner, 0);
                    tar.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                Entry::File {
                    content: Content::Bytes(bytes),
                    mode,
                } => {
                    let mut header = header(EntryType::Regular, *mode, 0, bytes.len() as u64);
                    tar.append_data(&mut header, path, bytes.as_slice())?;
                }
                Entry::File {
                    content: Content::File(source),
                    mode,
                } => append(&mut tar, path, source, *mode)?,
            }
        }
        tar.into_inner()?.flush()
    }
}

fn append(
    tar: &mut Builder<impl Write>,
    path: &str,
    source: &PathBuf,
    mode: u32,
) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", source.display()));
    let file = File::open(source).map_err(named)?;
    let size = file.metadata().map_err(named)?.len();
    let mut header = header(EntryType::Regular, mode, 0, size);
    let mut limited = Counted {
        inner: file.take(size),
        seen: 0,
    };
    tar.append_data(&mut header, path, &mut limited)?;
    if limited.seen == size {
        Ok(())
    } else {
        Err(named(io::Error::other(
            "it became shorter while it was read",
        )))
    }
}

fn header(kind: EntryType, mode: u32, owner: u64, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_size(size);
    header
}

struct Counted<R> {
    inner: R,
    seen: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.seen += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(layer: &Layer) -> Vec<String> {
        let mut bytes = Vec::new();
        layer.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            format!(
                "{} {:o} {} {} {}",
                entry.path().unwrap().display(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
                header.size().unwrap()
            )
        });
        entries.collect()
    }

    fn file(text: &str) -> Entry {
        Entry::File {
            content: Content::Bytes(text.into()),
            mode: 0o644,
        }
    }

    #[test]
    fn entries_are_sorted_with_the_folders_above_them_and_no_time() {
        let mut layer = Layer::default();
        layer.add("/usr/bin/b", file("b"));
        layer.add(
            "/tmp",
            Entry::Folder {
                mode: 0o1777,
                owner: 0,
            },
        );
        layer.add("/usr/a", file("aa"));
        assert_eq!(
            listing(&layer),
            [
                "tmp/ 1777 0 0 0",
                "usr/ 755 0 0 0",
                "usr/a 644 0 0 2",
                "usr/bin/ 755 0 0 0",
                "usr/bin/b 644 0 0 1"
            ]
        );
    }

    #[test]
    fn a_path_longer_than_a_header_arrives() {
        let mut layer = Layer::default();
        let deep = format!("/{}/{}", "d".repeat(90), "f".repeat(200));
        layer.add(&deep, file("x"));
        assert!(listing(&layer)[1].starts_with(&deep[1..]));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let mut layer = Layer::default();
        let content = Content::File("/not/there".into());
        layer.add(
            "/a",
            Entry::File {
                content,
                mode: 0o644,
            },
        );
        let error = layer.write(io::sink()).unwrap_err();
        assert!(error.to_string().starts_with("/not/there: "), "{error}");
    }
}
