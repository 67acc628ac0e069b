//! A request and what may be asked of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::EngineConfig;
use crate::core::wording::count_text;
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
    /// Texts that end the output. They are never emitted. A special token's own text stands for that token.
    pub stop: Vec<String>,
    /// Tokens that end the output, beside the model's end-of-sequence tokens. They are never emitted.
    pub stop_token_ids: Vec<TokenId>,
    /// Generate past the model's end-of-sequence tokens, as benchmarks do.
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
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// An [`Error::InvalidOption`] for each field that cannot work.
    pub fn faults(&self) -> Vec<Error> {
        let Self { max_new_tokens, temperature, top_k, top_p, min_p, .. } = *self;
        let checks = [
            (max_new_tokens > 0, "max_new_tokens", max_new_tokens.to_string(), "it must be at least 1"),
            (
                temperature.is_finite() && temperature >= 0.0,
                "temperature",
                temperature.to_string(),
                "use 0 for greedy or a positive number",
            ),
            (top_k != Some(0), "top_k", "0".into(), "it must be at least 1; leave it out to keep all tokens"),
            (top_p > 0.0 && top_p <= 1.0, "top_p", top_p.to_string(), "use a number above 0 and at most 1"),
            ((0.0..=1.0).contains(&min_p), "min_p", min_p.to_string(), "use a number from 0 to 1"),
            (!self.stop.iter().any(String::is_empty), "stop", "\"\"".into(), "a stop text must not be empty"),
        ];
        let wrong = checks.into_iter().filter(|(works, ..)| !works);
        wrong.map(|(_, option, value, reason)| Error::InvalidOption { option, value, reason: reason.into() }).collect()
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

/// Checks that a request for a prompt of so many tokens can run and finish within these limits, by a model that was made for
/// sequences of `longest` tokens.
///
/// # Errors
/// [`Error::RequestRefused`] with the figures, what is to blame and what helps, if it never could; [`Error::InvalidOption`] if
/// a sampling parameter cannot work.
pub fn check_request(config: &EngineConfig, longest: usize, prompt_len: usize, params: &SamplingParams) -> Result<()> {
    let &EngineConfig { block_size, num_kv_blocks, max_model_len, .. } = config;
    let max_new_tokens = params.max_new_tokens;
    let refuse = |message| Err(Error::RequestRefused(message));

    params.validate()?;
    if prompt_len == 0 {
        return refuse("the prompt is empty: give at least one token".into());
    }
    // The last token ends the request: nothing is computed from it, so that it has no position and no slot.
    let num_computed = prompt_len.saturating_add(max_new_tokens) - 1;
    let (prompt, computed) = (count_text(prompt_len, "prompt token"), count_text(num_computed, "token"));
    let tokens = format!("{prompt} and {max_new_tokens} new ones, the last of which is not computed, are {computed}");
    let pool_tokens = num_kv_blocks.saturating_mul(block_size);
    let num_blocks = config.num_blocks_for(num_computed);
    let most = longest.min(max_model_len).min(pool_tokens).saturating_add(1);
    let remedy = shorter(most, prompt_len, max_new_tokens);
    // The model cannot be given more room, so its own limit is named wherever that is too small, too.
    if num_computed > longest {
        return refuse(format!("{tokens}; the model was made for at most {longest}: {remedy}"));
    }
    let pool_is_short = num_blocks > num_kv_blocks;
    // A max_model_len that was left out is what the pool holds: then the pool is to blame.
    if num_computed > max_model_len && max_model_len != pool_tokens {
        let pool = if pool_is_short { format!(" and num_kv_blocks to {num_blocks}") } else { String::new() };
        let raise = format!("raise it to {num_computed}{pool}");
        return refuse(format!("{tokens}; max_model_len is {max_model_len}: {raise}, or {remedy}"));
    }
    if pool_is_short {
        return refuse(format!(
            "{tokens}; they need {num_blocks} blocks of {block_size}, and the pool has {num_kv_blocks}: \
             raise num_kv_blocks to {num_blocks}, or {remedy}"
        ));
    }
    Ok(())
}

/// What a user can do for a prompt and its output to fit. Fewer new tokens do not help a prompt that is too long by itself.
fn shorter(limit: usize, prompt_len: usize, max_new_tokens: usize) -> String {
    let lower = format!("lower max_new_tokens to {}", limit.saturating_sub(prompt_len));
    let shorten = format!("shorten the prompt to {}", count_text(limit.saturating_sub(max_new_tokens), "token"));
    match (prompt_len < limit, max_new_tokens < limit) {
        (true, true) => format!("{shorten}, or {lower}"),
        (true, false) => lower,
        (false, true) => shorten,
        (false, false) => format!("shorten the prompt and lower max_new_tokens to {limit} tokens together"),
    }
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
    /// It could not go on: its logits were not finite, or its text could not be decoded.
    Error,
}

/// The word that JSON has, too.
impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
