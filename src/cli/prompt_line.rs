//! A line of a prompts file: a JSON object. All that is wrong with it is told at once, each fault with its field, the value
//! and what is allowed.

use super::nearest::nearest;
use super::prompt::Prompt;
use crate::core::request::SamplingParams;
use crate::ids::TokenId;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What a line says.
pub struct Line {
    /// Its own id.
    pub id: Option<Box<RawValue>>,
    /// Its prompt.
    pub prompt: Prompt,
    /// Its own sampling fields; the command line's where it has none.
    pub params: SamplingParams,
    /// Those of its fields that have no effect.
    pub idle: Vec<&'static str>,
}

const PROMPTS: [&str; 3] = ["prompt", "prompt_token_ids", "messages"];
const OTHERS: [&str; 10] =
    ["id", "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "seed", "stop", "stop_token_ids", "ignore_eos"];
const COUNT: &str = "use a whole number from 1";
const TOKEN_ID: &str = "a token id is a whole number from 0";
/// Characters of a wrong value that are shown.
const SHOWN: usize = 40;

/// Reads a line.
///
/// # Errors
/// Every fault, in a sentence each.
pub fn parse_line(line: &[u8], defaults: &SamplingParams) -> Result<Line, String> {
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(r#"this is no JSON: a line is an object, such as {"prompt": "Once upon a time"}"#.into());
    }
    let Pairs(given) = serde_json::from_slice(line).map_err(|error| {
        // Its line number is always 1, and would be taken for one of the file.
        format!("column {}: {}", error.column(), without_place(&error))
    })?;
    let mut fields = Fields { given, faults: Vec::new() };
    fields.check_names();
    let prompt = fields.prompt();
    let number = "use a number";
    let given = |fields: &Fields, name: &'static str| fields.find(name).is_some();
    let choosing = ["top_k", "top_p", "min_p", "seed"].into_iter().filter(|name| given(&fields, name)).collect();
    let params = SamplingParams {
        max_new_tokens: fields.take("max_new_tokens", COUNT).unwrap_or(defaults.max_new_tokens),
        temperature: fields
            .take("temperature", "use 0 for greedy or a positive number")
            .unwrap_or(defaults.temperature),
        top_k: fields.take("top_k", COUNT).or(defaults.top_k),
        top_p: fields.take("top_p", number).unwrap_or(defaults.top_p),
        min_p: fields.take("min_p", number).unwrap_or(defaults.min_p),
        seed: fields.take("seed", "use a whole number from 0").unwrap_or(defaults.seed),
        stop: fields.texts("stop").unwrap_or_else(|| defaults.stop.clone()),
        stop_token_ids: fields.token_ids("stop_token_ids").unwrap_or_else(|| defaults.stop_token_ids.clone()),
        ignore_eos: fields.take("ignore_eos", "use true or false").unwrap_or(defaults.ignore_eos),
    };
    fields.faults.extend(params.faults().iter().map(ToString::to_string));
    let idle = if params.temperature == 0.0 { choosing } else { Vec::new() };
    let id = fields.find("id").map(ToOwned::to_owned);
    match prompt {
        Some(prompt) if fields.faults.is_empty() => Ok(Line { id, prompt, params, idle }),
        _ => Err(fields.faults.join("; ")),
    }
}

/// The fields of a line as they were written, and what is wrong with them so far.
struct Fields {
    given: Vec<(String, Box<RawValue>)>,
    faults: Vec<String>,
}

impl Fields {
    /// Every name is one of a field, and stands there once.
    fn check_names(&mut self) {
        let known = || PROMPTS.into_iter().chain(OTHERS);
        for (i, (name, _)) in self.given.iter().enumerate() {
            if self.given[..i].iter().any(|(earlier, _)| earlier == name) {
                self.faults.push(format!("{name} is there twice"));
            } else if !known().any(|field| field == name) {
                let meant = match nearest(name, known()) {
                    Some(meant) => format!("is it {meant}?"),
                    None => format!("fields are {}", known().collect::<Vec<_>>().join(", ")),
                };
                self.faults.push(format!("there is no field {name}: {meant}"));
            }
        }
    }

    /// A field that was given, and not as null.
    fn find(&self, name: &str) -> Option<&RawValue> {
        let field = self.given.iter().find(|(given, value)| given == name && value.get() != "null");
        field.map(|(_, value)| &**value)
    }

    fn prompt(&mut self) -> Option<Prompt> {
        if PROMPTS.iter().filter(|name| self.find(name).is_some()).count() != 1 {
            self.faults.push(format!("give exactly one of {}", PROMPTS.join(", ")));
            return None;
        }
        let text = self.take("prompt", "use a text").map(Prompt::Text);
        let token_ids = self.token_ids("prompt_token_ids").map(Prompt::TokenIds);
        let list: Option<Vec<Box<RawValue>>> =
            self.take("messages", r#"use a list of messages, such as {"role": "user", "content": "Hi"}"#);
        let messages = list.and(self.find("messages")).map(|value| serde_json::from_str(value.get()));
        let messages = messages.and_then(|messages| match messages {
            Ok(messages) => Some(Prompt::Messages(messages)),
            Err(error) => {
                self.faults.push(format!("messages: {}", without_place(&error)));
                None
            }
        });
        text.or(token_ids).or(messages)
    }

    /// The value of a field; one of another type is a fault.
    fn take<T: DeserializeOwned>(&mut self, name: &str, allowed: &str) -> Option<T> {
        let value = self.find(name)?.to_owned();
        self.value(name, &value, allowed)
    }

    fn value<T: DeserializeOwned>(&mut self, name: &str, value: &RawValue, allowed: &str) -> Option<T> {
        let text = value.get();
        let parsed = serde_json::from_str(text);
        if parsed.is_err() {
            let shown: String = text.chars().take(SHOWN).collect();
            let shown = if shown.len() < text.len() { shown + "…" } else { shown };
            let inner: Option<String> = serde_json::from_str(text).ok();
            let is_quoted = inner.is_some_and(|inner| serde_json::from_str::<T>(&inner).is_ok());
            let quotes = if is_quoted { ", without quotes" } else { "" };
            self.faults.push(format!("{name} is {shown}: {allowed}{quotes}"));
        }
        parsed.ok()
    }

    fn token_ids(&mut self, name: &str) -> Option<Vec<TokenId>> {
        let values: Vec<Box<RawValue>> = self.take(name, "use a list of token ids")?;
        // The first wrong one says enough.
        let ids =
            values.iter().enumerate().map_while(|(i, value)| self.value(&format!("{name}[{i}]"), value, TOKEN_ID));
        Some(ids.collect())
    }

    /// A text, or a list of texts.
    fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.find(name)?.to_owned();
        let one = serde_json::from_str(value.get()).ok().map(|text| vec![text]);
        one.or_else(|| self.value(name, &value, "use a text or a list of texts"))
    }
}

/// serde_json's error without its place, which counts within a piece of the line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// The entries of an object in their order, one that is there twice, too.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
