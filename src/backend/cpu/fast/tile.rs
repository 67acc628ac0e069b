//! The innermost loop: some rows of x times a block of a panel, sums in registers.

use super::panels::LANES;
use pulp::Simd;

/// Rows of a tile, at most.
const MOST_ROWS: usize = 12;

/// Cuts rows into tiles: `(first row, rows)`. All but a few have `most` rows; the kernel below has a version for each.
pub fn tiles(num_rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    debug_assert!(most <= MOST_ROWS);
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = num_rows - first;
        let rows = [most, 8, 4, 2, 1].into_iter().find(|&rows| rows <= left.min(most))?;
        first += rows;
        Some((first - rows, rows))
    })
}

/// `sums[row][lane] += Σ_k x[k][row] · weights[k][lane]`, in order of k, each step a fused multiply-add. `x` is
/// `[columns, rows]`, `sums` has the rows of a tile.
#[inline(always)]
pub fn multiply_tile<'a, S: Simd>(
    simd: S,
    x: &[f32],
    weights: impl Iterator<Item = &'a [f32; LANES]> + Clone,
    sums: &mut [[f32; LANES]],
) {
    match sums.len() {
        12 => multiply::<12, S>(simd, x, weights, sums),
        8 => multiply::<8, S>(simd, x, weights, sums),
        6 => multiply::<6, S>(simd, x, weights, sums),
        4 => multiply::<4, S>(simd, x, weights, sums),
        2 => multiply::<2, S>(simd, x, weights, sums),
        _ => sums.chunks_exact_mut(1).for_each(|sums| multiply::<1, S>(simd, x, weights.clone(), sums)),
    }
}

#[inline(always)]
fn multiply<'a, const ROWS: usize, S: Simd>(
    simd: S,
    x: &[f32],
    weights: impl Iterator<Item = &'a [f32; LANES]> + Clone,
    sums: &mut [[f32; LANES]],
) {
    let (x, _) = x.as_chunks::<ROWS>();
    let num_vectors = LANES / S::F32_LANES;
    // Two vectors of outputs at a time: each value of x is loaded once for both.
    for first in (0..num_vectors).step_by(2) {
        let mut totals = [[simd.splat_f32s(0.0); 2]; ROWS];
        for (totals, sums) in totals.iter_mut().zip(&*sums) {
            totals.copy_from_slice(&S::as_simd_f32s(sums).0[first..first + 2]);
        }
        for (x, weights) in x.iter().zip(weights.clone()) {
            let weights = S::as_simd_f32s(weights).0;
            let (left, right) = (weights[first], weights[first + 1]);
            for row in 0..ROWS {
                let x = simd.splat_f32s(x[row]);
                totals[row][0] = simd.mul_add_f32s(x, left, totals[row][0]);
                totals[row][1] = simd.mul_add_f32s(x, right, totals[row][1]);
            }
        }
        for (totals, sums) in totals.iter().zip(&mut *sums) {
            S::as_mut_simd_f32s(sums).0[first..first + 2].copy_from_slice(totals);
        }
    }
}
