//! The one printer of benchmark figures: `NAME VALUE UNIT  peer NAME VALUE  ratio R  goal G  ok|short`.
//!
//! It must not measure anything itself.

use std::fmt;

/// What a figure must reach to be `ok`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// The figure itself must be at least this.
    AtLeast(f64),
    /// The figure itself must be at most this.
    AtMost(f64),
    /// Figure ÷ peer must be at least this.
    RatioAtLeast(f64),
    /// Figure ÷ peer must be at most this.
    RatioAtMost(f64),
    /// Printed for comparison only.
    None,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(v) => write!(f, ">={v}"),
            Self::AtMost(v) => write!(f, "<={v}"),
            Self::RatioAtLeast(v) => write!(f, "ratio>={v}"),
            Self::RatioAtMost(v) => write!(f, "ratio<={v}"),
            Self::None => write!(f, "-"),
        }
    }
}

/// One measured figure beside a peer's or a floor's, both of the same run.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub peer: Option<(String, f64)>,
    pub goal: Goal,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|(_, p)| self.value / p)
    }

    /// Whether the figure reaches its goal; a ratio goal without a peer is short.
    pub(crate) fn ok(&self) -> bool {
        match self.goal {
            Goal::AtLeast(v) => self.value >= v,
            Goal::AtMost(v) => self.value <= v,
            Goal::RatioAtLeast(v) => self.ratio().is_some_and(|r| r >= v),
            Goal::RatioAtMost(v) => self.ratio().is_some_and(|r| r <= v),
            Goal::None => true,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, short(self.value), self.unit)?;
        match (&self.peer, self.ratio()) {
            (Some((name, value)), Some(ratio)) => {
                write!(f, "  peer {name} {}  ratio {}", short(*value), short(ratio))?;
            }
            _ => write!(f, "  peer - -  ratio -")?,
        }
        write!(
            f,
            "  goal {}  {}",
            self.goal,
            if self.ok() { "ok" } else { "short" }
        )
    }
}

fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 100.0 => format!("{v:.0}"),
        a if a >= 1.0 => format!("{v:.2}"),
        _ => format!("{v:.4}"),
    }
}

/// Every figure of one run, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    /// Prints the figure at once and keeps it for the summary.
    pub(crate) fn figure(
        &mut self,
        name: &str,
        value: f64,
        unit: &'static str,
        peer: Option<(&str, f64)>,
        goal: Goal,
    ) {
        let peer = peer.map(|(n, v)| (n.to_owned(), v));
        let figure = Figure {
            name: name.to_owned(),
            value,
            unit,
            peer,
            goal,
        };
        println!("{figure}");
        self.figures.push(figure);
    }

    /// A remark beside the figures: what was not measured, and why.
    pub(crate) fn note(&mut self, text: &str) {
        println!("# {text}");
        self.notes.push(text.to_owned());
    }

    pub(crate) fn figures(&self) -> &[Figure] {
        &self.figures
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn all_ok(&self) -> bool {
        self.figures.iter().all(Figure::ok)
    }
}
