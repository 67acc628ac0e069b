//! With `deterministic`, what a request gets on a GPU has the same bits whatever it is batched with, however its prompt is
//! cut and wherever its blocks lie, preempted or not. Without it, it has not: the test can fail.

use crate::fixtures::{self, EMBEDDED, GoldenCase};
use crate::gpu::Gpu;
use crate::grid::{Cell, run_cell, same_bits};
use crate::machines::{Machine, Machines, ensure};
use crate::rng::Rng;
use cb_lab::backend::gpu::{GpuBackend, GpuOptions};
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

/// Narrow heads run the naive attention, those of `qwen3` and the embedded model the faster version; `mistral` has a
/// window.
const MODELS: [&str; 4] = ["llama", "qwen3", "mistral", EMBEDDED];
/// Prompts above this take too long in steps of a few tokens.
const LONGEST_PROMPT: usize = 40;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = Vec::new();
    for name in MODELS {
        trials.extend(machines.each_gpu(&format!("deterministic/limits, {name}"), move |gpu| {
            same_in_every_cell(name, &Deterministic(gpu))
        }));
    }
    trials.extend(machines.gpus("deterministic/batch mates", |gpu| {
        let outputs = beside_others(&Deterministic(gpu))?;
        ensure!(outputs.iter().all(|bits| *bits == outputs[0]), "batch mates change the log-probabilities");
        Ok(())
    }));
    trials.extend(machines.gpus("deterministic/the limits show without it", |gpu| {
        // A real GPU might happen to add up both ways alike.
        ensure!(!gpu.software || same_in_every_cell(EMBEDDED, gpu).is_err(), "the same bits without --deterministic");
        Ok(())
    }));
    trials
}

/// A GPU with the option.
struct Deterministic<'a>(&'a Gpu);

impl Machine for Deterministic<'_> {
    type Backend = GpuBackend;
    const EXACT: bool = true;
    fn open(&self) -> cb_lab::Result<GpuBackend> {
        self.0.open(GpuOptions { deterministic: true, ..GpuOptions::default() })
    }
}

/// Block sizes, budgets and chunks of every kind, and pools so small that requests are preempted.
fn same_in_every_cell<M: Machine>(name: &str, machine: &M) -> Result<(), Failed> {
    let cell = |block_size, max_tokens_per_step, prefill_chunk_size, tight| Cell {
        block_size,
        max_tokens_per_step,
        prefill_chunk_size,
        tight,
    };
    let cells = [cell(16, 512, 64, false), cell(1, 64, 5, true), cell(64, 7, 64, false), cell(8, 33, 1, true)];
    let cases: Vec<GoldenCase> =
        fixtures::golden_cases(name).into_iter().filter(|case| case.prompt_token_ids.len() <= LONGEST_PROMPT).collect();
    let mut rng = Rng::new(name);
    let (mut first, mut num_preempted) = (None, 0);
    for cell in cells {
        let (outputs, preempted) = run_cell(name, machine, &cell, &cases, LONGEST_PROMPT, &mut rng)?;
        num_preempted += preempted;
        let first = first.get_or_insert_with(|| outputs.clone());
        same_bits(first, &outputs).map_err(|message| format!("{cell:?}: {message}"))?;
    }
    ensure!(num_preempted > 0, "nobody was preempted: the pools are too large to test anything");
    Ok(())
}

/// Log-probabilities of one request in batches of 1 to 64.
fn beside_others<M: Machine>(machine: &M) -> Result<Vec<Vec<u32>>, Failed> {
    let limits = LimitOptions { max_num_seqs: Some(64), num_kv_blocks: Some(256), ..LimitOptions::default() };
    let mut engine = fixtures::engine(EMBEDDED, machine.open()?, &limits);
    let params = || SamplingParams { max_new_tokens: 6, ignore_eos: true, ..SamplingParams::default() };
    let mut outputs = Vec::new();
    for batch in [1, 2, 5, 9, 64] {
        let id = engine.submit(vec![7, 40, 300, 12, 9], params())?;
        for other in 1..batch {
            let prompt = (0..1 + other % 23).map(|i| (31 * other + 7 * i) % 2000).collect();
            engine.submit(prompt, params())?;
        }
        let done = pollster::block_on(engine.run_until_idle())?;
        let output = done.into_iter().find(|output| output.id == id).ok_or("the request did not end")?;
        outputs.push(output.logprobs.iter().map(|logprob| logprob.to_bits()).collect());
    }
    Ok(outputs)
}
