//! The notation of objectives, with errors that name the place.
//!
//! It must not know results.

use super::{Comparison, Count, Figure, Metric, Share, Slo, Span, Time};
use crate::schedule::parse_time;

/// An objective that cannot be read. `at` is the first character's place in the whole text, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    #[error("objective at character {at} is empty")]
    Empty { at: usize },
    #[error("`{text}` at character {at} has no comparison: write METRIC<LIMIT, such as `p99<50ms`")]
    NoComparison { text: String, at: usize },
    #[error("`{name}` at character {at} is not a metric{}", nearest(*.near))]
    Metric {
        name: String,
        at: usize,
        near: Option<&'static str>,
    },
    #[error(
        "percentile `{name}` at character {at} is not kept: one of p50, p75, p90, p95, p99, p99.9, p99.99"
    )]
    Percentile { name: String, at: usize },
    #[error("limit `{limit}` at character {at} is not {wanted}")]
    Limit {
        limit: String,
        at: usize,
        wanted: &'static str,
    },
}

fn nearest(near: Option<&str>) -> String {
    near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

const NAMES: &[(&str, Metric)] = &[
    ("errors", Metric::Share(Share::Errors)),
    ("achieved", Metric::Share(Share::Achieved)),
    ("lost", Metric::Count(Count::Lost)),
    ("duplicated", Metric::Count(Count::Duplicated)),
    ("dead", Metric::Count(Count::Dead)),
    ("unexpected", Metric::Count(Count::Unexpected)),
    ("never_sent", Metric::Count(Count::NeverSent)),
    ("timeouts", Metric::Count(Count::Timeouts)),
    ("resets", Metric::Count(Count::Resets)),
    ("backlog", Metric::Count(Count::BacklogPeak)),
    ("first_worker", Metric::Time(Time::FirstWorker)),
    ("t50", Metric::Time(Time::T50)),
    ("t90", Metric::Time(Time::T90)),
    ("drain", Metric::Time(Time::Drain)),
    ("to_zero", Metric::Time(Time::ToZero)),
];

const SPANS: &[(&str, Span)] = &[
    ("response", Span::Response),
    ("service", Span::Service),
    ("lag", Span::Lag),
    ("e2e", Span::EndToEnd),
    ("submit", Span::Submit),
    ("wait", Span::Wait),
    ("run", Span::Run),
];

const PERCENTILES: &[f64] = &[50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// Reads a comma-separated list of objectives.
pub fn parse_slos(text: &str) -> Result<Vec<Slo>, SloError> {
    let mut slos = Vec::new();
    let mut at = 1;
    for part in text.split(',') {
        let lead = part.chars().take_while(|c| c.is_whitespace()).count();
        slos.push(parse_one(part.trim(), at + lead)?);
        at += part.chars().count() + 1;
    }
    Ok(slos)
}

fn parse_one(text: &str, at: usize) -> Result<Slo, SloError> {
    if text.is_empty() {
        return Err(SloError::Empty { at });
    }
    let none = || SloError::NoComparison {
        text: text.to_owned(),
        at,
    };
    let split = text.find(['<', '>', '=']).ok_or_else(none)?;
    let (name, rest) = text.split_at(split);
    let (comparison, width) = comparison(rest);
    let limit_text = &rest[width..];
    let blanks = limit_text.chars().take_while(|c| c.is_whitespace()).count();
    let limit_at = at + name.chars().count() + width + blanks;
    let metric = metric(name.trim(), at)?;
    let limit = limit(metric, limit_text.trim(), limit_at)?;
    Ok(Slo {
        metric,
        comparison,
        limit,
        text: text.to_owned(),
    })
}

fn comparison(text: &str) -> (Comparison, usize) {
    const SIGNS: &[(&str, Comparison)] = &[
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let found = SIGNS.iter().find(|(sign, _)| text.starts_with(sign));
    found.map_or((Comparison::Equal, 1), |(sign, comparison)| {
        (*comparison, sign.len())
    })
}

fn metric(name: &str, at: usize) -> Result<Metric, SloError> {
    if let Some((_, metric)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*metric);
    }
    let (span, figure) = match name.split_once(['_', '.']) {
        Some((prefix, figure)) if SPANS.iter().any(|(known, _)| *known == prefix) => {
            (prefix, figure)
        }
        _ => ("response", name),
    };
    let span = SPANS
        .iter()
        .find(|(known, _)| *known == span)
        .map_or(Span::Response, |(_, s)| *s);
    Ok(Metric::Latency(span, self::figure(figure, name, at)?))
}

fn figure(text: &str, name: &str, at: usize) -> Result<Figure, SloError> {
    match text {
        "max" => return Ok(Figure::Max),
        "mean" => return Ok(Figure::Mean),
        _ => {}
    }
    let number = text.strip_prefix('p').and_then(|n| n.parse::<f64>().ok());
    match number {
        Some(p) if PERCENTILES.contains(&p) => Ok(Figure::Percentile(p)),
        Some(_) => Err(SloError::Percentile {
            name: name.to_owned(),
            at,
        }),
        None => Err(SloError::Metric {
            name: name.to_owned(),
            at,
            near: near(name),
        }),
    }
}

fn limit(metric: Metric, text: &str, at: usize) -> Result<f64, SloError> {
    let (value, wanted) = match metric {
        Metric::Latency(..) => (
            parse_time(text).map(|d| d.as_nanos() as f64 / 1e3),
            "a time with its unit, such as `50ms`",
        ),
        Metric::Time(_) => (
            parse_time(text).map(|d| d.as_secs_f64()),
            "a time with its unit, such as `30s`",
        ),
        Metric::Share(_) => (share(text), "a share, such as `0.1%` or `0.001`"),
        Metric::Count(_) => (text.parse::<u64>().ok().map(|n| n as f64), "a whole number"),
    };
    value.ok_or_else(|| SloError::Limit {
        limit: text.to_owned(),
        at,
        wanted,
    })
}

fn share(text: &str) -> Option<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let value = number.parse::<f64>().ok()? / scale;
    (0.0..=100.0).contains(&value).then_some(value)
}

/// The known name that is at most two edits away.
fn near(name: &str) -> Option<&'static str> {
    let names = NAMES
        .iter()
        .map(|(known, _)| *known)
        .chain(["p50", "p95", "p99", "max", "mean", "e2e_p95"]);
    names
        .map(|known| (edits(name, known), known))
        .filter(|(n, _)| *n <= 2)
        .min()
        .map(|(_, known)| known)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
