//! What a request has brought so far, as tokens and as text that is certain.

use crate::core::request::{FinishReason, Request};
use crate::engine::sampler::SampledToken;
use crate::error::Result;
use crate::ids::{RequestId, TokenId};
use crate::text::detokenizer::Detokenizer;
use crate::text::stop::StopMatcher;
use crate::text::tokenizer::Tokenizer;

/// All that a request brought, once it has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The request.
    pub id: RequestId,
    /// Its prompt.
    pub prompt_token_ids: Vec<TokenId>,
    /// The generated tokens, without the one that stopped it. Their text may reach into a stop text.
    pub token_ids: Vec<TokenId>,
    /// The natural log-probability of each under the unmodified logits.
    pub logprobs: Vec<f32>,
    /// The generated text, up to but without a stop text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The output of a running request.
pub(super) struct Stream {
    request: Request,
    token_ids: Vec<TokenId>,
    logprobs: Vec<f32>,
    text: String,
    detokenizer: Detokenizer,
    stop: StopMatcher,
}

/// What a token added.
pub(super) enum Pushed {
    /// Text that is certain; perhaps none yet.
    Text(String),
    /// The rest of the text, up to a stop text: the request has ended.
    Stopped(String),
}

impl Stream {
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) if the prompt cannot be decoded.
    pub fn new(request: Request, tokenizer: &Tokenizer) -> Result<Self> {
        let stop = StopMatcher::new(&request.params.stop);
        let detokenizer = Detokenizer::after(tokenizer, &request.prompt_token_ids)?;
        Ok(Self { request, token_ids: Vec::new(), logprobs: Vec::new(), text: String::new(), detokenizer, stop })
    }

    /// Tokens so far.
    pub fn len(&self) -> usize {
        self.token_ids.len()
    }

    /// Takes a generated token. The one that shows that a stop text is complete is not part of the output. Mostly it is
    /// the one that completes it; where text was held back ([`StopMatcher`]) it comes later, and those before it stay.
    pub fn push(&mut self, sampled_token: SampledToken, tokenizer: &Tokenizer) -> Result<Pushed> {
        let found = self.stop.push(&self.detokenizer.push(tokenizer, sampled_token.token_id)?);
        self.text.push_str(&found.text);
        if found.stopped {
            return Ok(Pushed::Stopped(found.text));
        }
        self.token_ids.push(sampled_token.token_id);
        self.logprobs.push(sampled_token.logprob);
        Ok(Pushed::Text(found.text))
    }

    /// The request has ended: the text still held back, and why it ended, as that may hold a stop text.
    pub fn end(&mut self, reason: FinishReason, tokenizer: &Tokenizer) -> Result<(String, FinishReason)> {
        let found = self.stop.push(&self.detokenizer.finish(tokenizer)?);
        let reason = if found.stopped { FinishReason::Stop } else { reason };
        let rest = found.text + &self.stop.finish();
        self.text.push_str(&rest);
        Ok((rest, reason))
    }

    /// All that the request brought.
    pub fn into_output(self, finish_reason: FinishReason) -> Output {
        Output {
            id: self.request.id,
            prompt_token_ids: self.request.prompt_token_ids,
            token_ids: self.token_ids,
            logprobs: self.logprobs,
            text: self.text,
            finish_reason,
        }
    }
}
