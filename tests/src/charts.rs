//! Charts that are made here of plain manifests, where the published ones cannot be had.

use std::fs;
use std::path::{Path, PathBuf};

/// A chart in `folder/NAME` of a file of manifests, without the namespaces in it: who installs a release makes those.
///
/// # Panics
/// Where the file cannot be read, or would be read as a template; where the chart cannot be written.
pub fn chart_of(folder: &Path, name: &str, manifests: &Path) -> PathBuf {
    let text = fs::read_to_string(manifests).expect("manifests");
    let shown = manifests.display();
    assert!(!text.contains("{{"), "{shown} would be read as a template");
    let objects: Vec<&str> = text
        .split("\n---\n")
        .filter(|it| !it.contains("\nkind: Namespace\n") && !it.starts_with("kind: Namespace\n"))
        .collect();
    let chart = folder.join(name);
    fs::create_dir_all(chart.join("templates")).expect("a folder");
    let head = format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
    fs::write(chart.join("Chart.yaml"), head).expect("a file");
    fs::write(chart.join("templates/all.yaml"), objects.join("\n---\n")).expect("a file");
    chart
}
