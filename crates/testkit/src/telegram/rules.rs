//! What Telegram refuses: too many calls, texts that are too long, HTML that it does not know.
//!
//! It must not share a line with what it judges.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value as Json;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const LONGEST: usize = 4096;
const TAGS: [&str; 15] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "span",
    "tg-spoiler",
    "a",
    "code",
    "pre",
    "blockquote",
];

/// One message a second to a chat, twenty a minute to a group, thirty a second to all.
#[derive(Debug, Default)]
pub(super) struct Limits {
    chats: BTreeMap<i64, VecDeque<Duration>>,
    all: VecDeque<Duration>,
}

impl Limits {
    /// Counts a call, or says for how many seconds to wait.
    pub(super) fn exceeded(&mut self, chat: i64, at: Duration) -> Option<u64> {
        let calls = self.chats.entry(chat).or_default();
        while calls.front().is_some_and(|it| *it + MINUTE <= at) {
            calls.pop_front();
        }
        while self.all.front().is_some_and(|it| *it + SECOND <= at) {
            self.all.pop_front();
        }
        if calls.back().is_some_and(|it| *it + SECOND > at) || self.all.len() >= 30 {
            return Some(1);
        }
        if chat < 0
            && calls.len() >= 20
            && let Some(first) = calls.front()
        {
            return Some((*first + MINUTE).saturating_sub(at).as_secs() + 1);
        }
        calls.push_back(at);
        self.all.push_back(at);
        None
    }
}

/// Whether a text may be shown; the error is in Telegram's words.
pub(super) fn check(text: &str, html: bool) -> Result<(), String> {
    let shown = if html {
        without_tags(text)?
    } else {
        text.to_owned()
    };
    if shown.trim().is_empty() {
        return Err("message text is empty".to_owned());
    }
    if shown.encode_utf16().count() > LONGEST {
        return Err("message is too long".to_owned());
    }
    Ok(())
}

/// Labels and data of the buttons that a message is to have; the error is in Telegram's words.
pub(super) fn buttons(markup: &Json) -> Result<Vec<(String, String)>, String> {
    if markup.is_null() {
        return Ok(Vec::new());
    }
    let refused = |what: &str| format!("can't parse reply keyboard markup JSON object: {what}");
    let rows = markup["inline_keyboard"].as_array();
    let rows = rows.ok_or_else(|| refused("field \"inline_keyboard\" must be of type Array"))?;
    let mut buttons = Vec::new();
    for row in rows {
        let row = row
            .as_array()
            .ok_or_else(|| refused("a row must be of type Array"))?;
        for button in row {
            let text = |name: &str| button[name].as_str().unwrap_or_default().to_owned();
            let (label, data) = (text("text"), text("callback_data"));
            if label.trim().is_empty() {
                return Err("inline keyboard button text must be non-empty".to_owned());
            }
            if data.is_empty() || data.len() > 64 {
                return Err("BUTTON_DATA_INVALID".to_owned());
            }
            buttons.push((label, data));
        }
    }
    Ok(buttons)
}

fn without_tags(text: &str) -> Result<String, String> {
    let refused = |what: String| format!("can't parse entities: {what}");
    let (mut shown, mut open, mut rest) = (String::new(), Vec::<String>::new(), text);
    while let Some(at) = rest.find(['<', '&']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let (c, length) = entity(rest);
            shown.push(c);
            rest = &rest[length..];
            continue;
        }
        let offset = text.len() - rest.len();
        let end = rest
            .find('>')
            .ok_or_else(|| refused(format!("unclosed start tag at byte offset {offset}")))?;
        let tag = rest[1..end].to_ascii_lowercase();
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => continue,
                Some(opened) => {
                    let words = format!(
                        "unmatched end tag at byte offset {offset}, expected \"</{opened}>\", found \"</{name}>\""
                    );
                    return Err(refused(words));
                }
                None => {
                    return Err(refused(format!(
                        "unexpected end tag at byte offset {offset}"
                    )));
                }
            }
        }
        let name = tag.split_whitespace().next().unwrap_or_default();
        if !TAGS.contains(&name) {
            let words = format!("unsupported start tag \"{name}\" at byte offset {offset}");
            return Err(refused(words));
        }
        if name == "span" && !tag.contains("class=\"tg-spoiler\"") {
            return Err(refused(format!(
                "tag \"span\" must have class \"tg-spoiler\" at byte offset {offset}"
            )));
        }
        let within = |outer: &str| open.iter().any(|it| it == outer);
        if within("code")
            || (within("pre") && name != "code")
            || (name == "blockquote" && within(name))
        {
            return Err(refused(format!(
                "entity \"{name}\" can't be nested at byte offset {offset}"
            )));
        }
        open.push(name.to_owned());
    }
    shown.push_str(rest);
    match open.pop() {
        Some(name) => Err(refused(format!(
            "can't find end tag corresponding to start tag \"{name}\""
        ))),
        None => Ok(shown),
    }
}

/// The character of an entity and its length; a `&` that begins none is itself.
fn entity(text: &str) -> (char, usize) {
    let Some(end) = text.find(';').filter(|end| *end < 12) else {
        return ('&', 1);
    };
    let name = &text[1..end];
    let number = name.strip_prefix('#').and_then(|number| {
        let parsed = match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        char::from_u32(parsed.ok()?)
    });
    let named = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => None,
    };
    match number.or(named) {
        Some(c) => (c, end + 1),
        None => ('&', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_are_telegrams() {
        let mut limits = Limits::default();
        let mut at = |chat, ms| limits.exceeded(chat, Duration::from_millis(ms));
        assert_eq!((at(1, 0), at(1, 900), at(1, 1000)), (None, Some(1), None));
        for n in 0..20 {
            assert_eq!(at(-1, 2000 + n * 1000), None);
        }
        assert_eq!(at(-1, 22_000), Some(41));
        assert_eq!(at(-1, 62_000), None);
        for chat in 100..130 {
            assert_eq!(at(chat, 70_000), None);
        }
        assert_eq!(at(200, 70_500), Some(1));
    }

    #[test]
    fn buttons_are_judged_as_telegram_judges_them() {
        let of = |data: &str| {
            let button = json!({"text": "Ack", "callback_data": data});
            buttons(&json!({"inline_keyboard": [[button]]}))
        };
        assert_eq!(of("a:1"), Ok(vec![("Ack".to_owned(), "a:1".to_owned())]));
        assert!(of(&"x".repeat(64)).is_ok());
        // Bytes, not characters.
        for bad in ["", &"x".repeat(65), &"ä".repeat(33)] {
            assert_eq!(of(bad), Err("BUTTON_DATA_INVALID".to_owned()));
        }
        assert_eq!(buttons(&Json::Null), Ok(Vec::new()));
        assert!(buttons(&json!({"inline_keyboard": [[{"callback_data": "x"}]]})).is_err());
        assert!(buttons(&json!({"inline_keyboard": [{}]})).is_err());
        assert!(buttons(&json!({})).is_err());
    }

    #[test]
    fn texts_are_judged_as_telegram_judges_them() {
        for good in [
            "a",
            "<b>a</b> &lt; &#39; R&D",
            "<pre><code class=\"language-x\">a</code></pre>",
        ] {
            assert_eq!(check(good, true), Ok(()), "{good}");
        }
        for (bad, words) in [
            ("", "text is empty"),
            ("<b></b>", "text is empty"),
            ("<br>", "unsupported start tag \"br\""),
            ("<b>a", "can't find end tag"),
            ("a < b", "unclosed start tag"),
            ("<b><i>a</b></i>", "unmatched end tag"),
            ("<code><b>a</b></code>", "can't be nested"),
        ] {
            let error = check(bad, true).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
        assert_eq!(check(&"x".repeat(4096), false), Ok(()));
        assert!(check(&"x".repeat(4097), false).is_err());
        assert_eq!(check(&"&lt;".repeat(4096), true), Ok(()));
    }
}
