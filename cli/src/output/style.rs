//! Words for numbers: counts, times, shares, ages.
//!
//! It must not choose what is shown.

use owo_colors::OwoColorize as _;

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with three figures: `0.13 ms`, `12.4 ms`, `1.25 s`, `2m05s`.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.2} s", ms / 1000.0),
        ms => age((ms / 1000.0) as u64),
    }
}

/// Seconds as people say them: `42s`, `3m10s`, `5h02m`, `3d04h`.
pub(crate) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

pub(crate) fn good(text: &str) -> String {
    text.green().to_string()
}

pub(crate) fn bad(text: &str) -> String {
    text.red().to_string()
}

pub(crate) fn warn(text: &str) -> String {
    text.yellow().to_string()
}

pub(crate) fn dim(text: &str) -> String {
    text.dimmed().to_string()
}

pub(crate) fn head(text: &str) -> String {
    text.bold().to_string()
}

#[cfg(test)]
mod tests {
    use super::{age, count, millis};

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(millis(0.134), "0.13 ms");
        assert_eq!(millis(1250.0), "1.25 s");
        assert_eq!(millis(125_000.0), "2m05s");
        assert_eq!(age(3661), "1h01m");
    }
}
