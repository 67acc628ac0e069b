//! What a matrix product is, in three loops: the twins of `linear` and `gated_linear`.

use super::fast::panels::Panels;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `write(&mut out[row, n], n, [x[row] · weights[0][n], x[row] · weights[1][n], …])` for each row and column of `out`.
pub(super) fn naive_matmul<const W: usize>(
    x: ArrayView2<f32>,
    weights: [&Panels; W],
    mut out: ArrayViewMut2<f32>,
    write: impl Fn(&mut f32, usize, [f32; W]),
) {
    for n in 0..out.ncols() {
        let weights = weights.map(|weight| weight.row(n).collect::<Vec<_>>());
        for (row, x) in x.outer_iter().enumerate() {
            let sum = |weight: &Vec<f32>| x.iter().zip(weight).fold(0.0, |sum, (x, w)| x.mul_add(*w, sum));
            write(&mut out[[row, n]], n, std::array::from_fn(|w| sum(&weights[w])));
        }
    }
}
