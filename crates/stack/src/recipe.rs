//! From the recipe of an image to its specification: the interpreter is asked where its parts lie, packages are fetched by pip.
//! Must not fetch anything that is not pinned by a hash, and nothing twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_config::{PythonRecipe, Recipe};
use kedactl_exec::{ExecError, Run, find};
use kedactl_images::{Digest, Interpreter, Spec, python, tree};
use serde::Deserialize;

use crate::StackError;

/// Repository of a worker that is made by a recipe.
const WORKER: &str = "kedactl.local/worker";
/// How long pip may take.
const PIP_WITHIN: Duration = Duration::from_mins(10);
/// What an interpreter says of itself; shims and virtual environments lead to what they stand for.
const ASK: &str = "import json, os, platform, sys, sysconfig
print(json.dumps({
  'program': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
  'library': sysconfig.get_path('stdlib'),
  'version': platform.python_version(),
}))";

#[derive(Debug, Deserialize)]
struct Answer {
    program: PathBuf,
    library: PathBuf,
    version: String,
}

/// The specification of an image. Blocks: the interpreter is run, and packages that were never fetched come from their index.
/// Packages are kept beside the folder `images`.
pub fn spec(recipe: &Recipe, images: &Path) -> Result<Spec, StackError> {
    let programs: Vec<PathBuf> = recipe
        .programs
        .iter()
        .map(|name| find(name).map(|it| it.canonicalize().unwrap_or(it)))
        .collect::<Result<_, _>>()?;
    let mut spec = Spec::of_programs(WORKER, &programs);
    for (at, from) in &recipe.files {
        let keep = |path: &Path| {
            let hidden = path
                .file_name()
                .is_some_and(|it| it.to_string_lossy().starts_with('.'));
            !hidden && !path.ends_with("__pycache__")
        };
        spec.files.extend(tree(Path::new(from), at, &keep)?);
    }
    spec.entrypoint = recipe.command.iter().map(|it| it.0.clone()).collect();
    let env = recipe.env.iter();
    spec.env = env
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect();
    spec.stop_signal.clone_from(&recipe.stop_signal);
    if let Some(folder) = &recipe.working_dir {
        spec.working_dir.clone_from(folder);
    }
    if let Some(of) = &recipe.python {
        let (command, interpreter) = interpreter(of)?;
        let fetched = of.requirements.as_ref();
        let fetched = fetched.map(|file| {
            fetch(
                &command,
                &interpreter,
                Path::new(file),
                &images.with_file_name("packages"),
            )
        });
        python(&mut spec, &interpreter, fetched.transpose()?.as_deref())?;
        if spec.entrypoint.is_empty() && spec.programs.is_empty() {
            spec.entrypoint = vec!["/usr/bin/python3".to_owned()];
        }
    }
    Ok(spec)
}

/// Refuses where a program of the recipe is missing; runs none.
pub(crate) fn lookup(recipe: &Recipe) -> Result<(), StackError> {
    let python = recipe.python.iter().map(|it| it.program.as_str());
    for name in recipe.programs.iter().map(String::as_str).chain(python) {
        find(name).map_err(|_| StackError::Missing {
            program: name.to_owned(),
            purpose: "an image is made from",
            cure: "install it, or name another one in images.recipes".to_owned(),
        })?;
    }
    Ok(())
}

/// The command that the user named, and the interpreter behind it.
fn interpreter(of: &PythonRecipe) -> Result<(PathBuf, Interpreter), StackError> {
    let command = find(&of.program)?;
    let said = Run::new(&command).args(["-I", "-c", ASK]).run()?;
    let answer: Answer =
        serde_json::from_str(said.stdout.trim()).map_err(|_| StackError::Recipe {
            problem: format!(
                "{} is no Python interpreter: it does not say where its parts lie",
                command.display()
            ),
            cure: "name one in images.recipes.worker.python.program".to_owned(),
        })?;
    let interpreter = Interpreter {
        program: answer.program,
        library: answer.library,
        version: answer.version,
    };
    Ok((command, interpreter))
}

/// The folder with the packages of a requirements file, fetched at most once for one content and one interpreter.
fn fetch(
    command: &Path,
    interpreter: &Interpreter,
    file: &Path,
    kept: &Path,
) -> Result<PathBuf, StackError> {
    let using = |what, path: &Path, source| StackError::File {
        what,
        path: path.to_owned(),
        source,
    };
    let wanted = fs::read(file).map_err(|error| using("read", file, error))?;
    let key = [
        interpreter.version.as_bytes(),
        b"\n",
        std::env::consts::ARCH.as_bytes(),
        b"\n",
        &wanted,
    ]
    .concat();
    let folder = kept.join(Digest::of(&key).hex());
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(kept).map_err(|error| using("make", kept, error))?;
    // Filled elsewhere and moved: a folder of that name is always whole.
    let new = kept.join(format!(
        "new-{}-{}",
        std::process::id(),
        Digest::of(&key).short()
    ));
    let _absent = fs::remove_dir_all(&new);
    let pip = Run::new(command)
        .args([
            "-I",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--no-compile",
        ])
        .args([
            "--disable-pip-version-check",
            "--no-warn-conflicts",
            "--root-user-action=ignore",
        ])
        .args(["--require-hashes", "--requirement"])
        .arg(file)
        .arg("--target")
        .arg(&new)
        .within(PIP_WITHIN)
        .run();
    if let Err(error) = pip {
        let _partial = fs::remove_dir_all(&new);
        return Err(refused(command, file, &error));
    }
    match fs::rename(&new, &folder) {
        Ok(()) => Ok(folder),
        // Another run was first.
        Err(_) if folder.is_dir() => {
            let _second = fs::remove_dir_all(&new);
            Ok(folder)
        }
        Err(error) => Err(using("write", &folder, error)),
    }
}

fn refused(command: &Path, file: &Path, error: &ExecError) -> StackError {
    let said = match error {
        ExecError::Failed { stderr_tail, .. } => stderr_tail.clone(),
        other => other.to_string(),
    };
    let cure = if said.contains("No module named pip") {
        "install pip for that interpreter (`apt-get install python3-pip`), or name another one in images.recipes.worker.python.program"
    } else if said.contains("hash") {
        "pin every package, those that others need too, as `name==1.2.3 --hash=sha256:…`; `pip hash FILE` prints the hash of a wheel"
    } else {
        "pip's own words are above; where no index can be reached, set PIP_INDEX_URL, or PIP_FIND_LINKS to a folder of wheels with PIP_NO_INDEX=1"
    };
    StackError::Recipe {
        problem: format!(
            "the packages of {} could not be fetched by {}: {said}",
            file.display(),
            command.display()
        ),
        cure: cure.to_owned(),
    }
}
