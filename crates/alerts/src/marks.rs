//! What people did about an incident: silences and acknowledgements, as its message shows them.
//! Must not show an acknowledgement beside an alert that nobody acknowledged.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::html::Html;
use crate::{Fire, Notification, Status};

/// What was done; nothing for a new incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The last silence that was asked for here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Acknowledgement>,
    /// Why the last wish was not granted; empty where it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

/// A silence that Alertmanager keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Seconds since the Unix epoch.
    pub until: i64,
    pub by: String,
}

/// Somebody knows of the alerts that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    /// Those that fired then.
    pub of: Vec<Fire>,
}

impl Acknowledgement {
    /// Of everything that fires.
    pub fn new(by: String, notification: &Notification) -> Self {
        let of = notification.fires(Status::Firing);
        Self { by, of }
    }

    /// Whether it is of everything that fires now, or that fired where nothing does: a new alert ends it.
    fn holds(&self, notification: &Notification) -> bool {
        let fires = [Status::Firing, Status::Resolved].map(|it| notification.fires(it));
        let now = fires.iter().find(|it| !it.is_empty());
        let known = |now: &Fire| self.of.iter().any(|then| then.covers(now));
        now.is_some_and(|now| now.iter().all(known))
    }
}

impl Marks {
    /// As they stand in the message of a state, one a line; blank where there is nothing to say.
    pub fn html(&self, notification: &Notification) -> Html {
        let mut lines = Vec::new();
        if let Some(silence) = &self.silence {
            let until = shown(silence.until);
            lines.push(format!("🔕 silenced until {until} by {}", silence.by));
        }
        let holds = |it: &&Acknowledgement| it.holds(notification);
        if let Some(acknowledgement) = self.acknowledgement.as_ref().filter(holds) {
            lines.push(format!("👀 acknowledged by {}", acknowledgement.by));
        }
        if !self.trouble.is_empty() {
            lines.push(format!("⚠️ {}", self.trouble));
        }
        Html::of_text(&lines.join("\n"))
    }
}

/// `2026-11-27 14:00 UTC`.
fn shown(second: i64) -> String {
    let text = Timestamp::from_second(second).map(|at| at.to_string());
    let text = text.unwrap_or_default().replace('T', " ");
    format!("{} UTC", text.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn firing(names: &[&str]) -> Notification {
        let alert =
            |name: &&str| json!({"labels": {"n": name}, "startsAt": "2026-11-27T12:00:00Z"});
        let alerts: Vec<_> = names.iter().map(alert).collect();
        Notification::read(json!({"alerts": alerts}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn marks_are_lines_of_text() {
        let marks = Marks {
            silence: Some(Silence {
                until: 1_795_788_000,
                by: "@ann <b>".to_owned(),
            }),
            acknowledgement: Some(Acknowledgement::new("Bob".to_owned(), &firing(&["a"]))),
            trouble: "not silenced".to_owned(),
        };
        assert_eq!(
            marks.html(&firing(&["a"])).text(),
            "🔕 silenced until 2026-11-27 14:00 UTC by @ann &lt;b&gt;\n👀 acknowledged by Bob\n⚠️ not silenced"
        );
        assert!(Marks::default().html(&firing(&["a"])).is_blank());
        let text = serde_json::to_string(&marks).unwrap();
        assert_eq!(serde_json::from_str::<Marks>(&text).unwrap(), marks);
        assert_eq!(serde_json::to_string(&Marks::default()).unwrap(), "{}");
    }

    #[test]
    fn an_acknowledgement_is_of_what_fired_when_it_was_given() {
        let both = firing(&["a", "b"]);
        let marks = Marks {
            acknowledgement: Some(Acknowledgement::new("Bob".to_owned(), &both)),
            ..Marks::default()
        };
        let shown = |notification: &Notification| !marks.html(notification).is_blank();
        assert!(shown(&both) && shown(&firing(&["b"])));
        assert!(!shown(&firing(&["a", "b", "c"])) && !shown(&firing(&["c"])));
        // What fires again is news.
        let mut again = both.clone();
        again.alerts[0].starts_at = "2026-11-27T13:00:00Z".to_owned();
        assert!(!shown(&again));
        assert!(shown(&both.ended()));
    }
}
