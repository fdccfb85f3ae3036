//! Collects every problem of a set of settings, so that a user fixes them in one go.
//!
//! It must not stop at the first problem.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// One setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The flag without its dashes, for example `redis-addr`.
    pub setting: &'static str,
    /// What is wrong with it, lower case.
    pub problem: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self.setting.to_uppercase().replace('-', "_");
        let prefix = if env.starts_with("OTEL_") {
            ""
        } else {
            "KEDACTL_"
        };
        write!(f, "`--{}` ({prefix}{env}): {}", self.setting, self.problem)
    }
}

/// Every problem found, in the order of the flags.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError {
    /// Never empty.
    pub problems: Vec<SettingProblem>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(f, "{} bad setting{plural}", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// The collector.
#[derive(Debug, Default)]
pub struct Problems(Vec<SettingProblem>);

impl Problems {
    /// Notes a problem.
    pub fn add(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.0.push(SettingProblem {
            setting,
            problem: problem.into(),
        });
    }

    /// Returns the value, or notes why `raw` is none and returns nothing.
    pub fn parse<T>(&mut self, setting: &'static str, raw: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match raw.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(setting, format!("`{raw}` is not valid: {error}"));
                None
            }
        }
    }

    /// Returns a whole number inside `range`.
    pub fn number(
        &mut self,
        setting: &'static str,
        raw: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        match raw.parse::<u64>() {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.add(
                    setting,
                    format!("`{raw}` is not a whole number from {low} to {high}"),
                );
                low
            }
        }
    }

    /// Returns a time given in milliseconds.
    pub fn millis(
        &mut self,
        setting: &'static str,
        raw: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_millis(self.number(setting, raw, range))
    }

    /// Returns an address to listen on.
    pub fn address(&mut self, setting: &'static str, raw: &str) -> SocketAddr {
        raw.parse().unwrap_or_else(|_| {
            self.add(
                setting,
                format!("`{raw}` is not an address such as 0.0.0.0:8000"),
            );
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    /// Returns the text of a file, at most 64 KiB, without the line end at its end.
    pub fn file(&mut self, setting: &'static str, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.len() > 64 * 1024 => {
                self.add(
                    setting,
                    format!("`{}` is larger than 64 KiB", path.display()),
                );
                None
            }
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                self.add(
                    setting,
                    format!("cannot read `{}`: {error}", path.display()),
                );
                None
            }
        }
    }

    /// Returns the value when there was no problem at all.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, SettingsError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(SettingsError { problems: self.0 }),
        }
    }
}
