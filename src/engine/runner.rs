//! What computes the steps that a scheduler plans: a device with a model, or something that stands in for both.

use crate::config::EngineConfig;
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::StepPlan;
use crate::core::timestamp::Timestamp;
use crate::engine::sampler::SampledToken;
use crate::error::Result;

/// Executes plans. It decides nothing: who is computed, and when, is in the plan. (vLLM's model runner has the same part.)
///
/// [`DeviceRunner`](super::DeviceRunner) runs a model on a backend. A simulator that only costs time, a test that hashes
/// tokens on the host and an exhibit of the bug museum with a fault in it are runners, too.
#[expect(async_fn_in_trait, reason = "the engine is generic over its runner and a browser has one thread")]
pub trait ModelRunner {
    /// A step that is being computed: what it will sample. Dropped unread, it gives back what it holds.
    type Sampled;

    /// Begins to compute a plan, the scheduler's newest: its batch, the logits, and a token for each row that samples. Steps
    /// are computed in the order in which they are begun.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device refused the step; [`crate::Error::DeviceLost`] if it is gone.
    fn begin(&mut self, plan: &StepPlan, scheduler: &Scheduler) -> Result<Self::Sampled>;

    /// Waits for a step: a token for each row that samples, in the order of the rows. The only wait of a step.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    async fn read(&mut self, sampled: Self::Sampled) -> Result<Vec<SampledToken>>;

    /// Whether it pays to begin a step before the one before it was read. More than two are never in flight.
    fn overlaps(&self) -> bool {
        false
    }

    /// Where in the step that was read last something came out that is no number, if that is known.
    fn first_not_finite(&self) -> Option<String> {
        None
    }

    /// The limits that it was made for, within which its plans stay.
    fn config(&self) -> &EngineConfig;

    /// The time since it began, for plans and logs.
    fn now(&self) -> Timestamp;
}
