//! From logits to one token per sequence.

use super::philox::uniform;
use crate::backend::Backend;
use crate::backend::cpu::{largest_idx, log_softmax_at};
use crate::backend::params::ArgmaxParams;
use crate::core::request::SamplingParams;
use crate::error::Result;
use crate::ids::TokenId;
use crate::model::decoder::Logits;
use crate::model::memory_plan::MemoryPlan;

/// A chosen token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The token.
    pub token_id: TokenId,
    /// Its natural log-probability under the unmodified logits.
    pub logprob: f32,
}

/// How the next token of one sequence is to be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// What its request asks for.
    pub params: &'a SamplingParams,
    /// Which of its tokens this is, from 0: the counter of the random numbers.
    pub index: u64,
}

/// Chooses tokens: on the backend when all sequences are greedy, else on the host.
pub struct Sampler<B: Backend> {
    greedy: B::Buffer,
}

impl<B: Backend> Sampler<B> {
    /// Room for the choices of a step.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has not enough memory.
    pub fn new(backend: &mut B, plan: &MemoryPlan) -> Result<Self> {
        Ok(Self { greedy: backend.alloc("greedy choices", plan.choices)? })
    }

    /// One choice per row of logits. The only wait of a step: two words a sequence if all are greedy, else the logits.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost or refused the step.
    pub async fn sample(
        &mut self,
        backend: &mut B,
        logits: &Logits<'_, B::Buffer>,
        draws: &[Draw<'_>],
    ) -> Result<Vec<Choice>> {
        if draws.iter().all(|draw| draw.params.temperature == 0.0) {
            let p = ArgmaxParams { num_rows: logits.num_rows as u32, width: logits.vocab_size as u32 };
            backend.argmax(p, logits.buffer, &mut self.greedy);
            let words = backend.download(&self.greedy, 2 * logits.num_rows).await?;
            let choice = |words: &[u32]| Choice { token_id: words[0], logprob: f32::from_bits(words[1]) };
            return Ok(words.chunks_exact(2).map(choice).collect());
        }
        let words = backend.download(logits.buffer, logits.num_rows * logits.vocab_size).await?;
        let logits: &[f32] = bytemuck::cast_slice(&words);
        Ok(logits.chunks_exact(words.len() / draws.len()).zip(draws).map(|(row, draw)| choose(row, draw)).collect())
    }
}

/// Chooses from one row of logits on the host.
///
/// The order is that of transformers: temperature, top-k, top-p, min-p. Ties go to the lower token id.
pub fn choose(logits: &[f32], draw: &Draw<'_>) -> Choice {
    let params = draw.params;
    let token_idx = if params.temperature == 0.0 {
        largest_idx(logits)
    } else {
        let kept = kept_tokens(logits, params);
        pick(&kept, uniform(params.seed, draw.index))
    };
    Choice { token_id: token_idx as TokenId, logprob: log_softmax_at(logits, token_idx) }
}

/// A token that may still be drawn, with its weight: its probability times a common factor.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token_idx: usize,
    weight: f64,
}

/// The tokens that top-k, top-p and min-p leave, most probable first where they had to be sorted.
fn kept_tokens(logits: &[f32], params: &SamplingParams) -> Vec<Candidate> {
    let max = f64::from(logits[largest_idx(logits)]);
    let temperature = f64::from(params.temperature);
    let weigh = |(token_idx, &logit): (usize, &f32)| {
        let weight = ((f64::from(logit) - max) / temperature).exp();
        Candidate { token_idx, weight: if weight.is_nan() { 0.0 } else { weight } }
    };
    let mut kept: Vec<Candidate> = logits.iter().enumerate().map(weigh).collect();

    let by_weight = |a: &Candidate, b: &Candidate| b.weight.total_cmp(&a.weight).then(a.token_idx.cmp(&b.token_idx));
    if let Some(top_k) = params.top_k
        && top_k < kept.len()
    {
        kept.select_nth_unstable_by(top_k, by_weight);
        kept.truncate(top_k);
    }
    if params.top_k.is_some() || params.top_p < 1.0 {
        kept.sort_unstable_by(by_weight);
    }
    if params.top_p < 1.0 {
        let enough = f64::from(params.top_p) * kept.iter().map(|candidate| candidate.weight).sum::<f64>();
        let mut sum = 0.0;
        let needed = kept.iter().take_while(|candidate| {
            let needed = sum < enough;
            sum += candidate.weight;
            needed
        });
        let needed = needed.count().max(1);
        kept.truncate(needed);
    }
    // The most probable token weighs exp(0) = 1.
    kept.retain(|candidate| candidate.weight >= f64::from(params.min_p));
    kept
}

/// The candidate at the given part of the total weight.
fn pick(kept: &[Candidate], part: f64) -> usize {
    let mut left = part * kept.iter().map(|candidate| candidate.weight).sum::<f64>();
    for candidate in kept {
        left -= candidate.weight;
        if left < 0.0 {
            return candidate.token_idx;
        }
    }
    // Rounding may leave a hair: then it is the last token that can be drawn at all.
    kept.iter().rfind(|candidate| candidate.weight > 0.0).map_or(0, |candidate| candidate.token_idx)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

    fn params(change: impl FnOnce(&mut SamplingParams)) -> SamplingParams {
        let mut params = SamplingParams { temperature: 1.0, ..Default::default() };
        change(&mut params);
        params
    }

    fn kept(change: impl FnOnce(&mut SamplingParams)) -> Vec<usize> {
        kept_tokens(&LOGITS, &params(change)).iter().map(|candidate| candidate.token_idx).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let choice = choose(&LOGITS, &Draw { params: &SamplingParams::default(), index: 0 });
        assert_eq!(choice.token_id, 1);
    }

    #[test]
    fn filters_keep_the_most_probable() {
        assert_eq!(kept(|_| ()), [0, 1, 2, 3, 4]);
        assert_eq!(kept(|p| p.top_k = Some(3)), [1, 3, 2]);
        assert_eq!(kept(|p| p.top_k = Some(1)), [1]);
        // Probabilities: 0.395, 0.395, 0.145, 0.053, 0.007.
        assert_eq!(kept(|p| p.top_p = 0.3), [1]);
        assert_eq!(kept(|p| p.top_p = 0.79), [1, 3]);
        assert_eq!(kept(|p| p.top_p = 0.80), [1, 3, 2]);
        assert_eq!(kept(|p| p.min_p = 0.3), [1, 2, 3]);
        assert_eq!(kept(|p| (p.min_p, p.temperature) = (0.5, 2.0)), [1, 2, 3]);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let params = params(|p| (p.seed, p.temperature) = (11, 1.5));
        let mut counts = [0u32; 5];
        for index in 0..20_000 {
            counts[choose(&LOGITS, &Draw { params: &params, index }).token_id as usize] += 1;
        }
        let total: f64 = LOGITS.iter().map(|logit| f64::from(logit / 1.5).exp()).sum();
        for (count, logit) in counts.into_iter().zip(LOGITS) {
            let expected = 20_000.0 * f64::from(logit / 1.5).exp() / total;
            // Four standard deviations of a binomial count.
            assert!((f64::from(count) - expected).abs() < 4.0 * expected.sqrt(), "{count} draws, {expected} expected");
        }
    }

    #[test]
    fn the_log_probability_ignores_temperature_and_filters() {
        let params = params(|p| (p.top_k, p.temperature) = (Some(1), 0.1));
        let choice = choose(&LOGITS, &Draw { params: &params, index: 3 });
        assert_eq!(choice.logprob, log_softmax_at(&LOGITS, 1));
    }
}
