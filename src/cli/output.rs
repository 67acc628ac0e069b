//! Results on stdout, in the order of the input.

use super::prompt::Prompt;
use super::prompts::PromptJob;
use super::wrap::Wrap;
use crate::core::request::FinishReason;
use crate::engine::stream::Output;
use crate::error::{Error, Result};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Write;

/// `--format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for people; a single prompt's text appears as it is generated.
    #[default]
    Text,
    /// A JSON object per request and line.
    Jsonl,
}

/// A line of `--format jsonl`.
#[derive(serde::Serialize)]
struct JsonLine<'a> {
    id: Id<'a>,
    prompt_token_ids: &'a [u32],
    token_ids: &'a [u32],
    logprobs: &'a [f32],
    text: &'a str,
    finish_reason: FinishReason,
    num_cached_tokens: usize,
    /// Where the finish reason is `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What a line of the input calls itself, as it was written, else its number.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Id<'a> {
    Own(&'a RawValue),
    Number(usize),
}

/// What a job brought, and why it failed if it did.
type Ended = (Output, Option<String>);

/// Writes each output as soon as all before it are written.
pub struct OutputWriter<'a, W: Write> {
    out: W,
    format: Format,
    jobs: &'a [PromptJob],
    /// There is one prompt, so its text needs no heading and is shown as it comes.
    is_alone: bool,
    wrap: Wrap,
    finished: BTreeMap<usize, Ended>,
    next: usize,
    refused: Vec<bool>,
}

impl<'a, W: Write> OutputWriter<'a, W> {
    /// A writer for the outputs of `jobs`, which are what could be read of `num_prompts`.
    pub fn new(out: W, format: Format, jobs: &'a [PromptJob], num_prompts: usize) -> Self {
        let is_alone = format == Format::Text && num_prompts == 1;
        let (finished, refused) = (BTreeMap::new(), vec![false; jobs.len()]);
        Self { out, format, jobs, is_alone, wrap: Wrap::for_stdout(), finished, next: 0, refused }
    }

    /// The text is written as it comes.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// This job was refused, and brings no output.
    ///
    /// # Errors
    /// [`Error::WriteOutput`]
    pub fn refuse(&mut self, job_idx: usize) -> Result<()> {
        self.refused[job_idx] = true;
        self.write_ready()
    }

    /// Text of a running job: shown at once if it is the only one.
    ///
    /// # Errors
    /// [`Error::WriteOutput`]
    pub fn text(&mut self, text: &str) -> Result<()> {
        if self.is_alone {
            let text = self.wrap.push(text);
            self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(Error::WriteOutput)?;
        }
        Ok(())
    }

    /// A job has ended.
    ///
    /// # Errors
    /// [`Error::WriteOutput`]
    pub fn finish(&mut self, job_idx: usize, rest: &str, output: Output) -> Result<()> {
        self.text(rest)?;
        self.finished.insert(job_idx, (output, None));
        self.write_ready()
    }

    /// A job has failed: its line has what it had brought until then, and the reason. Text for people has only what was
    /// shown already, as stderr says why.
    ///
    /// # Errors
    /// [`Error::WriteOutput`]
    pub fn fail(&mut self, job_idx: usize, output: Output, reason: &str) -> Result<()> {
        match self.format {
            Format::Text => self.refuse(job_idx),
            Format::Jsonl => {
                self.finished.insert(job_idx, (output, Some(reason.to_owned())));
                self.write_ready()
            }
        }
    }

    /// The run is over: writes what finished and waited for an earlier job, if the run has failed, so that it is not lost.
    ///
    /// # Errors
    /// [`Error::WriteOutput`]
    pub fn write_finished(&mut self) -> Result<()> {
        for (job_idx, ended) in std::mem::take(&mut self.finished) {
            self.write(job_idx, &ended).and_then(|()| self.out.flush()).map_err(Error::WriteOutput)?;
        }
        Ok(())
    }

    fn write_ready(&mut self) -> Result<()> {
        while self.next < self.jobs.len() {
            let ended = self.finished.remove(&self.next);
            if ended.is_none() && !self.refused[self.next] {
                break;
            }
            if let Some(ended) = ended {
                self.write(self.next, &ended).and_then(|()| self.out.flush()).map_err(Error::WriteOutput)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn write(&mut self, job_idx: usize, (output, error): &Ended) -> std::io::Result<()> {
        let job = &self.jobs[job_idx];
        match self.format {
            Format::Text if self.is_alone => writeln!(self.out, "{}", self.wrap.finish()),
            Format::Text => {
                // Plain text goes on where the prompt ends; an answer to tokens or messages begins a line of its own.
                let gap = if matches!(job.prompt, Prompt::Text(_)) { "" } else { "\n" };
                let text = format!("[{}] {}{gap}{}", job.number, job.prompt.title(), output.text);
                let text = self.wrap.push(&text) + &self.wrap.finish();
                writeln!(self.out, "{text}\n")
            }
            Format::Jsonl => {
                let line = JsonLine {
                    id: job.id.as_deref().map_or(Id::Number(job.number), Id::Own),
                    prompt_token_ids: &output.prompt_token_ids,
                    token_ids: &output.token_ids,
                    logprobs: &output.logprobs,
                    text: &output.text,
                    finish_reason: output.finish_reason,
                    // Nothing is shared between requests yet.
                    num_cached_tokens: 0,
                    error: error.as_deref(),
                };
                writeln!(self.out, "{}", serde_json::to_string(&line)?)
            }
        }
    }
}
