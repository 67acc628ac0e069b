//! One head of a token's K or V, as it lies in a pool.

use crate::config::KvDtype;
use half::f16;

/// The head whose first element is element `at` of the pool. Halves are widened into `scratch`, as long as a head.
#[inline(always)]
pub(super) fn head_at<'a>(pool: &'a [u32], elements: KvDtype, at: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    match elements {
        KvDtype::F32 => bytemuck::cast_slice(&pool[at..at + scratch.len()]),
        KvDtype::F16 => {
            for (pair, word) in scratch.chunks_exact_mut(2).zip(&pool[at / 2..]) {
                pair[0] = f16::from_bits(*word as u16).to_f32();
                pair[1] = f16::from_bits((word >> 16) as u16).to_f32();
            }
            scratch
        }
    }
}

/// Writes a head from element `at` of the pool on. What no half can hold becomes the largest that one can.
pub(super) fn store_head(pool: &mut [u32], elements: KvDtype, at: usize, head: &[f32]) {
    match elements {
        KvDtype::F32 => pool[at..at + head.len()].copy_from_slice(bytemuck::cast_slice(head)),
        KvDtype::F16 => {
            let largest = f16::MAX.to_f32();
            let bits = |x: f32| u32::from(f16::from_f32(x.clamp(-largest, largest)).to_bits());
            for (word, pair) in pool[at / 2..].iter_mut().zip(head.chunks_exact(2)) {
                *word = bits(pair[0]) | bits(pair[1]) << 16;
            }
        }
    }
}
