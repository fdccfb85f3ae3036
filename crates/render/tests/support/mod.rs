//! Configurations without files, and snapshots beside the templates.
//! Asserts nothing but what a snapshot says.

use std::io;
use std::path::Path;

use kedactl_config::{Config, Request, SetArg, load};

/// The configuration of an environment, changed as `--set` does.
pub(crate) fn config(env: &str, sets: &[&str]) -> Config {
    of(&Request {
        env: env.into(),
        sets: sets
            .iter()
            .map(|set| SetArg::Value((*set).into()))
            .collect(),
        ..Request::default()
    })
}

/// What is asked for, where no file is.
pub(crate) fn of(request: &Request) -> Config {
    let none = |_: &Path, _: u64| Err(io::ErrorKind::NotFound.into());
    load(request, &none).expect("the values are right").config
}

/// Compares with `templates/rendered/<name>.snap`.
pub(crate) fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../../templates/rendered");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
