//! What cannot work is refused with the name of the thing and the figures, and others go on.

use crate::fixtures;
use crate::golden;
use crate::gpu::Gpu;
use crate::machines::{Machines, ensure};
use cb_lab::EngineConfig;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::Engine;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::model::ModelFolder;
use cb_lab::model::memory_plan::MemoryPlan;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.cpu("refusals/requests", requests);
    trials.extend(machines.cpu("refusals/limits", limits));
    trials.extend(machines.cpu("refusals/buffers that a device cannot bind", buffers));
    trials.extend(machines.gpus("refusals/a small device, before weights are read", small_device));
    trials
}

/// The message of what must be refused has all of `words` in it.
fn refused<T>(result: cb_lab::Result<T>, words: &[&str]) -> Result<(), Failed> {
    let Err(error) = result else { return Err(format!("not refused, expected {words:?}").into()) };
    let message = error.to_string();
    let missing: Vec<_> = words.iter().filter(|word| !message.contains(**word)).collect();
    ensure!(missing.is_empty(), "{message:?} does not say {missing:?}");
    Ok(())
}

/// Requests are refused while others run; those are not disturbed.
fn requests() -> Result<(), Failed> {
    let limits = LimitOptions {
        block_size: Some(16),
        num_kv_blocks: Some(8),
        max_model_len: Some(400),
        prefill_chunk_size: Some(16),
        ..Default::default()
    };
    let cases = fixtures::golden_cases("llama")[..5].to_vec();
    let mut engine = fixtures::engine("llama", CpuBackend::default(), &limits);
    for case in &cases {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    pollster::block_on(engine.step())?;

    let params = SamplingParams { max_new_tokens: 10, ..Default::default() };
    let with = |change: fn(&mut SamplingParams)| {
        let mut params = params.clone();
        change(&mut params);
        params
    };
    refused(engine.submit(vec![5], with(|p| p.stop_token_ids = vec![352])), &["stop token id 352", "352 tokens"])?;
    refused(engine.submit(vec![5, 352], params.clone()), &["token id 352", "352 tokens"])?;
    refused(engine.submit(vec![u32::MAX], params.clone()), &["token id 4294967295", "352 tokens"])?;
    refused(engine.submit(Vec::new(), params.clone()), &["prompt is empty"])?;
    refused(engine.submit(vec![5; 120], params.clone()), &["129 tokens", "9 blocks of 16", "pool has 8"])?;
    let both = ["392 prompt tokens", "401 tokens", "max_model_len is 400: raise it to 401 and num_kv_blocks to 26, or"];
    refused(engine.submit(vec![5; 392], params.clone()), &both)?;
    refused(engine.submit(vec![5; 600], params.clone()), &["made for at most 512: shorten the prompt to 119 tokens"])?;
    refused(
        engine.submit(vec![5], with(|p| p.max_new_tokens = usize::MAX)),
        &["made for at most 512: lower max_new_tokens to 128"],
    )?;
    refused(engine.submit(vec![5], with(|p| p.max_new_tokens = 0)), &["max_new_tokens is 0", "at least 1"])?;
    refused(engine.submit(vec![5], with(|p| p.top_p = 0.0)), &["top_p is 0", "above 0"])?;
    refused(engine.submit(vec![5], with(|p| p.top_p = 2.0)), &["top_p is 2", "at most 1"])?;
    refused(engine.submit(vec![5], with(|p| p.top_p = f32::NAN)), &["top_p is NaN"])?;
    refused(engine.submit(vec![5], with(|p| p.top_k = Some(0))), &["top_k is 0"])?;
    refused(engine.submit(vec![5], with(|p| p.min_p = -0.5)), &["min_p is -0.5"])?;
    refused(engine.submit(vec![5], with(|p| p.temperature = -1.0)), &["temperature is -1"])?;
    refused(engine.submit(vec![5], with(|p| p.stop = vec![String::new()])), &["stop", "empty"])?;

    // The largest that fits: 118 + 10 = 8 blocks of 16. It is request 5: those refused got no number.
    let id = engine.submit(vec![5; 118], params)?;
    ensure!(id.0 == 5, "it is request {id}");
    let mut outputs = pollster::block_on(engine.run_until_idle())?;
    let last = outputs.pop().ok_or("there are outputs")?;
    ensure!(last.id == id && last.prompt_token_ids.len() == 118, "the last output is {last:?}");
    golden::compare(&cases, &outputs)
}

fn limits() -> Result<(), Failed> {
    let model = fixtures::load("llama").config;
    let with = |change: fn(&mut LimitOptions)| {
        let mut options = LimitOptions::default();
        change(&mut options);
        options.resolve(&model, CpuBackend::default().max_buffer_words())
    };
    for block_size in [0, 3, 48, 512] {
        let options = LimitOptions { block_size: Some(block_size), ..Default::default() };
        let words = [&format!("block_size is {block_size}"), "power of two from 1 to 256"];
        refused(options.resolve(&model, usize::MAX / 4), &words)?;
    }
    refused(with(|o| o.max_tokens_per_step = Some(0)), &["max_tokens_per_step is 0", "at least 1"])?;
    refused(with(|o| o.prefill_chunk_size = Some(0)), &["prefill_chunk_size is 0", "at least 1"])?;
    refused(with(|o| o.num_kv_blocks = Some(0)), &["num_kv_blocks is 0", "at least 1"])?;
    refused(with(|o| o.max_num_seqs = Some(0)), &["max_num_seqs is 0", "at least 1"])?;
    refused(with(|o| o.max_model_len = Some(0)), &["max_model_len is 0", "at least 1"])?;
    refused(with(|o| o.num_kv_blocks = Some(usize::MAX)), &["num_kv_blocks is 1844", "at most 16777215"])?;
    refused(with(|o| o.max_tokens_per_step = Some(65_536)), &["max_tokens_per_step is 65536", "at most 65535"])?;
    with(|o| (o.max_tokens_per_step, o.max_model_len) = (Some(65_535), Some(512)))?;
    let too_long = ["max_model_len is 513", "made for sequences of 512 tokens"];
    refused(with(|o| o.max_model_len = Some(513)), &too_long)?;
    // Also where nobody asked `resolve`.
    let limits = EngineConfig { max_model_len: 513, ..LimitOptions::default().resolve(&model, usize::MAX)? };
    refused(pollster::block_on(Engine::new(CpuBackend::default(), fixtures::load("llama"), limits)), &too_long)
}

/// Each buffer names the option that makes it smaller, and a value that would do.
fn buffers() -> Result<(), Failed> {
    let model = fixtures::load("llama").config;
    let plan = |options: LimitOptions, max_buffer_words: usize| {
        MemoryPlan::new(&model, &options.resolve(&model, max_buffer_words)?, max_buffer_words)
    };
    let default = LimitOptions::default;
    // 1000 blocks of 16 tokens, 2 KV heads of 16: 512 words a block.
    let blocks = plan(LimitOptions { num_kv_blocks: Some(1000), ..default() }, 300 * 512);
    refused(blocks, &["num_kv_blocks is 1000", "2048000 bytes", "binds at most 614400", "about 300"])?;
    // 64 rows of 352 logits are 22,528 words; a step of 512 rows of 64 is more, so that is lowered here.
    let logits = plan(LimitOptions { max_tokens_per_step: Some(64), max_num_seqs: Some(64), ..default() }, 352 * 32);
    refused(logits, &["max_num_seqs is 64", "90112 bytes", "binds at most 45056", "about 32"])?;
    let rows = plan(LimitOptions { max_num_seqs: Some(8), ..default() }, 64 * 256);
    refused(rows, &["max_tokens_per_step is 512", "131072 bytes", "binds at most 65536", "about 256"])?;
    let positions =
        LimitOptions { max_num_seqs: Some(1), max_tokens_per_step: Some(16), max_model_len: Some(512), ..default() };
    refused(plan(positions, 16 * 400), &["max_model_len is 512", "32768 bytes", "about 400"])
}

/// The folder's weights are gone when the engine starts; the refusal is about the limits all the same.
fn small_device(gpu: &Gpu) -> Result<(), Failed> {
    let temporary = tempfile::tempdir()?;
    for file in std::fs::read_dir(fixtures::path("llama"))? {
        let file = file?;
        std::fs::copy(file.path(), temporary.path().join(file.file_name()))?;
    }
    let open = || pollster::block_on(LoadedFolder::open(&ModelFolder::open(temporary.path())?));
    let (first, second) = (open()?, open()?);
    std::fs::remove_file(temporary.path().join("model.safetensors"))?;

    let small = || gpu.open(GpuOptions { max_binding_bytes: Some(64 << 10), ..Default::default() });
    let limits = LimitOptions { num_kv_blocks: Some(100), ..Default::default() };
    let limits = limits.resolve(&first.config, small()?.max_buffer_words())?;
    let words = ["num_kv_blocks is 100", "204800 bytes", "binds at most 65536", "about 32"];
    refused(pollster::block_on(Engine::new(small()?, first, limits)), &words)?;

    let fitting = LimitOptions { num_kv_blocks: Some(32), max_tokens_per_step: Some(64), ..Default::default() };
    let fitting =
        LimitOptions { max_num_seqs: Some(8), ..fitting }.resolve(&second.config, small()?.max_buffer_words())?;
    refused(pollster::block_on(Engine::new(small()?, second, fitting)), &["cannot read", "model.safetensors"])
}
