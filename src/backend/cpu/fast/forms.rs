//! The forms that weights are stored in, and how a vector of words becomes vectors of f32. A new form is a type here and a
//! line in [`super::panels`].
//!
//! ```text
//!   bits of a word   31        24        16         8         0     lanes of a panel: j, and j + 16 across from it
//!   f32              lane j; 16 words further on lane j + 16        a column of 32 words
//!   f16, bf16        │    j + 16         │         j         │      a column of 16
//!   int8             │ j + 16  │    j    │ j + 16  │    j    │      two columns of 16
//!   int4             │j+16│  j │j+16│  j │j+16│  j │j+16│  j │      four columns of 16
//! ```
//!
//! So 16 words are unpacked by a shift and a mask, whatever the form and however wide a vector is.
//!
//! No closures here and in what unpacks: they are compiled without the vector instructions of the function around them, unless
//! the compiler happens to inline them.

use pulp::Simd;

/// Words across in a line: half the lanes of a panel.
pub const ACROSS: usize = 16;

/// A form, as the fast kernels see it.
pub trait Form {
    /// Cache lines of a line.
    const LINES: usize = 1;
    /// Words of a line.
    const WORDS: usize = Self::LINES * ACROSS;
    /// Columns of a line.
    const COLS: usize;
    /// Whole numbers come with this added to them, and have scales.
    const OFFSET: Option<f32> = None;

    /// Column `col` of a line: the lanes of `words[vector]`, and those 16 further on.
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, col: usize) -> [S::f32s; 2];
}

/// `f32`
pub struct Single;
/// `f16`
pub struct Half;
/// `bf16`
pub struct Brain;
/// Whole numbers of 8 bits, 128 added.
pub struct Int8;
/// Whole numbers of 4 bits, 8 added.
pub struct Int4;

impl Form for Single {
    const LINES: usize = 2;
    const COLS: usize = 1;

    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, _: usize) -> [S::f32s; 2] {
        let across = vector + ACROSS / S::F32_LANES;
        [simd.transmute_f32s_u32s(words[vector]), simd.transmute_f32s_u32s(words[across])]
    }
}

impl Form for Brain {
    const COLS: usize = 1;

    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, _: usize) -> [S::f32s; 2] {
        let [low, high] = halves(simd, words[vector]);
        [simd.transmute_f32s_u32s(low), simd.transmute_f32s_u32s(high)]
    }
}

impl Form for Half {
    const COLS: usize = 1;

    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, _: usize) -> [S::f32s; 2] {
        let [low, high] = halves(simd, words[vector]);
        [widen(simd, low), widen(simd, high)]
    }
}

impl Form for Int8 {
    const COLS: usize = 2;
    const OFFSET: Option<f32> = Some(256.0 + 128.0);

    /// The byte becomes the upper end of a fraction: of 256 + byte.
    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, col: usize) -> [S::f32s; 2] {
        let up = 15 - 16 * col as i32;
        let [low, high] = [shift(simd, words[vector], up), shift(simd, words[vector], up - 8)];
        [fraction(simd, low, 0xff << 15, 256.0), fraction(simd, high, 0xff << 15, 256.0)]
    }
}

impl Form for Int4 {
    const COLS: usize = 4;
    const OFFSET: Option<f32> = Some(16.0 + 8.0);

    /// Likewise, of 16 + nibble.
    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, col: usize) -> [S::f32s; 2] {
        let up = 19 - 8 * col as i32;
        let [low, high] = [shift(simd, words[vector], up), shift(simd, words[vector], up - 4)];
        [fraction(simd, low, 0xf << 19, 16.0), fraction(simd, high, 0xf << 19, 16.0)]
    }
}

/// Two halves of each word, each at the upper end of a word of its own.
#[inline(always)]
fn halves<S: Simd>(simd: S, words: S::u32s) -> [S::u32s; 2] {
    [shift(simd, words, 16), simd.and_u32s(words, simd.splat_u32s(0xffff_0000))]
}

/// An f16 at the upper end of a word. Its exponent is 112 less than that of the f32, infinity and NaN aside; a product sees
/// to subnormal ones.
#[inline(always)]
fn widen<S: Simd>(simd: S, half: S::u32s) -> S::f32s {
    let bits = simd.and_u32s(shift(simd, half, -3), simd.splat_u32s(0x7fff << 13));
    let scale = simd.splat_f32s(f32::from_bits((127 + 112) << 23));
    let finite = simd.transmute_u32s_f32s(simd.mul_f32s(simd.transmute_f32s_u32s(bits), scale));
    let not_finite = simd.or_u32s(bits, simd.splat_u32s(0x7f80_0000));
    let is_finite = simd.less_than_u32s(bits, simd.splat_u32s(0x7c00 << 13));
    let magnitude = simd.select_u32s(is_finite, finite, not_finite);
    simd.transmute_f32s_u32s(simd.or_u32s(magnitude, simd.and_u32s(half, simd.splat_u32s(0x8000_0000))))
}

#[inline(always)]
fn fraction<S: Simd>(simd: S, words: S::u32s, mask: u32, one: f32) -> S::f32s {
    let fraction = simd.and_u32s(words, simd.splat_u32s(mask));
    simd.transmute_f32s_u32s(simd.or_u32s(fraction, simd.splat_u32s(one.to_bits())))
}

/// To the left, or to the right if negative.
#[inline(always)]
fn shift<S: Simd>(simd: S, words: S::u32s, left: i32) -> S::u32s {
    let by = simd.splat_u32s(left.unsigned_abs());
    if left < 0 { simd.wrapping_dyn_shr_u32s(words, by) } else { simd.wrapping_dyn_shl_u32s(words, by) }
}
