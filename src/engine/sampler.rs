//! From logits to one token per sequence.

use super::philox::uniform;
use crate::backend::Backend;
use crate::backend::params::{SampleParams, SamplingInput};
use crate::core::request::SamplingParams;
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::StepPlan;
use crate::error::Result;
use crate::ids::TokenId;
use crate::model::decoder::Logits;
use crate::model::memory_plan::MemoryPlan;

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub token_id: TokenId,
    /// Its natural log-probability under the unmodified logits. NaN where these give no token a probability: then it was
    /// not chosen.
    pub logprob: f32,
}

/// How the `index`-th token of a request, from 0, is to be chosen: a function of what the request asks for and of nothing
/// that happens beside it.
pub fn sampling_input(params: &SamplingParams, index: u64) -> SamplingInput {
    // The middle of one of 2²³ equal parts, as many as an f32 can tell apart: never 0, never 1.
    let part = (uniform(params.seed, index) * f64::from(1u32 << 23)).floor();
    let top_k = params.top_k.and_then(|top_k| u32::try_from(top_k).ok());
    SamplingInput {
        temperature: params.temperature,
        top_k: top_k.unwrap_or(u32::MAX),
        top_p: params.top_p,
        min_p: params.min_p,
        random: ((part + 0.5) / f64::from(1u32 << 23)) as f32,
    }
}

/// How each row that samples is to be sampled, in the order of the plan.
pub(super) fn sampling_inputs(plan: &StepPlan, scheduler: &Scheduler) -> Vec<SamplingInput> {
    let sampling = plan.rows.iter().filter(|row| row.samples);
    sampling
        .map(|row| {
            let request = scheduler.sequence(row.seq_idx).request();
            let num_outputs = row.seq_len() - request.prompt_token_ids.len();
            sampling_input(&request.params, num_outputs as u64)
        })
        .collect()
}

/// Chooses tokens on the backend.
pub struct Sampler<B: Backend> {
    sampling_inputs: B::Buffer,
    sampled_tokens: B::Buffer,
}

impl<B: Backend> Sampler<B> {
    /// Room for the sampled tokens of a step.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has not enough memory.
    pub fn new(backend: &mut B, plan: &MemoryPlan) -> Result<Self> {
        Ok(Self {
            sampling_inputs: backend.alloc("sampling inputs", plan.sampling_inputs)?,
            sampled_tokens: backend.alloc("sampled tokens", plan.sampled_tokens)?,
        })
    }

    /// The last step's sampled tokens, which may be the next one's tokens before anybody has read them.
    pub fn sampled_tokens(&self) -> &B::Buffer {
        &self.sampled_tokens
    }

    /// Submits the step. It leaves one sampled token per row of logits: two words a sequence to be read.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device refused the step.
    pub fn submit(
        &mut self,
        backend: &mut B,
        logits: &Logits<'_, B::Buffer>,
        sampling_inputs: &[SamplingInput],
    ) -> Result<B::Readback> {
        backend.upload(&mut self.sampling_inputs, 0, bytemuck::cast_slice(sampling_inputs));
        let p = SampleParams { num_rows: logits.num_rows as u32, width: logits.vocab_size as u32 };
        backend.sample(p, logits.buffer, &self.sampling_inputs, &mut self.sampled_tokens);
        backend.submit(&self.sampled_tokens, 2 * logits.num_rows)
    }

    /// The sampled tokens of a submitted step. The only wait of a step.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost or refused the step.
    pub async fn read(&self, backend: &mut B, readback: B::Readback) -> Result<Vec<SampledToken>> {
        let words = backend.read(readback).await?;
        let sampled_token = |words: &[u32]| SampledToken { token_id: words[0], logprob: f32::from_bits(words[1]) };
        Ok(words.chunks_exact(2).map(sampled_token).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that does not fit a u32 is more than any vocabulary has.
    #[test]
    fn a_top_k_that_is_left_out_or_huge_keeps_all() {
        let top_k = |top_k| sampling_input(&SamplingParams { top_k, ..Default::default() }, 0).top_k;
        assert_eq!([None, Some(usize::MAX), Some(3)].map(top_k), [u32::MAX, u32::MAX, 3]);
    }
}
