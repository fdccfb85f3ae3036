//! A table of left-aligned columns that fit their widest cell, colours not counted.
//!
//! It must not know what is in the cells.

/// Rows of cells under a heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            rows: vec![heading.iter().map(|cell| super::style::dim(cell)).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each indented by two blanks and without trailing ones.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| {
            self.rows
                .iter()
                .filter_map(|r| r.get(column))
                .map(|c| width(c))
                .max()
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| widest(column).unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::from(" ");
            for (cell, &wide) in row.iter().zip(&widths) {
                line.push(' ');
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', wide - width(cell) + 1));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Visible characters of a cell: escape sequences for colours take no room.
fn width(cell: &str) -> usize {
    let mut visible = 0;
    let mut escape = false;
    for c in cell.chars() {
        match (escape, c) {
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, '\u{1b}') => escape = true,
            (false, _) => visible += 1,
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_fit_their_widest_cell_without_counting_colours() {
        let mut table = Table::default();
        table.row(["\u{1b}[1mname\u{1b}[0m".to_owned(), "x".to_owned()]);
        table.row(["longer name".to_owned(), "y".to_owned()]);
        let plain = table
            .text()
            .replace("\u{1b}[1m", "")
            .replace("\u{1b}[0m", "");
        assert_eq!(plain, "  name         x\n  longer name  y\n");
    }
}
