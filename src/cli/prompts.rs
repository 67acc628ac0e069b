//! Where prompts come from: the command line, a JSONL file or stdin, or the built-in ones.

use crate::core::request::SamplingParams;
use crate::engine::loaded_folder::LoadedFolder;
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::text::Message;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What `generate` runs when it is given nothing.
const BUILT_IN: [&str; 8] = [
    "Once upon a time",
    "Lily",
    "One windy day,",
    "Far away in the hills",
    "Once there was a dragon named Otto",
    "It was a rainy morning, and a girl named Mia was wide awake.",
    "A curious rabbit",
    "Long ago, a brave boy named Tom lived by the sea. He liked to sing. One sunny morning,",
];

/// A prompt and how to go on, as its owner wrote it.
#[derive(Debug)]
pub struct PromptJob {
    /// The `id` of a JSONL line, else its place in the input.
    pub id: serde_json::Value,
    /// Where it stands in the input, for messages: `prompts.jsonl, line 3`.
    pub place: String,
    /// The prompt.
    pub prompt: Prompt,
    /// The command line's sampling options, overridden by the line's own.
    pub params: SamplingParams,
}

/// The three ways to give a prompt.
#[derive(Debug)]
pub enum Prompt {
    /// Plain text.
    Text(String),
    /// Tokens.
    TokenIds(Vec<TokenId>),
    /// A conversation for the model's chat template.
    Messages(Vec<Message>),
}

/// A line of a prompts file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Line {
    id: Option<serde_json::Value>,
    prompt: Option<String>,
    prompt_token_ids: Option<Vec<TokenId>>,
    messages: Option<Vec<Message>>,
    max_new_tokens: Option<usize>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    seed: Option<u64>,
    stop: Option<Stop>,
    ignore_eos: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "stop must be a text or a list of texts")]
enum Stop {
    One(String),
    Several(Vec<String>),
}

/// Jobs for prompts given as arguments.
pub fn from_arguments(prompts: &[String], defaults: &SamplingParams) -> Vec<PromptJob> {
    let job = |(i, text): (usize, &String)| PromptJob {
        id: i.into(),
        place: format!("prompt {i}"),
        prompt: Prompt::Text(text.clone()),
        params: defaults.clone(),
    };
    prompts.iter().enumerate().map(job).collect()
}

/// Jobs for the built-in prompts.
pub fn built_in(defaults: &SamplingParams) -> Vec<PromptJob> {
    from_arguments(&BUILT_IN.map(String::from), defaults)
}

/// Jobs from a JSONL file, or stdin for `-`, with a message for each line that is none. Blank lines are passed over.
///
/// # Errors
/// [`Error::ReadFile`] if the file cannot be read.
pub fn from_file(path: &Path, first_id: usize, defaults: &SamplingParams) -> Result<(Vec<PromptJob>, Vec<String>)> {
    let unreadable = |source| Error::ReadFile { path: path.to_path_buf(), source };
    let is_stdin = path == Path::new("-");
    let reader: Box<dyn BufRead> = if is_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(path).map_err(unreadable)?))
    };
    let (mut jobs, mut complaints) = (Vec::new(), Vec::new());
    for (line_idx, line) in reader.split(b'\n').enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let place =
            format!("{}, line {}", if is_stdin { "stdin".into() } else { path.display().to_string() }, line_idx + 1);
        // Editors on Windows begin a file with a mark.
        let line = if line_idx == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        match parse_line(line, defaults) {
            Ok((id, prompt, params)) => {
                let id = id.unwrap_or_else(|| (first_id + line_idx).into());
                jobs.push(PromptJob { id, place, prompt, params });
            }
            Err(reason) => complaints.push(format!("{place}: {reason}")),
        }
    }
    Ok((jobs, complaints))
}

type Parsed = (Option<serde_json::Value>, Prompt, SamplingParams);

fn parse_line(line: &[u8], defaults: &SamplingParams) -> Result<Parsed, String> {
    if !line.trim_ascii_start().starts_with(b"{") {
        // serde would also take a list of all fields in order.
        return Err(r#"a line is an object, such as {"prompt": "Once upon a time"}"#.into());
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| describe(&error))?;
    let prompt = match (line.prompt, line.prompt_token_ids, line.messages) {
        (Some(text), None, None) => Prompt::Text(text),
        (None, Some(token_ids), None) => Prompt::TokenIds(token_ids),
        (None, None, Some(messages)) => Prompt::Messages(messages),
        _ => return Err("give exactly one of prompt, prompt_token_ids, messages".into()),
    };
    let stop = line.stop.map(|stop| match stop {
        Stop::One(text) => vec![text],
        Stop::Several(texts) => texts,
    });
    let params = SamplingParams {
        max_new_tokens: line.max_new_tokens.unwrap_or(defaults.max_new_tokens),
        temperature: line.temperature.unwrap_or(defaults.temperature),
        top_k: line.top_k.or(defaults.top_k),
        top_p: line.top_p.unwrap_or(defaults.top_p),
        min_p: line.min_p.unwrap_or(defaults.min_p),
        seed: line.seed.unwrap_or(defaults.seed),
        stop: stop.unwrap_or_else(|| defaults.stop.clone()),
        stop_token_ids: Vec::new(),
        ignore_eos: line.ignore_eos.unwrap_or(defaults.ignore_eos),
    };
    Ok((line.id, prompt, params))
}

/// serde_json's error, without its own line number: it is always 1 and would be taken for one of the file.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("column {}: {}", error.column(), text.strip_suffix(&place).unwrap_or(&text))
}

impl Prompt {
    /// The prompt as tokens.
    ///
    /// # Errors
    /// [`Error::RequestRefused`] if it is empty or the model has no chat template; what tokenizer or template report.
    pub fn encode(&self, folder: &LoadedFolder) -> Result<Vec<TokenId>> {
        let tokenizer = &folder.tokenizer;
        match self {
            // Some tokenizers begin every text with a token of their own, so the text itself is looked at.
            Self::Text(text) if text.is_empty() => {
                Err(Error::RequestRefused("the prompt is empty: give at least one character".into()))
            }
            Self::Text(text) => tokenizer.encode(text),
            Self::TokenIds(token_ids) => Ok(token_ids.clone()),
            Self::Messages(messages) if messages.is_empty() => {
                Err(Error::RequestRefused("messages is empty: give at least one message".into()))
            }
            Self::Messages(messages) => {
                let no_template = || {
                    Error::RequestRefused("this model has no chat template: give a prompt instead of messages".into())
                };
                let template = folder.chat_template.as_ref().ok_or_else(no_template)?;
                let template = template.as_ref().map_err(|reason| Error::ChatTemplate(reason.clone()))?;
                tokenizer.encode_rendered(&template.render(messages, true)?)
            }
        }
    }

    /// A line to recognise it by.
    pub fn title(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::TokenIds(token_ids) => format!("{} tokens", token_ids.len()),
            Self::Messages(messages) => messages.last().map_or(String::new(), Message::text),
        }
    }
}
