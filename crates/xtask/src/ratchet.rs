//! `cargo xtask ratchet`: the size table of the house style for this repository, which may only get better.
//!
//! It must not judge taste: it counts lines, compares with the checked-in baseline, and with the style's limits.

mod baseline;
mod measure;

use anyhow::Context as _;
use baseline::Baseline;
use measure::{Function, Measure, Source};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longest source file.
const FILE_LIMIT: usize = 600;
/// Longest function.
const FUNCTION_LIMIT: usize = 80;
/// Longest function below `cli/src/commands`.
const COMMAND_LIMIT: usize = 60;

/// Which way a figure gets worse.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
    /// Shown, not compared.
    Neither,
}

/// One line of the table, without its value.
struct Figure {
    key: &'static str,
    title: &'static str,
    better: Better,
    /// The same figure of linkerd2-proxy, where it was measured.
    model: Option<f64>,
    /// What the style allows.
    limit: Option<f64>,
    /// Share by which a figure may move without counting as worse; maxima have none.
    slack: f64,
}

const FIGURES: [Figure; 13] = {
    use Better::{Higher, Lower, Neither};
    [
        figure("source_files", "source files", Neither, Some(412.0), None),
        figure(
            "file_median",
            "file lines, median",
            Neither,
            Some(134.0),
            None,
        ),
        figure(
            "file_p90",
            "file lines, p90",
            Lower,
            Some(386.0),
            Some(350.0),
        )
        .loose(),
        figure("file_max", "file lines, max", Lower, None, Some(600.0)),
        figure(
            "function_median",
            "function lines, median",
            Neither,
            Some(6.0),
            None,
        ),
        figure(
            "function_p90",
            "function lines, p90",
            Lower,
            Some(26.0),
            Some(30.0),
        )
        .loose(),
        figure(
            "function_max",
            "function lines, max",
            Lower,
            None,
            Some(80.0),
        ),
        figure(
            "function_over_100",
            "functions > 100 lines, %",
            Lower,
            Some(0.6),
            Some(0.0),
        ),
        figure(
            "command_p90",
            "command functions, p90",
            Lower,
            None,
            Some(60.0),
        )
        .loose(),
        figure(
            "command_max",
            "command functions, max",
            Lower,
            None,
            Some(60.0),
        ),
        figure(
            "test_ratio",
            "test lines : source lines",
            Higher,
            Some(0.33),
            None,
        )
        .loose(),
        figure(
            "documented",
            "files with //!, %",
            Higher,
            Some(16.0),
            Some(100.0),
        ),
        figure(
            "unwraps",
            "unwraps per 1000 lines",
            Lower,
            Some(0.5),
            Some(0.0),
        ),
    ]
};

const fn figure(
    key: &'static str,
    title: &'static str,
    better: Better,
    model: Option<f64>,
    limit: Option<f64>,
) -> Figure {
    Figure {
        key,
        title,
        better,
        model,
        limit,
        slack: 0.0,
    }
}

impl Figure {
    /// Lets a figure that many files share move by a twentieth.
    const fn loose(self) -> Self {
        Self {
            slack: 0.05,
            ..self
        }
    }

    fn is_worse(&self, value: f64, before: f64) -> bool {
        match self.better {
            Better::Lower => value > before * (1.0 + self.slack),
            Better::Higher => value < before * (1.0 - self.slack),
            Better::Neither => false,
        }
    }
}

/// Prints the table; with `accept` writes it as the new baseline. Exit code 1 where something got worse or a
/// limit is broken.
pub(crate) fn run(accept: bool) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root
        .canonicalize()
        .context("the repository's folder cannot be read")?;
    let measure = Measure::of(&root)?;
    let values = values(&measure);
    let file = root.join("crates/xtask/ratchet.toml");
    let before = Baseline::read(&file)?;
    let worse = print(&values, &before);
    let broken = broken(&measure);
    for line in &broken {
        println!("limit: {line}");
    }
    if accept {
        Baseline::write(&file, FIGURES.iter().map(|figure| figure.key).zip(values))?;
        println!("{} written", shown(&root, &file));
    } else if worse > 0 {
        println!(
            "{worse} figures got worse; cure them, or `cargo xtask ratchet --accept` and say why"
        );
    }
    let failed = !broken.is_empty() || (worse > 0 && !accept);
    Ok(ExitCode::from(u8::from(failed)))
}

/// Returns the values of [`FIGURES`], in their order, with two decimals.
fn values(measure: &Measure) -> [f64; 13] {
    let files = measure::sorted(measure.sources.iter().map(|source| source.lines));
    let functions = measure::sorted(measure.functions().map(|function| function.lines));
    let commands = measure::sorted(measure.commands().map(|function| function.lines));
    let total = measure.sources.iter().map(|source| source.lines).sum();
    let code = measure.sources.iter().map(|source| source.code_lines).sum();
    let unwraps = measure.sources.iter().map(|source| source.unwraps).sum();
    let documented = measure
        .sources
        .iter()
        .filter(|source| source.documented)
        .count();
    let long = functions.iter().filter(|lines| **lines > 100).count();
    let values = [
        files.len() as f64,
        at(&files, 0.5),
        at(&files, 0.9),
        at(&files, 1.0),
        at(&functions, 0.5),
        at(&functions, 0.9),
        at(&functions, 1.0),
        100.0 * ratio(long, functions.len()),
        at(&commands, 0.9),
        at(&commands, 1.0),
        ratio(measure.test_lines, total),
        100.0 * ratio(documented, files.len()),
        1000.0 * ratio(unwraps, code),
    ];
    values.map(|value: f64| (value * 100.0).round() / 100.0)
}

fn at(sorted: &[usize], share: f64) -> f64 {
    measure::quantile(sorted, share) as f64
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Prints the table and returns how many figures got worse.
fn print(values: &[f64], before: &Baseline) -> usize {
    println!(
        "{:<28}{:>10}{:>10}{:>16}{:>8}  verdict",
        "measure", "kedactl", "baseline", "linkerd2-proxy", "limit"
    );
    let mut worse = 0;
    for (row, value) in FIGURES.iter().zip(values) {
        let known = before.get(row.key);
        let verdict = match known {
            Some(before) if row.is_worse(*value, before) => {
                worse += 1;
                "worse"
            }
            None if row.better != Better::Neither => "new",
            _ => "ok",
        };
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        println!(
            "{:<28}{:>10}{:>10}{:>16}{:>8}  {verdict}",
            row.title,
            number(*value),
            cell(known),
            cell(row.model),
            cell(row.limit)
        );
    }
    worse
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Names every file and function that breaks a limit of the style.
fn broken(measure: &Measure) -> Vec<String> {
    let mut lines = Vec::new();
    for source in &measure.sources {
        let path = shown(&measure.root, &source.path);
        if source.lines > FILE_LIMIT {
            lines.push(format!(
                "{path} has {} lines, {FILE_LIMIT} are allowed",
                source.lines
            ));
        }
        if !source.documented {
            lines.push(format!("{path} does not open with //!"));
        }
        let limit = if source.is_command {
            COMMAND_LIMIT
        } else {
            FUNCTION_LIMIT
        };
        for Function {
            name,
            line,
            lines: length,
        } in &source.functions
        {
            if *length > limit {
                lines.push(format!(
                    "{path}:{line} {name} has {length} lines, {limit} are allowed"
                ));
            }
        }
    }
    lines
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

impl Measure {
    fn of(root: &Path) -> anyhow::Result<Self> {
        let mut measure = Self {
            root: root.to_owned(),
            sources: Vec::new(),
            test_lines: 0,
        };
        let mut folders: Vec<PathBuf> = ["cli", "services", "crates", "tests"]
            .iter()
            .map(|name| root.join(name))
            .collect();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry?.path();
                if path.is_dir() {
                    if path.file_name().is_none_or(|name| name != "target") {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    measure.add(&path)?;
                }
            }
        }
        measure.sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(measure)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        if measure::is_test(&self.root, path) {
            self.test_lines += text.lines().count();
        } else {
            let is_command = path.starts_with(self.root.join("cli/src/commands"));
            self.sources.push(Source {
                is_command,
                ..Source::of(path, &text)
            });
        }
        Ok(())
    }
}
