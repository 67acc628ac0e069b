//! How the elements of a weight matrix are stored. Sums are f32 whatever the storage.

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
    pub const ALL: [ElementType; 3] = [ElementType::F32, ElementType::F16, ElementType::Bf16];

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// What the kernels' `override WEIGHT_TYPE` calls it.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 2,
        }
    }

    /// The narrowest that holds every value of both.
    pub fn of_both(self, other: Self) -> Self {
        if self == other { self } else { Self::F32 }
    }

    /// Packs values into words, two halves a word with the first in the low bits. An even number of values.
    pub fn pack(self, values: &[f32]) -> Vec<u32> {
        let mut halves = vec![0u16; values.len()];
        match self {
            Self::F32 => return bytemuck::cast_slice(values).to_vec(),
            Self::F16 => halves.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
            Self::Bf16 => halves.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
        }
        halves.chunks_exact(2).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 16).collect()
    }

    /// The nearest value that can be stored.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::Bf16 => bf16::from_f32(value).to_f32(),
        }
    }
}
