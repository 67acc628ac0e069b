//! Weights of 8 and of 4 bits: whole numbers, and for each 32 neighbours of a row a scale that they are multiplied by.
//!
//! ```text
//!   row    [0, 32)    [32, 64)   …      one bf16 scale for each; a last group may be shorter
//!   int8   -127 … 127                   scale = largest magnitude / 127
//!   int4     -8 … 7                     scale = the value of largest magnitude / -8
//! ```
//!
//! Symmetric and without a zero point, as the types Q8_0 and Q4_0 of llama.cpp, which have f16 scales. A bf16 scale has
//! 8 bits of precision, so that a scale times a whole number is exact in f32: a kernel and its twin have the same weights.

use half::bf16;

/// Neighbouring weights that share a scale.
pub const GROUP: usize = 32;

/// How many values a weight can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// int8
    L255,
    /// int4
    L16,
}

/// Up to [`GROUP`] weights. What is missing is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// May be negative.
    pub scale: bf16,
    /// Whole numbers.
    pub codes: [i8; GROUP],
}

impl Group {
    /// The nearest to these values.
    pub fn of(values: &[f32], levels: Levels) -> Self {
        let largest =
            values.iter().copied().fold(0.0f32, |most, value| if value.abs() > most.abs() { value } else { most });
        let (scale, least, most) = match levels {
            Levels::L255 => (largest.abs() / 127.0, -127.0, 127.0),
            Levels::L16 => (largest / -8.0, -8.0, 7.0),
        };
        let scale = away_from_zero(scale);
        let mut codes = [0; GROUP];
        for (code, value) in codes.iter_mut().zip(values) {
            // A group of zeros has scale 0: 0 / 0 becomes 0.
            *code = rounded(value / scale.to_f32()).clamp(least, most) as i8;
        }
        Self { scale, codes }
    }

    /// The weight that stands for the i-th value.
    pub fn weight(&self, i: usize) -> f32 {
        self.scale.to_f32() * f32::from(self.codes[i])
    }
}

/// The nearest whole number, of two the even one, for magnitudes below 2²²: `round_ties_even`, which is a call where the CPU
/// may be of any age.
fn rounded(value: f32) -> f32 {
    const ONES: f32 = 1.5 * (1 << 23) as f32;
    (value + ONES) - ONES
}

/// The nearest bf16 that is no smaller in magnitude, so that the largest value does not fall off the end.
fn away_from_zero(value: f32) -> bf16 {
    bf16::from_bits((value.to_bits().saturating_add(0xffff) >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halfway_goes_to_the_even_one() {
        for i in -1024..=1024 {
            let value = i as f32 / 8.0;
            assert_eq!(rounded(value), value.round_ties_even(), "{value}");
        }
    }

    #[test]
    fn a_weight_is_half_a_step_off_at_most() {
        let values: Vec<f32> = (0..GROUP).map(|i| ((i * 37 + 11) % 64) as f32 / 100.0 - 0.31).collect();
        for levels in [Levels::L255, Levels::L16] {
            let group = Group::of(&values, levels);
            let step = group.scale.to_f32().abs();
            let range = if levels == Levels::L16 { -8..=7 } else { -127..=127 };
            assert!(group.codes.iter().all(|code| range.contains(code)), "{levels:?}: {:?}", group.codes);
            for (i, value) in values.iter().enumerate() {
                let off = (group.weight(i) - value).abs();
                // int4 has a step less on the side away from the largest value.
                let clipped = levels == Levels::L16 && group.codes[i] == 7;
                assert!(off <= step * if clipped { 1.0 } else { 0.5 } * 1.001, "{levels:?} {i}: {value} is {off} off");
            }
            assert_eq!(Group::of(&[0.0; 5], levels), Group { scale: bf16::ZERO, codes: [0; GROUP] });
        }
    }

    #[test]
    fn whole_numbers_stay_what_they_are() {
        let eight = Group::of(&[127.0, -3.0, 0.0, -126.0], Levels::L255);
        assert_eq!((eight.scale, &eight.codes[..5]), (bf16::ONE, &[127, -3, 0, -126, 0][..]));
        for sign in [1.0, -1.0] {
            let four = Group::of(&[-8.0 * sign, 7.0 * sign, 0.0, 3.0 * sign], Levels::L16);
            assert_eq!([four.weight(0), four.weight(1), four.weight(3)], [-8.0 * sign, 7.0 * sign, 3.0 * sign]);
        }
    }

    #[test]
    fn scales_are_rounded_away_from_zero() {
        // A bf16 is the upper half of an f32: where the lower half is 0 it stays, else the upper half counts one up.
        for upper in [0x3f80u32, 0xbf80, 0x3dcc, 0xc020, 0x0020] {
            for lower in [0, 1, 0x7fff, 0x8000, 0xffff] {
                let rounded = away_from_zero(f32::from_bits(upper << 16 | lower));
                assert_eq!(u32::from(rounded.to_bits()), upper + u32::from(lower > 0), "{upper:x} {lower:x}");
            }
        }
    }
}
