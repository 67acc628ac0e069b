//! Twin of `shaders/sample.wgsl`. It sorts, where the kernel searches.

use super::exp::exp;
use super::fast::instruction_set::Vectors;
use super::fast::threads;
use super::softmax::largest;
use crate::backend::params::{SampleParams, SamplingInput};
use ndarray::{ArrayView1, ArrayView2};
use pulp::{Simd, WithSimd};
use std::cmp::Ordering;

/// Multiplications that take about as long as a logit.
const COST: usize = 16;

/// `out[row] = (the token that sampling_inputs[row] asks for, its natural log-probability)`
pub(super) fn sample(
    vectors: Vectors,
    p: &SampleParams,
    x: ArrayView2<f32>,
    sampling_inputs: &[SamplingInput],
    out: &mut [u32],
) {
    let rows = x.outer_iter().zip(sampling_inputs).take(p.num_rows as usize);
    let rows = rows.zip(out.chunks_exact_mut(2)).collect();
    let cost = x.len().saturating_mul(COST);
    threads::for_each_worth(cost, rows, |((logits, input), out): ((ArrayView1<f32>, _), &mut [u32])| {
        let (token_idx, logprob) = vectors.run(Row { logits: logits.to_slice().expect("rows are contiguous"), input });
        out[0] = token_idx as u32;
        out[1] = logprob.to_bits();
    });
}

struct Row<'a> {
    logits: &'a [f32],
    input: &'a SamplingInput,
}

impl WithSimd for Row<'_> {
    type Output = (usize, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, f32) {
        let token_idx = choose(self.logits, self.input);
        (token_idx, log_softmax_at(self.logits, token_idx))
    }
}

/// The order is that of transformers: temperature, top-k, top-p, min-p.
#[inline(always)]
fn choose(logits: &[f32], input: &SamplingInput) -> usize {
    if input.temperature == 0.0 {
        return largest_idx(logits);
    }
    pick(&kept_tokens(logits, input), f64::from(input.random)).unwrap_or_else(|| largest_idx(logits))
}

/// Index of the largest logit. The lowest index wins a tie, NaN never wins; 0 if there is nothing but NaN.
#[inline(always)]
fn largest_idx(logits: &[f32]) -> usize {
    let max = largest(logits);
    let first = |wanted: fn(f32, f32) -> bool| logits.iter().position(|&logit| wanted(logit, max));
    // The maximum of nothing but −∞ is the smallest finite number.
    first(|logit, max| logit == max).or_else(|| first(|logit, _| !logit.is_nan())).unwrap_or(0)
}

/// `ln softmax(logits)[idx]`, summed in f64. NaN where there is no softmax: a NaN makes the sum one, and so does +∞ − ∞;
/// of nothing but −∞ the logarithm is as infinite as what it is taken from.
#[inline(always)]
fn log_softmax_at(logits: &[f32], idx: usize) -> f32 {
    let max = largest(logits);
    // Several sums side by side, as many as a vector has lanes.
    let mut sums = [0.0f64; 16];
    let (whole, rest) = logits.as_chunks::<16>();
    for logits in whole {
        for (sum, logit) in sums.iter_mut().zip(logits) {
            *sum += weight(*logit - max);
        }
    }
    for (sum, logit) in sums.iter_mut().zip(rest) {
        *sum += weight(*logit - max);
    }
    (f64::from(logits[idx] - max) - sums.iter().sum::<f64>().ln()) as f32
}

/// `exp`, and zero where that has its smallest number: the sum of nothing but −∞ is zero.
#[inline(always)]
fn weight(x: f32) -> f64 {
    if x < -87.0 { 0.0 } else { f64::from(exp(x)) }
}

/// A token that may still be drawn, with its weight: its probability times a common factor.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token_idx: usize,
    logit: f32,
    weight: f64,
}

impl Candidate {
    /// The most probable first, of equal ones that with the lower index.
    fn rank(&self, other: &Self) -> Ordering {
        let by_logit = other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal);
        by_logit.then(self.token_idx.cmp(&other.token_idx))
    }
}

/// The tokens that top-k, top-p and min-p leave, in order of index. A NaN is none.
fn kept_tokens(logits: &[f32], input: &SamplingInput) -> Vec<Candidate> {
    let max = f64::from(logits[largest_idx(logits)]);
    let weigh = |(token_idx, &logit): (usize, &f32)| {
        let weight = ((f64::from(logit) - max) / f64::from(input.temperature)).exp();
        Candidate { token_idx, logit, weight }
    };
    let numbers = logits.iter().enumerate().filter(|(_, logit)| !logit.is_nan());
    let mut kept: Vec<Candidate> = numbers.map(weigh).collect();

    let top_k = input.top_k as usize;
    if top_k < kept.len() {
        kept.select_nth_unstable_by(top_k, Candidate::rank);
        kept.truncate(top_k);
    }
    if input.top_p < 1.0 {
        kept.sort_unstable_by(Candidate::rank);
        let enough = f64::from(input.top_p) * total(&kept);
        let mut sum = 0.0;
        let needed = kept.iter().take_while(|candidate| {
            let needed = sum < enough;
            sum += candidate.weight;
            needed
        });
        let needed = needed.count();
        kept.truncate(needed);
    }
    // The most probable token weighs exp(0) = 1.
    kept.retain(|candidate| candidate.weight >= f64::from(input.min_p));
    kept.sort_unstable_by_key(|candidate| candidate.token_idx);
    kept
}

/// The candidate at the given part of the total weight.
fn pick(kept: &[Candidate], part: f64) -> Option<usize> {
    let wanted = part * total(kept);
    let mut sum = 0.0;
    let reaches = |candidate: &&Candidate| {
        sum += candidate.weight;
        sum > wanted
    };
    // Rounding may leave a hair: then it is the last token that can be drawn at all.
    let last = || kept.iter().rfind(|candidate| candidate.weight > 0.0);
    kept.iter().find(reaches).or_else(last).map(|candidate| candidate.token_idx)
}

fn total(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|candidate| candidate.weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_keep_the_most_probable() {
        let logits = [1.0, 3.0, 2.0, 3.0, -1.0, f32::NAN];
        let kept = |change: fn(&mut SamplingInput)| {
            let mut input = SamplingInput { temperature: 1.0, top_k: u32::MAX, top_p: 1.0, min_p: 0.0, random: 0.5 };
            change(&mut input);
            kept_tokens(&logits, &input).iter().map(|candidate| candidate.token_idx).collect::<Vec<_>>()
        };
        assert_eq!(kept(|_| ()), [0, 1, 2, 3, 4]);
        assert_eq!(kept(|input| input.top_k = 3), [1, 2, 3]);
        assert_eq!(kept(|input| input.top_k = 1), [1]);
        // Probabilities: 0.395, 0.395, 0.145, 0.053, 0.007.
        assert_eq!(kept(|input| input.top_p = 0.3), [1]);
        assert_eq!(kept(|input| input.top_p = 0.79), [1, 3]);
        assert_eq!(kept(|input| input.top_p = 0.80), [1, 2, 3]);
        assert_eq!(kept(|input| input.min_p = 0.3), [1, 2, 3]);
        assert_eq!(kept(|input| (input.min_p, input.temperature) = (0.5, 2.0)), [1, 2, 3]);
        // Of the two that top-k leaves the first has half of the weight.
        assert_eq!(kept(|input| (input.top_k, input.top_p) = (2, 0.5)), [1]);
    }
}
