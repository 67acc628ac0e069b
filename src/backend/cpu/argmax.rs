//! Twin of `shaders/argmax.wgsl`.

use crate::backend::params::ArgmaxParams;
use ndarray::ArrayView2;

/// `out[row] = (index of the largest x[row, :], its natural log-probability)`
pub(super) fn argmax(p: &ArgmaxParams, x: ArrayView2<f32>, out: &mut [u32]) {
    for (row, out) in x.outer_iter().zip(out.chunks_exact_mut(2)).take(p.num_rows as usize) {
        let row = row.to_slice().expect("rows are contiguous");
        let largest = largest_idx(row);
        out[0] = largest as u32;
        out[1] = log_softmax_at(row, largest).to_bits();
    }
}

/// Index of the largest logit. The lowest index wins a tie, NaN never wins; 0 if there is nothing but NaN.
pub fn largest_idx(logits: &[f32]) -> usize {
    // A NaN at index 0 would otherwise beat everything by never losing a comparison.
    let ahead = |best: usize, i: usize| logits[i] > logits[best] || (logits[best].is_nan() && !logits[i].is_nan());
    (1..logits.len()).fold(0, |best, i| if ahead(best, i) { i } else { best })
}

/// `ln softmax(logits)[idx]`, summed in f64.
pub fn log_softmax_at(logits: &[f32], idx: usize) -> f32 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    (f64::from(logits[idx] - max) - sum.ln()) as f32
}
