//! From packed weights to f32, a block of a panel at a time: for many rows, each of which then reads it from the nearest
//! cache.

use super::forms::{ACROSS, Brain, Form, Half, Int4, Int8, Single};
use super::panels::{LANES, Panel};
use crate::backend::element_type::ElementType;
use crate::backend::quantized::GROUP;
use pulp::Simd;

/// Columns of a block.
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

    /// Unpacks a panel of at most [`BLOCK`] columns.
    #[inline(always)]
    pub fn unpack<S: Simd>(&mut self, simd: S, panel: Panel<'_>) -> &[[f32; LANES]] {
        let out = self.lines(panel.cols);
        match panel.elements {
            ElementType::F32 => unpack::<S, Single>(simd, panel, out),
            ElementType::F16 => unpack::<S, Half>(simd, panel, out),
            ElementType::Bf16 => unpack::<S, Brain>(simd, panel, out),
            ElementType::Int8 => unpack::<S, Int8>(simd, panel, out),
            ElementType::Int4 => unpack::<S, Int4>(simd, panel, out),
        }
        out
    }
}

#[inline(always)]
fn unpack<S: Simd, F: Form>(simd: S, panel: Panel<'_>, out: &mut [[f32; LANES]]) {
    for vector in 0..ACROSS / S::F32_LANES {
        visit::<S, F, 1>(simd, &[panel], vector, &mut Store { vector, out });
    }
}

struct Store<'a> {
    vector: usize,
    out: &'a mut [[f32; LANES]],
}

impl<S: Simd> Visit<S> for Store<'_> {
    #[inline(always)]
    fn column(&mut self, _: S, _: usize, col: usize, left: S::f32s, right: S::f32s) {
        if let Some(line) = self.out.get_mut(col) {
            let (line, _) = S::as_mut_simd_f32s(line);
            line[self.vector] = left;
            line[self.vector + ACROSS / S::F32_LANES] = right;
        }
    }
}

/// What is done with weights once they are unpacked.
pub trait Visit<S: Simd> {
    /// A line begins, of each panel.
    fn line(&mut self) {}

    /// Of a panel, a vector of lanes of a column, and those 16 further on. The last line may have columns that the panel has
    /// not.
    fn column(&mut self, simd: S, panel: usize, col: usize, left: S::f32s, right: S::f32s);
}

/// Most columns of a line.
const MAX_COLS: usize = 4;

/// Panels of one shape whose lines are visited in turns.
struct Together<'a, S: Simd, const PANELS: usize> {
    vector: usize,
    lines: [&'a [[u32; ACROSS]]; PANELS],
    scale: [[S::f32s; 2]; PANELS],
    /// Minus the scale times the offset, by column of a line.
    minus: [[[S::f32s; 2]; MAX_COLS]; PANELS],
}

/// A vector of lanes, and those 16 further on, column after column, of panels of one shape in turns.
#[inline(always)]
pub fn visit<S: Simd, F: Form, const PANELS: usize>(
    simd: S,
    panels: &[Panel<'_>; PANELS],
    vector: usize,
    to: &mut impl Visit<S>,
) {
    let num_lines = panels[0].words.len() / F::WORDS;
    let (one, zero) = (simd.splat_f32s(1.0), simd.splat_f32s(0.0));
    let mut together =
        Together { vector, lines: [&[]; PANELS], scale: [[one; 2]; PANELS], minus: [[[zero; 2]; MAX_COLS]; PANELS] };
    for (group, first) in (0..num_lines).step_by(GROUP / F::COLS).enumerate() {
        let num_lines = (num_lines - first).min(GROUP / F::COLS);
        for (i, panel) in panels.iter().enumerate() {
            let (lines, _) = panel.words.as_chunks::<ACROSS>();
            together.lines[i] = &lines[first * F::LINES..][..num_lines * F::LINES];
            if F::SCALED {
                let scale = Brain::unpack(simd, S::as_simd_u32s(&panel.scales[group]).0, vector, 0);
                for (col, minus) in together.minus[i].iter_mut().enumerate().take(F::COLS) {
                    minus[0] = simd.mul_f32s(scale[0], simd.splat_f32s(-F::offset(col, 0)));
                    minus[1] = simd.mul_f32s(scale[1], simd.splat_f32s(-F::offset(col, 1)));
                }
                together.scale[i] = scale;
            }
        }
        for line in 0..num_lines {
            for _ in 0..F::LINES {
                to.line();
            }
            // Not a loop, so that each shift is known when this is compiled.
            let first = (first + line) * F::COLS;
            together.column::<F, 0>(simd, line, first, to);
            together.column::<F, 1>(simd, line, first, to);
            together.column::<F, 2>(simd, line, first, to);
            together.column::<F, 3>(simd, line, first, to);
        }
    }
}

impl<S: Simd, const PANELS: usize> Together<'_, S, PANELS> {
    #[inline(always)]
    fn column<F: Form, const COL: usize>(&self, simd: S, line: usize, first: usize, to: &mut impl Visit<S>) {
        const { assert!(F::COLS <= MAX_COLS) };
        if COL >= F::COLS {
            return;
        }
        for i in 0..PANELS {
            let words = self.lines[i][line * F::LINES..][..F::LINES].as_flattened();
            let [mut left, mut right] = F::unpack(simd, S::as_simd_u32s(words).0, self.vector, COL);
            if F::SCALED {
                left = simd.mul_add_f32s(left, self.scale[i][0], self.minus[i][COL][0]);
                right = simd.mul_add_f32s(right, self.scale[i][1], self.minus[i][COL][1]);
            }
            to.column(simd, i, first + COL, left, right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::instruction_set::{InstructionSet, Vectors};
    use crate::backend::cpu::fast::panels::Panels;
    use pulp::WithSimd;

    struct Unpack<'a> {
        block: &'a mut Block,
        panel: Panel<'a>,
    }

    impl WithSimd for Unpack<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            self.block.unpack(simd, self.panel);
        }
    }

    fn every_set() -> impl Iterator<Item = Vectors> {
        InstructionSet::available().into_iter().map(|set| set.vectors().unwrap())
    }

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
            let (num_words, _) = Panels::size(LANES, BLOCK, elements);
            // Of either sign, and zero.
            let sign = |i: u32| (i & 1) << 15;
            let scale = |i: u32| match i % 7 {
                0 => sign(i),
                // Subnormal ones, and the largest whose products are finite.
                1 => [0x0001, 0x007f, 0x73ff][i as usize % 3] | sign(i),
                _ => (0x3c00 + 37 * i % 0x300) | sign(i),
            };
            let scales =
                [0, 1, 2, 3].map(|group| std::array::from_fn(|j| scale(group + j as u32) | scale(3 * j as u32) << 16));
            for (words, vectors) in
                words.chunks_exact(num_words).flat_map(|words| every_set().map(move |set| (words, set)))
            {
                let scales = if elements.is_quantized() { &scales[..] } else { &[] };
                let panel = Panel { elements, cols: BLOCK, words, scales };
                let mut block = Block::new();
                vectors.run(Unpack { block: &mut block, panel });
                for (col, line) in block.0.iter().enumerate() {
                    let defined: [f32; LANES] = std::array::from_fn(|lane| panel.element(col, lane));
                    // Of a NaN not all bits need to stay.
                    let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
                    assert_eq!(line.map(bits), defined.map(bits), "{elements:?}, {vectors:?}, column {col}");
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
