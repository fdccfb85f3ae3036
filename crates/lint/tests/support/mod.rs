//! Our own rendered manifests.
//! Asserts nothing.

use std::io;
use std::path::Path;

use kedactl_config::{Request, SetArg, load};

/// The manifests of an environment as the file that `kedactl render` prints.
pub(crate) fn rendered(env: &str, sets: &[&str]) -> String {
    let files = |_: &Path, _: u64| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
    let request = Request {
        env: env.into(),
        sets: sets
            .iter()
            .map(|set| SetArg::Value((*set).into()))
            .collect(),
        ..Request::default()
    };
    let config = load(&request, &files).expect("the values are right").config;
    kedactl_render::render(&config)
        .expect("they render")
        .to_yaml()
}
