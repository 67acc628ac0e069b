//! Values within values. Whatever goes through a value goes into each of its elements, on a stack that ends; so a value that
//! is put into another is looked at first, and none lies deeper than [`MAX_DEPTH`] or within itself.

use super::budget;
use super::generator::Generator;
use crate::text::part::Part;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Python has an error at about a thousand, prompts have a dozen, and JSON is read up to 128.
const MAX_DEPTH: usize = 200;
/// What a value counts as, apart from its text.
const VALUE_BYTES: usize = 64;

/// Lets a list, a dict or a tuple be made, if no value lies too deep in it.
///
/// # Errors
/// Names what is too deep, or what may not be part of another value.
pub fn checked(state: &State, value: &Value) -> Result<Value, Error> {
    bytes(state, value).map(|_| value.clone())
}

/// How much somebody reads who goes through all of a value. It is counted as read.
pub fn bytes(state: &State, value: &Value) -> Result<usize, Error> {
    let bytes = walk(state, value, 0)?;
    budget::read(state, value.as_str().map_or(0, str::len)).map(|()| bytes)
}

fn walk(state: &State, value: &Value, depth: usize) -> Result<usize, Error> {
    let of_part = value.downcast_object_ref::<Part>().map_or(0, Part::text_bytes);
    let own = VALUE_BYTES + value.as_str().map_or(of_part, str::len);
    let Some(object) = value.as_object() else { return Ok(own) };
    let wrong = |what: String| Err(Error::new(ErrorKind::InvalidOperation, what));
    if depth > MAX_DEPTH {
        return wrong(format!("values lie more than {MAX_DEPTH} deep within one another"));
    }
    if depth > 0 && is_open(value) {
        return wrong(format!("{OPEN} cannot be part of another value: that might then lie within itself"));
    }
    let elements: Vec<Value> = match value.kind() {
        // Whoever goes through the keys of a part is taken for one who prints it.
        _ if value.downcast_object_ref::<Part>().is_some() => Vec::new(),
        ValueKind::Map => object.try_iter_pairs().into_iter().flatten().flat_map(|(key, value)| [key, value]).collect(),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.collect(),
        _ => {
            value.downcast_object_ref::<Generator>().map_or_else(Vec::new, |left| left.left().iter().cloned().collect())
        }
    };
    let (mut total, mut texts) = (own, own);
    for element in &elements {
        let bytes = walk(state, element, depth + 1)?;
        total = total.saturating_add(bytes);
        texts = texts.saturating_add(if element.as_object().is_none() { bytes } else { 0 });
    }
    budget::read(state, texts).map(|()| total)
}

const OPEN: &str = "a namespace, a loop, a cycler or a joiner";

/// Whether a value may later hold what it does not hold now, or hides what it holds. minijinja keeps the first two to itself,
/// all but their names.
fn is_open(value: &Value) -> bool {
    let name = value.as_object().map_or("", |object| object.type_name());
    ["::Namespace", "::Loop", "::Cycler", "::Joiner"].iter().any(|open| name.ends_with(open))
}

/// What a namespace may hold.
pub fn for_namespace(state: &State, value: &Value, _namespace: &Value) -> Result<Value, Error> {
    walk(state, value, 1).map(|_| value.clone())
}

/// `namespace(a=1)`.
pub fn namespace(state: &State, values: Option<Value>) -> Result<Value, Error> {
    values.as_ref().map(|values| bytes(state, values)).transpose()?;
    minijinja::functions::namespace(values)
}

/// `dict(a=1)`.
pub fn dict(state: &State, value: Option<Value>, more: Kwargs) -> Result<Value, Error> {
    let made = minijinja::functions::dict(value, more)?;
    checked(state, &made)
}
