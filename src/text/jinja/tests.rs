//! Jinja2's tests of kinds, where minijinja's answer otherwise: in Python a text and a dict are sequences, none is nothing to
//! iterate over, and a bool is a number.

use minijinja::value::ValueKind;
use minijinja::{Environment, Value};

/// Puts them in place of minijinja's.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_iterable);
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_test("lower", |value: &Value| is_cased(&super::python::text(value), char::is_lowercase));
    environment.add_test("upper", |value: &Value| is_cased(&super::python::text(value), char::is_uppercase));
}

fn is_iterable(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Undefined | String | Seq | Iterable | Map)
}

/// Some letter has a case, and all that have one have this.
pub fn is_cased(text: &str, has_case: fn(char) -> bool) -> bool {
    let mut cased = text.chars().filter(|char| char.is_lowercase() || char.is_uppercase()).peekable();
    cased.peek().is_some() && cased.all(has_case)
}
