//! `Engine::step` taken apart: the same lines in the same order, with a place to put a fault in.

use super::Outcome;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::request::{Request, SamplingParams};
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{Event, StepPlan};
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::sampler::{self, SampledToken, Sampler};
use cb_lab::model::TensorTable;
use cb_lab::model::decoder::Decoder;
use cb_lab::model::embedded::default_model;
use cb_lab::model::memory_plan::MemoryPlan;
use cb_lab::model::weights::Weights;
use cb_lab::text::tokenizer::Tokenizer;
use cb_lab::{EngineConfig, RequestId, TokenId};
use pollster::block_on;
use std::collections::BTreeMap;

/// The default model on the CPU reference.
pub struct Workbench {
    pub scheduler: Scheduler,
    pub decoder: Decoder<CpuBackend>,
    /// Of the last step.
    pub batch: RaggedBatch,
    /// What each request got so far.
    pub sampled_tokens: BTreeMap<RequestId, Vec<SampledToken>>,
    sampler: Sampler<CpuBackend>,
    tokenizer: Tokenizer,
}

/// Changes a batch between the lines that build it and that compute it.
pub type Fault<'a> = &'a dyn Fn(&StepPlan, &Scheduler, &mut RaggedBatch);

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

impl Workbench {
    pub fn new(limits: EngineConfig) -> Outcome<Self> {
        let LoadedFolder { config, files, tokenizer, .. } = pollster::block_on(LoadedFolder::open(&default_model()))?;
        let plan = MemoryPlan::new(&config, &limits, CpuBackend::default().max_buffer_words())?;
        let weights = block_on(Weights::load(
            &mut CpuBackend::default(),
            &files,
            &TensorTable::new(&config),
            limits.weight_dtype,
        ))?;
        Ok(Self {
            decoder: block_on(Decoder::new(&mut CpuBackend::default(), config, &limits, &plan, weights))?,
            sampler: Sampler::new(&mut CpuBackend::default(), &plan)?,
            scheduler: Scheduler::new(limits)?,
            batch: RaggedBatch::default(),
            sampled_tokens: BTreeMap::new(),
            tokenizer,
        })
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
        Ok(self.tokenizer.encode_rendered(text)?.into_iter().cycle().take(len).collect())
    }

    /// Queues a greedy request. Ids count up from 0.
    pub fn submit(&mut self, prompt_token_ids: Vec<TokenId>, max_new_tokens: usize) -> Outcome<RequestId> {
        let id = RequestId(self.sampled_tokens.len() as u64);
        let params = SamplingParams { max_new_tokens, ..Default::default() };
        self.scheduler.submit(Request { id, prompt_token_ids, params })?;
        self.sampled_tokens.insert(id, Vec::new());
        Ok(id)
    }

    pub fn step(&mut self, fault: Fault) -> Outcome<Vec<Event>> {
        let plan = self.scheduler.schedule();
        self.batch.build_into(&plan, &self.scheduler);
        fault(&plan, &self.scheduler, &mut self.batch);
        let logits = self.decoder.forward(&mut CpuBackend::default(), &self.batch, self.sampler.sampled_tokens());
        let sampling: Vec<_> = plan.rows.iter().filter(|row| row.samples).collect();
        let sampling_inputs = vec![sampler::input(&SamplingParams::default(), 0); sampling.len()];
        let readback = self.sampler.submit(&mut CpuBackend::default(), &logits, &sampling_inputs)?;
        let sampled_tokens = block_on(self.sampler.read(&mut CpuBackend::default(), readback))?;
        for (row, sampled_token) in sampling.iter().zip(&sampled_tokens) {
            self.sampled_tokens.entry(row.id).or_default().push(*sampled_token);
        }
        let token_ids: Vec<TokenId> = sampled_tokens.iter().map(|sampled_token| sampled_token.token_id).collect();
        Ok(self.scheduler.commit(&plan, &token_ids))
    }

    pub fn run(&mut self, fault: Fault) -> Outcome {
        while !self.scheduler.is_idle() {
            self.step(fault)?;
        }
        Ok(())
    }

    /// What a request generated, as text.
    pub fn text(&self, id: RequestId) -> Outcome<String> {
        let token_ids: Vec<TokenId> =
            self.sampled_tokens[&id].iter().map(|sampled_token| sampled_token.token_id).collect();
        Ok(format!("{:?}", self.tokenizer.decode(&token_ids)?))
    }

    /// A choice as text, with its probability.
    pub fn show(&self, sampled_token: &SampledToken) -> Outcome<String> {
        let text = self.tokenizer.decode(&[sampled_token.token_id])?;
        Ok(format!("{text:?} {:.1} %", 100.0 * sampled_token.logprob.exp()))
    }

    /// K and V of all rows of the last batch in a layer, each `[num_tokens, num_kv_heads * head_dim]`. For block size 1,
    /// where a slot is a block.
    pub fn kv_of_rows(&self, layer: usize) -> Outcome<[Vec<f32>; 2]> {
        let (model, limits) = (self.decoder.model(), self.scheduler.config());
        assert_eq!(limits.block_size, 1);
        let width = model.num_kv_heads * model.head_dim;
        let pool = self.decoder.kv_pool(layer);
        let rows = |buffer| {
            let words = block_on(CpuBackend::default().download(buffer, limits.num_kv_blocks * width))?;
            let slots = self.batch.slot_mapping.iter().map(|&slot| slot as usize);
            let values = slots.flat_map(|slot| words[slot * width..][..width].iter().copied().map(f32::from_bits));
            Ok::<Vec<f32>, cb_lab::Error>(values.collect())
        };
        Ok([rows(pool.k)?, rows(pool.v)?])
    }
}
