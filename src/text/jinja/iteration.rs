//! Jinja2's filters that go through a list: what they give can itself be gone through once, if it is not a list again.

use super::compare::charge_order;
use super::generator::{generator, is_generator, refuse};
use super::operators::is_list;
use super::tuple::is_tuple;
use super::{nesting, python};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

/// Puts them in place of minijinja's.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("unique", |state: &State, value: Value, args| {
        charge_order(state, &value)?;
        let unique = filters::unique(state, value, args)?;
        if unique.try_iter()?.any(|value| value.kind() == ValueKind::Map || (is_list(&value) && !is_tuple(&value))) {
            return Err(Error::new(ErrorKind::InvalidOperation, "unique takes texts, numbers and tuples only"));
        }
        Ok(unique)
    });
    environment.add_filter("reverse", reverse);
    environment.add_filter("last", |state: &State, value: Value| {
        refuse(&value, "cannot be gone through from its end")?;
        python::text(state, &Value::from(value.as_str().unwrap_or_default()))?;
        filters::last(value)
    });
    for (name, filter) in [("min", filters::min as fn(&State, Value) -> Result<Value, Error>), ("max", filters::max)] {
        environment.add_filter(name, move |state: &State, value: Value| {
            charge_order(state, &value).and_then(|()| filter(state, value))
        });
    }
    environment.add_filter("sort", |state: &State, value: Value, args| {
        charge_order(state, &value)?;
        filters::sort(state, value, args)
    });
    environment.add_filter("groupby", |state: &State, value: Value, attribute: Option<&str>, args| {
        charge_order(state, &value)?;
        nesting::checked(state, &filters::groupby(value, attribute, args)?)
    });
}

/// Backwards. Of what has no end to begin at, it is a list.
fn reverse(state: &State, value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::String {
        return Ok(Value::from(python::text(state, value)?.chars().rev().collect::<String>()));
    }
    let mut elements: Vec<Value> = value.try_iter()?.collect();
    super::budget::charge_elements(state, elements.len())?;
    elements.reverse();
    Ok(if is_generator(value) { Value::from(elements) } else { generator(elements) })
}
