//! A pair of backends runs clean as long as both agree, and names the kernel and the layer where they do not.

use crate::fixtures;
use crate::golden;
use crate::gpu::Gpu;
use crate::machines::{Machines, ensure};
use cb_lab::Error;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::{GpuOptions, Kernel};
use cb_lab::backend::paired::PairedBackend;
use cb_lab::backend::params::RmsNormParams;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

/// Values are around 1, and either side rounds sums of some hundred f32 products in three layers: below 1e-4.
const TOLERANCE: f32 = 1e-3;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.cpu("paired/a wrong cache is named by kernel and layer", wrong_cache);
    trials.extend(machines.cpu("paired/a step that is dropped is not compared later", dropped));
    trials.extend(machines.gpus("paired/the GPU agrees with the CPU", agrees));
    trials.extend(machines.gpus("paired/a broken kernel is named", broken_kernels));
    trials
}

const SMALL: LimitOptions = LimitOptions {
    block_size: Some(8),
    num_kv_blocks: Some(64),
    max_tokens_per_step: Some(32),
    prefill_chunk_size: Some(16),
    max_num_seqs: Some(8),
    max_model_len: None,
    kv_dtype: KvDtype::F32,
    weight_dtype: WeightDtype::Auto,
};

/// Two CPU backends agree bit for bit, until one of them finds another value in a layer's cache.
fn wrong_cache() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("qwen3");
    for (layer, decode) in [(0, true), (1, false), (2, true), (2, false)] {
        let mut engine =
            fixtures::engine("qwen3", PairedBackend::new(CpuBackend::default(), CpuBackend::default(), 0.0), &SMALL);
        let case = &cases[if decode { 2 } else { 8 }];
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
        pollster::block_on(engine.step())?;
        let wrong = 3.0f32.to_bits();
        CpuBackend::default().upload(&mut engine.runner_mut().device_mut().0.kv_pool_mut(layer).v.1, 0, &[wrong]);
        let kernel = if decode { "paged_attention" } else { "ragged_attention" };
        diverged(pollster::block_on(engine.step()), kernel, &format!("layer {layer}"))?;
    }
    Ok(())
}

/// Both sides write the same again after a call in which they did not, and which nobody read.
fn dropped() -> Result<(), Failed> {
    let mut pair = PairedBackend::new(CpuBackend::default(), CpuBackend::default(), 0.0);
    let [mut x, mut weight, mut out] = ["x", "weight", "out"].map(|label| pair.alloc(label, 4).expect("there is room"));
    let p = RmsNormParams { num_rows: 1, width: 4, eps: 1.0 };
    pair.upload(&mut x, 0, &[1f32.to_bits(); 4]);
    pair.upload(&mut weight, 0, &[1f32.to_bits(); 4]);
    CpuBackend::default().upload(&mut x.1, 0, &[2f32.to_bits()]);
    pair.rms_norm(p, &x, &weight, &mut out);
    drop(pair.submit(&out, 4)?);
    pair.upload(&mut x, 0, &[1f32.to_bits(); 4]);
    pair.rms_norm(p, &x, &weight, &mut out);
    pollster::block_on(pair.download(&out, 4))?;
    Ok(())
}

fn agrees(gpu: &Gpu) -> Result<(), Failed> {
    // Short prompts: the pair reads back what every kernel wrote. The longest has a chunk after which nothing samples.
    let cases = fixtures::golden_cases("qwen3")[1..7].to_vec();
    let pair = PairedBackend::new(CpuBackend::default(), gpu.open(GpuOptions::default())?, TOLERANCE);
    let mut engine = fixtures::engine("qwen3", pair, &SMALL);
    golden::compare(&cases, &golden::run(&mut engine, &cases)?)
}

/// One mistake a kernel.
fn broken_kernels(gpu: &Gpu) -> Result<(), Failed> {
    let mistakes = [
        (Kernel::RmsNorm, "p.eps", "0.1", "layer 0"),
        (Kernel::RopeStoreKv, "p.positions_offset + row]", "p.positions_offset]", "layer 0"),
    ];
    let cases = fixtures::golden_cases("qwen3");
    for (kernel, right, wrong, place) in mistakes {
        let source = kernel.source();
        let wgsl = source.wgsl().replace(right, wrong);
        ensure!(wgsl != source.wgsl(), "{} has no {right:?}", source.name);
        let options = GpuOptions { wgsl: vec![(kernel, wgsl)], ..Default::default() };
        let pair = PairedBackend::new(CpuBackend::default(), gpu.open(options)?, TOLERANCE);
        let mut engine = fixtures::engine("qwen3", pair, &SMALL);
        engine.submit(cases[2].prompt_token_ids.clone(), cases[2].params())?;
        diverged(pollster::block_on(engine.step()), source.name, place)?;
    }
    Ok(())
}

fn diverged<T: std::fmt::Debug>(result: cb_lab::Result<T>, kernel: &str, place: &str) -> Result<(), Failed> {
    let Err(Error::Diverged(message)) = &result else { return Err(format!("no divergence, but {result:?}").into()) };
    let named = message.starts_with(&format!("{kernel} diverged, {place}, row "));
    ensure!(named, "{message:?} does not name {kernel} and {place}");
    Ok(())
}
