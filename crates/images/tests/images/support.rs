//! What the tests share: a store in a folder of its own, and small images.
//!
//! It must not assert anything about what is tested.

use kedactl_images::{Content, ExtraFile, Image, Spec, Store, build};
use std::path::PathBuf;
use tempfile::TempDir;

/// A store that is removed with the test.
pub(crate) struct Scratch {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(dir.path().join("store"));
        Self { dir, store }
    }

    /// An image of a dynamically linked program, with a file of ours that makes it this one.
    pub(crate) fn image(&self, mark: &str) -> Image {
        build(&self.store, &spec(mark)).expect("an image")
    }
}

/// The specification of [`Scratch::image`].
pub(crate) fn spec(mark: &str) -> Spec {
    let mut spec = Spec::of_programs("kedactl.local/test-program", &[program("sort")]);
    spec.files.push(ExtraFile {
        at: "/srv/mark".to_owned(),
        content: Content::Bytes(mark.as_bytes().to_vec()),
        executable: false,
    });
    spec
}

/// A program of every machine that runs these tests.
pub(crate) fn program(name: &str) -> PathBuf {
    PathBuf::from("/usr/bin").join(name)
}
