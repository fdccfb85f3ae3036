//! Blocks put together to one message: as many alerts as fit, and a word about the others.
//! Must not cut an alert in two, but for one that fills a message by itself.

use crate::html::Html;

/// What stands around the alerts may take such a part of a message.
const AROUND: usize = 5;
/// A first alert that would be shorter than this is left out whole.
const SHORTEST: usize = 64;
/// An empty line between two blocks.
const BETWEEN: &str = "\n\n";

/// The blocks of a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    pub(super) head: Html,
    /// Words of ours, below the head.
    pub(super) marks: Html,
    /// The most important first.
    pub(super) alerts: Vec<Html>,
    pub(super) foot: Html,
}

impl Blocks {
    /// The message, and how many alerts it leaves out. `more` says that so many are left out.
    pub(super) fn compose(self, most: usize, more: impl Fn(usize) -> Html) -> (Html, usize) {
        let around = most / AROUND;
        let head = joined([&self.head.cut(around), &self.marks.cut(around)]);
        let foot = self.foot.cut(around);
        let alerts: Vec<Html> = self
            .alerts
            .into_iter()
            .filter(|it| !it.is_blank())
            .collect();
        let total = alerts.len();
        let rest = |left_out: usize| match left_out {
            0 => Html::default(),
            count => more(count).cut(around),
        };
        let mut shown = beginning(&alerts, most.saturating_sub(length([&head, &foot])));
        loop {
            let rest = rest(total - shown);
            let blocks = [&head]
                .into_iter()
                .chain(&alerts[..shown])
                .chain([&rest, &foot]);
            if length(blocks.clone()) <= most {
                if shown > 0 || total == 0 {
                    return (joined(blocks), total - shown);
                }
                break;
            }
            let Some(fewer) = shown.checked_sub(1) else {
                break;
            };
            shown = fewer;
        }
        // Not even the first one fits.
        if let Some(first) = alerts.first() {
            let others = rest(total - 1);
            let room = most.saturating_sub(length([&head, &others, &foot]) + BETWEEN.len());
            if room >= SHORTEST {
                let all = joined([&head, &first.cut(room), &others, &foot]);
                return (all, total - 1);
            }
        }
        (joined([&head, &rest(total), &foot]).cut(most), total)
    }
}

/// How many of them, from the first, would fit if nothing stood around them.
fn beginning(alerts: &[Html], room: usize) -> usize {
    let mut used = 0;
    let fits = alerts.iter().take_while(|it| {
        used += it.length() + BETWEEN.len();
        used <= room + BETWEEN.len()
    });
    fits.count()
}

/// The length of blocks that are joined.
fn length<'h>(blocks: impl IntoIterator<Item = &'h Html>) -> usize {
    let blocks = blocks.into_iter().filter(|it| !it.is_blank());
    let all: usize = blocks.map(|it| it.length() + BETWEEN.len()).sum();
    all.saturating_sub(BETWEEN.len())
}

/// Blocks with something in them.
fn joined<'h>(blocks: impl IntoIterator<Item = &'h Html>) -> Html {
    let mut all = Html::default();
    for (at, block) in blocks.into_iter().filter(|it| !it.is_blank()).enumerate() {
        if at > 0 {
            all.push(&Html::of_text(BETWEEN));
        }
        all.push(block);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(head: &str, alerts: &[&str], foot: &str) -> Blocks {
        Blocks {
            head: Html::of_text(head),
            marks: Html::default(),
            alerts: alerts.iter().map(|it| Html::of_text(it)).collect(),
            foot: Html::of_text(foot),
        }
    }

    fn more(count: usize) -> Html {
        Html::of_text(&format!("+{count}"))
    }

    fn composed(blocks: Blocks, most: usize) -> (String, usize) {
        let (html, left_out) = blocks.compose(most, more);
        assert!(html.length() <= most);
        (html.plain(), left_out)
    }

    #[test]
    fn what_fits_is_there_and_the_rest_is_counted() {
        let all = || blocks("head", &["one", "two", "three"], "foot");
        assert_eq!(
            composed(all(), 100),
            ("head\n\none\n\ntwo\n\nthree\n\nfoot".to_owned(), 0)
        );
        assert_eq!(
            composed(all(), 26),
            ("head\n\none\n\ntwo\n\n+1\n\nfoot".to_owned(), 1)
        );
        assert_eq!(
            composed(all(), 20),
            ("head\n\none\n\n+2\n\nfoot".to_owned(), 2)
        );
        assert_eq!(composed(blocks("a", &[], ""), 10), ("a".to_owned(), 0));
        let mut marked = blocks(&"h".repeat(99), &["one", "two"], "");
        marked.marks = Html::of_text("mark");
        let (text, left_out) = composed(marked, 60);
        assert_eq!((text.contains("…\n\nmark\n\none"), left_out), (true, 0));
        assert_eq!(
            composed(blocks("a", &["", "b"], ""), 10),
            ("a\n\nb".to_owned(), 0)
        );
    }

    #[test]
    fn an_alert_that_fills_a_message_is_cut_and_the_others_are_counted() {
        let long = "x".repeat(500);
        let (text, left_out) = composed(blocks("head", &[&long, "two"], "foot"), 200);
        assert_eq!(left_out, 1);
        assert!(text.starts_with("head\n\nxxx") && text.ends_with("x…\n\n+1\n\nfoot"));
        assert_eq!(text.chars().count(), 200);
        assert_eq!(
            composed(blocks("head", &[&long], "foot"), 60),
            ("head\n\n+1\n\nfoot".to_owned(), 1)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_too_long_and_nothing_is_lost_without_a_word(
            head in ".{0,60}", alerts in prop::collection::vec(".{0,200}", 0..30), foot in ".{0,60}", most in 60_usize..600,
        ) {
            let alerts: Vec<&str> = alerts.iter().map(String::as_str).collect();
            let all = blocks(&head, &alerts, &foot);
            let total = all.alerts.iter().filter(|it| !it.is_blank()).count();
            let (html, left_out) = all.compose(most, more);
            prop_assert!(html.length() <= most);
            prop_assert!(left_out <= total);
            let counted = left_out == 0 || html.plain().contains(&format!("+{left_out}"));
            prop_assert!(counted, "{}", html.plain());
            prop_assert_eq!(Html::read(&html.text()).unwrap(), html);
        }
    }
}
