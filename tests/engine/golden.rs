//! All prompts of a fixture submitted together give transformers' tokens, log-probabilities and text.

use crate::fixtures::{self, GoldenCase};
use crate::gpu::Gpu;
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::engine::DeviceEngine;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials: Vec<Trial> = fixtures::NAMES
        .into_iter()
        .chain([fixtures::EMBEDDED])
        .flat_map(|name| machines.all(&format!("golden/{name}"), Golden(name)))
        .collect();
    trials.extend(machines.gpus("golden/llama with its matrices in pieces", matrices_in_pieces));
    trials.extend(machines.gpus("golden/tiny by the naive kernels", naive_kernels));
    trials
}

#[derive(Clone)]
struct Golden(&'static str);

impl Check for Golden {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases(self.0);
        let mut engine = fixtures::engine(self.0, machine.open()?, &LimitOptions::default());
        compare(&cases, &run(&mut engine, &cases)?)
    }
}

/// A device that binds so little that the embedding table and the output matrix are split by rows.
fn matrices_in_pieces(gpu: &Gpu) -> Result<(), Failed> {
    let cases = fixtures::golden_cases("llama");
    let options = GpuOptions { max_binding_bytes: Some(64 << 10), ..Default::default() };
    let limits = LimitOptions {
        num_kv_blocks: Some(32),
        max_num_seqs: Some(8),
        max_tokens_per_step: Some(64),
        ..Default::default()
    };
    let mut engine = fixtures::engine("llama", gpu.open(options)?, &limits);
    compare(&cases, &run(&mut engine, &cases)?)
}

/// The embedded model is of a shape that the fast kernels take; these are the others, on the same prompts.
fn naive_kernels(gpu: &Gpu) -> Result<(), Failed> {
    let cases = fixtures::golden_cases(fixtures::EMBEDDED);
    let options = GpuOptions { kernels: KernelSet::Naive, ..Default::default() };
    let mut engine = fixtures::engine(fixtures::EMBEDDED, gpu.open(options)?, &LimitOptions::default());
    compare(&cases, &run(&mut engine, &cases)?)
}

/// Submits all cases, then steps until all have ended.
pub fn run<B: Backend>(engine: &mut DeviceEngine<B>, cases: &[GoldenCase]) -> Result<Vec<Output>, Failed> {
    for case in cases {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    Ok(pollster::block_on(engine.run_until_idle())?)
}

pub fn compare(cases: &[GoldenCase], outputs: &[Output]) -> Result<(), Failed> {
    ensure!(cases.len() == outputs.len(), "{} outputs of {} requests", outputs.len(), cases.len());
    cases.iter().zip(outputs).try_for_each(|(case, output)| compare_one(case, output))
}

pub fn compare_one(case: &GoldenCase, output: &Output) -> Result<(), Failed> {
    let name = &case.name;
    ensure!(output.token_ids == case.token_ids, "{name}: tokens {:?}, not {:?}", output.token_ids, case.token_ids);
    ensure!(output.logprobs.len() == case.logprobs.len(), "{name}: {} log-probabilities", output.logprobs.len());
    for (i, (logprob, expected)) in output.logprobs.iter().zip(&case.logprobs).enumerate() {
        // Both sum some hundred f32 products per logit; the fixtures keep a margin of 5e-3 between the best two.
        let close = (logprob - expected).abs() <= 1e-3;
        ensure!(close, "{name}: log-probability {logprob} of token {i}, expected {expected}");
    }
    ensure!(output.text == case.text, "{name}: text {:?}, expected {:?}", output.text, case.text);
    let reason = output.finish_reason;
    ensure!(reason == case.finish_reason, "{name}: ended by {reason}, expected {}", case.finish_reason);
    Ok(())
}
