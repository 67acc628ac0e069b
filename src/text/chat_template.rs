//! Chat templates: Jinja programs that come with a model and turn messages into a prompt.

use std::io::{self, Write};
use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};
use serde_json::Value as Json;

use super::guard::catch_panic;
use super::jinja::{self, Clock};
use super::message::Message;
use super::part::Notes;
use super::token_files::TokenFiles;
use crate::error::{Error, Result};
use crate::files::ModelFolder;

const TEMPLATE_FILE: &str = "chat_template.jinja";

/// The name errors carry.
const TEMPLATE: &str = "chat_template";
/// Instructions a rendering may take. A message takes some dozens. What each may read and make, and for how
/// long, is bounded in [`jinja`].
const MAX_INSTRUCTIONS: u64 = 1_000_000;
/// Times that messages are rendered to see which parts the template reads. Then all parts are joined.
const MAX_PASSES: usize = 3;
/// Longest prompt a template may render.
const MAX_RENDERED_BYTES: usize = 16 << 20;

/// A compiled chat template. It sees the messages, the names of the special tokens and the date (in UTC), and nothing
/// else of the machine.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and the others, by name.
    special_tokens: Value,
}

impl ChatTemplate {
    /// Reads chat_template.jinja, or else `chat_template` in tokenizer_config.json: a text, or a list of named ones of
    /// which `default` is taken. `None` if the model has no template.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] if a file with special tokens makes no sense, [`Error::ChatTemplate`] if the template cannot be
    /// used: a model without one still takes plain prompts.
    pub fn open(folder: &ModelFolder) -> Result<Option<Self>> {
        Self::open_at(folder, || web_time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs())
    }

    /// The same with another clock: it gives the seconds since 1970 began.
    ///
    /// # Errors
    /// As [`ChatTemplate::open`].
    pub fn open_at(folder: &ModelFolder, clock: fn() -> u64) -> Result<Option<Self>> {
        let files = TokenFiles::open(folder)?;
        let source = match folder.read_optional(TEMPLATE_FILE)? {
            Some(source) => Some(String::from_utf8(source).map_err(|error| {
                Error::ChatTemplate(format!(
                    "{TEMPLATE_FILE} is not UTF-8 from byte {} on",
                    error.utf8_error().valid_up_to()
                ))
            })?),
            None => match files.config.get("chat_template") {
                None | Some(Json::Null) => None,
                Some(template) => Some(default_template(template)?),
            },
        };
        source.map(|source| Self::compile(&source, &files, clock)).transpose()
    }

    fn compile(source: &str, files: &TokenFiles, clock: Clock) -> Result<Self> {
        let source = jinja::rewrite(source).map_err(Error::ChatTemplate)?;
        let mut environment = jinja::environment(clock);
        environment.set_fuel(Some(MAX_INSTRUCTIONS));
        let compile = || environment.add_template_owned(TEMPLATE, source).map_err(|error| describe(&error, ""));
        catch_panic(compile, Error::ChatTemplate)?;
        Ok(Self { environment, special_tokens: files.names().collect() })
    }

    /// The prompt for `messages`; with `add_generation_prompt` it ends where the assistant's answer begins. Encode it
    /// with [`crate::text::Tokenizer::encode_rendered`].
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] with the template's own words if it refuses the messages, or if it runs for too long,
    /// writes too much or asks for something it cannot have.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        // Some templates go through a list of parts, some want a text and would print the list, and some do one with one role
        // and the other with another. Which, is seen best by what they do.
        let mut joined: Vec<bool> = messages.iter().map(|message| !message.has_parts()).collect();
        let mut num_passes = 0;
        loop {
            num_passes += 1;
            let notes: Vec<Arc<Notes>> = joined.iter().map(|_| Arc::default()).collect();
            let seen = messages.iter().zip(&notes).zip(&joined);
            let seen = seen.map(|((message, notes), joined)| message.for_template((!joined).then_some(notes)));
            let rendered = self.render_values(seen.collect(), add_generation_prompt);
            let mut misread: Vec<bool> = notes.iter().map(|notes| !notes.are_of_a_reader()).collect();
            if rendered.is_err() {
                // Whatever comes behind the first that it could not read, it has not seen. If it read all, it refuses them.
                let Some(first) = (0..messages.len()).find(|&i| misread[i] && !joined[i]) else { return rendered };
                let role = messages[first].role();
                misread = (0..messages.len()).map(|i| joined[i] || messages[i].role() == role).collect();
            }
            if misread == joined {
                return rendered;
            }
            joined = if num_passes < MAX_PASSES { misread } else { vec![true; messages.len()] };
        }
    }

    fn render_values(&self, messages: Vec<Value>, add_generation_prompt: bool) -> Result<String> {
        let template = self.environment.get_template(TEMPLATE).map_err(|error| describe(&error, ""))?;
        let none = Value::from(());
        let context = context! {
            messages, add_generation_prompt, tools => none, documents => none, ..self.special_tokens.clone()
        };
        let mut rendered = BoundedWriter(Vec::new());
        let render = || {
            let outcome = template.render_captured_to(context, &mut rendered).map(drop);
            outcome.map_err(|error| describe(&error, template.source()))
        };
        catch_panic(render, Error::ChatTemplate)?;
        String::from_utf8(rendered.0).map_err(|_| Error::ChatTemplate("it rendered something that is not UTF-8".into()))
    }
}

/// The template in `chat_template`: a text or a list of `{"name": …, "template": …}`.
fn default_template(template: &Json) -> Result<String> {
    let wrong = |what: String| Error::ChatTemplate(format!("in tokenizer_config.json, chat_template is {what}"));
    if let Some(text) = template.as_str() {
        return Ok(text.to_owned());
    }
    let Some(entries) = template.as_array() else { return Err(wrong("neither a text nor a list".into())) };
    let default = entries.iter().find(|entry| entry["name"] == "default");
    let names = || entries.iter().filter_map(|entry| entry["name"].as_str()).collect::<Vec<_>>().join(", ");
    let text = default.and_then(|entry| entry["template"].as_str());
    text.map(str::to_owned).ok_or_else(|| wrong(format!("a list without an entry named default, only: {}", names())))
}

/// The last thing before the end of `source` that is looked up in another, such as `a.b[0].c`: what it is looked up in, and the
/// whole. `None` if it is no chain of names and subscripts.
fn lookup(source: &str) -> Option<(&str, &str)> {
    let of_chain = |char: char| char.is_alphanumeric() || "_.[]'\"".contains(char);
    let whole = &source[source.trim_end_matches(of_chain).len()..];
    let mut depth = 0;
    // A subscript may have subscripts in it.
    let (end, _) = whole.char_indices().rev().find(|(_, char)| {
        depth += i32::from(*char == ']') - i32::from(*char == '[');
        depth == 0 && matches!(char, '.' | '[')
    })?;
    (end > 0).then(|| (&whole[..end], whole))
}

/// minijinja's error in one line. It happened in `source`, as far as that is known.
fn describe(error: &minijinja::Error, source: &str) -> Error {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it runs for too long".into(),
        ErrorKind::UndefinedError if error.detail().is_none() => {
            match error.range().and_then(|range| lookup(source.get(..range.end)?)) {
                Some((base, whole)) => format!("{base} is undefined, so there is no {whole}"),
                None => error.kind().to_string(),
            }
        }
        ErrorKind::WriteFailure => format!("it writes more than {MAX_RENDERED_BYTES} bytes"),
        _ => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    };
    Error::ChatTemplate(what + &line)
}

/// Collects what a template writes, up to [`MAX_RENDERED_BYTES`].
struct BoundedWriter(Vec<u8>);

impl Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
