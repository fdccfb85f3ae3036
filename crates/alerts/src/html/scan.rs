//! From HTML to its pieces: characters, and tags in their right order.
//! Must not let through what Telegram would refuse.

use super::shown;
use super::tag::Tag;

/// A character or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Char(char),
    Open(Tag),
    Close(Tag),
}

impl Piece {
    /// UTF-16 code units that it adds to a message.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Char(c) => c.len_utf16(),
            Self::Open(_) | Self::Close(_) => 0,
        }
    }
}

/// What Telegram would not take, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, character {character}: {problem}")]
pub struct BadHtml {
    line: usize,
    character: usize,
    problem: String,
}

/// A tag that waits for its end.
struct Waiting {
    tag: Tag,
    at: usize,
    /// Pieces before it.
    before: usize,
}

pub(super) fn scan(text: &str) -> Result<Vec<Piece>, BadHtml> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(text.len());
    let mut open: Vec<Waiting> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        match c {
            '<' => {
                let inside = rest
                    .find('>')
                    .map(|end| &rest[1..end])
                    .filter(|it| named(it));
                let inside = inside.ok_or_else(|| bad(text, at, "`<` begins no tag".to_owned()))?;
                let piece = match inside.strip_prefix('/') {
                    Some(name) => close(name, &mut open),
                    None => opened(inside, at, pieces.len(), &mut open),
                };
                pieces.push(piece.map_err(|problem| bad(text, at, problem))?);
                at += inside.len() + 2;
            }
            '&' => {
                let (c, length) = entity(rest).map_err(|problem| bad(text, at, problem))?;
                pieces.extend(Some(Piece::Char(c)).filter(|_| shown(c)));
                at += length;
            }
            c => {
                pieces.extend(Some(Piece::Char(c)).filter(|_| shown(c)));
                at += c.len_utf8();
            }
        }
    }
    match open.pop() {
        Some(waiting) => {
            let problem = format!("<{}> is never closed", waiting.tag.name());
            Err(bad(text, waiting.at, problem))
        }
        None => Ok(pieces),
    }
}

/// Whether a name stands at the beginning of what is between `<` and `>`.
fn named(inside: &str) -> bool {
    let name = inside.strip_prefix('/').unwrap_or(inside);
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && !inside.contains('<')
}

fn opened(
    inside: &str,
    at: usize,
    pieces: usize,
    open: &mut Vec<Waiting>,
) -> Result<Piece, String> {
    let end = inside.find(char::is_whitespace).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let tag = Tag::new(name, &attributes(rest)?)?;
    for outer in open.iter() {
        if !tag.may_stand_in(&outer.tag, pieces == outer.before + 1) {
            return Err(format!(
                "<{}> stands inside of <{}>",
                tag.name(),
                outer.tag.name()
            ));
        }
    }
    open.push(Waiting {
        tag: tag.clone(),
        at,
        before: pieces,
    });
    Ok(Piece::Open(tag))
}

fn close(name: &str, open: &mut Vec<Waiting>) -> Result<Piece, String> {
    let name = name.trim_end();
    let Some(waiting) = open.pop() else {
        return Err(format!("</{name}> closes nothing"));
    };
    if name.eq_ignore_ascii_case(waiting.tag.name()) {
        return Ok(Piece::Close(waiting.tag));
    }
    Err(format!(
        "</{name}> stands where <{}> is open",
        waiting.tag.name()
    ))
}

/// `a="b" c`, with values in double quotes.
fn attributes(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            found.push((name, None));
            continue;
        };
        let quoted = value.trim_start().strip_prefix('"');
        let Some((value, after)) = quoted.and_then(|it| it.split_once('"')) else {
            return Err(format!("the value of {name} stands in no quotes"));
        };
        found.push((name, Some(decoded(value)?)));
        rest = after.trim_start();
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, String> {
    let (mut decoded, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let (c, length) = if c == '&' {
            entity(rest)?
        } else {
            (c, c.len_utf8())
        };
        decoded.extend(Some(c).filter(|c| shown(*c)));
        rest = &rest[length..];
    }
    Ok(decoded)
}

/// The character that an entity stands for, and its length; a `&` that begins none stands for itself.
fn entity(text: &str) -> Result<(char, usize), String> {
    const LONGEST: usize = 12;
    let itself = Ok(('&', 1));
    let end = text.char_indices().take(LONGEST).find(|(_, c)| *c == ';');
    let Some((end, _)) = end else { return itself };
    let name = &text[1..end];
    let Some(number) = name.strip_prefix('#') else {
        let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')];
        let known = known.into_iter().find(|(known, _)| *known == name);
        return known.map_or(itself, |(_, c)| Ok((c, end + 1)));
    };
    let number = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    };
    match number {
        None => itself,
        Some(number) => match char::from_u32(number).filter(|c| *c != '\0') {
            Some(c) => Ok((c, end + 1)),
            None => Err(format!("{} stands for nothing", &text[..=end])),
        },
    }
}

fn bad(text: &str, at: usize, problem: String) -> BadHtml {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    BadHtml {
        line: before.matches('\n').count() + 1,
        character: before[start..].chars().count() + 1,
        problem,
    }
}
