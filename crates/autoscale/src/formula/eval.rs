//! The value of a formula's tree, in `f64`, as expr computes it over KEDA's floats.
//!
//! Must not treat `nil` as a number: only `??`, `==` and `!=` accept it.

use super::FormulaError;
use super::parse::{Expr, Function, Op};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Bool(bool),
    Nil,
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<f64>;

pub(super) fn eval(expr: &Expr, lookup: Lookup<'_>) -> Result<Value, FormulaError> {
    Ok(match expr {
        Expr::Number(number) => Value::Number(*number),
        Expr::Bool(truth) => Value::Bool(*truth),
        Expr::Nil => Value::Nil,
        Expr::Name(name) => lookup(name).map_or(Value::Nil, Value::Number),
        Expr::Not(inner) => Value::Bool(!truth(inner, lookup)?),
        Expr::Negate(inner) => Value::Number(-number(inner, lookup)?),
        Expr::Binary(op, left, right) => binary(*op, left, right, lookup)?,
        Expr::Choice(test, yes, no) => eval(if truth(test, lookup)? { yes } else { no }, lookup)?,
        Expr::Call(function, arguments) => Value::Number(call(*function, arguments, lookup)?),
    })
}

fn binary(op: Op, left: &Expr, right: &Expr, lookup: Lookup<'_>) -> Result<Value, FormulaError> {
    // These four do not need numbers on both sides.
    match op {
        Op::Coalesce => {
            let value = eval(left, lookup)?;
            return if value == Value::Nil {
                eval(right, lookup)
            } else {
                Ok(value)
            };
        }
        Op::And => return Ok(Value::Bool(truth(left, lookup)? && truth(right, lookup)?)),
        Op::Or => return Ok(Value::Bool(truth(left, lookup)? || truth(right, lookup)?)),
        Op::Equal => return Ok(Value::Bool(eval(left, lookup)? == eval(right, lookup)?)),
        Op::NotEqual => return Ok(Value::Bool(eval(left, lookup)? != eval(right, lookup)?)),
        _ => {}
    }
    let (a, b) = (number(left, lookup)?, number(right, lookup)?);
    Ok(match op {
        Op::Less => Value::Bool(a < b),
        Op::LessEqual => Value::Bool(a <= b),
        Op::Greater => Value::Bool(a > b),
        Op::GreaterEqual => Value::Bool(a >= b),
        Op::Add => Value::Number(a + b),
        Op::Subtract => Value::Number(a - b),
        Op::Multiply => Value::Number(a * b),
        Op::Divide => Value::Number(a / b),
        Op::Remainder => Value::Number(a % b),
        Op::Power => Value::Number(a.powf(b)),
        Op::Coalesce | Op::And | Op::Or | Op::Equal | Op::NotEqual => Value::Nil,
    })
}

fn call(function: Function, arguments: &[Expr], lookup: Lookup<'_>) -> Result<f64, FormulaError> {
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(number(argument, lookup)?);
    }
    let first = values.first().copied().unwrap_or_default();
    Ok(match function {
        Function::Min => values.into_iter().fold(first, f64::min),
        Function::Max => values.into_iter().fold(first, f64::max),
        Function::Abs => first.abs(),
        Function::Ceil => first.ceil(),
        Function::Floor => first.floor(),
        Function::Round => first.round(),
        Function::Float => first,
        Function::Int => first.trunc(),
    })
}

fn number(expr: &Expr, lookup: Lookup<'_>) -> Result<f64, FormulaError> {
    match eval(expr, lookup)? {
        Value::Number(number) => Ok(number),
        other => Err(mismatch("a number", expr, other)),
    }
}

fn truth(expr: &Expr, lookup: Lookup<'_>) -> Result<bool, FormulaError> {
    match eval(expr, lookup)? {
        Value::Bool(truth) => Ok(truth),
        other => Err(mismatch("a truth value", expr, other)),
    }
}

fn mismatch(wanted: &str, expr: &Expr, found: Value) -> FormulaError {
    let found = match found {
        Value::Number(_) => "a number",
        Value::Bool(_) => "a truth value",
        Value::Nil => "nil",
    };
    let place = match expr {
        Expr::Name(name) => format!("`{name}`"),
        _ => "a part of it".to_owned(),
    };
    FormulaError::Value {
        problem: format!("{place} is {found} where {wanted} is needed"),
    }
}
