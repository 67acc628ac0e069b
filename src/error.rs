//! Everything that can go wrong, a sentence per case: what is wrong, and where possible what to do about it.

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
    #[error("cannot read {path}: {source}", path = .path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the model folder was read and makes no sense, or asks for what this engine does not do.
    #[error("{path}: {reason}", path = .path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight is missing or has another shape or type than the config promises.
    #[error("{path}: tensor {tensor}: {reason}", path = .path.display())]
    InvalidTensor {
        /// The safetensors file, or the folder if no file holds the tensor.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Text could not be turned into tokens or back.
    #[error("tokenizer: {0}")]
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
    #[error("chat template: {0}")]
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
