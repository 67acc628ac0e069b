//! One head of a token's K or V, as it lies in a pool.

use super::fast::unpack::f16s;
use crate::config::KvDtype;
use half::f16;

/// Elements of a pool from `at` on, as many as `scratch` has, where halves are widened.
#[inline(always)]
pub(super) fn read_head<'a>(pool: &'a [u32], elements: KvDtype, at: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    match elements {
        KvDtype::F32 => &bytemuck::cast_slice(pool)[at..at + scratch.len()],
        KvDtype::F16 => {
            f16s(&bytemuck::cast_slice(pool)[at..at + scratch.len()], scratch);
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
