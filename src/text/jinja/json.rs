//! JSON as Python's `json.dumps` writes it: `{"a": 1, "b": 2}`. Prompts must have these very spaces.

use super::budget;
use super::method_args::Bound;
use super::python;
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

/// The `tojson` filter of chat templates, with the options of transformers' own. Nothing is escaped for HTML.
pub fn tojson(state: &State, value: &Value, args: minijinja::value::Rest<Value>) -> Result<Value, Error> {
    let mut options = Bound::new("tojson", &args, &["ensure_ascii", "indent", "separators", "sort_keys"])?;
    let ascii = options.take(0).is_some_and(|value| value.is_true());
    let indent = options.take(1).filter(|value| !value.is_none());
    let indent = indent.map(|indent| match indent.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(indent.as_i64().unwrap_or(0).clamp(0, 9999) as usize),
    });
    let separators = match options.take(2).filter(|value| !value.is_none()) {
        Some(pair) => {
            let text =
                |place| pair.get_item_by_index(place).and_then(|end| Ok(python::text(state, &end)?.into_owned()));
            Some((text(0)?, text(1)?))
        }
        None => None,
    };
    let comma = if indent.is_some() { "," } else { ", " };
    let (comma, colon) = separators.unwrap_or_else(|| (comma.into(), ": ".into()));
    let sort_keys = options.take(3).is_some_and(|value| value.is_true());
    let mut writer = Writer { out: String::new(), ascii, indent, comma, colon, sort_keys };
    writer.value(value, 0)?;
    budget::charge(state, writer.out.len())?;
    Ok(Value::from(writer.out))
}

struct Writer {
    out: String,
    ascii: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        // What is longer than any text may be is refused by whoever counts it.
        if self.out.len() > budget::MAX_BYTES_MADE {
            return Ok(());
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&python::number(value, "Infinity", "NaN")),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let elements: Vec<Value> = value.try_iter()?.collect();
                self.several(['[', ']'], depth, &elements, |writer, element| writer.value(element, depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.several(['{', '}'], depth, &keys, |writer, key| {
                    match key.kind() {
                        ValueKind::String => writer.string(key.as_str().unwrap_or_default()),
                        _ => {
                            writer.out.push('"');
                            writer.value(key, depth + 1)?;
                            writer.out.push('"');
                        }
                    }
                    writer.out.push_str(&writer.colon.clone());
                    writer.value(&value.get_item(key)?, depth + 1)
                })?;
            }
            kind => {
                let what = format!("tojson: a value that is {kind} cannot be written as JSON");
                return Err(Error::new(ErrorKind::BadSerialization, what));
            }
        }
        Ok(())
    }

    fn several(
        &mut self,
        [open, close]: [char; 2],
        depth: usize,
        items: &[Value],
        mut write: impl FnMut(&mut Self, &Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push_str(&self.comma.clone());
            }
            self.new_line(depth + 1);
            write(self, item)?;
        }
        if !items.is_empty() {
            self.new_line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        if !self.ascii {
            return self.out.push_str(&quoted);
        }
        for char in quoted.chars() {
            match char {
                ' '..='~' => self.out.push(char),
                _ => char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| self.out += &format!("\\u{unit:04x}")),
            }
        }
    }
}
