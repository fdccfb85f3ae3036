//! minikube's events as progress of ours: never going back, and no line twice.
//! Must not tell its end: the failure does, with its cure.

use kedactl_plan::Step;

use super::{Said, parse};

/// Turns minikube's events into ours.
#[derive(Default)]
pub(super) struct Told {
    done: u64,
    total: Option<u64>,
    /// The download that was named last: its progress comes many times a second.
    fetching: String,
}

impl Told {
    pub(super) fn hear(&mut self, line: &str, step: &Step<'_>) {
        let Some(said) = parse(line) else {
            tracing::debug!(line, "minikube");
            return;
        };
        let note = match said {
            Said::Step {
                current,
                total,
                message,
            } => {
                self.done = current.unwrap_or(self.done).max(self.done);
                self.total = total.or(self.total);
                message
            }
            Said::Download { artifact, progress } => {
                let share = progress.and_then(|it| it.parse::<f64>().ok());
                let tenths = share.map_or(0, |share| (share * 10.0) as u32 * 10);
                let note = format!("downloading {artifact}, {tenths} %");
                if note == self.fetching {
                    return;
                }
                note.clone_into(&mut self.fetching);
                note
            }
            Said::Warning(message) => format!("warning: {message}"),
            // The failure tells it, with its cure.
            Said::Error { message, .. } => {
                tracing::debug!(message, "minikube fails");
                return;
            }
            Said::Info(message) => {
                tracing::debug!(message, "minikube");
                return;
            }
        };
        step.progress(self.done, self.total, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kedactl_plan::{Collect, Kind};

    #[test]
    fn events_become_progress_that_never_goes_back() {
        let sink = Collect::default();
        let step = Step::start(&sink, "cluster", "cluster");
        let mut told = Told::default();
        for (kind, data) in [
            (
                "step",
                r#"{"currentstep":"3","totalsteps":"19","message":"Starting"}"#,
            ),
            (
                "step",
                r#"{"currentstep":"","totalsteps":"19","message":"Deleting"}"#,
            ),
            (
                "step",
                r#"{"currentstep":"1","totalsteps":"19","message":"Again"}"#,
            ),
            ("download.progress", r#"{"artifact":"a","progress":"0.11"}"#),
            ("download.progress", r#"{"artifact":"a","progress":"0.12"}"#),
            ("download.progress", r#"{"artifact":"a","progress":"0.21"}"#),
            ("warning", r#"{"message":"low disk"}"#),
            ("info", r#"{"message":"kubectl"}"#),
        ] {
            told.hear(
                &format!(r#"{{"type":"io.k8s.sigs.minikube.{kind}","data":{data}}}"#),
                &step,
            );
        }
        told.hear("! not an event", &step);
        let seen: Vec<String> = sink
            .take()
            .into_iter()
            .filter_map(|event| match event.kind {
                Kind::Progress { done, total, note } => {
                    Some(format!("{done}/{} {note}", total.unwrap_or_default()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            seen,
            [
                "3/19 Starting",
                "3/19 Deleting",
                "3/19 Again",
                "3/19 downloading a, 10 %",
                "3/19 downloading a, 20 %",
                "3/19 warning: low disk",
            ]
        );
        step.done("", false);
    }
}
