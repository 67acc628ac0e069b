//! What a run tells of itself: the event log and its views, and the numbers on the device.

mod inspect;
mod recording;
mod snapshots;

use cb_lab::backend::cpu::CpuBackend;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::request::SamplingParams;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::StepPlan;
use cb_lab::core::timestamp::Timestamp;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::sampler::SampledToken;
use cb_lab::engine::{DeviceEngine, DeviceRunner, Engine, ModelRunner};
use cb_lab::model::ModelConfig;
use cb_lab::model::embedded::default_model;
use cb_lab::{EngineConfig, Result};

/// The default model within tight limits: 32 tokens a step, prompts in chunks of `prefill_chunk_size`, blocks of 4.
fn engine(num_kv_blocks: usize, prefill_chunk_size: usize) -> DeviceEngine<CpuBackend> {
    let (folder, config) = folder(num_kv_blocks, prefill_chunk_size);
    pollster::block_on(Engine::new(CpuBackend::default(), folder, config)).unwrap()
}

fn folder(num_kv_blocks: usize, prefill_chunk_size: usize) -> (LoadedFolder, EngineConfig) {
    let folder = pollster::block_on(LoadedFolder::open(&default_model())).unwrap();
    let options = LimitOptions {
        block_size: Some(4),
        num_kv_blocks: Some(num_kv_blocks),
        max_tokens_per_step: Some(32),
        prefill_chunk_size: Some(prefill_chunk_size),
        max_num_seqs: Some(4),
        max_model_len: None,
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    };
    let config = options.resolve(&folder.config, usize::MAX).unwrap();
    (folder, config)
}

/// Whether a step may be begun before the one before it has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    OneByOne,
    Overlapping,
}

/// Computes on the CPU by a clock of its own: a step takes 10 ms, and steps may overlap.
struct ClockedRunner {
    device: DeviceRunner<CpuBackend>,
    now: Timestamp,
    steps: Steps,
}

impl ModelRunner for ClockedRunner {
    type Sampled = <DeviceRunner<CpuBackend> as ModelRunner>::Sampled;

    fn begin(&mut self, plan: &StepPlan, scheduler: &Scheduler) -> Result<Self::Sampled> {
        self.device.begin(plan, scheduler)
    }

    async fn read(&mut self, sampled: Self::Sampled) -> Result<Vec<SampledToken>> {
        self.now.0 += 10_000;
        self.device.read(sampled).await
    }

    fn overlaps(&self) -> bool {
        self.steps == Steps::Overlapping
    }

    fn config(&self) -> &EngineConfig {
        self.device.config()
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// The same engine by that clock.
fn clocked_engine(num_kv_blocks: usize, prefill_chunk_size: usize, steps: Steps) -> Engine<ClockedRunner> {
    clocked_engine_of(num_kv_blocks, prefill_chunk_size, steps, |_| ())
}

/// The same for a model that scheduler and streams take for another.
fn clocked_engine_of(
    num_kv_blocks: usize,
    prefill_chunk_size: usize,
    steps: Steps,
    change: impl FnOnce(&mut ModelConfig),
) -> Engine<ClockedRunner> {
    let (folder, config) = folder(num_kv_blocks, prefill_chunk_size);
    let LoadedFolder { config: mut model, files, tokenizer, .. } = folder;
    let device = pollster::block_on(DeviceRunner::new(CpuBackend::default(), model.clone(), &files, &config)).unwrap();
    change(&mut model);
    Engine::with_runner(ClockedRunner { device, now: Timestamp::ZERO, steps }, model, tokenizer).unwrap()
}

/// Tokens until `max_new_tokens` are reached, whatever the model says.
fn params(max_new_tokens: usize) -> SamplingParams {
    SamplingParams { max_new_tokens, ignore_eos: true, ..Default::default() }
}
