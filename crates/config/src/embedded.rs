//! The files of `values/`, built into the binary so that an installed `kedactl` needs no checkout.
//! A project's file of the same name wins over the one here.

/// Name and text of every file of `values/`.
pub const VALUES: &[(&str, &str)] = &[
    (
        "values/base.yaml",
        include_str!("../../../values/base.yaml"),
    ),
    (
        "values/env/cloud.yaml",
        include_str!("../../../values/env/cloud.yaml"),
    ),
    (
        "values/env/context.yaml",
        include_str!("../../../values/env/context.yaml"),
    ),
    (
        "values/env/kind.yaml",
        include_str!("../../../values/env/kind.yaml"),
    ),
    (
        "values/env/local.yaml",
        include_str!("../../../values/env/local.yaml"),
    ),
    (
        "values/env/minikube.yaml",
        include_str!("../../../values/env/minikube.yaml"),
    ),
    (
        "values/fast.yaml",
        include_str!("../../../values/fast.yaml"),
    ),
    (
        "values/releases/keda.yaml",
        include_str!("../../../values/releases/keda.yaml"),
    ),
    (
        "values/releases/metrics-server.yaml",
        include_str!("../../../values/releases/metrics-server.yaml"),
    ),
    (
        "values/releases/monitoring/classic.yaml",
        include_str!("../../../values/releases/monitoring/classic.yaml"),
    ),
    (
        "values/releases/monitoring/minimal.yaml",
        include_str!("../../../values/releases/monitoring/minimal.yaml"),
    ),
    (
        "values/releases/monitoring/modern.yaml",
        include_str!("../../../values/releases/monitoring/modern.yaml"),
    ),
    (
        "values/releases/monitoring/none.yaml",
        include_str!("../../../values/releases/monitoring/none.yaml"),
    ),
    (
        "values/releases/redis/bitnami.yaml",
        include_str!("../../../values/releases/redis/bitnami.yaml"),
    ),
    (
        "values/releases/redis/own.yaml",
        include_str!("../../../values/releases/redis/own.yaml"),
    ),
];

/// The text of an embedded file.
pub(crate) fn values(name: &str) -> Option<&'static str> {
    VALUES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The environments that are built in.
pub fn environments() -> impl Iterator<Item = &'static str> {
    VALUES
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("values/env/")?.strip_suffix(".yaml"))
}

/// The files that declare one release each, whatever else is chosen; they lie below `values/base.yaml`.
pub(crate) fn releases() -> impl Iterator<Item = &'static str> {
    let below = |name: &&str| {
        let file = name.strip_prefix("values/releases/");
        file.is_some_and(|file| !file.contains('/'))
    };
    VALUES.iter().map(|(name, _)| *name).filter(below)
}

/// The sections whose key `profile` chooses a file of `values/releases/<section>/`.
pub(crate) const SECTIONS: &[&str] = &["monitoring", "redis"];

/// The profiles of a section that are built in.
pub(crate) fn profiles_of(section: &str) -> impl Iterator<Item = &'static str> {
    let folder = format!("values/releases/{section}/");
    VALUES
        .iter()
        .filter_map(move |(name, _)| name.strip_prefix(&folder)?.strip_suffix(".yaml"))
}

/// The profiles that `-f NAME` takes without a file of that name.
pub fn profiles() -> impl Iterator<Item = &'static str> {
    VALUES
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("values/")?.strip_suffix(".yaml"))
        .filter(|name| *name != "base" && !name.contains('/'))
}
