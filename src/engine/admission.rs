//! What a request must be before the scheduler sees it.

use crate::config::EngineConfig;
use crate::core::request::{Request, SamplingParams, check_request};
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};
use crate::model::ModelConfig;
use crate::text::tokenizer::Tokenizer;

/// Checks that an engine would accept a request, for those who want to know before there is one.
///
/// # Errors
/// As [`Engine::submit`](super::Engine::submit).
pub fn check(
    model: &ModelConfig,
    config: &EngineConfig,
    prompt_token_ids: &[TokenId],
    params: &SamplingParams,
) -> Result<()> {
    check_tokens(model, "token id", prompt_token_ids)?;
    check_tokens(model, "stop token id", &params.stop_token_ids)?;
    check_request(config, model.max_position_embeddings, prompt_token_ids.len(), params)
}

/// A request for this model: the model's end-of-sequence tokens end it, and the special tokens that its stop texts name.
/// Such a token has no text that a stop text could be found in.
///
/// # Errors
/// As [`check`].
pub fn request_for(
    model: &ModelConfig,
    config: &EngineConfig,
    tokenizer: &Tokenizer,
    id: RequestId,
    prompt_token_ids: Vec<TokenId>,
    mut params: SamplingParams,
) -> Result<Request> {
    check(model, config, &prompt_token_ids, &params)?;
    params.stop_token_ids.extend(params.stop.iter().filter_map(|text| tokenizer.special_token(text)));
    if !params.ignore_eos {
        params.stop_token_ids.extend_from_slice(&model.eos_token_ids);
    }
    Ok(Request { id, prompt_token_ids, params })
}

fn check_tokens(model: &ModelConfig, what: &str, token_ids: &[TokenId]) -> Result<()> {
    let vocab_size = model.vocab_size;
    match token_ids.iter().find(|&&token_id| token_id as usize >= vocab_size) {
        None => Ok(()),
        Some(token_id) => Err(Error::RequestRefused(format!(
            "{what} {token_id} is out of range: the model has {vocab_size} tokens, so the last is {}",
            vocab_size - 1
        ))),
    }
}
