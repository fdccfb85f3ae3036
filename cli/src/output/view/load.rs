//! The report of a load run.
//!
//! It must not judge: the verdict is handed in, and every number of the accounting is shown, zeroes of faults left out.

use crate::output::style::{bad, count, dim, good, head, millis};
use crate::output::table::Table;
use kedactl_load::{Accounting, AuditSummary, Outcome, Percentiles, RunResult, Scaling, Verdict};

/// The whole report.
pub(crate) fn text(result: &RunResult, verdict: &Verdict) -> String {
    let mut text = format!("{}\n", setup(result));
    text += &accounting(&result.accounting);
    text += "\n";
    text += &latencies(result).text();
    if let Some(audit) = &result.audit {
        text += &format!("\n{}", tasks(audit));
    }
    if let Some(scaling) = &result.scaling {
        text += &format!("\n{}", scaled(scaling));
        text += &super::decisions::text(&result.timeline);
    }
    text += &format!("\n{}", checks(verdict));
    text
}

fn setup(result: &RunResult) -> String {
    let setup = &result.setup;
    format!(
        "{} {} at {} ({}, seed {}), {}",
        setup.method,
        head(&setup.url),
        setup.stages.join(", "),
        setup.arrivals,
        setup.seed,
        dim(&format!("run {}", result.run))
    )
}

fn accounting(it: &Accounting) -> String {
    let mut parts = vec![format!("{} ok", count(it.ok))];
    parts.extend(
        it.status
            .iter()
            .map(|(code, n)| bad(&format!("{} × {code}", count(*n)))),
    );
    let faults = [
        (it.timeout, "timed out"),
        (it.reset, "reset"),
        (it.connect_error, "not connected"),
        (it.in_flight_at_end, "unanswered at the end"),
    ];
    parts.extend(
        faults
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| bad(&format!("{} {what}", count(*n)))),
    );
    let never = if it.never_sent > 0 {
        bad(&format!("{} never sent", count(it.never_sent)))
    } else {
        "0 never sent".to_owned()
    };
    format!(
        "requests  {} intended = {} sent + {never}\n          {} sent = {}\n",
        count(it.intended),
        count(it.sent),
        count(it.sent),
        parts.join(" + ")
    )
}

fn latencies(result: &RunResult) -> Table {
    let mut table = Table::new(&["latency", "p50", "p90", "p99", "p99.9", "max", ""]);
    let it = &result.latency;
    table.row(row("response", &it.response, "from the due time"));
    table.row(row("service", &it.service, "from the first byte sent"));
    table.row(row("lag", &it.lag, "the generator's own lateness"));
    if let Some(audit) = &result.audit {
        table.row(row(
            "end to end",
            &audit.total,
            "from the due time to the task's end",
        ));
        table.row(row("  submit", &audit.submit, "until it was enqueued"));
        table.row(row("  wait", &audit.wait, "until a worker took it"));
        table.row(row("  run", &audit.run, "in the handler"));
    }
    table
}

fn row(name: &str, it: &Percentiles, what: &str) -> Vec<String> {
    let ms = |us: u64| millis(us as f64 / 1000.0);
    vec![
        name.to_owned(),
        ms(it.p50),
        ms(it.p90),
        ms(it.p99),
        ms(it.p999),
        ms(it.max),
        dim(what),
    ]
}

fn tasks(it: &AuditSummary) -> String {
    let zero = |n: u64, what: &str| {
        if n == 0 {
            good(&format!("0 {what}"))
        } else {
            bad(&format!("{} {what}", count(n)))
        }
    };
    let mut text = format!(
        "tasks     {} acknowledged, {} done, {}, {}",
        count(it.acknowledged),
        count(it.done),
        zero(it.lost, "lost"),
        zero(it.duplicated, "duplicated")
    );
    let rest = [
        (it.dead, "dead"),
        (it.expired, "expired"),
        (it.retried, "retried"),
        (it.fenced, "fenced"),
        (it.unexpected, "done though refused"),
        (it.recovered, "done though unanswered"),
    ];
    for (n, what) in rest.iter().filter(|(n, _)| *n > 0) {
        text += &format!(", {} {what}", count(*n));
    }
    text += "\n";
    if let Some(why) = &it.gave_up {
        text += &format!("          {}\n", bad(why));
    }
    text
}

fn scaled(it: &Scaling) -> String {
    let at = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |s| format!("{s:.0} s"));
    format!(
        "scaling   workers {} → {} (first ready {}, half of the rise {}, 90 % {}), API up to {}\n          \
         backlog up to {} ({}), drained {} after the last request, back to zero {} after that\n          \
         {:.0} worker pod-seconds, {:.0} API pod-seconds\n",
        it.workers_at_start,
        it.workers_peak,
        at(it.first_worker_s),
        at(it.t50_s),
        at(it.t90_s),
        it.api_peak,
        count(it.backlog_peak),
        at(it.backlog_peak_at_s),
        at(it.drain_s),
        at(it.to_zero_s),
        it.worker_pod_seconds,
        it.api_pod_seconds
    )
}

fn checks(verdict: &Verdict) -> String {
    let mut table = Table::default();
    for check in &verdict.checks {
        let mark = if check.ok { good("ok") } else { bad("missed") };
        let measured = check
            .measured
            .clone()
            .unwrap_or_else(|| "nothing measured".to_owned());
        table.row([mark, check.slo.clone(), measured]);
    }
    let word = if verdict.outcome == Outcome::Passed {
        good("passed")
    } else {
        bad("failed")
    };
    format!("{}{word}: {}\n", table.text(), verdict.reason)
}
