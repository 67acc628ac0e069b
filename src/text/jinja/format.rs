//! Texts with values filled in, and texts for HTML.

use super::budget;
use super::python;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, FormatStyle, State, Value};

/// The widest field of a format. A prompt has no use for more, and a width of a billion would fill the memory.
const MAX_FORMAT_DIGITS: usize = 4;

/// `'%s and %s' % values`.
pub fn percent_format(state: &State, format: &Value, values: &[Value]) -> Result<Value, Error> {
    formatted(state, FormatStyle::Printf, &python::text(format), values)
}

/// `'{} and {}'.format(values)`.
pub fn brace_format(state: &State, format: &str, values: &[Value]) -> Result<Value, Error> {
    formatted(state, FormatStyle::StrFormat, format, values)
}

fn formatted(state: &State, style: FormatStyle, format: &str, values: &[Value]) -> Result<Value, Error> {
    let wrong = |what: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("format: {what}")));
    let is_digit = |char: char| char.is_ascii_digit();
    if format.split(|char| !is_digit(char)).any(|digits| digits.len() > MAX_FORMAT_DIGITS) {
        return wrong("a field is at most 9999 wide, and a text to be filled in has no longer number");
    }
    let as_text = |value: &Value| match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Value::from(python::text(value)),
        _ => value.clone(),
    };
    let all_as_text = |value: &Value| match Kwargs::try_from(value.clone()) {
        Ok(named) if value.is_kwargs() => {
            let texts = named.args().map(|name| Ok((name, as_text(&named.get::<Value>(name)?))));
            Ok(Kwargs::from_iter(texts.collect::<Result<Vec<_>, Error>>()?).into())
        }
        _ => Ok(as_text(value)),
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
