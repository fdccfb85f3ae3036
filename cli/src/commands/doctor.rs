//! `kedactl doctor`.
//!
//! It must not mend anything.

use super::block_on;
use crate::args::DoctorArgs;
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{style, table::Table};
use crate::running;
use kedactl_stack::{Check, CheckStatus};

pub(crate) fn doctor(context: &Context, args: &DoctorArgs) -> Result<Exit, Error> {
    let loaded = context.load(&args.layers)?;
    let manifests = super::render::manifests(context, &loaded.config)?;
    let name = context.name_of(&loaded.config);
    let checks = block_on(running::doctor(context, &name, loaded.config, manifests))?;
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
