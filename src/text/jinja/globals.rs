//! Jinja2's global functions that minijinja has not, and transformers' own.

use super::generator;
use super::tuple::{is_tuple, tuple};
use super::{budget, nesting, python};
use minijinja::value::{Object, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Adds them.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.remove_global("debug");
    environment.add_function("raise_exception", |state: &State, message: &Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, python::text(state, message)?.into_owned()))
    });
    environment.add_function("namespace", nesting::namespace);
    environment.add_function("dict", nesting::dict);
    environment.add_function("__generator", |value: &Value| {
        value.try_iter().map(|elements| generator::generator(elements.collect()))
    });
    environment.add_function("__inner", nesting::checked);
    environment.add_function("__for_namespace", nesting::for_namespace);
    environment.add_function("__tick", |state: &State, value: &Value, bytes: Option<usize>| {
        budget::read(state, 0)?;
        budget::charge(state, bytes.unwrap_or(0)).map(|()| value.clone())
    });
    environment.add_function("cycler", |state: &State, items: Rest<Value>| {
        if items.is_empty() {
            return Err(Error::new(ErrorKind::MissingArgument, "cycler: give it something to go through"));
        }
        nesting::bytes(state, &Value::from(items.0.clone()))?;
        Ok(Value::from_object(Cycler { items: items.0, place: AtomicUsize::new(0) }))
    });
    environment.add_function("joiner", |state: &State, separator: Option<Value>| {
        let separator = separator.unwrap_or_else(|| Value::from(", "));
        nesting::bytes(state, &Value::from(vec![separator.clone()]))?;
        Ok::<_, Error>(Value::from_object(Joiner { separator, calls: AtomicUsize::new(0) }))
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
    let bound = |bound: &Value| (!bound.is_none()).then(|| i64::try_from(bound.clone())).transpose();
    // Jinja2 finds nothing under such a name in none, and an undefined value has no names.
    if value.is_none() {
        return Ok(Value::UNDEFINED);
    }
    generator::refuse(value, "has no slices")?;
    let elements: Vec<Value> = match value.as_str() {
        Some(text) => text.chars().map(Value::from).collect(),
        None if value.kind() == ValueKind::Map || value.is_undefined() => return Err(wrong()),
        None => value.try_iter().map_err(|_| wrong())?.collect(),
    };
    budget::read(state, elements.len())?;
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
    let (at, stop) = match step > 0 {
        true => (place(bound(start)?, 0), place(bound(stop)?, len)),
        false => (place(bound(start)?, len - 1), place(bound(stop)?, -1)),
    };
    let places = std::iter::successors(Some(at), |at| at.checked_add(step));
    let places = places.take_while(|at| if step > 0 { *at < stop } else { *at > stop });
    let taken: Vec<Value> = places.map(|at| elements[at as usize].clone()).collect();
    budget::charge_elements(state, taken.len())?;
    Ok(match value.as_str() {
        Some(_) => Value::from(taken.iter().filter_map(Value::as_str).collect::<String>()),
        None if is_tuple(value) => tuple(taken),
        None => Value::from(taken),
    })
}
