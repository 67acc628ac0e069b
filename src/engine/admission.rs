//! What a request must be before the scheduler sees it.

use crate::core::request::{Request, SamplingParams};
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};
use crate::model::ModelConfig;

/// A request for this model: its tokens exist, and the model's end-of-sequence tokens end it.
///
/// # Errors
/// [`Error::RequestRefused`] names a token that the model does not have.
pub fn request_for(
    model: &ModelConfig,
    id: RequestId,
    prompt_token_ids: Vec<TokenId>,
    mut params: SamplingParams,
) -> Result<Request> {
    let vocab_size = model.vocab_size;
    if let Some(token_id) = prompt_token_ids.iter().find(|&&token_id| token_id as usize >= vocab_size) {
        return Err(Error::RequestRefused(format!(
            "token id {token_id} is out of range: the model has {vocab_size} tokens, so the last is {}",
            vocab_size - 1
        )));
    }
    params.stop_token_ids.extend_from_slice(&model.eos_token_ids);
    Ok(Request { id, prompt_token_ids, params })
}
