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
//! So 16 words are unpacked by shifts and masks, whatever the form and however wide a vector is.
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
    /// Whether the elements are whole numbers that have scales.
    const SCALED: bool = false;

    /// Column `col` of a line: the lanes of `words[vector]`, and those 16 further on.
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, col: usize) -> [S::f32s; 2];

    /// What whole numbers come with added to them, by column of a line and half of the panel.
    #[inline(always)]
    fn offset(_col: usize, _half: usize) -> f32 {
        0.0
    }
}

/// `f32`
pub struct Single;
/// `f16`
pub struct Half;
/// `bf16`
pub struct Brain;
/// Whole numbers of so many bits. They are stored with 2^(BITS - 1) added, so that none is negative.
pub struct Whole<const BITS: usize>;
/// 128 added.
pub type Int8 = Whole<8>;
/// 8 added.
pub type Int4 = Whole<4>;

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

/// The bits of a whole number become part of the fraction of an f32. They stay where they are if possible. That saves a shift
/// for each word, and costs a product for each group, since what is added then depends on the column.
///
/// ```text
///   bits of an f32    31  30      23 22          to        0
///                     0   exponent   0 … 0 number 0 … 0          2^(23 - to) + number, where number counts from bit `to`
/// ```
///
/// A scale, which has 8 bits, times what was added is exact, as is what is left when that is taken away. Only a scale of 2^105
/// or more would make the product infinite, and no weights are that large.
impl<const BITS: usize> Whole<BITS> {
    /// Bit 0 of the number that begins at a bit of a word.
    const fn moved(at: usize) -> usize {
        match at {
            // The fraction has bits 0 to 22.
            _ if at + BITS > 23 => at - 16,
            // Further down, what is added times a scale would need more than the 24 bits of an f32.
            _ if at + BITS < 8 => 8 - BITS,
            _ => at,
        }
    }

    /// Where a number begins in its word.
    const fn begin(col: usize, half: usize) -> usize {
        BITS * (2 * col + half)
    }

    #[inline(always)]
    fn fraction<S: Simd>(simd: S, words: S::u32s, at: usize) -> S::f32s {
        let to = Self::moved(at);
        let moved = shift(simd, words, to as i32 - at as i32);
        let number = simd.and_u32s(moved, simd.splat_u32s(((1 << BITS) - 1) << to));
        let one = ((1u32 << (23 - to)) as f32).to_bits();
        simd.transmute_f32s_u32s(simd.or_u32s(number, simd.splat_u32s(one)))
    }
}

impl<const BITS: usize> Form for Whole<BITS> {
    const COLS: usize = 16 / BITS;
    const SCALED: bool = true;

    #[inline(always)]
    fn unpack<S: Simd>(simd: S, words: &[S::u32s], vector: usize, col: usize) -> [S::f32s; 2] {
        let [low, high] = [Self::begin(col, 0), Self::begin(col, 1)];
        [Self::fraction(simd, words[vector], low), Self::fraction(simd, words[vector], high)]
    }

    #[inline(always)]
    fn offset(col: usize, half: usize) -> f32 {
        let one = 1 << (23 - Self::moved(Self::begin(col, half)));
        (one + (1 << (BITS - 1))) as f32
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

/// To the left, or to the right if negative.
#[inline(always)]
fn shift<S: Simd>(simd: S, words: S::u32s, left: i32) -> S::u32s {
    let by = simd.splat_u32s(left.unsigned_abs());
    match left {
        0 => words,
        1.. => simd.wrapping_dyn_shl_u32s(words, by),
        _ => simd.wrapping_dyn_shr_u32s(words, by),
    }
}
