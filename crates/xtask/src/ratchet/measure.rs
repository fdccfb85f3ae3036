//! Counts over formatted Rust: a file or function ends at the closing brace of its own indent.
//!
//! It must not parse Rust; rustfmt has laid the text out so that lines and indents are enough.

use std::path::{Path, PathBuf};

/// Everything that was counted.
pub(super) struct Measure {
    pub(super) root: PathBuf,
    /// Files that are not tests.
    pub(super) sources: Vec<Source>,
    /// Lines of files that are tests, examples or fixtures.
    pub(super) test_lines: usize,
}

/// One source file.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// All lines.
    pub(super) lines: usize,
    /// Lines outside inline test modules.
    pub(super) code_lines: usize,
    /// Whether it opens with `//!`.
    pub(super) documented: bool,
    /// `.unwrap()` outside comments and inline test modules.
    pub(super) unwraps: usize,
    /// Functions outside inline test modules.
    pub(super) functions: Vec<Function>,
    /// Whether it lies in the command layer.
    pub(super) is_command: bool,
}

/// One function, from its signature to its closing brace.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

impl Measure {
    /// Returns every function.
    pub(super) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.sources.iter().flat_map(|source| &source.functions)
    }

    /// Returns the functions of the command layer.
    pub(super) fn commands(&self) -> impl Iterator<Item = &Function> {
        self.sources
            .iter()
            .filter(|source| source.is_command)
            .flat_map(|source| &source.functions)
    }
}

impl Source {
    /// Counts one file.
    pub(super) fn of(path: &Path, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let in_tests = test_modules(&lines);
        let code = || {
            lines
                .iter()
                .enumerate()
                .filter(|(index, _)| !in_tests[*index])
        };
        let unwraps = code()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(_, line)| line.matches(".unwrap()").count())
            .sum();
        let functions = code()
            .filter_map(|(index, line)| function(&lines, index, line))
            .collect();
        Self {
            path: path.to_owned(),
            lines: lines.len(),
            code_lines: code().count(),
            documented: text.starts_with("//!"),
            unwraps,
            functions,
            is_command: false,
        }
    }
}

/// Says whether a file counts as test: below tests/, it/, examples/ or fixtures/, or a module named `tests`.
pub(super) fn is_test(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let folders = ["tests", "it", "examples", "fixtures"];
    inside
        .iter()
        .any(|part| folders.iter().any(|folder| part == *folder))
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// Returns numbers in order.
pub(super) fn sorted(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// Returns the value below or at which a share of the sorted numbers lies; 0 where there are none.
pub(super) fn quantile(sorted: &[usize], share: f64) -> usize {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(0)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns the index of the closing brace of an item that starts at `start`, or of its last line.
fn end_of_item(lines: &[&str], start: usize) -> Option<usize> {
    let depth = indent(lines[start]);
    for (index, line) in lines.iter().enumerate().skip(start) {
        if line.is_empty() || indent(line) != depth {
            continue;
        }
        let end = line.trim_end();
        if end.ends_with(';') {
            return None;
        }
        let one_line = index == start && end.ends_with('}');
        if one_line || (index > start && end.trim_start() == "}") {
            return Some(index);
        }
    }
    None
}

/// Marks the lines of inline modules under `#[cfg(test)]`.
fn test_modules(lines: &[&str]) -> Vec<bool> {
    let mut marked = vec![false; lines.len()];
    for start in 0..lines.len() {
        if marked[start] || lines[start].trim() != "#[cfg(test)]" {
            continue;
        }
        let module = (start + 1..lines.len()).find(|index| !lines[*index].trim().starts_with("#["));
        let Some(module) = module.filter(|index| lines[*index].trim_end().ends_with('{')) else {
            continue;
        };
        if let Some(end) = end_of_item(lines, module) {
            marked[start..=end].fill(true);
        }
    }
    marked
}

/// Reads a function that starts on this line; declarations without a body are none.
fn function(lines: &[&str], index: usize, line: &str) -> Option<Function> {
    let mut rest = line.trim_start();
    if rest.starts_with("pub(") {
        rest = rest.split_once(") ")?.1;
    }
    let modifiers = [
        "pub ",
        "default ",
        "const ",
        "async ",
        "unsafe ",
        "extern \"C\" ",
    ];
    while let Some(shorter) = modifiers.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = shorter;
    }
    let rest = rest.strip_prefix("fn ")?;
    let name: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let end = end_of_item(lines, index)?;
    Some(Function {
        name,
        line: index + 1,
        lines: end - index + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! Purpose.\n\nfn one() { two() }\n\npub(crate) async fn two(\n    a: u8,\n) -> u8 {\n    // .unwrap()\n    a.unwrap()\n}\n\ntrait T {\n    fn three();\n    fn four(\n        a: u8,\n    );\n}\n\n#[cfg(test)]\nmod tests {\n    fn five() {\n        x.unwrap();\n    }\n}\n";

    #[test]
    fn counts_functions_to_their_closing_brace() {
        let source = Source::of(Path::new("a.rs"), TEXT);
        let found: Vec<_> = source
            .functions
            .iter()
            .map(|f| (f.name.as_str(), f.line, f.lines))
            .collect();
        assert_eq!(found, [("one", 3, 1), ("two", 5, 6)]);
    }

    #[test]
    fn leaves_inline_tests_out() {
        let source = Source::of(Path::new("a.rs"), TEXT);
        assert!(source.documented);
        assert_eq!(
            (source.lines, source.code_lines, source.unwraps),
            (24, 18, 1)
        );
    }

    #[test]
    fn knows_tests_by_their_folder() {
        let root = Path::new("/r/tests");
        assert!(is_test(root, Path::new("/r/tests/crates/a/tests/x.rs")));
        assert!(is_test(root, Path::new("/r/tests/crates/a/src/tests.rs")));
        assert!(!is_test(root, Path::new("/r/tests/crates/a/src/x.rs")));
    }

    #[test]
    fn quantiles() {
        let numbers = sorted([5, 1, 3, 2, 4].into_iter());
        assert_eq!([quantile(&numbers, 0.5), quantile(&numbers, 1.0)], [3, 5]);
        assert_eq!(quantile(&[], 0.9), 0);
    }
}
