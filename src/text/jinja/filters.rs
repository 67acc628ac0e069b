//! Jinja2's filters, where minijinja has none of the name or one that does something else.

use super::budget;
use super::format::{escape_html, percent_format};
use super::method_args::Bound;
use super::methods;
use super::python;
use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Filters that Jinja2 has not, and some that few templates use and that would have to be written anew.
const ABSENT: [&str; 9] = ["split", "lines", "bool", "zip", "chain", "pprint", "batch", "slice", "attr"];

/// Puts them in place of minijinja's.
pub fn add_to(environment: &mut Environment<'static>) {
    for name in ABSENT {
        environment.remove_filter(name);
    }
    environment.add_filter("tojson", super::json::tojson);
    environment.add_filter("string", |value: &Value| keep_safe(value, python::text(value)));
    environment.add_filter("trim", |value: &Value, chars: Option<String>| {
        methods::strip(&python::text(value), chars, true, true)
    });
    environment.add_filter("upper", |value: &Value| python::text(value).to_uppercase());
    environment.add_filter("lower", |value: &Value| python::text(value).to_lowercase());
    environment.add_filter("capitalize", |value: &Value| methods::capitalize(&python::text(value)));
    environment.add_filter("title", |value: &Value| title(&python::text(value)));
    environment.add_filter("escape", |value: &Value| escape(value));
    environment.add_filter("e", |value: &Value| escape(value));
    environment.add_filter(
        "items",
        |value: &Value| {
            if value.is_undefined() { Ok(Vec::new()) } else { methods::items(value) }
        },
    );
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("list", list);
    environment.add_filter("first", |value: &Value| Ok::<_, Error>(value.try_iter()?.next().unwrap_or_default()));
    environment.add_filter("replace", |state: &State, value: &Value, args: Rest<Value>| {
        let mut args = Bound::new("replace", &args, &["old", "new", "count"])?;
        let (old, new) =
            (python::text(&args.take(0).unwrap_or_default()), python::text(&args.take(1).unwrap_or_default()));
        methods::replace(state, &python::text(value), &old, &new, args.integer(2)?)
    });
    environment.add_filter("join", join);
    environment.add_filter("center", |state: &State, value: &Value, width: Option<i64>| {
        methods::pad(state, &python::text(value), "center", width.unwrap_or(80), " ")
    });
    environment.add_filter("indent", indent);
    environment
        .add_filter("format", |state: &State, format: &Value, args: Rest<Value>| percent_format(state, format, &args));
    environment.add_filter("int", int);
    environment
        .add_filter("float", |value: &Value, default: Option<f64>| float(value).unwrap_or(default.unwrap_or(0.0)));
    environment.add_filter("round", round);
    environment.add_filter("sum", sum);
    environment.add_filter("wordcount", |value: &Value| {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        python::text(value).split(|char| !is_word(char)).filter(|word| !word.is_empty()).count()
    });
}

fn keep_safe(value: &Value, text: String) -> Value {
    if value.is_safe() { Value::from_safe_string(text) } else { Value::from(text) }
}

fn escape(value: &Value) -> Value {
    if value.is_safe() { value.clone() } else { Value::from_safe_string(escape_html(&python::text(value))) }
}

fn length(value: &Value) -> Result<usize, Error> {
    let none = || Error::new(ErrorKind::InvalidOperation, format!("a value that is {} has no length", value.kind()));
    if value.is_undefined() { Ok(0) } else { value.len().ok_or_else(none) }
}

fn dictsort(value: &Value, args: Rest<Value>) -> Result<Vec<Value>, Error> {
    let mut args = Bound::new("dictsort", &args, &["case_sensitive", "by", "reverse"])?;
    let case_sensitive = args.take(0).is_some_and(|value| value.is_true());
    let by = args.text(1)?.unwrap_or_else(|| "key".into());
    let place = match &*by {
        "key" => 0,
        "value" => 1,
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "dictsort: sort by key or by value")),
    };
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

/// Under a path of names, as `map(attribute='function.name')` has them.
fn attribute(value: &Value, path: &str) -> Result<Value, Error> {
    let mut found = value.clone();
    for name in path.split('.') {
        found = match name.parse::<usize>() {
            Ok(place) => found.get_item_by_index(place)?,
            Err(_) => found.get_attr(name)?,
        };
    }
    Ok(found)
}

fn values(value: &Value, path: Option<String>) -> Result<Vec<Value>, Error> {
    let values = value.try_iter()?;
    match path {
        Some(path) => values.map(|value| attribute(&value, &path)).collect(),
        None => Ok(values.collect()),
    }
}

fn join(state: &State, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("join", &args, &["d", "attribute"])?;
    let separator = args.text(0)?.unwrap_or_default();
    let texts: Vec<String> = values(value, args.text(1)?)?.iter().map(python::text).collect();
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
    let text = python::text(value);
    let lines: Vec<&str> = text.split('\n').collect();
    budget::charge(state, text.len().saturating_add(lines.len().saturating_mul(margin.len())))?;
    let indented = lines.iter().enumerate().map(|(i, line)| match (i, blank || !line.is_empty()) {
        (0, _) => format!("{}{line}", if first { &*margin } else { "" }),
        (_, true) => format!("{margin}{line}"),
        (_, false) => (*line).to_owned(),
    });
    Ok(Value::from(indented.collect::<Vec<_>>().join("\n")))
}

fn title(text: &str) -> String {
    let is_start = |char: char| python::is_space(char) || "-({[<".contains(char);
    text.split_inclusive(is_start).map(methods::capitalize).collect()
}

fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    }
}

fn int(value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("int", &args, &["default", "base"])?;
    let default = args.integer(0)?.unwrap_or(0);
    let base = args.integer(1)?.unwrap_or(10);
    let number = match value.as_str().map(str::trim) {
        Some(text) if base == 16 => i64::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
        Some(text) if base == 10 => text.parse().ok().or_else(|| float(value).map(|number| number as i64)),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "int: the base must be 10 or 16")),
        None if value.is_integer() => return Ok(value.clone()),
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => float(value).map(|number| number as i64),
    };
    Ok(Value::from(number.unwrap_or(default)))
}

fn round(value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = Bound::new("round", &args, &["precision", "method"])?;
    let precision = args.integer(0)?.unwrap_or(0).clamp(0, 15) as i32;
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
    let values = values(value, args.text(0)?)?;
    let start = args.take(1).unwrap_or_else(|| Value::from(0));
    values.iter().try_fold(start, |sum, value| super::operators::add(state, &sum, value))
}
