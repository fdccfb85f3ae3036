//! What minikube says in JSON: a `CloudEvent` a line, about steps, downloads, warnings and its end.
//! Must not fail on a line that it does not know: minikube prints others between them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A step of a job began. Steps that do not belong to a machine of this kind are left out, so numbers jump.
    Step {
        /// Its number.
        current: Option<u64>,
        /// Number of the last one.
        total: Option<u64>,
        /// What happens.
        message: String,
    },
    /// Something is fetched; `progress` is the share that is there.
    Download {
        /// What it is.
        artifact: String,
        /// From 0 to 1.
        progress: Option<String>,
    },
    /// It goes on, but.
    Warning(String),
    /// A remark.
    Info(String),
    /// Its end.
    Error {
        /// What is wrong.
        message: String,
        /// minikube's name of the trouble, such as `PROVIDER_DOCKER_NOT_RUNNING`.
        id: Option<String>,
        /// What it suggests.
        advice: Option<String>,
        /// The exit code that comes.
        code: Option<i32>,
    },
}

#[derive(Deserialize)]
struct CloudEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

/// Reads one line of output; nothing where it is none of minikube's events.
pub fn parse(line: &str) -> Option<Said> {
    let CloudEvent { kind, mut data } = serde_json::from_str(line).ok()?;
    let number = |text: Option<&String>| text.and_then(|it| it.parse::<u64>().ok());
    let (current, total) = (
        number(data.get("currentstep")),
        number(data.get("totalsteps")),
    );
    let mut take = |key: &str| data.remove(key).filter(|text| !text.trim().is_empty());
    Some(match kind.strip_prefix("io.k8s.sigs.minikube.")? {
        "step" => Said::Step {
            current,
            total,
            message: plain(&take("message").or_else(|| take("name"))?),
        },
        "download" => Said::Download {
            artifact: take("artifact")?,
            progress: None,
        },
        "download.progress" => Said::Download {
            artifact: take("artifact")?,
            progress: take("progress"),
        },
        "warning" => Said::Warning(plain(&take("message")?)),
        "info" => Said::Info(plain(&take("message")?)),
        "error" => Said::Error {
            message: plain(&take("message").unwrap_or_default()),
            id: take("name"),
            advice: take("advice").map(|text| plain(&text)),
            code: take("exitcode").and_then(|text| text.parse().ok()),
        },
        _ => return None,
    })
}

/// The error of a command that has no events, out of its text: what follows is a box with the address of its issue tracker.
pub(super) fn spoken(text: &str) -> Option<Said> {
    let after = |mark: &str| {
        text.lines()
            .find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()))
    };
    let error = after("Exiting due to ")?;
    let (id, message) = error.split_once(": ")?;
    Some(Said::Error {
        message: plain(message),
        id: Some(id.to_owned()),
        advice: after("Suggestion: "),
        code: None,
    })
}

/// One line without what decorates a terminal.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let spoken = |c: char| c.is_alphanumeric() || "\"'`(/-$[{<.".contains(c);
    line.trim_start_matches(|c: char| !spoken(c)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, data: &str) -> String {
        format!(
            r#"{{"specversion":"1.0","id":"x","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.{kind}","datacontenttype":"application/json","data":{data}}}"#
        )
    }

    #[test]
    fn each_kind_of_line_is_read() {
        let step = line(
            "step",
            r#"{"currentstep":"8","message":"Creating docker container (CPUs=2) ...","name":"Creating Container","totalsteps":"19"}"#,
        );
        assert_eq!(
            parse(&step),
            Some(Said::Step {
                current: Some(8),
                total: Some(19),
                message: "Creating docker container (CPUs=2) ...".to_owned()
            })
        );
        // A detour has no number.
        let detour = line(
            "step",
            r#"{"currentstep":"","message":"* Stopping node","name":"Stopping","totalsteps":"19"}"#,
        );
        assert_eq!(
            parse(&detour),
            Some(Said::Step {
                current: None,
                total: Some(19),
                message: "Stopping node".to_owned()
            })
        );
        let got = line(
            "download.progress",
            r#"{"artifact":"preload.tar.lz4","currentstep":"2","progress":"0.25","totalsteps":"19"}"#,
        );
        assert_eq!(
            parse(&got),
            Some(Said::Download {
                artifact: "preload.tar.lz4".to_owned(),
                progress: Some("0.25".to_owned())
            })
        );
        let error = line(
            "error",
            r#"{"advice":"Start the Docker service","exitcode":"63","issues":"","message":"no\n\tdaemon","name":"PROVIDER_DOCKER_NOT_RUNNING","url":""}"#,
        );
        assert_eq!(
            parse(&error),
            Some(Said::Error {
                message: "no daemon".to_owned(),
                id: Some("PROVIDER_DOCKER_NOT_RUNNING".to_owned()),
                advice: Some("Start the Docker service".to_owned()),
                code: Some(63)
            })
        );
    }

    #[test]
    fn an_error_in_a_text_is_found_above_the_box() {
        let text = "\nX Exiting due to MK_USAGE: loading profile: cluster \"x\" does not exist\n* Suggestion: look\n* \n╭──╮\n│    * Please │\n╰──╯\n";
        assert_eq!(
            spoken(text),
            Some(Said::Error {
                message: "loading profile: cluster \"x\" does not exist".to_owned(),
                id: Some("MK_USAGE".to_owned()),
                advice: Some("look".to_owned()),
                code: None
            })
        );
        assert_eq!(spoken("* Profile \"x\" not found"), None);
    }

    #[test]
    fn other_lines_are_nothing() {
        for line in [
            "",
            "null",
            "{}",
            "! plain text",
            r#"{"type":"other","data":{}}"#,
            r#"{"type":"io.k8s.sigs.minikube.step","data":{"message":""}}"#,
            r#"{"type":"io.k8s.sigs.minikube.step","data":{"message":7}}"#,
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
