//! Buttons under the message of what fires, and what comes back when one is pressed.
//! Must not put anything of an alert into a button: 64 bytes hold no label, and whoever presses may change them.

/// What somebody wants who presses a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// No notification of the group for so many hours.
    Silence(u32),
    /// To tell the others that somebody knows.
    Acknowledge,
}

const SILENCES: [u32; 3] = [1, 4, 24];

impl Wish {
    /// As it stands on the button.
    pub fn label(self) -> String {
        match self {
            Self::Silence(hours) => format!("Silence {hours}h"),
            Self::Acknowledge => "Ack".to_owned(),
        }
    }

    /// What comes back, for a button of an id that has at most 60 bytes.
    fn data(self, id: &str) -> String {
        match self {
            Self::Silence(hours) => format!("s{hours}:{id}"),
            Self::Acknowledge => format!("a:{id}"),
        }
    }

    /// The wish and the id of what came back; nothing for what is no button of ours.
    pub fn read(data: &str) -> Option<(Self, &str)> {
        let (wish, id) = data.split_once(':')?;
        let wish = match wish {
            "a" => Self::Acknowledge,
            other => {
                let hours = other.strip_prefix('s')?.parse().ok()?;
                Self::Silence(hours)
            }
        };
        let known = match wish {
            Self::Silence(hours) => SILENCES.contains(&hours),
            Self::Acknowledge => true,
        };
        (known && !id.is_empty()).then_some((wish, id))
    }
}

/// Rows of buttons, each with its label and what comes back. `silences`: there is an Alertmanager to keep them.
pub fn buttons(id: &str, silences: bool) -> Vec<Vec<(String, String)>> {
    let button = |wish: Wish| (wish.label(), wish.data(id));
    let mut rows = Vec::new();
    if silences {
        let row = SILENCES.iter().map(|hours| button(Wish::Silence(*hours)));
        rows.push(row.collect());
    }
    rows.push(vec![button(Wish::Acknowledge)]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_a_button_comes_back() {
        let id = "0123456789abcdef-18446744073709551615";
        let rows = buttons(id, true);
        let labels: Vec<Vec<&str>> = rows
            .iter()
            .map(|row| row.iter().map(|it| it.0.as_str()).collect())
            .collect();
        let silences = vec!["Silence 1h", "Silence 4h", "Silence 24h"];
        assert_eq!(labels, [silences, vec!["Ack"]]);
        for (label, data) in rows.iter().flatten() {
            assert!(data.len() <= 64, "{data}");
            let (wish, back) = Wish::read(data).unwrap();
            assert_eq!((wish.label().as_str(), back), (label.as_str(), id));
        }
        assert_eq!(buttons(id, false).len(), 1);
    }

    #[test]
    fn what_is_no_button_of_ours_is_no_wish() {
        for data in ["", "a", "a:", "s2:x", "s99999999999:x", "b:x", "s:x", ":x"] {
            assert_eq!(Wish::read(data), None, "{data}");
        }
    }
}
