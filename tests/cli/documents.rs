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

/// A document that promises tests is worth as much as they are there.
#[test]
fn every_known_trap_has_a_test_that_exists() {
    let name = "docs/known-traps.md";
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| trap |"));
    let mut found = 0;
    for row in rows {
        let named: Vec<_> = row
            .split('`')
            .filter_map(|span| span.split_once(".rs::"))
            .collect();
        assert!(!named.is_empty(), "{name}: a trap without a test: {row}");
        for (file, test) in named {
            let file = format!("{file}.rs");
            let source = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
            assert!(is_test(&source, test), "{name}: {file} has no test {test}");
            found += 1;
        }
    }
    assert!(found > 100, "the table is not read any more: {found}");
}

/// Whether a function of that name stands right below the attribute of a test.
fn is_test(source: &str, name: &str) -> bool {
    let mut tested = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            tested = true;
        } else if !line.starts_with("#[") {
            let function = line.strip_prefix("async ").unwrap_or(line);
            let function = function.strip_prefix("fn ");
            if tested && function.and_then(|it| it.split('(').next()) == Some(name) {
                return true;
            }
            tested = false;
        }
    }
    false
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
