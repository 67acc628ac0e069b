//! Dot products in one fixed order of additions: sixteen running sums, so that the compiler can use vectors of any
//! width the CPU has and every CPU gets the same bits.

const LANES: usize = 16;

/// `[x[0]·w, x[1]·w, …]`, each computed exactly as if it were alone. All slices have the length of `w`.
#[inline(always)]
pub(super) fn dots<const N: usize>(x: [&[f32]; N], w: &[f32]) -> [f32; N] {
    let x = x.map(|row| &row[..w.len()]);
    let whole = w.len() / LANES * LANES;
    let mut sums = [[0.0f32; LANES]; N];
    for at in (0..whole).step_by(LANES) {
        let w = &w[at..at + LANES];
        for (sums, row) in sums.iter_mut().zip(x) {
            let row = &row[at..at + LANES];
            for lane in 0..LANES {
                sums[lane] += row[lane] * w[lane];
            }
        }
    }
    let mut n = 0;
    sums.map(|mut sums| {
        for at in whole..w.len() {
            sums[at - whole] += x[n][at] * w[at];
        }
        n += 1;
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
        }
        sums[0]
    })
}

/// `x·w`
#[inline(always)]
pub(super) fn dot(x: &[f32], w: &[f32]) -> f32 {
    dots([x], w)[0]
}
