//! How the elements of a weight matrix are stored. Sums are f32 whatever the storage.

use super::quantized::{GROUP, Group, Levels};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// The type of a stored element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum ElementType {
    /// 4 bytes.
    F32,
    /// 2 bytes: 11 bits of precision, up to 65,504.
    F16,
    /// 2 bytes: 8 bits of precision, the range of f32.
    Bf16,
    /// A byte, and a scale for each 32 neighbours: see [`super::quantized`].
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

    fn levels(self) -> Option<Levels> {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => None,
            Self::Int8 => Some(Levels::L255),
            Self::Int4 => Some(Levels::L16),
        }
    }

    /// Whether elements are whole numbers with a scale for several.
    pub fn is_quantized(self) -> bool {
        self.levels().is_some()
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
        self.levels().map_or(0, |_| 2 * cols.div_ceil(GROUP))
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

    /// The kernels' `override PARTS`: eights of elements in the 16 bytes that a thread reads at once, where there is one.
    pub fn parts(self) -> u32 {
        (16 / self.bits() as u32).max(1)
    }

    /// The narrowest that holds every value of both.
    pub fn of_both(self, other: Self) -> Self {
        if self == other { self } else { Self::F32 }
    }

    /// Whole rows of [`Self::whole_columns`].
    pub fn pack(self, values: &[f32], cols: usize) -> Packed {
        let mut halves = vec![0u16; if self.bits() == 16 { values.len() } else { 0 }];
        match self {
            Self::F32 => return Packed { words: bytemuck::cast_slice(values).to_vec(), scales: Vec::new() },
            Self::F16 => halves.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
            Self::Bf16 => halves.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
            Self::Int8 | Self::Int4 => return self.quantize(values, cols),
        }
        let words = halves.chunks_exact(2).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 16).collect();
        Packed { words, scales: Vec::new() }
    }

    fn quantize(self, values: &[f32], cols: usize) -> Packed {
        let mut packed = Packed::default();
        for group in self.groups(values, cols) {
            packed.scales.push(group.scale.to_bits());
            let mask = (1u32 << self.bits()) - 1;
            packed.words.extend(group.codes.chunks_exact(32 / self.bits()).map(|codes| {
                codes.iter().rev().fold(0, |word, &code| word << self.bits() | (i32::from(code) as u32 & mask))
            }));
        }
        packed
    }

    fn groups(self, values: &[f32], cols: usize) -> impl Iterator<Item = Group> {
        let levels = self.levels();
        values.chunks(cols).flat_map(|row| row.chunks(GROUP)).filter_map(move |group| Some(Group::of(group, levels?)))
    }

    /// Rows of so many elements, each the nearest that can be stored.
    pub fn rounded(self, values: &[f32], cols: usize) -> Vec<f32> {
        match self {
            Self::F32 => values.to_vec(),
            Self::F16 => values.iter().map(|&value| f16::from_f32(value).to_f32()).collect(),
            Self::Bf16 => values.iter().map(|&value| bf16::from_f32(value).to_f32()).collect(),
            Self::Int8 | Self::Int4 => {
                let lens = values.chunks(cols).flat_map(|row| row.chunks(GROUP)).map(<[f32]>::len);
                let groups = self.groups(values, cols).zip(lens);
                groups.flat_map(|(group, len)| (0..len).map(move |i| group.weight(i))).collect()
            }
        }
    }
}
