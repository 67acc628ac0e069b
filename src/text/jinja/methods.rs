//! Methods of Python's texts, dicts and lists.

use super::budget;
use super::compare::equal;
use super::method_args::Bound;
use super::python;
use super::tests::is_cased;
use super::tuple::{is_tuple, tuple};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

/// Calls a method that minijinja does not know. Those that change their object are refused, as in the sandbox of
/// transformers.
pub fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    budget::read(state, value.as_str().map_or(0, str::len))?;
    match (value.as_str(), value.kind()) {
        (Some(text), _) => text_method(state, value, text, method, args),
        (None, ValueKind::Map) => dict_method(state, value, method, args),
        (None, ValueKind::Seq | ValueKind::Iterable) => list_method(state, value, method, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn dict_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "get" => {
            let mut args = Bound::new("get", args, &["key", "default"])?;
            let key = args.take(0).ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let found = value.get_item(&key).unwrap_or_default();
            Ok(if found.is_undefined() { args.take(1).unwrap_or_else(|| Value::from(())) } else { found })
        }
        "items" => Ok(items(value)?.into_iter().collect()),
        "keys" => Ok(value.try_iter()?.collect()),
        "copy" => Ok(value.clone()),
        "clear" | "pop" | "popitem" | "setdefault" | "update" => Err(changes(method)),
        _ => pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// The pairs of a dict.
pub fn items(value: &Value) -> Result<Vec<Value>, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("a value that is {} has no items", value.kind()));
    if value.kind() != ValueKind::Map {
        return Err(wrong());
    }
    value.try_iter()?.map(|key| Ok(tuple(vec![key.clone(), value.get_item(&key)?]))).collect()
}

fn list_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (method, args) {
        ("index", [wanted]) => {
            for (place, element) in value.try_iter()?.enumerate() {
                if equal(state, &element, wanted)? {
                    return Ok(Value::from(place));
                }
            }
            Err(Error::new(ErrorKind::InvalidOperation, "index: it is not in the list"))
        }
        ("copy", []) => Ok(value.clone()),
        ("append" | "clear" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort", _) => Err(changes(method)),
        _ => pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn changes(method: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{method} would change a value, which a template may not"))
}

fn text_method(state: &State, value: &Value, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let one = |name: &'static str| Bound::new(name, args, &["a text"])?.text(0);
    let need = |name: &'static str| Bound::new(name, args, &["a text"])?.need_text(0);
    let all = |is: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(is));
    Ok(match method {
        "strip" => strip(text, one("strip")?, true, true),
        "lstrip" => strip(text, one("lstrip")?, true, false),
        "rstrip" => strip(text, one("rstrip")?, false, true),
        "split" => split(state, text, Bound::new("split", args, &["sep", "maxsplit"])?, false)?,
        "rsplit" => split(state, text, Bound::new("rsplit", args, &["sep", "maxsplit"])?, true)?,
        "splitlines" => {
            let keep = Bound::new("splitlines", args, &["keepends"])?.take(0).is_some_and(|keep| keep.is_true());
            lines(text).into_iter().map(|(line, end)| Value::from(if keep { end } else { line })).collect()
        }
        "partition" | "rpartition" => {
            let separator = need("partition")?;
            let from_end = method == "rpartition";
            let found = if from_end { text.rsplit_once(&*separator) } else { text.split_once(&*separator) };
            let parts = match found {
                Some((before, after)) => [before, &separator, after],
                None if from_end => ["", "", text],
                None => [text, "", ""],
            };
            tuple(parts.into_iter().map(Value::from).collect())
        }
        "removeprefix" => text.strip_prefix(&*need("removeprefix")?).unwrap_or(text).into(),
        "removesuffix" => text.strip_suffix(&*need("removesuffix")?).unwrap_or(text).into(),
        "replace" => {
            let mut args = Bound::new("replace", args, &["old", "new", "count"])?;
            replace(state, text, &args.need_text(0)?, &args.need_text(1)?, args.integer(2)?)?
        }
        "startswith" | "endswith" => {
            let mut args = Bound::new("startswith", args, &["what", "start", "end"])?;
            let what = args.take(0).ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let (_, part) = part(text, args.integer(1)?, args.integer(2)?);
            let needs_text =
                || Error::new(ErrorKind::InvalidOperation, format!("{method} takes a text or a tuple of texts"));
            let several = if is_tuple(&what) { what.try_iter()?.collect() } else { vec![what] };
            let several: Option<Vec<&str>> = several.iter().map(Value::as_str).collect();
            let mut several = several.ok_or_else(needs_text)?.into_iter();
            let at_start = method == "startswith";
            several.any(|what| if at_start { part.starts_with(what) } else { part.ends_with(what) }).into()
        }
        "find" | "rfind" | "index" | "rindex" | "count" => {
            let mut args = Bound::new("find", args, &["sub", "start", "end"])?;
            let what = args.need_text(0)?;
            let (skipped, part) = part(text, args.integer(1)?, args.integer(2)?);
            if method == "count" {
                return Ok(Value::from(part.matches(&*what).count()));
            }
            let found = if method.starts_with('r') { part.rfind(&*what) } else { part.find(&*what) };
            match found {
                Some(offset) => Value::from(skipped + part[..offset].chars().count()),
                None if method.ends_with("index") => {
                    return Err(Error::new(ErrorKind::InvalidOperation, format!("{method}: the text is not there")));
                }
                None => Value::from(-1),
            }
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let mut args = Bound::new("ljust", args, &["width", "fillchar"])?;
            let width = args.integer(0)?.unwrap_or(0);
            let fill = args.text(1)?.unwrap_or_else(|| if method == "zfill" { "0".into() } else { " ".into() });
            pad(state, text, method, width, &fill)?
        }
        "swapcase" => {
            let swap = |char: char| {
                if char.is_uppercase() { char.to_lowercase().to_string() } else { char.to_uppercase().to_string() }
            };
            text.chars().map(swap).collect::<String>().into()
        }
        "title" => Value::from(title(text, |char| !char.is_lowercase() && !char.is_uppercase())),
        "capitalize" => Value::from(capitalize(text)),
        "islower" => Value::from(is_cased(text, char::is_lowercase)),
        "isupper" => Value::from(is_cased(text, char::is_uppercase)),
        "isspace" => all(python::is_space),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdigit" | "isdecimal" | "isnumeric" if text.is_ascii() => all(|char| char.is_ascii_digit()),
        "isdigit" | "isdecimal" | "isnumeric" => {
            let what = format!("{method}: whether characters beyond ASCII are digits is not known here");
            return Err(Error::new(ErrorKind::InvalidOperation, what));
        }
        "join" => {
            let values = args.first().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
            let values: Vec<Value> = values.try_iter()?.collect();
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            let texts = texts.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "join takes texts only"))?;
            budget::charge(state, texts.iter().map(|part| part.len() + text.len()).sum())?;
            Value::from(texts.join(text))
        }
        "format" => super::format::brace_format(state, text, args)?,
        // As far as pycompat has these, they do what Python's do.
        "upper" | "lower" | "isascii" => pycompat::unknown_method_callback(state, value, method, args)?,
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

/// A text without `chars`, or without spaces, at its ends.
pub fn strip(text: &str, chars: Option<String>, at_start: bool, at_end: bool) -> Value {
    let goes = |char: char| chars.as_ref().map_or_else(|| python::is_space(char), |chars| chars.contains(char));
    let text = if at_start { text.trim_start_matches(goes) } else { text };
    Value::from(if at_end { text.trim_end_matches(goes) } else { text })
}

fn split(state: &State, text: &str, mut args: Bound, from_end: bool) -> Result<Value, Error> {
    let separator = args.text(0)?;
    let most =
        args.integer(1)?.and_then(|most| usize::try_from(most).ok()).map_or(usize::MAX, |most| most.saturating_add(1));
    let parts: Vec<&str> = match separator.as_deref() {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "split: the separator is empty")),
        Some(separator) if from_end => {
            let mut parts: Vec<&str> = text.rsplitn(most, separator).collect();
            parts.reverse();
            parts
        }
        Some(separator) => text.splitn(most, separator).collect(),
        None => words(text, most, from_end),
    };
    budget::charge(state, text.len())?;
    budget::charge_elements(state, parts.len())?;
    Ok(parts.into_iter().map(Value::from).collect())
}

/// At most `most` words; the last one taken has all that is left, with the spaces inside it.
fn words(mut text: &str, most: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    loop {
        text =
            if from_end { text.trim_end_matches(python::is_space) } else { text.trim_start_matches(python::is_space) };
        if text.is_empty() {
            break;
        }
        let space = if from_end { text.rfind(python::is_space) } else { text.find(python::is_space) };
        let Some(space) = space.filter(|_| parts.len() + 1 < most) else {
            parts.push(text);
            break;
        };
        let width = text[space..].chars().next().map_or(0, char::len_utf8);
        let (before, after) = (&text[..space], &text[space + width..]);
        parts.push(if from_end { after } else { before });
        text = if from_end { before } else { after };
    }
    if from_end {
        parts.reverse();
    }
    parts
}

/// Each line without its end, and with it.
fn lines(text: &str) -> Vec<(&str, &str)> {
    let is_end = |char: char| {
        matches!(char, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let width = match &rest[end..] {
            after if after.starts_with("\r\n") => 2,
            after => after.chars().next().map_or(0, char::len_utf8),
        };
        lines.push((&rest[..end], &rest[..end + width]));
        rest = &rest[end + width..];
    }
    lines
}

/// `text[start:end]` for a search in it, and how many characters come before.
fn part(text: &str, start: Option<i64>, end: Option<i64>) -> (usize, &str) {
    let len = text.chars().count() as i64;
    let place = |place: i64| (if place < 0 { place.saturating_add(len) } else { place }).clamp(0, len) as usize;
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(len)));
    let byte = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte);
    (start, if start < end { &text[byte(start)..byte(end)] } else { "" })
}

/// `str.replace`: all that is found, or the first `count`.
pub fn replace(state: &State, text: &str, old: &str, new: &str, count: Option<i64>) -> Result<Value, Error> {
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let found = text.matches(old).count().min(most);
    budget::charge(state, text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(Value::from(text.replacen(old, new, most)))
}

/// A text with something at its sides, up to a width.
pub fn pad(state: &State, text: &str, method: &str, width: i64, fill: &str) -> Result<Value, Error> {
    let width = usize::try_from(width).unwrap_or(0);
    let len = text.chars().count();
    let missing = width.saturating_sub(len);
    budget::charge(state, text.len().saturating_add(missing.saturating_mul(fill.len())))?;
    let left = match method {
        "ljust" => 0,
        "center" => missing / 2 + (missing & width & 1),
        _ => missing,
    };
    let sign = if method == "zfill" && text.starts_with(['+', '-']) { 1 } else { 0 };
    let (before, after) = (fill.repeat(left), fill.repeat(missing - left));
    Ok(Value::from(format!("{}{before}{}{after}", &text[..sign], &text[sign..])))
}

/// Large letters at the beginning and behind whatever is a `gap`, small ones elsewhere.
pub fn title(text: &str, gap: fn(char) -> bool) -> String {
    text.split_inclusive(gap).map(capitalize).collect()
}

/// `str.capitalize`.
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|char| char.to_uppercase().collect::<String>()).unwrap_or_default();
    first + &chars.as_str().to_lowercase()
}
