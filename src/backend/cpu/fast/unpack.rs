//! From packed weights to f32, a block of a panel at a time. A new way to store weights needs a function here, and in
//! [`super::panels`] the way in.

use super::panels::{LANES, Panel, line_words};
use crate::backend::element_type::ElementType;
use crate::backend::quantized::GROUP;
use half::bf16;
use pulp::Simd;

/// Columns of a block: unpacked, it stays in the nearest cache while all rows of x are multiplied by it.
pub const BLOCK: usize = 128;
const _: () = assert!(BLOCK.is_multiple_of(GROUP), "no group of quantized weights spans two blocks");

/// Room for a block, aligned to vectors and cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Block([[f32; LANES]; BLOCK]);

impl Block {
    pub fn new() -> Self {
        Self([[0.0; LANES]; BLOCK])
    }

    /// The first lines, whatever is in them.
    #[inline(always)]
    pub fn lines(&mut self, num_lines: usize) -> &mut [[f32; LANES]] {
        &mut self.0[..num_lines]
    }

    /// Unpacks columns `first..first + num_cols` of a panel, at most [`BLOCK`] of them from a multiple of it on.
    #[inline(always)]
    pub fn unpack<S: Simd>(&mut self, simd: S, panel: Panel<'_>, first: usize, num_cols: usize) -> &[[f32; LANES]] {
        let line = line_words(panel.elements);
        let words = &panel.words[first * line..][..num_cols * line];
        let out = self.lines(num_cols);
        let scales = panel.scales.get(first / GROUP..).unwrap_or_default();
        match panel.elements {
            ElementType::F32 => out.as_flattened_mut().copy_from_slice(bytemuck::cast_slice(words)),
            ElementType::F16 => f16s(bytemuck::cast_slice(words), out.as_flattened_mut()),
            ElementType::Bf16 => bf16s(bytemuck::cast_slice(words), out.as_flattened_mut()),
            ElementType::Int8 => int8s(simd, bytemuck::cast_slice(words), scales, out),
            ElementType::Int4 => int4s(simd, bytemuck::cast_slice(words), scales, out),
        }
        out
    }
}

/// The exponent of a half is 112 less than that of the f32, infinity and NaN aside; a product sees to subnormal ones.
#[inline(always)]
pub fn f16s(halves: &[u16], out: &mut [f32]) {
    let scale = f32::from_bits((127 + 112) << 23);
    for (out, &half) in out.iter_mut().zip(halves) {
        let half = u32::from(half);
        let magnitude = (f32::from_bits((half & 0x7fff) << 13) * scale).to_bits();
        let not_finite = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        *out = f32::from_bits(magnitude | not_finite | (half & 0x8000) << 16);
    }
}

#[inline(always)]
fn bf16s(halves: &[u16], out: &mut [f32]) {
    for (out, &half) in out.iter_mut().zip(halves) {
        *out = f32::from_bits(u32::from(half) << 16);
    }
}

/// Codes are widened in one loop, which the compiler turns into vectors, and scaled in another, which it would not.
#[inline(always)]
fn int8s<S: Simd>(simd: S, codes: &[i8], scales: &[[u16; LANES]], out: &mut [[f32; LANES]]) {
    for (out, &code) in out.as_flattened_mut().iter_mut().zip(codes) {
        *out = f32::from(code);
    }
    for (out, scales) in out.chunks_mut(GROUP).zip(scales) {
        let scales = scales.map(|scale| bf16::from_bits(scale).to_f32());
        let (scales, _) = S::as_simd_f32s(&scales);
        for line in out {
            let (line, _) = S::as_mut_simd_f32s(line);
            line.iter_mut().zip(scales).for_each(|(out, scale)| *out = simd.mul_f32s(*out, *scale));
        }
    }
}

#[inline(always)]
fn int4s<S: Simd>(simd: S, lines: &[[u8; LANES / 2]], scales: &[[u16; LANES]], out: &mut [[f32; LANES]]) {
    let mut codes = [[0i8; LANES]; BLOCK];
    for (codes, bytes) in codes.iter_mut().zip(lines) {
        let (low, high) = codes.split_at_mut(LANES / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
            (*low, *high) = (((byte << 4) as i8) >> 4, (*byte as i8) >> 4);
        }
    }
    int8s(simd, codes[..out.len()].as_flattened(), scales, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::panels::Panels;

    /// Every pattern of bits, as it is defined and as it is unpacked.
    #[test]
    fn unpacked_elements_are_those_of_the_definition() {
        let patterns = |elements: ElementType| -> Vec<u32> {
            match elements {
                ElementType::F32 => (0..65_536).map(|bits| bits << 16 | 0x1234).collect(),
                ElementType::F16 | ElementType::Bf16 => (0..32_768).map(|i| (2 * i) | ((2 * i + 1) << 16)).collect(),
                ElementType::Int8 | ElementType::Int4 => (0..65_536u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect(),
            }
        };
        for elements in ElementType::ALL {
            let words = patterns(elements);
            let cols = words.len() / line_words(elements);
            let scales: Vec<[u16; LANES]> = (0..cols.div_ceil(GROUP) as u16)
                .map(|group| std::array::from_fn(|lane| 0x3c00 + 37 * group % 0x300 + lane as u16))
                .collect();
            let panel = Panel { elements, words: &words, scales: if elements.is_quantized() { &scales } else { &[] } };
            let mut block = Block::new();
            for first in (0..cols).step_by(BLOCK) {
                let unpacked = block.unpack(pulp::Scalar256b, panel, first, BLOCK.min(cols - first));
                for (col, line) in (first..).zip(unpacked) {
                    let defined: [f32; LANES] = std::array::from_fn(|lane| panel.element(col, lane));
                    // Of a NaN not all bits need to stay.
                    let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
                    assert_eq!(line.map(bits), defined.map(bits), "{elements:?}, column {col}");
                }
            }
        }
    }

    #[test]
    fn rows_come_back_as_the_nearest_that_can_be_stored() {
        for (elements, cols) in ElementType::ALL.into_iter().flat_map(|elements| [(elements, 40), (elements, 7)]) {
            let value = |i: usize| ((i * 37 + 11) % 64) as f32 / 100.0 - 0.31;
            let values: Vec<f32> = (0..45 * cols).map(value).collect();
            let mut panels = Panels::zeros(45, cols, elements);
            // Written twice, and in pieces that begin amid eight rows.
            panels.upload(0, &vec![9.0; values.len()]);
            panels.upload(0, &values[..13 * cols]);
            panels.upload(13, &values[13 * cols..]);
            let rows: Vec<f32> = (0..45).flat_map(|row| panels.row(row).collect::<Vec<_>>()).collect();
            assert_eq!(rows, elements.rounded(&values, cols), "{elements:?}");
        }
    }
}
