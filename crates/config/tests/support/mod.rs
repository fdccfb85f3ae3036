//! What the tests share: a reader over a map, and loading with it.
//! Reads no real file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use kedactl_config::{ConfigError, Loaded, Request, SetArg, load};

pub(crate) fn reader(files: &[(&str, &str)]) -> impl Fn(&Path, u64) -> io::Result<Vec<u8>> + use<> {
    let files: HashMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()))
        .collect();
    move |path, _| {
        files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Loads an environment with a kedactl.yaml of this text.
pub(crate) fn project(env: &str, text: &str) -> Result<Loaded, ConfigError> {
    let request = Request {
        env: env.into(),
        project: Some("p".into()),
        ..Request::default()
    };
    load(&request, &reader(&[("p/kedactl.yaml", text)]))
}

/// Loads an environment with these `--set`.
pub(crate) fn set(env: &str, args: &[&str]) -> Result<Loaded, ConfigError> {
    let sets = args.iter().map(|arg| SetArg::Value((*arg).into()));
    let request = Request {
        env: env.into(),
        sets: sets.collect(),
        ..Request::default()
    };
    load(&request, &reader(&[]))
}

/// What is wrong with a kedactl.yaml, with the hints.
pub(crate) fn problems(env: &str, text: &str) -> String {
    let error = project(env, text).expect_err("it is wrong");
    let hints: Vec<String> = error
        .hints()
        .iter()
        .map(|hint| format!("\nhint: {hint}"))
        .collect();
    error.to_string() + &hints.concat()
}
