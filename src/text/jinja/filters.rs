//! Jinja2's filters, where minijinja has none of the name or one that does something else.

use super::compare::charge_order;
use super::format::{escape_html, percent_format};
use super::method_args::Bound;
use super::{budget, generator, methods, python};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Filters that Jinja2 has not, and some that few templates use and that would have to be written anew.
const ABSENT: [&str; 9] = ["split", "lines", "bool", "zip", "chain", "pprint", "batch", "slice", "attr"];

/// A name, and what is made of a text.
type TextFilter = (&'static str, fn(&str) -> Value);
/// Filters of one text.
const TEXT_FILTERS: [TextFilter; 5] = [
    ("upper", |text| Value::from(text.to_uppercase())),
    ("lower", |text| Value::from(text.to_lowercase())),
    ("capitalize", |text| Value::from(methods::capitalize(text))),
    ("title", |text| Value::from(methods::title(text, |char| python::is_space(char) || "-({[<".contains(char)))),
    ("wordcount", |text| {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        Value::from(text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).count())
    }),
];

/// Puts them in place of minijinja's.
pub fn add_to(environment: &mut Environment<'static>) {
    for name in ABSENT {
        environment.remove_filter(name);
    }
    for (name, change) in TEXT_FILTERS {
        let change = move |state: &State, value: &Value| Ok::<_, Error>(change(&python::text(state, value)?));
        environment.add_filter(name, change);
    }
    for name in ["escape", "e"] {
        environment.add_filter(name, |state: &State, value: &Value| match value.is_safe() {
            true => Ok::<_, Error>(value.clone()),
            false => Ok(Value::from_safe_string(escape_html(&python::text(state, value)?))),
        });
    }
    for name in ["length", "count"] {
        environment.add_filter(name, length);
    }
    environment.add_filter("tojson", super::json::tojson);
    environment.add_filter("string", |state: &State, value: &Value| match value.is_safe() {
        true => Ok::<_, Error>(value.clone()),
        false => Ok(Value::from(python::text(state, value)?.into_owned())),
    });
    environment.add_filter("trim", |state: &State, value: &Value, chars: Option<String>| {
        Ok::<_, Error>(methods::strip(&python::text(state, value)?, chars, true, true))
    });
    environment.add_filter("items", |value: &Value| match value.is_undefined() {
        true => Ok(Vec::new()),
        false => methods::items(value),
    });
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("list", list);
    environment.add_filter("first", |value: &Value| Ok::<_, Error>(value.try_iter()?.next().unwrap_or_default()));
    environment.add_filter("replace", |state: &State, value: &Value, args: Rest<Value>| {
        let mut args = Bound::new("replace", &args, &["old", "new", "count"])?;
        let [old, new] = [0, 1].map(|place| args.take(place).unwrap_or_default());
        let (old, new) = (python::text(state, &old)?, python::text(state, &new)?);
        methods::replace(state, &python::text(state, value)?, &old, &new, args.integer(2)?)
    });
    environment.add_filter("join", join);
    environment.add_filter("center", |state: &State, value: &Value, width: Option<i64>| {
        methods::pad(state, &python::text(state, value)?, "center", width.unwrap_or(80), " ")
    });
    environment.add_filter("indent", indent);
    environment
        .add_filter("format", |state: &State, format: &Value, args: Rest<Value>| percent_format(state, format, &args));
    environment.add_filter("int", int);
    environment
        .add_filter("float", |value: &Value, default: Option<f64>| float(value).unwrap_or(default.unwrap_or(0.0)));
    environment.add_filter("round", round);
    environment.add_filter("sum", sum);
    super::iteration::add_to(environment);
}

fn length(state: &State, value: &Value) -> Result<usize, Error> {
    generator::refuse(value, "has no length")?;
    budget::read(state, value.as_str().map_or(0, str::len))?;
    let none = || Error::new(ErrorKind::InvalidOperation, format!("a value that is {} has no length", value.kind()));
    if value.is_undefined() { Ok(0) } else { value.len().ok_or_else(none) }
}

fn dictsort(state: &State, value: &Value, args: Rest<Value>) -> Result<Vec<Value>, Error> {
    let mut args = Bound::new("dictsort", &args, &["case_sensitive", "by", "reverse"])?;
    let case_sensitive = args.take(0).is_some_and(|value| value.is_true());
    let by = args.text(1)?.unwrap_or_else(|| "key".into());
    let place = match &*by {
        "key" => 0,
        "value" => 1,
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "dictsort: sort by key or by value")),
    };
    charge_order(state, value)?;
    let mut items = methods::items(value)?;
    items.sort_by_cached_key(|item| {
        let key = item.get_item_by_index(place).unwrap_or_default();
        key.as_str().filter(|_| !case_sensitive).map(|text| Value::from(text.to_lowercase())).unwrap_or(key.clone())
    });
    if args.take(2).is_some_and(|value| value.is_true()) {
        items.reverse();
    }
    Ok(items)
}

fn list(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "none is no list"));
    }
    budget::charge_elements(state, value.len().unwrap_or(0))?;
    Ok(Value::from(value.try_iter()?.collect::<Vec<Value>>()))
}

/// The elements, or what they have under a path of names.
fn values(state: &State, value: &Value, path: Option<String>) -> Result<Vec<Value>, Error> {
    let Some(path) = path else { return Ok(value.try_iter()?.collect()) };
    let named = Kwargs::from_iter([("attribute", Value::from(path))]);
    minijinja::filters::map(state, value.clone(), Rest(vec![named.into()]))
}

fn join(state: &State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("join", &args, &["d", "attribute"])?;
    let separator = args.text(0)?.unwrap_or_default();
    let values = values(state, value, args.text(1)?)?;
    let texts = values.iter().map(|value| python::text(state, value)).collect::<Result<Vec<_>, Error>>()?;
    budget::charge(state, texts.iter().map(|text| text.len() + separator.len()).sum())?;
    Ok(Value::from(texts.join(&separator)))
}

fn indent(state: &State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("indent", &args, &["width", "first", "blank"])?;
    let width = args.take(0).unwrap_or_else(|| Value::from(4));
    let margin = match width.as_str() {
        Some(margin) => margin.to_owned(),
        None => methods::pad(state, "", "ljust", width.as_i64().unwrap_or(0), " ")?.to_string(),
    };
    let [first, blank] = [1, 2].map(|place| args.take(place).is_some_and(|value| value.is_true()));
    let text = python::text(state, value)?;
    let lines: Vec<&str> = text.split('\n').collect();
    budget::charge(state, text.len().saturating_add(lines.len().saturating_mul(margin.len())))?;
    let indented = lines.iter().enumerate().map(|(i, line)| match (i, blank || !line.is_empty()) {
        (0, _) => format!("{}{line}", if first { &*margin } else { "" }),
        (_, true) => format!("{margin}{line}"),
        (_, false) => (*line).to_owned(),
    });
    Ok(Value::from(indented.collect::<Vec<_>>().join("\n")))
}

fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    }
}

fn int(value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("int", &args, &["default", "base"])?;
    let default = args.integer(0)?.unwrap_or(0).into();
    let base = args.integer(1)?.unwrap_or(10);
    let number = match value.as_str().map(str::trim) {
        Some(text) if base == 16 => i128::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
        Some(text) if base == 10 => text.parse().ok().or_else(|| float(value).map(|number| number as i128)),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "int: the base must be 10 or 16")),
        None if value.is_integer() => return Ok(value.clone()),
        None if value.kind() == ValueKind::Bool => Some(i128::from(value.is_true())),
        None => float(value).map(|number| number as i128),
    };
    Ok(super::operators::integer(number.unwrap_or(default)))
}

fn round(value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("round", &args, &["precision", "method"])?;
    let precision = args.integer(0)?.unwrap_or(0);
    if precision < 0 {
        return Err(Error::new(ErrorKind::InvalidOperation, "round: digits before the point are not rounded here"));
    }
    let precision = precision.min(15) as i32;
    let method = args.text(1)?.unwrap_or_else(|| "common".into());
    let number = float(value).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "round takes a number"))?;
    let scale = 10f64.powi(precision);
    Ok(match &*method {
        // Rust, like Python, rounds the exact value, a half to the even digit.
        "common" if value.is_integer() => value.clone(),
        "common" => Value::from(format!("{number:.*}", precision as usize).parse().unwrap_or(number)),
        "ceil" => Value::from((number * scale).ceil() / scale),
        "floor" => Value::from((number * scale).floor() / scale),
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "round: the method is common, ceil or floor")),
    })
}

fn sum(state: &State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("sum", &args, &["attribute", "start"])?;
    let values = values(state, value, args.text(0)?)?;
    let start = args.take(1).unwrap_or_else(|| Value::from(0));
    values.iter().try_fold(start, |sum, value| super::operators::add(state, &sum, value))
}
