//! Dot products in one fixed order of additions: sixteen running sums, so that the compiler can use vectors of any
//! width the CPU has and every CPU gets the same bits.

const LANES: usize = 16;

/// `[x[0]·w, x[1]·w, …]`, each computed exactly as if it were alone. All slices have the length of `w`.
#[inline(always)]
pub(super) fn dots<const N: usize>(x: [&[f32]; N], w: &[f32]) -> [f32; N] {
    let (whole, rest) = w.as_chunks::<LANES>();
    let x = x.map(|row| row[..w.len()].as_chunks::<LANES>());
    let mut sums = [[0.0f32; LANES]; N];
    for (i, w) in whole.iter().enumerate() {
        for n in 0..N {
            sums[n] = multiply_add(&x[n].0[i], w, sums[n]);
        }
    }
    std::array::from_fn(|n| {
        let mut sums = sums[n];
        for ((sum, x), w) in sums.iter_mut().zip(x[n].1).zip(rest) {
            *sum += x * w;
        }
        for half in [8, 4, 2, 1] {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
        }
        sums[0]
    })
}

#[inline(always)]
fn multiply_add(x: &[f32; LANES], w: &[f32; LANES], sums: [f32; LANES]) -> [f32; LANES] {
    std::array::from_fn(|lane| sums[lane] + x[lane] * w[lane])
}

/// `x·w`
#[inline(always)]
pub(super) fn dot(x: &[f32], w: &[f32]) -> f32 {
    dots([x], w)[0]
}
