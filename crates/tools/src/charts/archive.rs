//! A chart's archive, read to its end: what was cut or changed on the way is never taken for a chart.
//! Must not unpack anything onto the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ToolError;
use crate::private::read;

/// Larger archives are no charts: helm's own limit for what is in one is 100 MiB.
const MOST_PACKED: u64 = 64 << 20;
const MOST: u64 = 256 << 20;
/// Two blocks of zeros end every tar.
const END: [u8; 1024] = [0; 1024];

/// What a chart says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of what it installs.
    pub app_version: Option<String>,
    /// Versions of the charts inside of it, by name.
    pub parts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    name: String,
    version: String,
    app_version: Option<String>,
}

impl About {
    /// Of an archive or a folder.
    pub fn at(path: &Path) -> Result<Self, ToolError> {
        if path.is_dir() {
            return folder(path);
        }
        let length = fs::metadata(path).map_err(ToolError::file(path))?.len();
        if length > MOST_PACKED {
            let problem = format!("the archive is larger than {} MiB", MOST_PACKED >> 20);
            return Err(unusable(path, problem));
        }
        archive(&read(path)?).map_err(|problem| unusable(path, problem))
    }
}

fn unusable(path: &Path, problem: String) -> ToolError {
    ToolError::Chart {
        chart: path.display().to_string(),
        problem,
    }
}

/// The tar inside of a gzip, whole: its checksum and its end included.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(packed)
        .take(MOST + 1)
        .read_to_end(&mut tar)
        .map_err(|error| format!("the archive is cut or damaged: {error}"))?;
    if tar.len() as u64 > MOST {
        return Err(format!("it holds more than {} MiB", MOST >> 20));
    }
    if !tar.ends_with(&END) {
        return Err("the archive is cut: its end is missing".to_owned());
    }
    Ok(tar)
}

fn archive(packed: &[u8]) -> Result<About, String> {
    let tar = unpacked(packed)?;
    let damaged = |error: std::io::Error| format!("the archive is damaged: {error}");
    let mut own = None;
    let mut parts = BTreeMap::new();
    for entry in tar::Archive::new(&tar[..]).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let names: Vec<_> = path
            .components()
            .filter(|it| *it != Component::CurDir)
            .map(|it| it.as_os_str().to_string_lossy().into_owned())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let part = match names[..] {
            [_, "Chart.yaml"] => false,
            [_, "charts", _, "Chart.yaml"] => true,
            _ => continue,
        };
        let mut text = String::new();
        entry.read_to_string(&mut text).map_err(damaged)?;
        let head = head(&text)?;
        if part {
            parts.insert(head.name, head.version);
        } else {
            own = Some(head);
        }
    }
    let own = own.ok_or("there is no Chart.yaml in the archive")?;
    Ok(about(own, parts))
}

fn folder(path: &Path) -> Result<About, ToolError> {
    let text = |path: &Path| read(path).map(|it| String::from_utf8_lossy(&it).into_owned());
    let own = head(&text(&path.join("Chart.yaml"))?).map_err(|it| unusable(path, it))?;
    let mut parts = BTreeMap::new();
    for entry in fs::read_dir(path.join("charts"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let place = entry.path();
        let inside = if place.join("Chart.yaml").is_file() {
            let text = text(&place.join("Chart.yaml"))?;
            head(&text).map_err(|it| unusable(&place, it))?
        } else if place.extension().is_some_and(|it| it == "tgz") {
            let it = About::at(&place)?;
            Head {
                name: it.name,
                version: it.version,
                app_version: None,
            }
        } else {
            continue;
        };
        parts.insert(inside.name, inside.version);
    }
    Ok(about(own, parts))
}

fn about(own: Head, parts: BTreeMap<String, String>) -> About {
    About {
        name: own.name,
        version: own.version,
        app_version: own.app_version,
        parts,
    }
}

fn head(text: &str) -> Result<Head, String> {
    let wrong = |problem: String| format!("its Chart.yaml: {problem}");
    let documents = kedactl_config::documents(text);
    let document = documents.map_err(|(line, problem)| wrong(format!("line {line}: {problem}")))?;
    let mut document = document.into_iter().next().unwrap_or_default();
    // People write `appVersion: 1.10`, which means the text.
    for key in ["version", "appVersion"] {
        if let Some(value) = document.get_mut(key)
            && value.is_number()
        {
            *value = Value::String(value.to_string());
        }
    }
    serde_json::from_value(document).map_err(|error| wrong(error.to_string()))
}

/// The values that a chart in a folder or an archive brings itself; none where it has no file of them.
pub fn own_values(path: &Path) -> Result<Map<String, Value>, ToolError> {
    let text = if path.is_dir() {
        fs::read_to_string(path.join("values.yaml")).unwrap_or_default()
    } else {
        let tar = unpacked(&read(path)?).map_err(|it| unusable(path, it))?;
        values_in(&tar).map_err(|error| unusable(path, error.to_string()))?
    };
    let documents = kedactl_config::documents(&text)
        .map_err(|(line, it)| unusable(path, format!("its values.yaml, line {line}: {it}")))?;
    match documents.into_iter().next() {
        Some(Value::Object(values)) => Ok(values),
        _ => Ok(Map::new()),
    }
}

fn values_in(tar: &[u8]) -> std::io::Result<String> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut names = path
            .components()
            .filter(|it| *it != Component::CurDir)
            .skip(1);
        if names
            .next()
            .is_some_and(|it| it.as_os_str() == "values.yaml")
            && names.next().is_none()
        {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        gzip(&tar.into_inner().unwrap())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzEncoder::new(bytes, flate2::Compression::fast())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    const CHART: &str = "name: x\nversion: 1.2.3\nappVersion: 1.10\n";

    #[test]
    fn a_chart_is_read_with_the_charts_inside_of_it() {
        let whole = packed(&[
            ("x/Chart.yaml", CHART),
            ("x/charts/y/Chart.yaml", "name: y\nversion: 2.0.0\n"),
            (
                "x/charts/y/charts/z/Chart.yaml",
                "name: z\nversion: 3.0.0\n",
            ),
            ("x/values.yaml", "a: 1\n"),
        ]);
        let about = archive(&whole).unwrap();
        assert_eq!(
            (about.name.as_str(), about.version.as_str()),
            ("x", "1.2.3")
        );
        assert_eq!(
            about.parts,
            BTreeMap::from([("y".to_owned(), "2.0.0".to_owned())])
        );
    }

    #[test]
    fn no_part_of_an_archive_is_a_chart() {
        let whole = packed(&[("x/Chart.yaml", CHART), ("x/values.yaml", "a: 1\n")]);
        for length in 0..whole.len() {
            assert!(
                archive(&whole[..length]).is_err(),
                "{length} of {}",
                whole.len()
            );
        }
        let mut more = whole.clone();
        more.extend(b"more");
        assert!(archive(&more).is_err());
        // A good gzip of half a tar is no better.
        let tar = unpacked(&whole).unwrap();
        let error = archive(&gzip(&tar[..tar.len() - 1024])).unwrap_err();
        assert!(error.contains("its end is missing"), "{error}");
        let error = archive(&packed(&[("x/values.yaml", "a: 1\n")])).unwrap_err();
        assert_eq!(error, "there is no Chart.yaml in the archive");
    }
}
