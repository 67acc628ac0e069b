//! Everything that can go wrong, a sentence per case: what is wrong, and where possible what to do about it.

use std::fmt::Display;
use std::path::PathBuf;

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. The message names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that cannot work.
    #[error("{option} is {value}: {reason}")]
    InvalidOption {
        /// The name of its field: `block_size`. The command line shows it as `--block-size`.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is wrong with it and which values work.
        reason: String,
    },
    /// A request was refused before any of it ran.
    #[error("request refused: {0}")]
    RequestRefused(String),
    /// A file could not be read: one of the model folder, or the prompts.
    #[error("cannot read {path}: {source}", path = cut(.path.display()))]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the model folder was read and makes no sense, or asks for what this engine does not do.
    #[error("{path}: {reason}", path = cut(.path.display()), reason = cut(.reason))]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight is missing or has another shape or type than the config promises.
    #[error("{path}: tensor {tensor}: {reason}", path = cut(.path.display()), tensor = cut(.tensor), reason = cut(.reason))]
    InvalidTensor {
        /// The safetensors file, or the folder if no file holds the tensor.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Text could not be turned into tokens or back.
    #[error("tokenizer: {reason}", reason = cut(.0))]
    Tokenizer(String),
    /// A request cannot go on: the model gives its next token no probability.
    #[error(
        "the logits of step {step} are not finite, so that token {token} of this output has no probability{first}: a weight is \
         no number, or what is computed grows beyond all numbers. Compare the model's files with their origin; if weights are \
         rounded to f16, keep them in f32",
        first = .first.as_ref().map_or(String::new(), |first| format!(" (first seen in {first})"))
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// The place of the token in the output, from 0.
        token: usize,
        /// The first kernel that gave something that is no number, and its layer, where that is known.
        first: Option<String>,
    },
    /// A request failed where all were to succeed.
    #[error("a request failed: {0}")]
    RequestFailed(String),
    /// The chat template could not be compiled or refused the messages.
    #[error("chat template: {reason}", reason = cut(.0))]
    ChatTemplate(String),
    /// No usable GPU.
    #[error("no GPU: {0}")]
    NoGpu(String),
    /// The device refused or lost what was asked of it.
    #[error("device: {0}")]
    Device(String),
    /// The device is gone, and with it all that was in its memory. A new one can go on.
    #[error("device lost: {0}")]
    DeviceLost(String),
    /// Results could not be written.
    #[error("cannot write the results: {0}")]
    WriteOutput(std::io::Error),
    /// A file that was asked for could not be written: the log of a run, a shader.
    #[error("cannot write {path}: {source}", path = .path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Several things are wrong at once.
    #[error("{}", .0.iter().map(Error::to_string).collect::<Vec<_>>().join("; and "))]
    Several(Vec<Error>),
    /// The `paired` backend found two backends that disagree.
    #[error("{0}")]
    Diverged(String),
}

impl Error {
    /// One error of all that is wrong, at least one thing.
    pub fn all(mut errors: Vec<Error>) -> Self {
        if errors.len() == 1 { errors.remove(0) } else { Self::Several(errors) }
    }
}

/// Characters of a part of a message that are shown of its beginning, and of its end, where places are told.
const SHOWN: [usize; 2] = [600, 200];

/// A part of a message, without its middle if it is long: libraries repeat what they could not read, all of it.
fn cut(part: impl Display) -> String {
    let text = part.to_string();
    let [head, tail] = SHOWN;
    let Some((end, _)) = text.char_indices().nth(head) else { return text };
    match text.char_indices().rev().nth(tail - 1) {
        Some((begin, _)) if begin > end => format!("{} … {}", &text[..end], &text[begin..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_long_message_is_left_out() {
        for (len, shown) in [(0, 0), (600, 600), (800, 800), (801, 803), (100_000, 803)] {
            let text = "ä".repeat(len);
            assert_eq!(cut(&text).chars().count(), shown, "{len}");
        }
        let long = format!("begins {}ends", "x".repeat(1000));
        let error = Error::InvalidFile { path: "a".into(), reason: long }.to_string();
        assert!(error.starts_with("a: begins xx") && error.contains("xx … xx") && error.ends_with("xends"), "{error}");
    }
}
