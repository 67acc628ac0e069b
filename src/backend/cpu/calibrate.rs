//! What this CPU can do at best, with as many threads as the kernels use.

use super::CpuBackend;
use crate::backend::calibration::{Calibrate, Calibration, fastest};
use crate::error::Result;
use std::hint::black_box;

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// f32s per task: 1 MiB.
const TASK: usize = 1 << 18;
/// Tasks: 128 MiB, more than any cache holds.
const TASKS: usize = 128;
/// Times that each of `LANES` running values is multiplied and added to.
const ROUNDS: usize = 1 << 14;
const LANES: usize = 128;

/// Runs `task` on every piece and adds up what it returns, on all threads.
fn over_all(data: &mut [f32], task: impl Fn(&mut [f32]) -> f32 + Sync) -> f32 {
    #[cfg(feature = "parallel")]
    return data.par_chunks_mut(TASK).map(&task).sum();
    #[cfg(not(feature = "parallel"))]
    data.chunks_mut(TASK).map(task).sum()
}

impl Calibrate for CpuBackend {
    fn calibrate(&mut self) -> Result<Calibration> {
        let arch = pulp::Arch::new();
        let mut data = vec![1.0f32; TASK * TASKS];
        let bytes = (4 * data.len()) as f64;
        let read = fastest(|| {
            black_box(over_all(&mut data, |piece| arch.dispatch(|| sum(piece))));
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
            black_box(over_all(&mut data, |piece| arch.dispatch(|| multiply_add(piece[0]))));
            Ok(())
        })?;
        Ok(Calibration {
            read_gb_per_s: bytes / read / 1e9,
            copy_gb_per_s: bytes / copy / 1e9,
            gflop_per_s: (TASKS * ROUNDS * LANES * 2) as f64 / compute / 1e9,
            dispatch_us: None,
        })
    }

    fn forget_peak(&mut self) {
        self.tracker.forget_peak();
    }
}

#[inline(always)]
fn sum(piece: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for values in piece.chunks_exact(LANES) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sums.iter().sum()
}

#[inline(always)]
fn multiply_add(start: f32) -> f32 {
    let mut values = [start; LANES];
    let (factor, term) = (black_box(0.5f32), black_box(0.25f32));
    for _ in 0..ROUNDS {
        for value in &mut values {
            *value = *value * factor + term;
        }
    }
    values.iter().sum()
}
