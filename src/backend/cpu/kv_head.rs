//! One head of a token's K or V, as it lies in a pool.

use crate::config::KvDtype;
use half::f16;
use prefetch_index::prefetch_index;

/// Words of a cache line.
const CACHE_LINE: usize = 16;

/// Elements of a pool from `at` on, as many as `scratch` has, where halves are widened.
#[inline(always)]
pub(super) fn read_head<'a>(pool: &'a [u32], elements: KvDtype, at: usize, scratch: &'a mut [f32]) -> &'a [f32] {
    match elements {
        KvDtype::F32 => &bytemuck::cast_slice(pool)[at..at + scratch.len()],
        KvDtype::F16 => {
            widen(&bytemuck::cast_slice(pool)[at..at + scratch.len()], scratch);
            scratch
        }
    }
}

/// Asks for a head of so many elements, so that it is in the cache when it is read.
#[inline(always)]
pub(super) fn fetch_head(pool: &[u32], elements: KvDtype, at: usize, len: usize) {
    let per_word = match elements {
        KvDtype::F32 => 1,
        KvDtype::F16 => 2,
    };
    let first_line = at / per_word / CACHE_LINE * CACHE_LINE;
    for word in (first_line..(at + len) / per_word).step_by(CACHE_LINE) {
        prefetch_index(pool, word);
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

/// Written so that compilers make vectors of it: see `fast/forms.rs`.
#[inline(always)]
fn widen(halves: &[u16], out: &mut [f32]) {
    let scale = f32::from_bits((127 + 112) << 23);
    for (out, &half) in out.iter_mut().zip(halves) {
        let half = u32::from(half);
        let magnitude = (f32::from_bits((half & 0x7fff) << 13) * scale).to_bits();
        let not_finite = if half & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
        *out = f32::from_bits(magnitude | not_finite | (half & 0x8000) << 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened() {
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let mut widened = vec![0.0; halves.len()];
        widen(&halves, &mut widened);
        for (half, widened) in halves.into_iter().map(f16::from_bits).zip(widened) {
            assert!(widened.to_bits() == half.to_f32().to_bits() || half.is_nan() && widened.is_nan(), "{half:?}");
        }
    }
}
