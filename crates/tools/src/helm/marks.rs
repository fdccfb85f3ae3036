//! The labels on a release's record that say what it was made from.
//! Must not let two different inputs have the same mark.

use sha2::{Digest as _, Sha256};

use crate::charts::hex;

/// Long enough that nothing collides, short enough for a label (63).
const LENGTH: usize = 40;

/// What one revision is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    stack: String,
    chart: String,
    values: String,
    render: String,
}

impl Marks {
    /// From the chart's digest, the values in the order in which they win, and the rendered text.
    pub(super) fn new(stack: &str, chart_digest: &str, values: &[Vec<u8>], rendered: &str) -> Self {
        let mut sum = Sha256::new();
        for value in values {
            sum.update((value.len() as u64).to_be_bytes());
            sum.update(value);
        }
        Self {
            stack: stack.to_owned(),
            chart: chart_digest.chars().take(LENGTH).collect(),
            values: short(&sum.finalize()),
            render: of_rendered(rendered),
        }
    }

    /// As `--labels` and as `--selector` want them.
    pub(super) fn pairs(&self) -> String {
        format!(
            "kedactl.io/stack={},kedactl.io/chart={},kedactl.io/values={},kedactl.io/render={}",
            self.stack, self.chart, self.values, self.render
        )
    }
}

/// The two majors of helm write the same objects in different orders: order does not count.
fn of_rendered(text: &str) -> String {
    let whole = format!("\n{text}");
    let mut documents: Vec<&str> = whole
        .split("\n---")
        .map(str::trim)
        .filter(|document| !document.is_empty())
        .collect();
    documents.sort_unstable();
    let mut sum = Sha256::new();
    for document in documents {
        sum.update((document.len() as u64).to_be_bytes());
        sum.update(document);
    }
    short(&sum.finalize())
}

fn short(bytes: &[u8]) -> String {
    hex(bytes).chars().take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_objects_does_not_count_and_everything_else_does() {
        let one = Marks::new("s", "d", &[b"a".to_vec()], "---\na: 1\n---\nb: 2\n");
        assert_eq!(
            one,
            Marks::new("s", "d", &[b"a".to_vec()], "---\nb: 2\n---\na: 1\n")
        );
        assert_ne!(
            one,
            Marks::new("s", "d", &[b"a".to_vec()], "---\na: 1\n---\nb: 3\n")
        );
        assert_ne!(
            one,
            Marks::new(
                "s",
                "d",
                &[b"a".to_vec(), Vec::new()],
                "---\na: 1\n---\nb: 2\n"
            )
        );
        assert!(
            one.pairs()
                .split(',')
                .all(|pair| pair.split('=').nth(1).unwrap().len() <= 63)
        );
    }
}
