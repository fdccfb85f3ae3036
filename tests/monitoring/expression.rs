//! Which series an expression of `PromQL` selects.
//!
//! It must not judge an expression: that is promtool's.

/// A metric in an expression, with the labels that are asked of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector<'e> {
    pub(crate) name: &'e str,
    pub(crate) labels: Vec<&'e str>,
    /// What stands in the braces.
    pub(crate) matchers: &'e str,
}

/// In front of a list of labels.
const GROUPING: [&str; 6] = [
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "on",
    "without",
];
const OPERATORS: [&str; 5] = ["and", "bool", "offset", "or", "unless"];

/// Every selector, in its order.
pub(crate) fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(c) = rest.chars().next() {
        if let Some(close) = closing(c) {
            rest = after(&rest[1..], close).1;
        } else if c.is_ascii_digit() {
            rest = word(rest).1;
        } else if is_word(c) {
            let (name, behind) = word(rest);
            rest = behind.trim_start();
            if GROUPING.contains(&name) {
                if let Some(list) = rest.strip_prefix('(') {
                    rest = after(list, ')').1;
                }
            } else if !OPERATORS.contains(&name) && !is_call(rest) {
                let (matchers, behind) = match rest.strip_prefix('{') {
                    Some(list) => braces(list),
                    None => ("", rest),
                };
                rest = behind;
                let labels = labels(matchers);
                found.push(Selector {
                    name,
                    labels,
                    matchers,
                });
            }
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// Whether what is in front is called: arguments follow, or how they are aggregated.
fn is_call(behind: &str) -> bool {
    behind.starts_with('(') || ["by", "without"].contains(&word(behind).0)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_:".contains(c)
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// What ends a text or a range.
fn closing(c: char) -> Option<char> {
    match c {
        '"' | '\'' => Some(c),
        '[' => Some(']'),
        _ => None,
    }
}

fn after(text: &str, close: char) -> (&str, &str) {
    text.split_once(close).unwrap_or((text, ""))
}

/// Up to the brace that closes, which is not one inside a text.
fn braces(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn labels(matchers: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = matchers;
    while let Some((name, behind)) = rest.split_once(['=', '!']) {
        names.push(name.trim().trim_start_matches(',').trim());
        rest = behind.splitn(3, '"').nth(2).unwrap_or_default();
    }
    names
}

#[test]
fn selectors_are_told_from_labels_functions_and_texts() {
    let expression = r#"sum by (le, http_route) (rate(a_bucket{x="1}",y!~"b_c|{d"}[5m])) > 14.4 * k:r:max offset 5m
        and on (master_name) up == 1 or label_replace(vector(0), "namespace", "n_s", "", "")"#;
    let found: Vec<_> = selectors(expression)
        .into_iter()
        .map(|it| (it.name, it.labels))
        .collect();
    let expected = [
        ("a_bucket", vec!["x", "y"]),
        ("k:r:max", vec![]),
        ("up", vec![]),
    ];
    assert_eq!(found, expected);
}
