//! Values as Python prints them: `str(value)` and `repr(value)`.

use super::tuple::is_tuple;
use super::{budget, generator};
use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};
use std::borrow::Cow;
use std::fmt::Write;

/// `str(value)`: what `{{ value }}` writes.
///
/// # Errors
/// If that is too much, or has no words.
pub fn text<'value>(state: &State, value: &'value Value) -> Result<Cow<'value, str>, Error> {
    match value.as_str() {
        Some(text) => {
            budget::read(state, text.len())?;
            Ok(Cow::Borrowed(text))
        }
        None if value.is_undefined() => Ok(Cow::Borrowed("")),
        None => {
            let mut out = String::new();
            write_repr(&mut out, value)?;
            budget::charge(state, out.len())?;
            Ok(Cow::Owned(out))
        }
    }
}

/// `repr(value)`: how a value looks inside a list. It stops where it is longer than any text may be.
fn write_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    if out.len() > budget::MAX_BYTES_MADE {
        return Ok(());
    }
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::String => write_string(out, value.as_str().unwrap_or_default()),
        ValueKind::Number => out.push_str(&number(value, "inf", "nan")),
        ValueKind::Seq | ValueKind::Iterable => {
            let is_tuple = is_tuple(value);
            out.push(if is_tuple { '(' } else { '[' });
            for (i, element) in value.try_iter()?.enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(out, &element)?;
            }
            out.push_str(match (is_tuple, value.len()) {
                (true, Some(1)) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            });
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(out, &key)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?)?;
            }
            out.push('}');
        }
        _ => {
            generator::refuse(value, "cannot be printed")?;
            out.push_str(&value.to_string());
        }
    }
    Ok(())
}

/// A number as Python writes it; JSON has other words for what is not finite.
pub fn number(value: &Value, infinite: &str, nan: &str) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(number) = f64::try_from(value.clone()) else { return value.to_string() };
    if number.is_nan() {
        return nan.to_owned();
    }
    if number.is_infinite() {
        return format!("{}{infinite}", if number < 0.0 { "-" } else { "" });
    }
    // Rust changes to powers of ten where Python does, and writes them as 1e-5 and 1e20 for 1e-05 and 1e+20.
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

fn write_string(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if char == quote => out.extend(['\\', quote]),
            ' '..='~' => out.push(char),
            _ if is_printable(char) => out.push(char),
            _ => {
                // Writing to a text cannot fail.
                let _ = match u32::from(char) {
                    code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                    code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Rust escapes the characters that Python does, and a combining one at the beginning, hence the letter before it.
fn is_printable(char: char) -> bool {
    matches!(char, '"' | '\'') || char == ' ' || {
        let pair: String = ['a', char].into_iter().collect();
        pair.escape_debug().eq(pair.chars())
    }
}

/// `str.isspace` of a character: what `strip` and `split` take away.
pub fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}
