//! Sums of a row in one fixed order of additions: sixteen running sums, so that the compiler can use vectors of any width
//! the CPU has and every CPU gets the same bits.

const LANES: usize = 16;

/// `Σ_i x[i]²`
#[inline(always)]
pub(super) fn sum_of_squares(x: &[f32]) -> f32 {
    add_up(x, |sum, x| sum + x * x)
}

/// `Σ_i x[i]`
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    add_up(x, |sum, x| sum + x)
}

#[inline(always)]
fn add_up(x: &[f32], add: impl Fn(f32, f32) -> f32) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for x in whole {
        sums = std::array::from_fn(|lane| add(sums[lane], x[lane]));
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum = add(*sum, *x);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}
