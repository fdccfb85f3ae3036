//! Documents that are generated or that promise something about the program.
//!
//! It must not write them: `cargo xtask gen` does.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_generated_documents_are_as_the_code_says() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap_or_default();
    assert!(
        read("docs/errors.md") == kedactl::error::reference(),
        "docs/errors.md drifted: cargo xtask gen"
    );
    assert!(
        read("docs/cli.md") == kedactl::reference(),
        "docs/cli.md drifted: cargo xtask gen"
    );
    assert!(
        read("docs/lint.md") == kedactl_lint::reference(),
        "docs/lint.md drifted: cargo xtask gen"
    );
}

#[test]
fn the_readme_links_to_files_that_exist() {
    for name in ["README.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            assert!(
                link.starts_with("http") || path.is_empty() || root().join(path).exists(),
                "{name}: {link}"
            );
        }
    }
}
