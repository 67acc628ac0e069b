//! Where prompts come from: the command line, a JSONL file or stdin, or the built-in ones.

use super::prompt::Prompt;
use super::prompt_line::{Line, parse_line};
use crate::core::request::SamplingParams;
use crate::error::{Error, Result};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
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
    /// Its place in the input: prompts of the command line count from 0, and each line of a file after them, whatever is in
    /// it.
    pub number: usize,
    /// The `id` of a JSONL line, as it was written there.
    pub id: Option<Box<RawValue>>,
    /// Where it stands in the input, for messages: `prompts.jsonl, line 3`.
    pub place: String,
    /// The prompt.
    pub prompt: Prompt,
    /// The command line's sampling options, overridden by the line's own.
    pub params: SamplingParams,
    /// Fields of the line that change nothing: they choose among tokens, and temperature 0 leaves no choice.
    pub idle: Vec<&'static str>,
}

/// Jobs for prompts given as arguments.
pub fn from_arguments(prompts: &[String], defaults: &SamplingParams) -> Vec<PromptJob> {
    let job = |(number, text): (usize, &String)| PromptJob {
        number,
        id: None,
        place: format!("prompt {number}"),
        prompt: Prompt::Text(text.clone()),
        params: defaults.clone(),
        idle: Vec::new(),
    };
    prompts.iter().enumerate().map(job).collect()
}

/// Jobs for the built-in prompts.
pub fn built_in(defaults: &SamplingParams) -> Vec<PromptJob> {
    from_arguments(&BUILT_IN.map(String::from), defaults)
}

/// Jobs from a JSONL file, or stdin for `-`, with a message for each line that is none. Blank lines are passed over.
/// `first_number` prompts came before.
///
/// # Errors
/// [`Error::ReadFile`] if the file cannot be read, [`Error::InvalidFile`] if there is nothing in it.
pub fn from_file(path: &Path, first_number: usize, defaults: &SamplingParams) -> Result<(Vec<PromptJob>, Vec<String>)> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { Path::new("stdin") } else { path };
    let unreadable = |source| Error::ReadFile { path: name.to_path_buf(), source };
    let reader: Box<dyn BufRead> = if is_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(path).map_err(unreadable)?))
    };
    let (mut jobs, mut complaints) = (Vec::new(), Vec::new());
    // Who has which id.
    let mut ids: BTreeMap<String, String> = (0..first_number).map(|i| (i.to_string(), format!("prompt {i}"))).collect();
    for (line_idx, line) in reader.split(b'\n').enumerate() {
        let line = line.map_err(unreadable)?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let place = format!("{}, line {}", name.display(), line_idx + 1);
        // Editors on Windows begin a file with a mark.
        let line = if line_idx == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
        let number = first_number + line_idx;
        let job = parse_line(line, defaults).map_err(|reason| format!("{place}: {reason}"));
        let unique = job.and_then(|Line { id, prompt, params, idle }| {
            let key = id.as_deref().map_or_else(|| number.to_string(), key);
            match ids.get(&key) {
                Some(other) => Err(format!("{place}: id {key} is that of {other}, too: give each its own")),
                None => {
                    ids.insert(key, format!("line {}", line_idx + 1));
                    Ok(PromptJob { number, id, place, prompt, params, idle })
                }
            }
        });
        match unique {
            Ok(job) => jobs.push(job),
            Err(complaint) => complaints.push(complaint),
        }
    }
    if jobs.is_empty() && complaints.is_empty() {
        let reason = r#"there is no prompt in it: give a line for each, such as {"prompt": "Once upon a time"}"#.into();
        return Err(Error::InvalidFile { path: name.into(), reason });
    }
    Ok((jobs, complaints))
}

/// What ids are compared by: a text may be written in several ways; anything else, such as a number that no float holds, is
/// as it was written.
fn key(id: &RawValue) -> String {
    let text: Option<String> = serde_json::from_str(id.get()).ok();
    text.map_or_else(|| id.get().to_owned(), |text| serde_json::Value::from(text).to_string())
}
