//! The runner that computes: a decoder and a sampler on a backend.

use super::limits;
use super::runner::ModelRunner;
use super::sampler::{SampledToken, Sampler, sampling_inputs};
use crate::backend::Backend;
use crate::backend::memory_tracker::MemoryUse;
use crate::config::EngineConfig;
use crate::core::batch_builder::RaggedBatch;
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::StepPlan;
use crate::core::timestamp::Timestamp;
use crate::error::Result;
use crate::files::WeightFiles;
use crate::model::decoder::Decoder;
use crate::model::memory_plan::{MemoryPlan, PlannedMemory};
use crate::model::weights::Weights;
use crate::model::{ModelConfig, TensorTable};
use web_time::Instant;

/// A model on a backend.
pub struct DeviceRunner<B: Backend> {
    backend: B,
    decoder: Decoder<B>,
    sampler: Sampler<B>,
    /// Of the step that was begun last.
    batch: RaggedBatch,
    planned_memory: PlannedMemory,
    config: EngineConfig,
    clock: Instant,
}

impl<B: Backend> DeviceRunner<B> {
    /// Puts a model's weights on a backend, and makes all buffers that a step needs.
    ///
    /// # Errors
    /// A limit that does not fit the device, before any of its memory is taken; a file that cannot be read any more; a
    /// device without memory.
    pub async fn new(mut backend: B, model: ModelConfig, files: &WeightFiles, config: &EngineConfig) -> Result<Self> {
        limits::check(&model, config)?;
        let plan = MemoryPlan::new(&model, config, backend.max_buffer_words())?;
        let planned_memory = plan.on(&backend, &model, files, config)?;
        let weights = Weights::load(&mut backend, files, &TensorTable::new(&model), config.weight_dtype).await?;
        let decoder = Decoder::new(&mut backend, model, config, &plan, weights).await?;
        let sampler = Sampler::new(&mut backend, &plan)?;
        let (batch, config, clock) = (RaggedBatch::default(), config.clone(), Instant::now());
        Ok(Self { backend, decoder, sampler, batch, planned_memory, config, clock })
    }

    /// The decoder, to look at.
    pub fn decoder(&self) -> &Decoder<B> {
        &self.decoder
    }

    /// The token table of the step that was begun last, to look at.
    pub fn batch(&self) -> &RaggedBatch {
        &self.batch
    }

    /// What was planned before any device memory was taken. [`DeviceRunner::memory`] says what was taken.
    pub fn planned_memory(&self) -> PlannedMemory {
        self.planned_memory
    }

    /// What the backend holds now, and has held at most.
    pub fn memory(&self) -> MemoryUse {
        self.backend.memory()
    }

    /// The decoder and its backend, for tests that look at or poison the KV pools.
    pub fn device_mut(&mut self) -> (&mut Decoder<B>, &mut B) {
        (&mut self.decoder, &mut self.backend)
    }

    /// Counts time from now.
    pub fn restart_clock(&mut self) {
        self.clock = Instant::now();
    }

    /// [`ModelRunner::begin`] of a batch that is changed on its way to the model: how the bug museum puts a fault in.
    ///
    /// # Errors
    /// As [`ModelRunner::begin`].
    pub fn begin_changed(
        &mut self,
        plan: &StepPlan,
        scheduler: &Scheduler,
        change: impl FnOnce(&mut RaggedBatch),
    ) -> Result<B::Readback> {
        self.batch.build_into(plan, scheduler);
        change(&mut self.batch);
        let logits = self.decoder.forward(&mut self.backend, &self.batch, self.sampler.sampled_tokens());
        self.sampler.submit(&mut self.backend, &logits, &sampling_inputs(plan, scheduler))
    }
}

impl<B: Backend> ModelRunner for DeviceRunner<B> {
    type Sampled = B::Readback;

    fn begin(&mut self, plan: &StepPlan, scheduler: &Scheduler) -> Result<B::Readback> {
        self.begin_changed(plan, scheduler, |_| ())
    }

    async fn read(&mut self, sampled: B::Readback) -> Result<Vec<SampledToken>> {
        self.sampler.read(&mut self.backend, sampled).await
    }

    fn overlaps(&self) -> bool {
        self.backend.overlaps()
    }

    fn first_not_finite(&self) -> Option<String> {
        self.backend.first_not_finite()
    }

    fn config(&self) -> &EngineConfig {
        &self.config
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.elapsed().as_micros() as u64)
    }
}
