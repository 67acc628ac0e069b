//! Jinja2's tests of kinds, where minijinja's answer otherwise: in Python a text and a dict are sequences, none is nothing to
//! iterate over, and a bool is a number.

use super::generator::is_generator;
use minijinja::value::ValueKind;
use minijinja::{Environment, State, Value};

/// Puts them in place of minijinja's.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_test("iterable", |value: &Value| is_sequence(value) || is_generator(value));
    environment.add_test("sequence", is_sequence);
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain && !is_generator(value));
    for (name, case) in [("lower", char::is_lowercase as fn(char) -> bool), ("upper", char::is_uppercase)] {
        let is =
            move |state: &State, value: &Value| super::python::text(state, value).map(|text| is_cased(&text, case));
        environment.add_test(name, is);
    }
}

fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Undefined | String | Seq | Iterable | Map)
}

/// Some letter has a case, and all that have one have this.
pub fn is_cased(text: &str, has_case: fn(char) -> bool) -> bool {
    let mut cased = text.chars().filter(|char| char.is_lowercase() || char.is_uppercase()).peekable();
    cased.peek().is_some() && cased.all(has_case)
}
