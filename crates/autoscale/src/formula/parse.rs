//! Text of a formula to a tree, by precedence climbing.
//!
//! Must not compute anything.

use super::FormulaError;

/// Deepest nesting that is read, so that a hostile formula cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Number(f64),
    Bool(bool),
    Nil,
    Name(String),
    Not(Box<Self>),
    Negate(Box<Self>),
    Binary(Op, Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    Call(Function, Vec<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Coalesce,
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Abs,
    Ceil,
    Floor,
    Round,
    Float,
    Int,
}

impl Expr {
    pub(super) fn names<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) | Self::Bool(_) | Self::Nil => {}
            Self::Name(name) => {
                if !into.contains(&name.as_str()) {
                    into.push(name);
                }
            }
            Self::Not(inner) | Self::Negate(inner) => inner.names(into),
            Self::Binary(_, left, right) => {
                left.names(into);
                right.names(into);
            }
            Self::Choice(test, yes, no) => {
                test.names(into);
                yes.names(into);
                no.names(into);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|each| each.names(into)),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Expr, FormulaError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let expr = parser.choice()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("an operator was expected"));
    }
    Ok(expr)
}

/// Operators with their strength; longer spellings come before their prefixes.
const OPERATORS: &[(&str, Op, u8)] = &[
    ("??", Op::Coalesce, 9),
    ("||", Op::Or, 1),
    ("&&", Op::And, 2),
    ("==", Op::Equal, 3),
    ("!=", Op::NotEqual, 3),
    ("<=", Op::LessEqual, 3),
    (">=", Op::GreaterEqual, 3),
    ("<", Op::Less, 3),
    (">", Op::Greater, 3),
    ("**", Op::Power, 7),
    ("^", Op::Power, 7),
    ("+", Op::Add, 4),
    ("-", Op::Subtract, 4),
    ("*", Op::Multiply, 5),
    ("/", Op::Divide, 5),
    ("%", Op::Remainder, 5),
];

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, problem: impl Into<String>) -> FormulaError {
        FormulaError::Syntax {
            at: self.at,
            problem: problem.into(),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), FormulaError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.error(format!("`{token}` was expected")))
        }
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormulaError>,
    ) -> Result<T, FormulaError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn choice(&mut self) -> Result<Expr, FormulaError> {
        self.deeper(|parser| {
            let test = parser.binary(0)?;
            parser.skip_space();
            if parser.rest().starts_with("??") || !parser.take("?") {
                return Ok(test);
            }
            let yes = parser.choice()?;
            parser.expect(":")?;
            let no = parser.choice()?;
            Ok(Expr::Choice(Box::new(test), Box::new(yes), Box::new(no)))
        })
    }

    fn binary(&mut self, weakest: u8) -> Result<Expr, FormulaError> {
        let mut left = self.unary()?;
        while let Some((length, op, strength)) = self.operator() {
            if strength < weakest {
                break;
            }
            self.at += length;
            // Power groups to the right, everything else to the left.
            let next = if op == Op::Power {
                strength
            } else {
                strength + 1
            };
            let right = self.deeper(|parser| parser.binary(next))?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operator(&mut self) -> Option<(usize, Op, u8)> {
        self.skip_space();
        let rest = self.rest();
        if let Some((token, op, strength)) =
            OPERATORS.iter().find(|(token, ..)| rest.starts_with(token))
        {
            return Some((token.len(), *op, *strength));
        }
        let word = word(rest);
        match word {
            "or" => Some((2, Op::Or, 1)),
            "and" => Some((3, Op::And, 2)),
            _ => None,
        }
    }

    fn unary(&mut self) -> Result<Expr, FormulaError> {
        self.skip_space();
        let negation = word(self.rest()) == "not";
        if negation {
            self.at += 3;
        }
        if negation || (!self.rest().starts_with("!=") && self.take("!")) {
            // `not` and `!` bind tighter than every binary operator, as in expr.
            return self.deeper(|parser| Ok(Expr::Not(Box::new(parser.unary()?))));
        }
        if self.take("-") {
            return self.deeper(|parser| Ok(Expr::Negate(Box::new(parser.binary(7)?))));
        }
        if self.take("+") {
            return self.deeper(Self::unary);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, FormulaError> {
        self.skip_space();
        if self.take("(") {
            let inner = self.choice()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err(self.error("a value was expected"));
        };
        if first.is_ascii_digit() || first == '.' {
            return self.number();
        }
        let name = word(rest);
        if name.is_empty() {
            return Err(self.error(format!("`{first}` is not supported")));
        }
        self.at += name.len();
        self.skip_space();
        if self.rest().starts_with('(') {
            return self.call(name);
        }
        Ok(match name {
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            "nil" => Expr::Nil,
            _ => Expr::Name(name.to_owned()),
        })
    }

    fn number(&mut self) -> Result<Expr, FormulaError> {
        let rest = self.rest();
        let mut end = 0;
        let bytes = rest.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let after_exponent = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            let part = byte.is_ascii_digit()
                || matches!(byte, b'.' | b'_' | b'e' | b'E')
                || (after_exponent && matches!(byte, b'+' | b'-'));
            if !part {
                break;
            }
            end += 1;
        }
        let text = rest[..end].replace('_', "");
        let number = text
            .parse()
            .map_err(|_| self.error(format!("`{text}` is not a number")))?;
        self.at += end;
        Ok(Expr::Number(number))
    }

    fn call(&mut self, name: &str) -> Result<Expr, FormulaError> {
        let (function, most) = match name {
            "min" => (Function::Min, usize::MAX),
            "max" => (Function::Max, usize::MAX),
            "abs" => (Function::Abs, 1),
            "ceil" => (Function::Ceil, 1),
            "floor" => (Function::Floor, 1),
            "round" => (Function::Round, 1),
            "float" => (Function::Float, 1),
            "int" => (Function::Int, 1),
            _ => return Err(self.error(format!("the function `{name}` is not supported"))),
        };
        self.expect("(")?;
        let mut arguments = vec![self.choice()?];
        while self.take(",") {
            arguments.push(self.choice()?);
        }
        self.expect(")")?;
        if arguments.len() > most {
            return Err(self.error(format!("`{name}` takes {most} argument")));
        }
        Ok(Expr::Call(function, arguments))
    }
}

/// Returns the identifier at the start of the text, or the empty string.
fn word(text: &str) -> &str {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(start) {
        return "";
    }
    let end = text
        .find(|c: char| !(start(c) || c.is_ascii_digit()))
        .unwrap_or(text.len());
    &text[..end]
}
