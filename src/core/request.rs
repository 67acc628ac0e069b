//! A request and what may be asked of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};

/// How the next token is chosen, and when to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParams {
    /// Most tokens to generate.
    pub max_new_tokens: usize,
    /// 0 is greedy; otherwise logits are divided by it.
    pub temperature: f32,
    /// Keep only the `k` most probable tokens.
    pub top_k: Option<usize>,
    /// Keep the smallest set of most probable tokens whose probabilities add up to at least this, in (0, 1].
    pub top_p: f32,
    /// Drop tokens less probable than this times the most probable one, in [0, 1].
    pub min_p: f32,
    /// Seeds this request's own random numbers: its tokens depend on it and never on batch mates.
    pub seed: u64,
    /// Texts that end the output. They are never emitted.
    pub stop: Vec<String>,
    /// Tokens that end the output: the model's end-of-sequence tokens. They are never emitted.
    pub stop_token_ids: Vec<TokenId>,
    /// Generate past `stop_token_ids`, as benchmarks do.
    pub ignore_eos: bool,
}

impl Default for SamplingParams {
    /// Greedy, 64 tokens.
    fn default() -> Self {
        Self {
            max_new_tokens: 64,
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
            stop: Vec::new(),
            stop_token_ids: Vec::new(),
            ignore_eos: false,
        }
    }
}

impl SamplingParams {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the first field that cannot work.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |option, value: String, reason: &str| Err(Error::InvalidOption { option, value, reason: reason.into() });
        if self.max_new_tokens == 0 {
            return refuse("max_new_tokens", "0".into(), "it must be at least 1");
        }
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return refuse("temperature", self.temperature.to_string(), "use 0 for greedy or a positive number");
        }
        if self.top_k == Some(0) {
            return refuse("top_k", "0".into(), "it must be at least 1; leave it out to keep all tokens");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse("top_p", self.top_p.to_string(), "use a number above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return refuse("min_p", self.min_p.to_string(), "use a number from 0 to 1");
        }
        if self.stop.iter().any(String::is_empty) {
            return refuse("stop", "\"\"".into(), "a stop text must not be empty");
        }
        Ok(())
    }
}

/// What a user asks for: a prompt and how to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its place in the order of arrival.
    pub id: RequestId,
    /// The prompt, at least one token.
    pub prompt_token_ids: Vec<TokenId>,
    /// How to choose tokens and when to stop.
    pub params: SamplingParams,
}

/// Checks that a request for a prompt of so many tokens can run and finish within these limits.
///
/// # Errors
/// [`Error::RequestRefused`] with the figures if it never could; [`Error::InvalidOption`] if a sampling parameter cannot
/// work.
pub fn check_request(config: &EngineConfig, prompt_len: usize, params: &SamplingParams) -> Result<()> {
    let &EngineConfig { block_size, num_kv_blocks, max_model_len, .. } = config;
    let max_new_tokens = params.max_new_tokens;
    let refuse = |message| Err(Error::RequestRefused(message));

    params.validate()?;
    if prompt_len == 0 {
        return refuse("the prompt is empty: give at least one token".into());
    }
    let max_len = prompt_len.saturating_add(max_new_tokens);
    let tokens = format!("{prompt_len} prompt tokens + {max_new_tokens} new ones = {max_len} tokens");
    let num_blocks = config.num_blocks_for(max_len);
    // A max_model_len that was left out is what the pool holds: then the pool is to blame.
    if max_len > max_model_len && max_model_len != num_kv_blocks * block_size {
        return refuse(format!(
            "{tokens}, and max_model_len is {max_model_len}: shorten the prompt or lower max_new_tokens"
        ));
    }
    if num_blocks > num_kv_blocks {
        return refuse(format!(
            "{tokens} need {num_blocks} blocks of {block_size}, and the pool has {num_kv_blocks}: \
             raise num_kv_blocks to {num_blocks}, shorten the prompt or lower max_new_tokens"
        ));
    }
    Ok(())
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// It reached `max_new_tokens`.
    Length,
    /// An end-of-sequence token or a stop text.
    Stop,
    /// Its owner gave it up.
    Abort,
    /// Its text could not be decoded.
    Error,
}

/// The word that JSON has, too.
impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
