//! What this CPU can do at best, with as many threads as the kernels use.

use super::CpuBackend;
use crate::backend::calibration::{Calibrate, Calibration, fastest};
use crate::error::Result;
use pulp::{Simd, WithSimd};
use std::hint::black_box;

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// f32s per task: 1 MiB.
const TASK: usize = 1 << 18;
/// Tasks: 128 MiB, more than any cache holds.
const TASKS: usize = 128;
/// Times that each running value is multiplied and added to.
const ROUNDS: usize = 1 << 14;
/// Vectors of running values: as many as keep all units busy while one waits for its last sum.
const CHAINS: usize = 12;
/// f32s that are added up side by side.
const LANES: usize = 32;
/// Places of a task that are read in turns.
const STREAMS: usize = 8;

/// Runs `task` on every piece and adds up what it returns, on all threads.
fn over_all(data: &mut [f32], task: impl Fn(&mut [f32]) -> f32 + Sync) -> f32 {
    #[cfg(feature = "parallel")]
    return data.par_chunks_mut(TASK).map(&task).sum();
    #[cfg(not(feature = "parallel"))]
    data.chunks_mut(TASK).map(task).sum()
}

impl Calibrate for CpuBackend {
    fn calibrate(&mut self) -> Result<Calibration> {
        let vectors = self.vectors;
        let mut data = vec![1.0f32; TASK * TASKS];
        let bytes = (4 * data.len()) as f64;
        let read = fastest(|| {
            black_box(over_all(&mut data, |piece| vectors.run(|| sum(piece))));
            Ok(())
        })?;
        let copy = fastest(|| {
            over_all(&mut data, |piece| {
                let (from, to) = piece.split_at_mut(TASK / 2);
                to.copy_from_slice(black_box(from));
                0.0
            });
            Ok(())
        })?;
        let compute = fastest(|| {
            black_box(over_all(&mut data, |piece| vectors.run(MultiplyAdd(piece[0])).0));
            Ok(())
        })?;
        let alone = fastest(|| {
            black_box(vectors.run(MultiplyAdd(black_box(1.0))));
            Ok(())
        })?;
        let gflop = vectors.run(MultiplyAdd(1.0)).1 / 1e9;
        Ok(Calibration {
            read_gb_per_s: bytes / read / 1e9,
            copy_gb_per_s: bytes / copy / 1e9,
            gflop_per_s: TASKS as f64 * gflop / compute,
            thread_gflop_per_s: Some(gflop / alone),
            dispatch_us: None,
        })
    }

    fn forget_peak(&mut self) {
        self.tracker.forget_peak();
    }
}

/// Reads from [`STREAMS`] places in turns: a core fetches more than from one.
#[inline(always)]
fn sum(piece: &[f32]) -> f32 {
    let streams = piece.len() / STREAMS;
    let mut sums = [0.0f32; LANES];
    for first in (0..streams).step_by(LANES) {
        for stream in piece.chunks_exact(streams) {
            let values = &stream[first..first + LANES];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    sums.iter().sum()
}

/// The widest fused multiply-adds that there are.
struct MultiplyAdd(f32);

impl WithSimd for MultiplyAdd {
    /// A value that depends on all others, and how many operations that took.
    type Output = (f32, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let mut values = [simd.splat_f32s(self.0); CHAINS];
        let (factor, term) = (simd.splat_f32s(black_box(0.5)), simd.splat_f32s(black_box(0.25)));
        for _ in 0..ROUNDS {
            for value in &mut values {
                *value = simd.mul_add_f32s(*value, factor, term);
            }
        }
        let sum = values.iter().map(|value| simd.reduce_sum_f32s(*value)).sum();
        (sum, (ROUNDS * CHAINS * S::F32_LANES * 2) as f64)
    }
}
