//! The tags that Telegram knows, with what each of them takes.
//! Must not know where they stand.

use super::escape;

/// A tag with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    name: &'static str,
    /// The link, the emoji, the language: decoded, as it was given.
    value: Option<String>,
}

/// What a tag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// This attribute, with any value.
    Needs(&'static str),
    /// This attribute, with this value.
    Is(&'static str, &'static str),
    /// This attribute, or nothing.
    May(&'static str),
    /// This word, or nothing.
    Word(&'static str),
}

const KNOWN: [(&str, Takes); 15] = [
    ("b", Takes::Nothing),
    ("strong", Takes::Nothing),
    ("i", Takes::Nothing),
    ("em", Takes::Nothing),
    ("u", Takes::Nothing),
    ("ins", Takes::Nothing),
    ("s", Takes::Nothing),
    ("strike", Takes::Nothing),
    ("del", Takes::Nothing),
    ("tg-spoiler", Takes::Nothing),
    ("span", Takes::Is("class", "tg-spoiler")),
    ("a", Takes::Needs("href")),
    ("code", Takes::May("class")),
    ("pre", Takes::Nothing),
    ("blockquote", Takes::Word("expandable")),
];

impl Tag {
    /// The tag of a name and its attributes; a text says what is wrong with them.
    pub(super) fn new(name: &str, attributes: &[(String, Option<String>)]) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let known = KNOWN.iter().find(|(known, _)| *known == lower);
        let Some((name, takes)) = known.copied() else {
            return Err(format!("Telegram knows no tag <{name}>"));
        };
        let (mut value, mut given) = (None, attributes.iter());
        match takes {
            Takes::Nothing => {}
            Takes::Needs(wanted) => {
                let found = given.next().filter(|it| it.0 == wanted);
                let found = found.and_then(|it| it.1.clone());
                value = Some(found.ok_or_else(|| format!("<{name}> needs {wanted}=\"…\""))?);
            }
            Takes::Is(wanted, text) => {
                let found = given.next();
                let right = found.is_some_and(|it| it.0 == wanted && it.1.as_deref() == Some(text));
                if !right {
                    return Err(format!("<{name}> needs {wanted}=\"{text}\""));
                }
                value = Some(text.to_owned());
            }
            Takes::May(wanted) => {
                let found = attributes.first().filter(|it| it.0 == wanted);
                if let Some((_, Some(text))) = found {
                    value = Some(text.clone());
                    given.next();
                }
            }
            Takes::Word(word) => {
                if attributes.first().is_some_and(|it| it.0 == word) {
                    value = Some(String::new());
                    given.next();
                }
            }
        }
        match given.next() {
            Some((more, _)) => Err(format!("<{name}> takes no {more}")),
            None => Ok(Self { name, value }),
        }
    }

    /// The name that closes it.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it may stand inside of another, directly or at any depth; `first` where nothing stands before it there.
    pub(super) fn may_stand_in(&self, outer: &Self, first: bool) -> bool {
        match outer.name {
            "code" => false,
            "pre" => self.name == "code" && self.value.is_some() && first,
            "blockquote" => self.name != "blockquote",
            _ => true,
        }
    }

    pub(super) fn open(&self) -> String {
        let name = self.name;
        let attribute = KNOWN.iter().find(|(known, _)| *known == name);
        match (attribute.map(|it| it.1), &self.value) {
            (Some(Takes::Needs(key) | Takes::Is(key, _) | Takes::May(key)), Some(value)) => {
                format!("<{name} {key}=\"{}\">", escape(value))
            }
            (Some(Takes::Word(word)), Some(_)) => format!("<{name} {word}>"),
            _ => format!("<{name}>"),
        }
    }

    pub(super) fn close(&self) -> String {
        format!("</{}>", self.name)
    }
}
