//! What a run tells of itself: the event log and its views, and the numbers on the device.

mod inspect;
mod recording;
mod snapshots;

use cb_lab::backend::cpu::CpuBackend;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::Engine;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::model::embedded::default_model;

/// The default model within tight limits: 32 tokens a step, prompts in chunks of `prefill_chunk_size`, blocks of 4.
fn engine(num_kv_blocks: usize, prefill_chunk_size: usize) -> Engine<CpuBackend> {
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
    let limits = options.resolve(&folder.config, usize::MAX).unwrap();
    pollster::block_on(Engine::new(CpuBackend::default(), folder, limits)).unwrap()
}

/// Tokens until `max_new_tokens` are reached, whatever the model says.
fn params(max_new_tokens: usize) -> SamplingParams {
    SamplingParams { max_new_tokens, ignore_eos: true, ..Default::default() }
}
