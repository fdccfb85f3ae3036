//! Task frameworks whose workers a manifest can be seen to run, and what each does with a signal.
//! Knows facts and judges nothing; what is not certain from a framework's own source is not in the table.

use crate::pod::Container;
use crate::view::At;

/// How a framework's worker stops.
#[derive(Debug)]
pub(crate) struct Framework {
    /// As its makers write it.
    pub(crate) name: &'static str,
    /// Programs and modules that are its worker; the last part of a path counts.
    programs: &'static [&'static str],
    /// Part of an image's name.
    image: &'static str,
    /// Signals at which it finishes what runs, where no option says otherwise.
    graceful: &'static [&'static str],
    /// Option that names the one signal at which it finishes what runs.
    graceful_option: &'static [&'static str],
    /// Whether a second signal ends the drain that the first one began.
    pub(crate) impatient: bool,
    /// Options that end its drain after a time, and how many of their units are a second.
    drain: &'static [(&'static str, i64)],
    /// The drain's length where no option says otherwise.
    drains_for: Option<i64>,
    /// Options that bound a task's time, in the same form.
    limit: &'static [(&'static str, i64)],
    /// Beginning of the Redis key in which it keeps what waits, and from which it takes a task away before it runs it.
    pub(crate) waiting: &'static str,
}

/// Read in huey 3.5 (consumer.py; the option is there since 3.4), celery 5.7 (apps/worker.py), rq 3.0 (worker/base.py), dramatiq 2.2
/// (cli.py), taskiq 0.13 (cli/worker) and in Sidekiq's documentation of its signals. Left out: arq and SAQ, whose answer to
/// a signal stands in the application's settings, and `BullMQ`, which has no worker program.
const FRAMEWORKS: &[Framework] = &[
    Framework {
        name: "Huey",
        programs: &[
            "huey_consumer",
            "huey_consumer.py",
            "huey.bin.huey_consumer",
        ],
        image: "huey",
        graceful: &["SIGINT"],
        graceful_option: &["-g", "--graceful-signal"],
        impatient: true,
        drain: &[("-t", 1), ("--shutdown-timeout", 1)],
        drains_for: None,
        limit: &[],
        waiting: "huey.redis.",
    },
    Framework {
        name: "Celery",
        programs: &["celery"],
        image: "celery",
        graceful: &["SIGTERM", "SIGINT"],
        graceful_option: &[],
        impatient: false,
        drain: &[],
        drains_for: None,
        limit: &[("--time-limit", 1)],
        waiting: "celery",
    },
    Framework {
        name: "RQ",
        programs: &["rq", "rqworker"],
        image: "rq",
        graceful: &["SIGTERM", "SIGINT"],
        graceful_option: &[],
        impatient: true,
        drain: &[],
        drains_for: None,
        limit: &[],
        waiting: "rq:queue:",
    },
    Framework {
        name: "Dramatiq",
        programs: &["dramatiq", "dramatiq-gevent"],
        image: "dramatiq",
        graceful: &["SIGTERM", "SIGINT", "SIGHUP"],
        graceful_option: &[],
        impatient: true,
        drain: &[("--worker-shutdown-timeout", 1000)],
        drains_for: None,
        limit: &[],
        waiting: "dramatiq:",
    },
    Framework {
        name: "Taskiq",
        programs: &["taskiq"],
        image: "taskiq",
        graceful: &["SIGTERM", "SIGINT", "SIGHUP"],
        graceful_option: &[],
        impatient: false,
        drain: &[("--wait-tasks-timeout", 1)],
        drains_for: None,
        limit: &[],
        waiting: "taskiq",
    },
    Framework {
        name: "Sidekiq",
        programs: &["sidekiq"],
        image: "sidekiq",
        graceful: &["SIGTERM", "SIGINT"],
        graceful_option: &[],
        impatient: false,
        drain: &[("-t", 1), ("--timeout", 1)],
        drains_for: Some(25),
        limit: &[],
        waiting: "queue:",
    },
];

impl Framework {
    /// The framework whose worker a container runs, as far as its command or its image says.
    pub(crate) fn of(container: &Container<'_>) -> Option<&'static Self> {
        let words = words(container);
        let image = container.spec.key("image").text().unwrap_or_default();
        let runs = |it: &&Self| {
            words.iter().any(|word| {
                let word = word.rsplit('/').next().unwrap_or(word);
                it.programs.contains(&word)
            })
        };
        let found = FRAMEWORKS.iter().find(runs);
        found.or_else(|| FRAMEWORKS.iter().find(|it| named(image, it.image)))
    }

    /// Whether it finishes what runs when it gets this signal.
    pub(crate) fn finishes_at(&self, signal: &str, container: &Container<'_>) -> bool {
        let asked = value_of(&words(container), self.graceful_option);
        let env = |name: &str| {
            let vars = container.spec.key("env").items();
            let found = vars
                .into_iter()
                .find(|it| it.key("name").text() == Some(name));
            found.and_then(|it| it.key("value").text().map(signal_name))
        };
        // Celery's own switch: SIGTERM does what SIGQUIT does.
        let remapped = self.name == "Celery" && signal == "SIGTERM";
        if remapped && env("REMAP_SIGTERM").is_some_and(|it| it == "SIGQUIT") {
            return false;
        }
        match asked {
            Some(asked) => signal_name(&asked) == signal,
            None => self.graceful.contains(&signal),
        }
    }

    /// Seconds after which it ends its own drain by force, and the option that says so.
    pub(crate) fn drain(&self, container: &Container<'_>) -> Option<(i64, &'static str)> {
        let default = self.drains_for.map(|seconds| (seconds, "its default"));
        timed(&words(container), self.drain).or(default)
    }

    /// Seconds that it lets a task run, and the option that says so.
    pub(crate) fn limit(&self, container: &Container<'_>) -> Option<(i64, &'static str)> {
        timed(&words(container), self.limit)
    }

    /// What to write so that Kubernetes' signal is the one at which it finishes.
    pub(crate) fn graceful_at_term(&self) -> &'static str {
        match self.name {
            "Huey" => {
                "start it with `--graceful-signal TERM` (Huey 3.4), or let the pod be stopped by SIGINT"
            }
            "Celery" => "let it be stopped by SIGTERM, without REMAP_SIGTERM",
            _ => "let it be stopped by SIGTERM",
        }
    }
}

/// `INT`, `int`, `SIGINT` and `-INT` are `SIGINT`; so is `2`.
pub(crate) fn signal_name(text: &str) -> String {
    let text = text.trim().trim_start_matches('-').to_uppercase();
    let name = match text.as_str() {
        "1" => "HUP",
        "2" => "INT",
        "3" => "QUIT",
        "9" => "KILL",
        "15" => "TERM",
        other => other.trim_start_matches("SIG"),
    };
    format!("SIG{name}")
}

/// All words of the command, those of scripts for a shell too.
pub(crate) fn words(container: &Container<'_>) -> Vec<String> {
    let argv = container.argv();
    let texts = argv.iter().map(At::shown);
    texts
        .flat_map(|text| {
            text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '"' | '\''))
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a word of an image's name, without its tag, is this one.
fn named(image: &str, name: &str) -> bool {
    let last = image.split('@').next().unwrap_or_default();
    let (path, tag) = last.rsplit_once(':').unwrap_or((last, ""));
    // A colon before a slash is a registry's port.
    let path = if tag.contains('/') { last } else { path };
    path.split(['/', '-', '_', '.', ':'])
        .any(|word| word == name)
}

/// The value of the first of these options, as `--option value`, `--option=value` or `-ovalue`.
fn value_of(words: &[String], options: &[&str]) -> Option<String> {
    words.iter().enumerate().find_map(|(at, word)| {
        options.iter().find_map(|option| {
            let rest = word.strip_prefix(option)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value.to_owned()),
                None if rest.is_empty() => words.get(at + 1).cloned(),
                // `-gTERM`; a longer option begins likewise with two dashes.
                None if !option.starts_with("--") => Some(rest.to_owned()),
                None => None,
            }
        })
    })
}

fn timed(words: &[String], options: &[(&'static str, i64)]) -> Option<(i64, &'static str)> {
    options.iter().find_map(|(option, units)| {
        let value: f64 = value_of(words, &[option])?.parse().ok()?;
        (value.is_finite() && value >= 0.0)
            .then(|| ((value / *units as f64).ceil() as i64, *option))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn an_option_is_read_in_each_form_and_another_is_not_taken_for_it() {
        for words in [
            &["-g", "TERM"][..],
            &["-gTERM"],
            &["-g=TERM"],
            &["--graceful-signal=TERM"],
        ] {
            let options = ["-g", "--graceful-signal"];
            assert_eq!(
                value_of(&strings(words), &options).as_deref(),
                Some("TERM"),
                "{words:?}"
            );
        }
        let other = strings(&["--graceful-signals", "TERM"]);
        assert_eq!(value_of(&other, &["--graceful-signal"]), None);
    }

    #[test]
    fn an_image_is_known_by_a_whole_word_of_its_name() {
        assert!(named("host:5000/shop/huey-worker:2.5", "huey"));
        assert!(named("shop_rq@sha256:00", "rq"));
        assert!(!named("shop/marquee:rq", "rq"));
    }

    #[test]
    fn milliseconds_are_seconds_rounded_up() {
        let words = strings(&["dramatiq", "app", "--worker-shutdown-timeout", "1500"]);
        let found = timed(&words, &[("--worker-shutdown-timeout", 1000)]);
        assert_eq!(found, Some((2, "--worker-shutdown-timeout")));
    }
}
