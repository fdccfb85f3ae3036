//! A chart's archive: what it says of itself, and the same bytes for the same files.
//! Must not change what is in a file.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde_json::Value as Json;
use tar::{Archive, Builder, EntryType, Header};

/// What a chart may unpack to; a larger one is an attack.
const LIMIT: u64 = 64 << 20;

/// The files of an archive by their paths.
fn files(archive: &[u8]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut tar = Archive::new(GzDecoder::new(archive).take(LIMIT));
    let mut files = BTreeMap::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(path, bytes);
    }
    Ok(files)
}

/// What the chart says of itself: `Chart.yaml`.
pub(crate) fn about(archive: &[u8]) -> Result<Json, String> {
    let files = files(archive).map_err(|error| error.to_string())?;
    let own = |path: &&String| path.ends_with("/Chart.yaml") && path.matches('/').count() == 1;
    let text = files.keys().find(own).and_then(|path| files.get(path));
    let text = text.ok_or_else(|| "it has no Chart.yaml".to_owned())?;
    let parsed = kedactl_config::documents(&String::from_utf8_lossy(text));
    let mut parsed =
        parsed.map_err(|(line, problem)| format!("Chart.yaml, line {line}: {problem}"))?;
    parsed
        .pop()
        .ok_or_else(|| "its Chart.yaml is empty".to_owned())
}

/// The same archive without times, owners and the order of a folder.
pub(crate) fn settled(archive: &[u8]) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    let mut tar = Builder::new(gzip);
    for (path, bytes) in files(archive)? {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    let mut gzip = tar.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(time: u64, names: &[&str]) -> Vec<u8> {
        let mut tar = Builder::new(
            GzBuilder::new()
                .mtime(time as u32)
                .write(Vec::new(), Compression::fast()),
        );
        for name in names {
            let text = format!("name: {name}\nversion: 1.0.0\n");
            let mut header = Header::new_gnu();
            header.set_mtime(time);
            header.set_mode(0o600);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let a = archive(1, &["x/Chart.yaml", "x/values.yaml"]);
        let b = archive(2, &["x/values.yaml", "x/Chart.yaml"]);
        assert_ne!(a, b);
        assert_eq!(settled(&a).unwrap(), settled(&b).unwrap());
        assert_eq!(about(&settled(&a).unwrap()).unwrap()["version"], "1.0.0");
    }

    #[test]
    fn what_is_no_chart_is_told() {
        assert!(about(b"nothing").is_err());
        let nested = archive(1, &["x/charts/y/Chart.yaml"]);
        assert!(about(&nested).unwrap_err().contains("no Chart.yaml"));
    }
}
