//! `kedactl doctor`.
//!
//! It must not mend anything.

use super::block_on;
use crate::args::DoctorArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{style, table::Table};
use kedactl_local::{Check, CheckStatus};

pub(crate) fn doctor(context: &Context, args: &DoctorArgs) -> Result<Exit, Error> {
    let loaded = context.load(&args.layers)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let dir = match &context.global.stack {
        Some(_) => context.stack_dir()?,
        None => context.dir_of(&loaded.config.name)?,
    };
    let desired = super::up::desired(loaded.config, manifests);
    let checks = block_on(async { Ok(kedactl_local::doctor(&dir, &desired).await) })?;
    let failed = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail)
        .count();
    if context.json() {
        context.printer.data(&crate::output::json(
            &serde_json::json!({"schema": "kedactl.doctor/v1", "checks": checks}),
        )?)?;
    } else {
        context.printer.data(&text(&checks))?;
    }
    if failed > 0 {
        return Err(Error::new(
            Code::Findings,
            format!("{failed} of {} checks failed", checks.len()),
        ));
    }
    Ok(Exit::Done)
}

fn text(checks: &[Check]) -> String {
    let mut table = Table::default();
    for check in checks {
        let mark = match check.status {
            CheckStatus::Ok => style::good("ok"),
            CheckStatus::Warn => style::warn("warn"),
            CheckStatus::Fail => style::bad("fail"),
            CheckStatus::Skip => style::dim("skip"),
        };
        table.row([mark, check.title.clone(), check.detail.clone()]);
        if let Some(cure) = &check.cure {
            table.row([
                String::new(),
                String::new(),
                style::dim(&format!("cure: {cure}")),
            ]);
        }
    }
    table.text()
}
