//! Telegram's HTML: what may stand in it, how long it is, and where it may be cut.
//! Must not guess what a wrong tag was meant to be: that is an error, and its author is told.
//!
//! Source: core.telegram.org/bots/api, "HTML style" and `sendMessage.text`.

mod scan;
mod tag;

pub use scan::BadHtml;

use scan::{Piece, scan};
use tag::Tag;

/// Most characters of a message, counted without tags and with each entity as the character that it stands for.
pub const MESSAGE: usize = 4096;

/// Text as it stands in HTML. Characters that no message can hold are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| shown(*c)) {
        push(&mut escaped, c);
    }
    escaped
}

/// Whether a message can hold it: controls but for line ends and tabs are left out.
fn shown(c: char) -> bool {
    !c.is_control() || c == '\n' || c == '\t'
}

fn push(html: &mut String, c: char) {
    match c {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        c => html.push(c),
    }
}

/// HTML that Telegram takes, in which every tag that is opened is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html {
    pieces: Vec<Piece>,
}

impl Html {
    /// Reads HTML. Bare `&` and `>` are themselves, as Telegram has them; a tag must be one that Telegram knows, in its place.
    pub fn read(text: &str) -> Result<Self, BadHtml> {
        scan(text).map(|pieces| Self { pieces })
    }

    /// Text without tags.
    pub fn of_text(text: &str) -> Self {
        let chars = text.chars().filter(|c| shown(*c));
        Self {
            pieces: chars.map(Piece::Char).collect(),
        }
    }

    /// As it is sent.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Char(c) => push(&mut text, *c),
                Piece::Open(tag) => text.push_str(&tag.open()),
                Piece::Close(tag) => text.push_str(&tag.close()),
            }
        }
        text
    }

    /// Without tags: what is sent where Telegram did not take the HTML all the same.
    pub fn plain(&self) -> String {
        let chars = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Char(c) => Some(*c),
            _ => None,
        });
        chars.collect()
    }

    /// Characters that it has, in UTF-16 code units, which is never less than Telegram counts.
    pub fn length(&self) -> usize {
        self.pieces.iter().map(Piece::length).sum()
    }

    /// Whether Telegram would find it empty.
    pub fn is_blank(&self) -> bool {
        self.plain().trim().is_empty()
    }

    /// One after the other.
    pub fn push(&mut self, other: &Self) {
        self.pieces.extend(other.pieces.iter().cloned());
    }

    /// At most so long: what does not fit ends in `…`, and tags that are open there are closed.
    #[must_use]
    pub fn cut(&self, most: usize) -> Self {
        if self.length() <= most {
            return self.clone();
        }
        let mut cut = Self::default();
        let Some(room) = most.checked_sub(1) else {
            return cut;
        };
        let (mut length, mut open): (usize, Vec<&Tag>) = (0, Vec::new());
        for piece in &self.pieces {
            length += piece.length();
            if length > room {
                break;
            }
            match piece {
                Piece::Open(tag) => open.push(tag),
                Piece::Close(_) => {
                    open.pop();
                }
                Piece::Char(_) => {}
            }
            cut.pieces.push(piece.clone());
        }
        while matches!(cut.pieces.last(), Some(Piece::Char(c)) if c.is_whitespace()) {
            cut.pieces.pop();
        }
        cut.pieces.push(Piece::Char('…'));
        let closing = open.into_iter().rev().cloned().map(Piece::Close);
        cut.pieces.extend(closing);
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn html(text: &str) -> Html {
        Html::read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_read_is_written_as_telegram_has_it() {
        for (read, written, length) in [
            ("<b>a</b> R&D > 1", "<b>a</b> R&amp;D &gt; 1", 9),
            (
                "<a href=\"http://x/?a=1&b=2\">x</a>",
                "<a href=\"http://x/?a=1&amp;b=2\">x</a>",
                1,
            ),
            (
                "<STRONG>a</STRONG><em>b</em>",
                "<strong>a</strong><em>b</em>",
                2,
            ),
            ("&lt;&#x27;&#39;&amp;&quot;", "&lt;''&amp;&quot;", 5),
            (
                "<pre><code class=\"language-rust\">x</code></pre>",
                "<pre><code class=\"language-rust\">x</code></pre>",
                1,
            ),
            ("&nbsp; &", "&amp;nbsp; &amp;", 8),
            ("😀", "😀", 2),
            (
                "<blockquote expandable>q</blockquote>",
                "<blockquote expandable>q</blockquote>",
                1,
            ),
            (
                "<span class=\"tg-spoiler\">s</span>",
                "<span class=\"tg-spoiler\">s</span>",
                1,
            ),
        ] {
            let it = html(read);
            assert_eq!((it.text().as_str(), it.length()), (written, length));
            assert_eq!(html(&it.text()), it);
        }
    }

    #[test]
    fn what_telegram_refuses_is_told_with_its_place() {
        for (text, told) in [
            (
                "a <br> b",
                "line 1, character 3: Telegram knows no tag <br>",
            ),
            ("<b>a", "line 1, character 1: <b> is never closed"),
            ("a</b>", "line 1, character 2: </b> closes nothing"),
            (
                "<b><i>a</b></i>",
                "line 1, character 8: </b> stands where <i> is open",
            ),
            ("<code><b>x</b></code>", "<b> stands inside of <code>"),
            (
                "<pre>a<code>x</code></pre>",
                "<code> stands inside of <pre>",
            ),
            (
                "<blockquote><blockquote>x</blockquote></blockquote>",
                "<blockquote> stands inside of <blockquote>",
            ),
            ("<a>x</a>", "<a> needs href"),
            ("<span>x</span>", "<span> needs class=\"tg-spoiler\""),
            ("<b class=\"x\">x</b>", "<b> takes no class"),
            ("1 < 2", "`<` begins no tag"),
            ("a\n<b", "line 2, character 1: `<` begins no tag"),
            ("&#0;", "&#0; stands for nothing"),
            ("&#xD800;", "&#xD800; stands for nothing"),
        ] {
            let error = Html::read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_cut_closes_what_is_open() {
        let it = html("<b>one <i>two</i></b> three");
        assert_eq!(it.cut(100), it);
        assert_eq!(it.cut(6).text(), "<b>one <i>t…</i></b>");
        assert_eq!(it.cut(5).text(), "<b>one <i>…</i></b>");
        assert_eq!(it.cut(1).text(), "<b>…</b>");
        assert_eq!(it.cut(0).text(), "");
        assert_eq!(html("ab😀").cut(3).text(), "ab…");
    }

    #[test]
    fn text_stands_for_itself() {
        let text = "<b>&amp;\u{0}\u{7}\"'\n\tä";
        assert_eq!(escape(text), "&lt;b&gt;&amp;amp;&quot;'\n\tä");
        assert_eq!(html(&escape(text)), Html::of_text(text));
        assert_eq!(Html::of_text(text).plain(), "<b>&amp;\"'\n\tä");
        assert!(Html::of_text(" \n").is_blank() && !Html::of_text("x").is_blank());
    }

    proptest! {
        #[test]
        fn any_text_is_escaped_to_valid_html(text in "\\PC{0,80}", control in any::<char>()) {
            let text = format!("{text}{control}");
            prop_assert_eq!(html(&escape(&text)), Html::of_text(&text));
        }

        #[test]
        fn reading_never_panics_and_what_is_read_can_be_cut_anywhere(
            parts in prop::collection::vec("[<>&/ab;#x0-9\"= ]{0,6}|<b>|</b>|<i>|</i>|<code>|</code>|<pre>|</pre>|<a href=\"x\">|</a>|&lt;|😀", 0..20),
            most in 0_usize..20,
        ) {
            let Ok(it) = Html::read(&parts.concat()) else { return Ok(()) };
            let cut = it.cut(most);
            prop_assert!(cut.length() <= most);
            prop_assert_eq!(html(&cut.text()), cut);
            prop_assert_eq!(html(&it.text()), it);
        }
    }
}
