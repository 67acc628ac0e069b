//! Texts with values filled in, and texts for HTML.

use super::budget;
use super::python;
use super::tuple::is_tuple;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, FormatStyle, State, Value};

/// The widest field of a format. A prompt has no use for more, and a width of a billion would fill the memory.
const MAX_FORMAT_DIGITS: usize = 4;

/// `'%s and %s' % values`.
pub fn percent_format(state: &State, format: &Value, values: &[Value]) -> Result<Value, Error> {
    let format = python::text(state, format)?;
    // What begins with % and is no %% is filled in; a dict or a list may be left over.
    let num_fields = format.replace("%%", "").matches('%').count();
    let may_be_left = |value: &Value| matches!(value.kind(), ValueKind::Map | ValueKind::Seq) && !is_tuple(value);
    if values.len() > num_fields && !matches!(values, [only] if may_be_left(only)) {
        return Err(wrong("the text has fewer places than there are values"));
    }
    formatted(state, FormatStyle::Printf, &format, values)
}

/// `'{} and {}'.format(values)`.
pub fn brace_format(state: &State, format: &str, values: &[Value]) -> Result<Value, Error> {
    // Of two braces the first makes the second a letter.
    if format
        .replace("{{", "")
        .split('{')
        .skip(1)
        .any(|field| field.split('}').next().unwrap_or_default().contains('['))
    {
        return Err(wrong("fields with an index, such as {0[0]}, are not supported: take the element outside"));
    }
    formatted(state, FormatStyle::StrFormat, format, values)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("format: {what}"))
}

fn formatted(state: &State, style: FormatStyle, format: &str, values: &[Value]) -> Result<Value, Error> {
    let is_digit = |char: char| char.is_ascii_digit();
    if format.split(|char| !is_digit(char)).any(|digits| digits.len() > MAX_FORMAT_DIGITS) {
        return Err(wrong("a field is at most 9999 wide, and a text to be filled in has no longer number"));
    }
    let as_text = |value: &Value| match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::Plain => {
            Ok(Value::from(python::text(state, value)?.into_owned()))
        }
        _ => Ok(value.clone()),
    };
    let all_as_text = |value: &Value| match Kwargs::try_from(value.clone()) {
        Ok(named) if value.is_kwargs() => {
            let texts = named.args().map(|name| Ok((name, as_text(&named.get::<Value>(name)?)?)));
            Ok(Kwargs::from_iter(texts.collect::<Result<Vec<_>, Error>>()?).into())
        }
        _ => as_text(value),
    };
    let values = values.iter().map(all_as_text).collect::<Result<Vec<Value>, Error>>()?;
    let text = minijinja::format_filter(style, format, &values)?;
    budget::charge(state, text.len())?;
    Ok(Value::from(text))
}

/// A text for HTML, as Python's markupsafe writes it.
pub fn escape_html(text: &str) -> String {
    let mut escaped = text.replace('&', "&amp;");
    for (char, name) in [('<', "&lt;"), ('>', "&gt;"), ('\'', "&#39;"), ('"', "&#34;")] {
        escaped = escaped.replace(char, name);
    }
    escaped
}
