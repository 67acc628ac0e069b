//! What an engine asks of a device: at start-up what the memory plan says; in a step two uploads, one submission and one
//! readback of two words a sequence, within what was reserved.

use crate::abort::{self, TIGHT};
use crate::fixtures;
use crate::machines::{Machines, ensure};
use crate::splits;
use crate::watched_cpu::{Seen, WatchedCpu};
use cb_lab::core::request::SamplingParams;
use cb_lab::core::step_plan::ScheduledRow;
use cb_lab::engine::DeviceEngine;
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

/// Norm, Q K V, rope, attention of two kinds, output; norm, gate and up, down. Every call costs its overhead. Where decodes
/// are split there is one more, which merges.
const MOST_KERNELS_OF_A_LAYER: usize = 9;
/// A decode that sees more tokens is split.
const MOST_TOKENS_OF_A_SPLIT: usize = 512;
/// Embedding, rows that sample, norm, logits, sampled tokens.
const MOST_KERNELS_OUTSIDE_LAYERS: usize = 5;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    // With norms of each head, and without.
    let names = ["qwen3", "llama"].into_iter();
    let trial = |what, name, check: fn(&str) -> Result<(), Failed>| {
        machines.cpu(&format!("device_use/{what}, {name}"), move || check(name))
    };
    names
        .flat_map(|name| {
            [trial("what was planned is made", name, as_planned), trial("one readback a step", name, one_readback)]
        })
        .flatten()
        .chain(trial("one readback a step, long decodes", "qwen3", long_decodes))
        .collect()
}

fn as_planned(name: &str) -> Result<(), Failed> {
    for limits in [LimitOptions::default(), TIGHT] {
        let mut engine = fixtures::engine(name, WatchedCpu::reliable(), &limits);
        let planned = engine.runner().planned_memory();
        let made = &engine.runner_mut().device_mut().1.seen.made;
        ensure!(4 * made.iter().sum::<usize>() as u64 == planned.bytes(), "made {made:?}, planned {planned:?}");
    }
    Ok(())
}

fn one_readback(name: &str) -> Result<(), Failed> {
    let cases = fixtures::golden_cases(name);
    let limits = LimitOptions { num_kv_blocks: Some(200), ..TIGHT };
    let mut engine = fixtures::engine(name, WatchedCpu::reliable(), &limits);
    // Sampled ones among greedy ones.
    for seed in 0..6 {
        let params = SamplingParams { temperature: 1.0, seed, max_new_tokens: 8, ..Default::default() };
        engine.submit(cases[2].prompt_token_ids.clone(), params)?;
    }
    abort::submit_all(&mut engine, &cases)?;
    watch(engine)
}

/// A long prompt whose decodes are split, beside the chunks of a longer one.
fn long_decodes(name: &str) -> Result<(), Failed> {
    let limits = LimitOptions { num_kv_blocks: Some(400), max_num_seqs: Some(4), ..TIGHT };
    let folder = splits::folder(name);
    let prompts = splits::prompts(&folder);
    let mut engine = fixtures::engine_of(folder, WatchedCpu::reliable(), &limits);
    for prompt in prompts {
        engine.submit(prompt, SamplingParams { max_new_tokens: 80, ignore_eos: true, ..Default::default() })?;
    }
    watch(engine)
}

/// Runs until all requests have ended; the largest step is what was reserved.
fn watch(mut engine: DeviceEngine<WatchedCpu>) -> Result<(), Failed> {
    let mut largest = (0, 0);
    while !engine.is_idle() {
        let before = engine.runner_mut().device_mut().1.seen.clone();
        let plan = pollster::block_on(engine.step())?.plan;
        let Seen { reserved, downloads, num_kernel_calls, .. } = engine.runner_mut().device_mut().1.seen.clone();
        let (num_kernel_calls, num_words) =
            (num_kernel_calls - before.num_kernel_calls, downloads[downloads.len() - 1]);
        let expected = Seen {
            num_uploads: before.num_uploads + 2,
            num_kernel_calls: before.num_kernel_calls + num_kernel_calls,
            downloads: [&before.downloads[..], &[num_words]].concat(),
            ..before
        };
        let seen = &engine.runner_mut().device_mut().1.seen;
        ensure!(*seen == expected, "step {} did {seen:?} instead of {expected:?}", plan.step);
        let is_split = |row: &ScheduledRow| row.query_len == 1 && row.seq_len() > MOST_TOKENS_OF_A_SPLIT;
        let both = plan.rows.iter().any(is_split) && plan.rows.iter().any(|row| row.query_len > 1);
        let most =
            (MOST_KERNELS_OF_A_LAYER + usize::from(both)) * engine.model().num_layers() + MOST_KERNELS_OUTSIDE_LAYERS;
        ensure!(num_kernel_calls <= most, "step {} called {num_kernel_calls} kernels, {most} are allowed", plan.step);
        ensure!(num_kernel_calls <= reserved.num_kernel_calls, "{num_kernel_calls} kernels, reserved: {reserved:?}");
        ensure!(num_words == 2 * plan.num_samples(), "{num_words} words for {} samples", plan.num_samples());
        ensure!(num_words <= reserved.num_download_words, "{num_words} words, reserved: {reserved:?}");
        largest = (largest.0.max(num_kernel_calls), largest.1.max(num_words));
    }
    let reserved = engine.runner_mut().device_mut().1.seen.reserved;
    ensure!(largest.0 == reserved.num_kernel_calls, "at most {largest:?}, reserved: {reserved:?}");
    ensure!(largest.1 == reserved.num_download_words, "at most {largest:?}, reserved: {reserved:?}");
    Ok(())
}
