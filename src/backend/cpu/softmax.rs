//! Softmax of a row of scores, but for the division: the same steps in the twins and in the fast kernels.

use super::exp::exp;
use super::row_sum::sum;

const LANES: usize = 16;

/// Turns scores into weights `exp(score − maximum)`. Returns the maximum and the total of the weights.
#[inline(always)]
pub(super) fn weigh(scores: &mut [f32]) -> (f32, f32) {
    let maximum = largest(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - maximum);
    }
    (maximum, sum(scores))
}

/// NaN never wins.
#[inline(always)]
pub(super) fn largest(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (whole, rest) = scores.as_chunks::<LANES>();
    let mut lanes = [f32::MIN; LANES];
    for scores in whole {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], scores[lane]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::MIN, larger)
}
