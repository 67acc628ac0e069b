//! Python's operators, for the calls that the rewritten source has in their place.

use super::budget::{charge, charge_elements};
use super::generator::is_generator;
use super::python;
use super::tuple::{is_tuple, tuple};
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::borrow::Cow;

/// Adds a function per operator, named as [`super::source`] writes it.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("__add", |state: &State, a: &Value, others: Rest<Value>| {
        others.iter().try_fold(a.clone(), |sum, other| add(state, &sum, other))
    });
    environment.add_function("__sub", |a: &Value, b: &Value| numbers("-", a, b, i128::checked_sub, |a, b| a - b));
    environment.add_function("__mul", mul);
    environment.add_function("__div", div);
    environment.add_function("__floordiv", |a: &Value, b: &Value| {
        no_zero(b)?;
        numbers("//", a, b, |a, b| Some(floor_div(a, b)), |a, b| (a / b).floor())
    });
    environment.add_function("__mod", modulo);
    environment.add_function("__cat", cat);
    environment.add_function("__tuple", |state: &State, elements: Rest<Value>| {
        super::nesting::checked(state, &tuple(elements.0))
    });
    environment.add_function("__each", |state: &State, value: &Value| match value.kind() {
        ValueKind::None => Err(Error::new(ErrorKind::InvalidOperation, "none is nothing to loop over")),
        // A loop knows how many turns it has.
        ValueKind::Plain if is_generator(value) => Ok(value.try_iter()?.collect()),
        ValueKind::String => super::budget::read(state, value.as_str().map_or(0, str::len)).map(|()| value.clone()),
        _ => Ok(value.clone()),
    });
    environment.add_function("__value", |value: &Value| value.clone());
    environment.add_function("__neg", |a: &Value| numbers("-", &Value::from(0), a, i128::checked_sub, |_, a| -a));
}

/// For operands that an operator does not take.
pub fn wrong(operator: &str, a: &Value, b: &Value) -> Error {
    let kind = |value: &Value| match value.is_undefined() {
        true => "an undefined value".to_owned(),
        false => value.kind().to_string(),
    };
    Error::new(ErrorKind::InvalidOperation, format!("{operator} cannot take {} and {}", kind(a), kind(b)))
}

/// Whether a value is a list or a tuple.
pub fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn as_integer(value: &Value) -> Option<i128> {
    let is_integer = value.kind() == ValueKind::Bool || value.is_integer();
    is_integer.then(|| i128::try_from(value.clone()).ok()).flatten()
}

/// A number, or a bool as one.
pub fn as_float(value: &Value) -> Option<f64> {
    match as_integer(value) {
        Some(integer) => Some(integer as f64),
        None if value.is_number() => f64::try_from(value.clone()).ok(),
        None => None,
    }
}

/// A whole number.
pub fn integer(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::from(value), Value::from)
}

fn numbers(
    operator: &str,
    a: &Value,
    b: &Value,
    integers: impl Fn(i128, i128) -> Option<i128>,
    floats: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (as_integer(a), as_integer(b)) {
        let too_large = || Error::new(ErrorKind::InvalidOperation, format!("{a} {operator} {b} is too large"));
        return integers(a, b).map(integer).ok_or_else(too_large);
    }
    match (as_float(a), as_float(b)) {
        (Some(a), Some(b)) => Ok(Value::from(floats(a, b))),
        _ => Err(wrong(operator, a, b)),
    }
}

fn floor_div(a: i128, b: i128) -> i128 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

fn no_zero(divisor: &Value) -> Result<(), Error> {
    if as_float(divisor) == Some(0.0) {
        return Err(Error::new(ErrorKind::InvalidOperation, "division by zero"));
    }
    Ok(())
}

/// `a + b` of numbers, texts or lists.
pub fn add(state: &State, a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(left), Some(right)) = (a.as_str(), b.as_str()) {
        charge(state, left.len() + right.len())?;
        return Ok(join_texts(&[a.clone(), b.clone()]));
    }
    if is_list(a) && is_list(b) {
        let elements: Vec<Value> = a.try_iter()?.chain(b.try_iter()?).collect();
        charge_elements(state, elements.len())?;
        return match (is_tuple(a), is_tuple(b)) {
            (true, true) => Ok(tuple(elements)),
            (false, false) => Ok(Value::from(elements)),
            _ => Err(Error::new(ErrorKind::InvalidOperation, "+ cannot take a list and a tuple")),
        };
    }
    numbers("+", a, b, i128::checked_add, |a, b| a + b)
}

fn mul(state: &State, a: &Value, b: &Value) -> Result<Value, Error> {
    let (repeated, times) = if a.as_str().is_some() || is_list(a) { (a, b) } else { (b, a) };
    if repeated.as_str().is_none() && !is_list(repeated) {
        return numbers("*", a, b, i128::checked_mul, |a, b| a * b);
    }
    let times = as_integer(times).ok_or_else(|| wrong("*", a, b))?;
    let times = usize::try_from(times.max(0)).map_err(|_| wrong("*", a, b))?;
    if let Some(text) = repeated.as_str() {
        charge(state, text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    let elements: Vec<Value> = repeated.try_iter()?.collect();
    charge_elements(state, elements.len().saturating_mul(times))?;
    let repeated_elements = std::iter::repeat_n(elements, times).flatten().collect();
    Ok(if is_tuple(repeated) { tuple(repeated_elements) } else { Value::from(repeated_elements) })
}

fn div(a: &Value, b: &Value) -> Result<Value, Error> {
    no_zero(b)?;
    match (as_float(a), as_float(b)) {
        (Some(a), Some(b)) => Ok(Value::from(a / b)),
        _ => Err(wrong("/", a, b)),
    }
}

/// The rest of a division, which has the sign of the divisor; or a text with values filled in.
fn modulo(state: &State, a: &Value, b: &Value) -> Result<Value, Error> {
    if a.as_str().is_some() {
        let values = if is_tuple(b) { b.try_iter()?.collect() } else { vec![b.clone()] };
        return super::format::percent_format(state, a, &values);
    }
    no_zero(b)?;
    numbers("%", a, b, |a, b| Some(a - b * floor_div(a, b)), |a, b| a - b * (a / b).floor())
}

fn cat(state: &State, values: Rest<Value>) -> Result<Value, Error> {
    let texts = values.iter().map(|value| python::text(state, value)).collect::<Result<Vec<Cow<str>>, Error>>()?;
    charge(state, texts.iter().map(|text| text.len()).sum())?;
    Ok(Value::from(texts.concat()))
}

/// Texts end to end. Beside one that is marked as safe for HTML, Jinja2 escapes the others.
fn join_texts(texts: &[Value]) -> Value {
    let safe = texts.iter().any(Value::is_safe);
    let joined: String = texts
        .iter()
        .map(|text| match text.as_str().unwrap_or_default() {
            plain if safe && !text.is_safe() => super::format::escape_html(plain),
            plain => plain.to_owned(),
        })
        .collect();
    if safe { Value::from_safe_string(joined) } else { Value::from(joined) }
}
