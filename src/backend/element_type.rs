//! How the elements of a weight matrix are stored. Sums are f32 whatever the storage.

use super::quantized::{GROUP, Group, Levels};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// The type of a stored element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ElementType {
    /// 4 bytes.
    F32,
    /// 2 bytes: 11 bits of precision, up to 65,504.
    F16,
    /// 2 bytes: 8 bits of precision, the range of f32.
    Bf16,
    /// A byte, and a scale for each 32 neighbours.
    Int8,
    /// Half a byte, and a scale for each 32 neighbours.
    Int4,
}

/// Rows as they are stored.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// The elements, the first in the low bits.
    pub words: Vec<u32>,
    /// A bf16 for each group of quantized elements, row by row.
    pub scales: Vec<u16>,
}

/// Two halves from each word, the first in its low bits.
pub fn unpack_f16(words: &[u32]) -> Vec<f32> {
    words
        .iter()
        .flat_map(|&word| [word as u16, (word >> 16) as u16])
        .map(|bits| f16::from_bits(bits).to_f32())
        .collect()
}

impl ElementType {
    /// Every one.
    pub const ALL: [ElementType; 5] =
        [ElementType::F32, ElementType::F16, ElementType::Bf16, ElementType::Int8, ElementType::Int4];

    fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::Int8 => 8,
            Self::Int4 => 4,
        }
    }

    /// Whether elements are whole numbers with a scale for several.
    pub fn is_quantized(self) -> bool {
        matches!(self, Self::Int8 | Self::Int4)
    }

    /// Columns of a matrix of which its rows can have a multiple only.
    pub fn whole_columns(self) -> usize {
        match self {
            Self::F32 => 1,
            // Kernels read vec4s of words.
            Self::F16 | Self::Bf16 => 8,
            Self::Int8 | Self::Int4 => GROUP,
        }
    }

    /// Bytes of a row of so many elements, without its scales.
    pub fn row_bytes(self, cols: usize) -> usize {
        cols * self.bits() / 8
    }

    /// Bytes of the scales of a row of so many elements.
    pub fn scale_bytes(self, cols: usize) -> usize {
        if self.is_quantized() { 2 * cols.div_ceil(GROUP) } else { 0 }
    }

    /// What the kernels' `override WEIGHT_TYPE` calls it.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 3,
            Self::Int4 => 4,
        }
    }

    /// The narrowest that holds every value of both.
    pub fn of_both(self, other: Self) -> Self {
        if self == other { self } else { Self::F32 }
    }

    /// Whole rows of [`Self::whole_columns`].
    pub fn pack(self, values: &[f32], cols: usize) -> Packed {
        match self {
            Self::Int8 | Self::Int4 => self.quantize(values, cols),
            Self::F32 => Packed { words: bytemuck::cast_slice(values).to_vec(), scales: Vec::new() },
            Self::F16 | Self::Bf16 => {
                let pairs = self.halves(values);
                let words = pairs.chunks_exact(2).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 16).collect();
                Packed { words, scales: Vec::new() }
            }
        }
    }

    /// The bits of the f16 nearest to each value, or else of the bf16.
    pub fn halves(self, values: &[f32]) -> Vec<u16> {
        let mut halves = vec![0u16; values.len()];
        if self == Self::F16 {
            halves.reinterpret_cast_mut::<f16>().convert_from_f32_slice(&finite_halves(values));
        } else {
            halves.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values);
        }
        halves
    }

    /// Rows of int4, or else of int8, in groups and with the columns of each.
    pub fn groups(self, values: &[f32], cols: usize) -> impl Iterator<Item = (Group, usize)> {
        let levels = if self == Self::Int4 { Levels::L16 } else { Levels::L255 };
        let groups = values.chunks(cols).flat_map(|row| row.chunks(GROUP));
        groups.map(move |group| (Group::of(group, levels), group.len()))
    }

    fn quantize(self, values: &[f32], cols: usize) -> Packed {
        let mut packed = Packed::default();
        let mask = (1u32 << self.bits()) - 1;
        for (group, _) in self.groups(values, cols) {
            packed.scales.push(group.scale.to_bits());
            packed.words.extend(group.codes.chunks_exact(32 / self.bits()).map(|codes| {
                codes.iter().rev().fold(0, |word, &code| word << self.bits() | (i32::from(code) as u32 & mask))
            }));
        }
        packed
    }

    /// Rows of so many elements, each the nearest that can be stored.
    pub fn rounded(self, values: &[f32], cols: usize) -> Vec<f32> {
        match self {
            Self::Int8 | Self::Int4 => {
                let groups = self.groups(values, cols);
                groups.flat_map(|(group, len)| (0..len).map(move |i| group.weight(i))).collect()
            }
            Self::F16 => finite_halves(values).into_iter().map(|value| f16::from_f32(value).to_f32()).collect(),
            Self::Bf16 => values.iter().map(|&value| bf16::from_f32(value).to_f32()).collect(),
            Self::F32 => values.to_vec(),
        }
    }
}

/// What is beyond the largest half becomes that, as in K and V.
fn finite_halves(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_is_what_is_packed() {
        let values: Vec<f32> = (0..128).map(|i| (i as f32 - 50.0) * 1.37).collect();
        let halves = ElementType::F16.pack(&values, 64).words;
        assert_eq!(unpack_f16(&halves), ElementType::F16.rounded(&values, 64));
        let halves = ElementType::Bf16.pack(&values, 64).words;
        let halves = halves.iter().flat_map(|&word| [word << 16, word & 0xffff_0000]).map(f32::from_bits);
        assert_eq!(halves.collect::<Vec<_>>(), ElementType::Bf16.rounded(&values, 64));
        for (elements, bits, per_word) in [(ElementType::Int8, 8, 4), (ElementType::Int4, 4, 8)] {
            let packed = elements.pack(&values, 64);
            let codes =
                (0..values.len()).map(|i| (packed.words[i / per_word] << (32 - bits - i % per_word * bits)) as i32);
            let scales = packed.scales.iter().map(|&bits| bf16::from_bits(bits).to_f32());
            let scales = scales.flat_map(|scale| [scale; GROUP]);
            let weights: Vec<f32> =
                codes.zip(scales).map(|(code, scale)| (code >> (32 - bits)) as f32 * scale).collect();
            assert_eq!(weights, elements.rounded(&values, 64));
        }
    }

    #[test]
    fn no_group_spans_two_rows() {
        // 40 columns: a whole group and a short one. The second row's values are a thousand times the first's.
        let values: Vec<f32> = (0..80).map(|i| if i < 40 { i as f32 } else { 1e3 * i as f32 }).collect();
        for elements in [ElementType::Int8, ElementType::Int4] {
            let by_row: Vec<f32> = values.chunks(40).flat_map(|row| elements.rounded(row, 40)).collect();
            assert_eq!(elements.rounded(&values, 40), by_row, "{elements:?}");
        }
    }

    #[test]
    fn halves_are_finite() {
        assert_eq!(ElementType::F16.rounded(&[1e6, -1e6], 2), [65504.0, -65504.0]);
        assert_eq!(unpack_f16(&ElementType::F16.pack(&[1e6, -1e6], 2).words), [65504.0, -65504.0]);
    }
}
