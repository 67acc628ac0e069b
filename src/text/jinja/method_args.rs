//! Arguments by place or by name, as Python functions take them.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};

/// The arguments of a call, in the order of its parameters.
pub struct Bound {
    function: &'static str,
    names: &'static [&'static str],
    values: Vec<Option<Value>>,
}

impl Bound {
    /// Sorts `args` by the names of the parameters.
    ///
    /// # Errors
    /// If there are too many, or one has no such name.
    pub fn new(function: &'static str, args: &[Value], names: &'static [&'static str]) -> Result<Self, Error> {
        let wrong = |what: String| Error::new(ErrorKind::TooManyArguments, format!("{function}: {what}"));
        let (args, kwargs) = match args.split_last() {
            Some((last, rest)) if last.is_kwargs() => (rest, Some(Kwargs::try_from(last.clone())?)),
            _ => (args, None),
        };
        if args.len() > names.len() {
            return Err(wrong(format!("{} arguments, at most {} are known", args.len(), names.len())));
        }
        let mut values: Vec<Option<Value>> = args.iter().cloned().map(Some).collect();
        values.resize(names.len(), None);
        for name in kwargs.iter().flat_map(Kwargs::args) {
            let place = names.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| wrong(format!("there is no argument named {name}")))?;
            values[place] = kwargs.as_ref().map(|kwargs| kwargs.get(name)).transpose()?;
        }
        Ok(Self { function, names, values })
    }

    /// An argument, if it was given.
    pub fn take(&mut self, place: usize) -> Option<Value> {
        self.values[place].take()
    }

    /// A text, if it was given and is not none.
    pub fn text(&mut self, place: usize) -> Result<Option<String>, Error> {
        let Some(value) = self.take(place).filter(|value| !value.is_none()) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.wrong(place, "a text", &value))?;
        Ok(Some(text.to_owned()))
    }

    /// A text that must be given.
    pub fn need_text(&mut self, place: usize) -> Result<String, Error> {
        let missing =
            || Error::new(ErrorKind::MissingArgument, format!("{}: {} is missing", self.function, self.names[place]));
        let missing = missing();
        self.text(place)?.ok_or(missing)
    }

    /// A whole number, if it was given and is not none.
    pub fn integer(&mut self, place: usize) -> Result<Option<i64>, Error> {
        let Some(value) = self.take(place).filter(|value| !value.is_none()) else { return Ok(None) };
        let integer = i64::try_from(value.clone()).map_err(|_| self.wrong(place, "a whole number", &value))?;
        Ok(Some(integer))
    }

    fn wrong(&self, place: usize, what: &str, value: &Value) -> Error {
        let what = format!("{}: {} must be {what}, and is {}", self.function, self.names[place], value.kind());
        Error::new(ErrorKind::InvalidOperation, what)
    }
}
