//! An engine with a place to put a fault in: between the lines that build a batch and that compute it.

use super::Outcome;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::request::SamplingParams;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{Event, StepPlan};
use cb_lab::core::timestamp::Timestamp;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::sampler::SampledToken;
use cb_lab::engine::{DeviceRunner, Engine, ModelRunner};
use cb_lab::model::embedded::default_model;
use cb_lab::{EngineConfig, RequestId, TokenId};
use pollster::block_on;
use std::collections::BTreeMap;

/// The default model on the CPU.
pub struct Workbench<'a> {
    pub engine: Engine<FaultyRunner<'a>>,
}

/// Runs the model on batches with a fault.
pub struct FaultyRunner<'a> {
    pub device: DeviceRunner<CpuBackend>,
    fault: Fault<'a>,
    /// What each request got so far.
    sampled_tokens: BTreeMap<RequestId, Vec<SampledToken>>,
}

/// Changes a batch between the lines that build it and that compute it.
pub type Fault<'a> = &'a dyn Fn(&StepPlan, &Scheduler, &mut RaggedBatch);

impl ModelRunner for FaultyRunner<'_> {
    /// Who samples, and the tokens.
    type Sampled = (Vec<RequestId>, <CpuBackend as Backend>::Readback);

    fn begin(&mut self, plan: &StepPlan, scheduler: &Scheduler) -> cb_lab::Result<Self::Sampled> {
        let sampling = plan.rows.iter().filter(|row| row.samples).map(|row| row.id).collect();
        let change = |batch: &mut RaggedBatch| (self.fault)(plan, scheduler, batch);
        Ok((sampling, self.device.begin_changed(plan, scheduler, change)?))
    }

    async fn read(&mut self, (sampling, tokens): Self::Sampled) -> cb_lab::Result<Vec<SampledToken>> {
        let tokens = self.device.read(tokens).await?;
        for (id, token) in sampling.into_iter().zip(&tokens) {
            self.sampled_tokens.entry(id).or_default().push(*token);
        }
        Ok(tokens)
    }

    fn config(&self) -> &EngineConfig {
        self.device.config()
    }

    fn now(&self) -> Timestamp {
        self.device.now()
    }
}

/// A sentence whose end depends on its beginning, and in which a name can be chosen: wrong keys and values change the
/// text, and not only its probabilities.
pub const RED_BOAT: &str = "The little red boat stood by the bath.";

/// Nothing is changed.
pub const NO_FAULT: Fault = &|_, _, _| {};

/// Blocks of `block_size` tokens; no other limit is reached.
pub fn limits(block_size: usize, num_kv_blocks: usize) -> EngineConfig {
    EngineConfig {
        block_size,
        num_kv_blocks,
        max_tokens_per_step: 512,
        prefill_chunk_size: 512,
        max_num_seqs: 16,
        max_model_len: 512,
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    }
}

impl<'a> Workbench<'a> {
    pub fn new(config: EngineConfig) -> Outcome<Self> {
        let LoadedFolder { config: model, files, tokenizer, .. } = block_on(LoadedFolder::open(&default_model()))?;
        let device = block_on(DeviceRunner::new(CpuBackend::default(), model.clone(), &files, &config))?;
        let runner = FaultyRunner { device, fault: NO_FAULT, sampled_tokens: BTreeMap::new() };
        Ok(Self { engine: Engine::with_runner(runner, model, tokenizer)? })
    }

    /// The first `len` tokens of a story.
    pub fn story(&self, len: usize) -> Outcome<Vec<TokenId>> {
        self.beginning(
            "Once upon a time there was a little red boat. It lived by the sea and wanted to see the world. ",
            len,
        )
    }

    /// The first `len` tokens of a text, which begins again where it is too short.
    pub fn beginning(&self, text: &str, len: usize) -> Outcome<Vec<TokenId>> {
        Ok(self.engine.tokenizer().encode_rendered(text)?.into_iter().cycle().take(len).collect())
    }

    /// Queues a greedy request. Ids count up from 0.
    pub fn submit(&mut self, prompt_token_ids: Vec<TokenId>, max_new_tokens: usize) -> Outcome<RequestId> {
        let params = SamplingParams { max_new_tokens, ignore_eos: true, ..Default::default() };
        Ok(self.engine.submit(prompt_token_ids, params)?)
    }

    pub fn step(&mut self, fault: Fault<'a>) -> Outcome<Vec<Event>> {
        self.engine.runner_mut().fault = fault;
        Ok(block_on(self.engine.step())?.events)
    }

    pub fn run(&mut self, fault: Fault<'a>) -> Outcome {
        while !self.engine.is_idle() {
            self.step(fault)?;
        }
        Ok(())
    }

    /// The tokens that a request generated.
    pub fn sampled_tokens(&self, id: RequestId) -> &[SampledToken] {
        &self.engine.runner().sampled_tokens[&id]
    }

    /// What a request generated, as text.
    pub fn text(&self, id: RequestId) -> Outcome<String> {
        let token_ids: Vec<TokenId> =
            self.sampled_tokens(id).iter().map(|sampled_token| sampled_token.token_id).collect();
        Ok(format!("{:?}", self.engine.tokenizer().decode(&token_ids)?))
    }

    /// A token as text, with its probability.
    pub fn show(&self, sampled_token: &SampledToken) -> Outcome<String> {
        let text = self.engine.tokenizer().decode(&[sampled_token.token_id])?;
        Ok(format!("{text:?} {:.1} %", 100.0 * sampled_token.logprob.exp()))
    }

    /// K and V of all rows of the last batch in a layer, each `[num_tokens, num_kv_heads * head_dim]`. For block size 1,
    /// where a slot is a block.
    pub fn kv_of_rows(&self, layer: usize) -> Outcome<[Vec<f32>; 2]> {
        let (model, config, device) =
            (self.engine.model(), self.engine.scheduler().config(), &self.engine.runner().device);
        assert_eq!(config.block_size, 1);
        let width = model.num_kv_heads * model.head_dim;
        let pool = device.decoder().kv_pool(layer);
        let rows = |buffer| {
            let words = block_on(CpuBackend::default().download(buffer, config.num_kv_blocks * width))?;
            let slots = device.batch().slot_mapping.iter().map(|&slot| slot as usize);
            let values = slots.flat_map(|slot| words[slot * width..][..width].iter().copied().map(f32::from_bits));
            Ok::<Vec<f32>, cb_lab::Error>(values.collect())
        };
        Ok([rows(pool.k)?, rows(pool.v)?])
    }
}
