//! Formulas of `scalingModifiers`: the part of the expr language that arithmetic over triggers needs.
//!
//! Numbers, trigger names, `nil`, `true`, `false`, `+ - * / % **`, comparisons, `and or not`, `? :`, `??`,
//! `min max abs ceil floor round float int`. Anything else (arrays, closures, strings) is refused by name
//! when the formula is read; it must never be guessed at.

mod eval;
mod parse;

use parse::Expr;

/// A formula that was read and can be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    expr: Expr,
}

/// What is wrong with a formula.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// It cannot be read, or uses a part of the language that is not supported here.
    #[error("the formula is not supported at character {at}: {problem}")]
    Syntax {
        /// Position, from 0.
        at: usize,
        /// What was found or missing.
        problem: String,
    },
    /// It reads well but has no value: a missing name, or a number where a truth value is needed.
    #[error("the formula cannot be computed: {problem}")]
    Value {
        /// Which part.
        problem: String,
    },
}

impl Formula {
    /// Reads a formula.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        Ok(Self {
            expr: parse::parse(text)?,
        })
    }

    /// Returns the trigger names that the formula mentions, each once, in order of appearance.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.expr.names(&mut names);
        names
    }

    /// Computes the formula. `lookup` gives a trigger's value; `None` is `nil`.
    ///
    /// `Ok(None)` means that the whole formula is `nil`.
    pub fn evaluate(
        &self,
        lookup: &dyn Fn(&str) -> Option<f64>,
    ) -> Result<Option<f64>, FormulaError> {
        match eval::eval(&self.expr, lookup)? {
            eval::Value::Number(number) => Ok(Some(number)),
            eval::Value::Nil => Ok(None),
            eval::Value::Bool(_) => Err(FormulaError::Value {
                problem: "the result is a truth value, not a number".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Option<f64>, FormulaError> {
        Formula::parse(text)?.evaluate(&|name| match name {
            "a" => Some(3.0),
            "b" => Some(4.0),
            _ => None,
        })
    }

    #[test]
    fn computes() {
        for (text, want) in [
            ("a + b * 2", 11.0),
            ("(a + b) / 2", 3.5),
            ("a > 2 ? a + b : 1", 7.0),
            ("a > 2 && b > 4 ? 1 : a < 2 or b == 4 ? 2 : 3", 2.0),
            ("max(a, b, 9) - min(a, b)", 6.0),
            ("2 ** 3 ** 2", 512.0),
            ("-a + 10", 7.0),
            ("missing ?? b", 4.0),
            ("not (a > b) ? 1 : 0", 1.0),
            ("7 % 4", 3.0),
            ("ceil(b / a) + abs(-1) + floor(1.5) + round(1.5)", 6.0),
            ("1_000 + 0.5e1", 1005.0),
        ] {
            assert_eq!(value(text), Ok(Some(want)), "{text}");
        }
    }

    #[test]
    fn nil_and_errors() {
        assert_eq!(value("missing"), Ok(None));
        assert!(matches!(
            value("missing + 1"),
            Err(FormulaError::Value { .. })
        ));
        assert!(matches!(value("a > b"), Err(FormulaError::Value { .. })));
        assert!(matches!(
            value("a ? 1 : 2"),
            Err(FormulaError::Value { .. })
        ));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in [
            "count([a, b], {# > 1})",
            "a +",
            "'x'",
            "(a",
            "a b",
            "",
            "sum(a)",
            "min()",
            "a ? 1",
        ] {
            assert!(
                matches!(Formula::parse(text), Err(FormulaError::Syntax { .. })),
                "{text}"
            );
        }
        assert!(Formula::parse(&"(".repeat(10_000)).is_err());
    }

    #[test]
    fn lists_names_once() {
        let formula = Formula::parse("a > b ? a : max(b, c)").unwrap();
        assert_eq!(formula.names(), ["a", "b", "c"]);
    }
}
