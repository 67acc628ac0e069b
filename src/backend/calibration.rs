//! What a machine can do at best, measured by the same program in the same minute: what kernels are held against.

use web_time::Instant;

/// Limits of one backend on this machine.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Calibration {
    /// Bytes read per second when nothing is done with them, in 10⁹.
    pub read_gb_per_s: f64,
    /// Bytes read and written per second when copying, counted both, in 10⁹.
    pub copy_gb_per_s: f64,
    /// f32 multiplications and additions per second without memory, in 10⁹.
    pub gflop_per_s: f64,
    /// The same of one thread alone. Threads that share a core do not make twice as much of it. None on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_gflop_per_s: Option<f64>,
    /// What handing a kernel to the device costs when the kernel does next to nothing, in microseconds. None where kernels
    /// are called in place and nothing is handed over.
    pub dispatch_us: Option<f64>,
}

/// A backend that can be measured.
pub trait Calibrate {
    /// Measures for a second or so. Anything else that runs on the machine shows in the result.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has no memory for it, or was lost.
    fn calibrate(&mut self) -> crate::Result<Calibration>;
    /// Counts the most memory taken anew, from what there is now: what was measured with does not count.
    fn forget_peak(&mut self);
}

/// Seconds of the fastest of several runs, after one that warms up. What a machine can do is its best, not its mean.
pub(super) fn fastest(mut run: impl FnMut() -> crate::Result<()>) -> crate::Result<f64> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let begin = Instant::now();
        run()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(best)
}
