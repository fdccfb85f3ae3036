//! What the tests share: the real programs, and a stack's settings in a folder that goes away.
//! Must not look for programs in places that a user would not.

use std::path::{Path, PathBuf};

use kedactl_tools::helm::{Cluster, Settings};
use kedactl_tools::{Mask, Release, ReleaseName};

pub(crate) use kedactl_testkit::helms;

pub(crate) fn settings(program: PathBuf, state: &Path) -> Settings {
    Settings {
        program: Some(program),
        state: state.join("state"),
        stack: "test".to_owned(),
        run: "r1".to_owned(),
        cluster: Some(Cluster {
            kubeconfig: state.join("no-such-kubeconfig"),
            context: "none".to_owned(),
        }),
        kube_version: Some("1.34.0".to_owned()),
        api_versions: Vec::new(),
        registry_config: None,
        vendored: None,
        fetch_within: std::time::Duration::from_mins(1),
        mask: Mask::default(),
    }
}

/// A chart with one `ConfigMap` and one Secret of what it is given.
pub(crate) fn chart(at: &Path) -> PathBuf {
    let chart = at.join("small");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    )
    .unwrap();
    std::fs::write(
        chart.join("values.yaml"),
        "greeting: hello\nfailing: false\nauth: {password: none}\n",
    )
    .unwrap();
    std::fs::write(
        chart.join("templates/all.yaml"),
        "{{ if .Values.failing }}{{ fail (printf \"refused with %s\" .Values.auth.password) }}{{ end }}\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {greeting: {{ .Values.greeting | quote }}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\nstringData: {password: {{ .Values.auth.password | quote }}}\n",
    )
    .unwrap();
    chart
}

pub(crate) fn name(text: &str) -> ReleaseName {
    ReleaseName::new(text).unwrap()
}

/// A release of that chart with these inline values.
pub(crate) fn release(chart: &Path, values: &str) -> Release {
    declared(&format!(
        "chart: {}\nnamespace: apps\nvalues: {values}\n",
        chart.display()
    ))
}

/// A release as values declare it.
pub(crate) fn declared(text: &str) -> Release {
    let document = kedactl_config::documents(text).unwrap().remove(0);
    serde_json::from_value(document).unwrap()
}

/// What lies in the folder of single runs.
pub(crate) fn left_over(state: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(state.join("state/tmp"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}
