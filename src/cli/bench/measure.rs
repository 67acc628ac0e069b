//! Timing: the median of several runs, each long enough for the clock.

use crate::backend::Backend;
use crate::error::Result;
use web_time::Instant;

/// A run repeats its work until it lasts about so long.
const RUN_SECONDS: f64 = 0.03;
/// Kernel calls of a run at most: what is recorded at once takes memory.
const MOST_TIMES: f64 = 256.0;

/// How long one piece of work takes, in microseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Timing {
    /// Half of the runs were faster.
    pub median_us: f64,
    /// A quarter of the runs were faster.
    pub low_us: f64,
    /// A quarter of the runs were slower.
    pub high_us: f64,
}

impl Timing {
    /// Of runs in microseconds.
    pub fn of(us: &mut [f64]) -> Self {
        Self { median_us: quantile(us, 0.5), low_us: quantile(us, 0.25), high_us: quantile(us, 0.75) }
    }
}

/// Times what `record` records, over so many runs; pipelines are made and memory is touched before.
///
/// # Errors
/// [`crate::Error::Device`] if the device was lost.
pub async fn measure<B: Backend>(backend: &mut B, repeats: usize, mut record: impl FnMut(&mut B)) -> Result<Timing> {
    seconds(backend, 1, &mut record).await?;
    let once = seconds(backend, 1, &mut record).await?;
    let times = (RUN_SECONDS / once).clamp(1.0, MOST_TIMES) as usize;
    let mut runs = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        runs.push(1e6 * seconds(backend, times, &mut record).await? / times as f64);
    }
    Ok(Timing::of(&mut runs))
}

/// Times several pieces of work that do the same in different ways: in each of so many rounds every one runs once, so that
/// what drifts (other programs, the clock of the device) drifts for all of them. Returns the microseconds of a call, by
/// piece and round. `record` is told which of so many copies of its data to use; a run goes through all copies equally.
///
/// # Errors
/// [`crate::Error::Device`] if the device was lost.
pub async fn measure_in_turns<B: Backend, W>(
    backend: &mut B,
    rounds: usize,
    copies: usize,
    work: &mut [W],
    record: impl Fn(&mut W, &mut B, usize),
) -> Result<Vec<Vec<f64>>> {
    let mut slowest = 0.0f64;
    for piece in &mut *work {
        // Every copy is touched before it counts.
        seconds(backend, copies, &mut each_copy(piece, &record)).await?;
        slowest = slowest.max(seconds(backend, copies, &mut each_copy(piece, &record)).await? / copies as f64);
    }
    let times = ((RUN_SECONDS / slowest).clamp(1.0, MOST_TIMES) as usize).next_multiple_of(copies);
    let mut us = vec![Vec::with_capacity(rounds); work.len()];
    for _ in 0..rounds {
        for (piece, us) in work.iter_mut().zip(&mut us) {
            us.push(1e6 * seconds(backend, times, &mut each_copy(piece, &record)).await? / times as f64);
        }
    }
    Ok(us)
}

/// Records a piece of work on one copy of its data after the other.
fn each_copy<B: Backend, W>(work: &mut W, record: &impl Fn(&mut W, &mut B, usize)) -> impl FnMut(&mut B) {
    let mut copy = 0..;
    move |backend| record(work, backend, copy.next().unwrap_or_default())
}

async fn seconds<B: Backend>(backend: &mut B, times: usize, record: &mut impl FnMut(&mut B)) -> Result<f64> {
    let begin = Instant::now();
    for _ in 0..times {
        record(backend);
    }
    backend.flush().await?;
    Ok(begin.elapsed().as_secs_f64())
}

/// How many times as long one piece of work takes as another, in the median of the rounds in which they took turns.
pub fn median_ratio(us: &[f64], of_other: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = us.iter().zip(of_other).map(|(us, of_other)| us / of_other).collect();
    quantile(&mut ratios, 0.5)
}

/// The value below which that part of the values lies; 0 if there are none.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * part).round().max(0.0) as usize;
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_middle_round() {
        assert_eq!(median_ratio(&[2.0, 9.0, 40.0], &[1.0, 3.0, 10.0]), 3.0);
    }
}
