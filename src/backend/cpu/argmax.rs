//! Twin of `shaders/argmax.wgsl`.

use crate::backend::params::ArgmaxParams;
use ndarray::ArrayView2;

/// `out[row] = (index of the largest x[row, :], its natural log-probability)`; the lowest index wins a tie, NaN never wins.
/// Index 0 if there is nothing but NaN.
pub(super) fn argmax(p: &ArgmaxParams, x: ArrayView2<f32>, out: &mut [u32]) {
    for (row, out) in x.outer_iter().zip(out.chunks_exact_mut(2)).take(p.num_rows as usize) {
        let row = row.to_slice().expect("rows are contiguous");
        let mut best = 0;
        for (i, &logit) in row.iter().enumerate() {
            // A NaN at index 0 would otherwise beat everything by never losing a comparison.
            if logit > row[best] || row[best].is_nan() && !logit.is_nan() {
                best = i;
            }
        }
        out[0] = best as u32;
        out[1] = log_softmax_at(row, best).to_bits();
    }
}

/// `ln softmax(logits)[idx]`, summed in f64.
pub fn log_softmax_at(logits: &[f32], idx: usize) -> f32 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    (f64::from(logits[idx] - max) - sum.ln()) as f32
}
