//! The exponential function, in steps that are compiled to vectors where it is called in a loop.

/// Beyond these f32 has no normal number.
const RANGE: (f32, f32) = (-87.0, 88.0);
/// Added to a number of this range, it leaves the nearest whole number in the low bits.
const TO_WHOLE: f32 = 12_582_912.0;
/// ln 2 in two parts, of which the first has so few bits that a whole number of them is exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Of the Taylor series from the seventh term on, fitted to `|r| ≤ ln 2 / 2` (Moshier's Cephes, `expf`).
const TERMS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// `e^x` to within two units of the last place. What is beyond the range of f32 is taken to its end, NaN stays.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x < RANGE.0 { RANGE.0 } else { x };
    let x = if x > RANGE.1 { RANGE.1 } else { x };
    // x = n ln 2 + r
    let shifted = x.mul_add(std::f32::consts::LOG2_E, TO_WHOLE);
    let n = shifted - TO_WHOLE;
    let r = n.mul_add(-LN_2[1], n.mul_add(-LN_2[0], x));
    let mut series = TERMS[0];
    for term in &TERMS[1..] {
        series = series.mul_add(r, *term);
    }
    let power_of_r = (r * r).mul_add(series, r) + 1.0;
    // 2^n: n as the exponent of an f32.
    let n_bits = shifted.to_bits().wrapping_sub(TO_WHOLE.to_bits());
    power_of_r * f32::from_bits(n_bits.wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_right_to_two_units_of_the_last_place() {
        for i in -870_000..=880_000 {
            let x = i as f32 / 1e4;
            let right = f64::from(x).exp();
            let off = (f64::from(exp(x)) - right).abs() / right;
            assert!(off < 2.0 * f64::from(f32::EPSILON), "e^{x} is {off} off");
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn ends_and_nan() {
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(-1e30) > 0.0);
        assert!(exp(f32::INFINITY) > 1e38 && exp(1e30).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }
}
