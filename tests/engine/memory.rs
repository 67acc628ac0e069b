//! The most that a backend holds is what was planned before it held anything, byte for byte.

use crate::abort::TIGHT;
use crate::fixtures::{self, EMBEDDED};
use crate::gpu::Gpu;
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let names = fixtures::NAMES.into_iter().chain([EMBEDDED]);
    let mut trials: Vec<Trial> =
        names.flat_map(|name| machines.all(&format!("memory/{name}"), AsPlanned(name))).collect();
    trials.extend(machines.gpus("memory/matrices in pieces, timed", in_pieces));
    trials.extend(machines.gpus("memory/naive kernels", naive));
    trials
}

#[derive(Clone)]
struct AsPlanned(&'static str);

impl Check for AsPlanned {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        // So many logits that what is read back needs more than the room that a backend begins with.
        let many_rows = LimitOptions { max_num_seqs: Some(300), max_tokens_per_step: Some(400), ..Default::default() };
        let small_blocks = LimitOptions { block_size: Some(1), num_kv_blocks: Some(77), ..TIGHT };
        for limits in [LimitOptions::default(), TIGHT, many_rows, small_blocks] {
            as_planned(self.0, machine.open()?, &limits)?;
        }
        Ok(())
    }
}

/// After start-up, and after requests have run: greedy ones, and some whose logits are read back.
fn as_planned<B: Backend>(name: &str, backend: B, limits: &LimitOptions) -> Result<(), Failed> {
    let mut engine = fixtures::engine(name, backend, limits);
    let planned = engine.runner().planned_memory();
    ensure!(
        engine.runner().memory().peak_bytes == planned.bytes(),
        "{limits:?}: {:?}, {planned:?}",
        engine.runner().memory()
    );
    for (i, case) in fixtures::golden_cases(name).iter().filter(|case| case.prompt_token_ids.len() < 40).enumerate() {
        let temperature = if i % 2 == 0 { 0.0 } else { 1.0 };
        let params = SamplingParams { temperature, max_new_tokens: 4, ..Default::default() };
        engine.submit(case.prompt_token_ids.clone(), params)?;
    }
    pollster::block_on(engine.run_until_idle())?;
    let memory = engine.runner().memory();
    ensure!(memory.peak_bytes == planned.bytes(), "{limits:?}: {memory:?} after a run, {planned:?}");
    ensure!(memory.bytes == memory.peak_bytes, "something was given back: {memory:?}");
    Ok(())
}

/// Every matrix is split, and there are timestamps.
fn in_pieces(gpu: &Gpu) -> Result<(), Failed> {
    let options = GpuOptions { max_binding_bytes: Some(64 << 10), time_kernels: true, ..Default::default() };
    as_planned("llama", gpu.open(options)?, &TIGHT)
}

/// Whose matrices lie in memory in another order.
fn naive(gpu: &Gpu) -> Result<(), Failed> {
    let options = GpuOptions { kernels: KernelSet::Naive, ..Default::default() };
    as_planned("smollm2", gpu.open(options)?, &LimitOptions::default())
}
