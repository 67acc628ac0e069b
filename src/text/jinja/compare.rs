//! Python's comparisons. minijinja takes a tuple for a list, and has an order for values that have none.

use super::budget::read;
use super::generator::is_generator;
use super::nesting;
use super::operators::{as_float, is_list, wrong};
use super::tuple::is_tuple;
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};
use std::cmp::Ordering;

/// What a comparison with an element of a list counts as.
const ELEMENT_BYTES: usize = 8;

/// An operator, its function as [`super::source`] writes it, the tests that do the same, and what it wants of an order.
type Comparison = (&'static str, &'static str, &'static [&'static str], fn(Ordering) -> bool);
const COMPARISONS: [Comparison; 8] = [
    ("==", "__eq", &["==", "eq", "equalto"], Ordering::is_eq),
    ("!=", "__ne", &["!=", "ne"], Ordering::is_ne),
    ("<", "__lt", &["<", "lt", "lessthan"], Ordering::is_lt),
    ("<=", "__le", &["<=", "le"], Ordering::is_le),
    (">", "__gt", &[">", "gt", "greaterthan"], Ordering::is_gt),
    (">=", "__ge", &[">=", "ge"], Ordering::is_ge),
    ("in", "__in", &["in"], Ordering::is_eq),
    ("not in", "__not_in", &[], Ordering::is_ne),
];

/// Adds the functions and the tests.
pub fn add_to(environment: &mut Environment<'static>) {
    for comparison in COMPARISONS {
        let compare = move |state: &State, a: &Value, b: &Value| holds(state, comparison, a, b);
        environment.add_function(comparison.1, compare);
        comparison.2.iter().for_each(|test| environment.add_test(*test, compare));
    }
    environment.add_function("__chain", |state: &State, links: Rest<Value>| {
        every(links.windows(3).step_by(2), |link| {
            let named = COMPARISONS.iter().find(|comparison| Some(comparison.0) == link[1].as_str());
            named.map_or(Ok(false), |comparison| holds(state, *comparison, &link[0], &link[2]))
        })
    });
}

/// The function of an operator.
pub fn function(operator: &str) -> Option<&'static str> {
    COMPARISONS.iter().find(|comparison| comparison.0 == operator).map(|comparison| comparison.1)
}

fn holds(state: &State, (operator, .., wanted): Comparison, a: &Value, b: &Value) -> Result<bool, Error> {
    let is_equal = |equal: bool| wanted(if equal { Ordering::Equal } else { Ordering::Less });
    match operator {
        "==" | "!=" => equal(state, a, b).map(is_equal),
        "in" | "not in" => contains(state, a, b).map(is_equal),
        _ => ordered(state, operator, a, b).map(|order| order.is_some_and(wanted)),
    }
}

/// Whether all are so, as far as the first that is not.
fn every<T>(all: impl IntoIterator<Item = T>, is: impl Fn(T) -> Result<bool, Error>) -> Result<bool, Error> {
    for one in all {
        if !is(one)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `a == b`.
pub fn equal(state: &State, a: &Value, b: &Value) -> Result<bool, Error> {
    let is_dict = |value: &Value| value.kind() == ValueKind::Map;
    if is_list(a) && is_list(b) {
        read(state, a.len().unwrap_or(0))?;
        let same_kind = is_tuple(a) == is_tuple(b) && a.len() == b.len();
        return Ok(same_kind && every(a.try_iter()?.zip(b.try_iter()?), |(a, b)| equal(state, &a, &b))?);
    }
    if is_dict(a) && is_dict(b) {
        let has_same = |key: Value| Ok(has_key(b, &key) && equal(state, &a.get_item(&key)?, &b.get_item(&key)?)?);
        return Ok(a.len() == b.len() && every(a.try_iter()?, has_same)?);
    }
    if is_generator(a) || is_generator(b) {
        return Ok(minijinja::tests::is_sameas(a, b));
    }
    read(state, a.as_str().map_or(0, str::len).min(b.as_str().map_or(0, str::len)))?;
    Ok(a == b)
}

fn has_key(dict: &Value, key: &Value) -> bool {
    dict.as_object().is_some_and(|dict| dict.get_value(key).is_some())
}

/// How `a` and `b` are ordered; `None` for what is not a number.
///
/// # Errors
/// If Python has no order for them.
pub fn ordered(state: &State, operator: &str, a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    if let (Some(left), Some(right)) = (as_float(a), as_float(b)) {
        return Ok(if left.is_nan() || right.is_nan() { None } else { Some(a.cmp(b)) });
    }
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        read(state, a.len().min(b.len()))?;
        return Ok(Some(a.cmp(b)));
    }
    if !is_list(a) || !is_list(b) || is_tuple(a) != is_tuple(b) {
        return Err(wrong(operator, a, b));
    }
    for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
        if !equal(state, &a, &b)? {
            return ordered(state, operator, &a, &b);
        }
    }
    Ok(Some(a.len().cmp(&b.len())))
}

fn contains(state: &State, a: &Value, b: &Value) -> Result<bool, Error> {
    match b.as_str() {
        Some(text) => {
            read(state, text.len())?;
            Ok(text.contains(a.as_str().ok_or_else(|| wrong("in", a, b))?))
        }
        None if b.kind() == ValueKind::Map => Ok(has_key(b, a)),
        None if is_list(b) || is_generator(b) => {
            read(state, b.len().unwrap_or(0).saturating_mul(ELEMENT_BYTES))?;
            every(b.try_iter()?, |element| Ok(!equal(state, a, &element)?)).map(|none| !none)
        }
        None if b.is_undefined() => Ok(false),
        None => Err(wrong("in", a, b)),
    }
}

/// Counts what a filter compares that puts the elements of `value` in order.
pub fn charge_order(state: &State, value: &Value) -> Result<(), Error> {
    let turns = value.len().unwrap_or(0).checked_ilog2().unwrap_or(0) as usize;
    let bytes = nesting::bytes(state, value)?;
    read(state, bytes.saturating_mul(turns))
}
