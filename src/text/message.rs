//! One turn of a conversation, as its owner wrote it.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use serde::{Deserialize, Serialize};

use super::part::{Notes, Part};

/// What a message may say, in OpenAI's words and in Hugging Face's. A template sees all of it.
const KEYS: [&str; 11] = [
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning_content",
    "thinking",
    "reasoning",
    "refusal",
    "annotations",
];
/// Three names for what a model thought before it answered. As in transformers, the first that is there counts.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// One turn of a conversation.
///
/// It has a `role`, mostly also a `content`, and what else is in [the list of keys](Message::keys). A key may be null, too, as
/// OpenAI's clients write those that they do not use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Message {
    /// Keys and values, in the order in which they were given: templates may print them.
    fields: Vec<(String, Value)>,
}

impl Message {
    /// What `role` said: `system`, `user` or `assistant`, as far as the template knows them.
    pub fn new(role: &str, text: impl Into<String>) -> Self {
        let fields = vec![("role".to_owned(), Value::from(role)), ("content".to_owned(), Value::from(text.into()))];
        Self { fields }
    }

    /// The keys that a message may have.
    pub fn keys() -> &'static [&'static str] {
        &KEYS
    }

    /// What is said, in one text. Empty if it is nothing.
    pub fn text(&self) -> String {
        self.get("content").map(joined).unwrap_or_default()
    }

    /// Who says it.
    pub(super) fn role(&self) -> Option<&str> {
        self.get("role").and_then(Value::as_str)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether the content is a list of parts.
    pub(super) fn has_parts(&self) -> bool {
        self.get("content").is_some_and(|content| content.kind() == ValueKind::Seq)
    }

    /// The message as a template sees it. What it does with parts is noted in `notes`; without these, they are one text.
    pub(super) fn for_template(&self, notes: Option<&Arc<Notes>>) -> Value {
        let reasoning = REASONING
            .iter()
            .find_map(|key| self.get(key).filter(|value| !value.is_none()))
            .map(|value| ("thinking".to_owned(), value.clone()));
        let named = reasoning.iter().map(|(_, value)| ("reasoning_content".to_owned(), value.clone()));
        let fields = self.fields.iter().map(|(key, value)| match key.as_str() {
            "content" if value.kind() == ValueKind::Seq => (
                key.clone(),
                match notes {
                    Some(notes) => {
                        value.try_iter().into_iter().flatten().map(|part| Part::value(part, notes)).collect()
                    }
                    None => Value::from(joined(value)),
                },
            ),
            _ => (key.clone(), value.clone()),
        });
        reasoning.clone().into_iter().chain(fields).chain(named).collect()
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        message.fields.into_iter().collect()
    }
}

impl TryFrom<Value> for Message {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value.kind() != ValueKind::Map {
            return Err(r#"a message is an object, such as {"role": "user", "content": "Hi"}"#.into());
        }
        let mut fields = Vec::new();
        for key in value.try_iter().into_iter().flatten() {
            let field = value.get_item(&key).unwrap_or_default();
            let key = key.to_string();
            // A template may ask whether a key is there, and whether it is none.
            if !field.is_none() {
                check(&key, &field)?;
                check_numbers(&key, &field)?;
            }
            fields.push((key, field));
        }
        let message = Self { fields };
        if message.get("role").is_none_or(Value::is_none) {
            return Err("a message has no role: it is system, user, assistant or tool".into());
        }
        if value.len() == Some(1) {
            return Err("a message has a role and nothing else: give it content".into());
        }
        Ok(message)
    }
}

fn check(key: &str, value: &Value) -> Result<(), String> {
    if !KEYS.contains(&key) {
        return Err(format!("a message has the key {key}, which is not known: there are {}", KEYS.join(", ")));
    }
    let is_list = value.kind() == ValueKind::Seq;
    match key {
        "role" if value.as_str().is_none() => {
            Err(format!("the role of a message is {}, and must be a text", value.kind()))
        }
        "content" if value.as_str().is_none() && !is_list => {
            Err(format!("the content of a message is {}, and must be a text or a list of parts", value.kind()))
        }
        "content" if is_list => value.try_iter().into_iter().flatten().try_for_each(|part| check_part(&part)),
        "tool_calls" if !is_list => Err(format!("tool_calls of a message is {}, and must be a list", value.kind())),
        _ => Ok(()),
    }
}

/// JSON's reader makes a float of a whole number beyond 64 bits, and a template would print other digits.
fn check_numbers(key: &str, value: &Value) -> Result<(), String> {
    if f64::try_from(value.clone()).is_ok_and(|number| number.abs() >= 2f64.powi(63)) && !value.is_integer() {
        return Err(format!("{key} of a message has a number beyond 64 bits, {value}: write it as a text"));
    }
    let elements = value.try_iter().into_iter().flatten().filter(|_| value.as_str().is_none());
    for element in elements {
        let element =
            if value.kind() == ValueKind::Map { value.get_item(&element).unwrap_or_default() } else { element };
        check_numbers(key, &element)?;
    }
    Ok(())
}

fn check_part(part: &Value) -> Result<(), String> {
    let get = |key| part.get_attr(key).unwrap_or_default();
    match get("type").as_str() {
        Some("text") if get("text").as_str().is_some() => Ok(()),
        Some("text") => Err(r#"a part of type text has no text: write {"type": "text", "text": "Hi"}"#.into()),
        Some(kind) => Err(format!("a part of the content is of type {kind}: this engine reads text only")),
        None => Err(r#"a part of the content has no type: write {"type": "text", "text": "Hi"}"#.into()),
    }
}

/// A text, or the texts of its parts, one after the other.
fn joined(content: &Value) -> String {
    let text_of = |part: Value| part.get_attr("text").unwrap_or_default().as_str().unwrap_or_default().to_owned();
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => content.try_iter().into_iter().flatten().map(text_of).collect(),
    }
}
