//! Jinja2's global functions that minijinja has not, and transformers' own.

use super::budget;
use super::python;
use minijinja::value::{Object, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Adds them.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.remove_global("debug");
    environment.add_function("raise_exception", |message: &Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, python::text(message)))
    });
    environment.add_function("cycler", |items: Rest<Value>| {
        if items.is_empty() {
            return Err(Error::new(ErrorKind::MissingArgument, "cycler: give it something to go through"));
        }
        Ok(Value::from_object(Cycler { items: items.0, place: AtomicUsize::new(0) }))
    });
    environment.add_function("joiner", |separator: Option<Value>| {
        let separator = separator.unwrap_or_else(|| Value::from(", "));
        Value::from_object(Joiner { separator, calls: AtomicUsize::new(0) })
    });
    environment.add_function("__slice", slice);
    environment.add_function("__method", |state: &State, value: &Value, name: &str, args: Rest<Value>| {
        if value.kind() == ValueKind::Map && value.as_object().is_some() {
            return super::methods::call(state, value, name, &args);
        }
        value.call_method(state, name, &args)
    });
}

/// `cycler('a', 'b')`: gives its items in turn.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    place: AtomicUsize,
}

impl Object for Cycler {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("current")).then(|| self.items[self.place.load(Ordering::Relaxed)].clone())
    }

    fn call_method(self: &Arc<Self>, _: &State<'_, '_>, method: &str, _: &[Value]) -> Result<Value, Error> {
        let place = self.place.load(Ordering::Relaxed);
        let next = match method {
            "next" => (place + 1) % self.items.len(),
            "reset" => 0,
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        };
        self.place.store(next, Ordering::Relaxed);
        Ok(if method == "next" { self.items[place].clone() } else { Value::from(()) })
    }
}

/// `joiner(', ')`: nothing at its first call, the separator at all others.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    calls: AtomicUsize,
}

impl Object for Joiner {
    fn call(self: &Arc<Self>, _: &State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        let is_first = self.calls.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(if is_first { Value::from("") } else { self.separator.clone() })
    }
}

/// `value[start:stop:step]`. A slice of a list is a list, not something to be gone through.
fn slice(state: &State, value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("a value that is {} has no slices", value.kind()));
    let bound = |bound: &Value| match bound.is_none() {
        true => Ok(None),
        false => i64::try_from(bound.clone()).map(Some),
    };
    // Jinja2 finds nothing under such a name in none, and an undefined value has no names.
    if value.is_none() {
        return Ok(Value::UNDEFINED);
    }
    let elements: Vec<Value> = match value.as_str() {
        Some(text) => text.chars().map(Value::from).collect(),
        None if value.kind() == ValueKind::Map || value.is_undefined() => return Err(wrong()),
        None => value.try_iter().map_err(|_| wrong())?.collect(),
    };
    budget::charge_elements(state, elements.len())?;
    let (len, step) = (elements.len() as i64, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "a slice cannot have a step of 0"));
    }
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(place) if place < 0 => place.saturating_add(len).max(lowest),
        Some(place) => place.min(highest),
    };
    let (mut at, stop) = match step > 0 {
        true => (place(bound(start)?, 0), place(bound(stop)?, len)),
        false => (place(bound(start)?, len - 1), place(bound(stop)?, -1)),
    };
    let mut taken = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        taken.push(elements[at as usize].clone());
        at = at.saturating_add(step);
    }
    Ok(match value.as_str() {
        Some(_) => Value::from(taken.iter().filter_map(Value::as_str).collect::<String>()),
        None => Value::from(taken),
    })
}
