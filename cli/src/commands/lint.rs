//! `kedactl lint`.
//!
//! It must not judge anything: the rules are the library's.

use crate::args::{Level, LintArgs};
use crate::context::{Context, read_file};
use crate::error::{Code, Error, Exit};
use crate::output::view;
use kedactl_lint::{LintError, MAX_BYTES, Object, Severity};
use std::io::Read as _;
use std::path::Path;

pub(crate) fn lint(context: &Context, args: &LintArgs) -> Result<Exit, Error> {
    let objects = if args.files.is_empty() {
        rendered(context, args)?
    } else {
        let files = args.files.iter().map(|path| file(path));
        files.collect::<Result<Vec<_>, _>>()?.concat()
    };
    let report = kedactl_lint::lint(&objects);
    let level = match args.level {
        Level::Error => Severity::Error,
        Level::Warning => Severity::Warning,
        Level::Note => Severity::Note,
    };
    let text = if context.json() {
        crate::output::json(&view::lint::json(&report, level))?
    } else {
        view::lint::text(&report, level)
    };
    context.printer.data(&text)?;
    match report.at_least(level).count() {
        0 => Ok(Exit::Done),
        found => {
            let message = format!("{found} findings in {} objects", report.objects);
            Err(Error::new(Code::LintFindings, message))
        }
    }
}

/// The objects of the stack; findings show the template that each came from.
fn rendered(context: &Context, args: &LintArgs) -> Result<Vec<Object>, Error> {
    let loaded = context.load_with(&args.settings, &args.values)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let object = |it: &kedactl_render::Rendered| {
        Object::new(it.template.as_str().into(), 0, it.object.to_json())
    };
    Ok(manifests.objects.iter().map(object).collect())
}

fn file(path: &Path) -> Result<Vec<Object>, Error> {
    let stdin = path == Path::new("-");
    let name = if stdin {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let refused = |message: String| Error::new(Code::Manifest, message);
    let bytes = if stdin {
        read_stdin()
    } else {
        read_file(path, MAX_BYTES)
    };
    let bytes = bytes
        .map_err(|error| Error::new(Code::Io, format!("{name} cannot be read")).source(error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refused(format!(
            "{name} is larger than {} MiB",
            MAX_BYTES >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused(format!("{name} is not UTF-8")))?;
    kedactl_lint::parse(&name, &text).map_err(|error: LintError| refused(error.to_string()))
}

fn read_stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
