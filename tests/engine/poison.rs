//! Nobody reads a block that is not theirs: between any two steps every block that no running request holds is filled
//! with NaN, in all layers, and no output changes.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::golden;
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::engine::DeviceEngine;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    // mistral has blocks that fall out of its window and are still held; qwen3 has norms between K and the pool.
    let names = ["llama", "mistral", "qwen3"];
    names.into_iter().flat_map(|name| machines.all(&format!("poison/{name}"), Poison(name))).collect()
}

#[derive(Clone)]
struct Poison(&'static str);

impl Check for Poison {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let clean = run(self.0, machine, false)?;
        let poisoned = run(self.0, machine, true)?;
        for (clean, poisoned) in clean.iter().zip(&poisoned) {
            let bits = |output: &Output| output.logprobs.iter().map(|logprob| logprob.to_bits()).collect::<Vec<_>>();
            ensure!(clean.token_ids == poisoned.token_ids, "request {}: other tokens", clean.id);
            ensure!(!M::EXACT || bits(clean) == bits(poisoned), "request {}: other log-probabilities", clean.id);
        }
        Ok(())
    }
}

/// Runs all cases in a pool so small that requests are preempted. Two are given up on the way.
fn run<M: Machine>(name: &str, machine: &M, poison: bool) -> Result<Vec<Output>, Failed> {
    let cases = fixtures::golden_cases(name);
    let mut engine = fixtures::engine(name, machine.open()?, &TIGHT);
    abort::submit_all(&mut engine, &cases)?;
    let mut outputs = Vec::new();
    for step in 0.. {
        if engine.is_idle() {
            break;
        }
        if poison {
            poison_free_blocks(&mut engine);
        }
        outputs.extend(pollster::block_on(engine.step())?.updates.into_iter().filter_map(finished));
        match step {
            3 => abort::abort(&mut engine, &cases, RequestId(4))?,
            7 => abort::abort(&mut engine, &cases, RequestId(8))?,
            _ => {}
        }
    }
    ensure!(outputs.len() == cases.len() - 2, "{} requests ended by themselves", outputs.len());
    outputs.sort_by_key(|output| output.id);
    for output in &outputs {
        golden::compare_one(&cases[output.id.0 as usize], output)?;
    }
    abort::all_blocks_free(&engine)?;
    Ok(outputs)
}

/// Overwrites every block that is in no running request's table, in all layers.
fn poison_free_blocks<B: Backend>(engine: &mut DeviceEngine<B>) {
    let limits = engine.scheduler().config();
    let (num_blocks, block_size) = (limits.num_kv_blocks, limits.block_size);
    let mut held = vec![false; num_blocks];
    for block in engine.scheduler().running().flat_map(|sequence| sequence.block_table().blocks()) {
        held[block.0 as usize] = true;
    }
    let (decoder, backend) = engine.runner_mut().device_mut();
    let block_words = block_size * decoder.model().num_kv_heads * decoder.model().head_dim;
    let nan = vec![f32::NAN.to_bits(); block_words];
    for layer in 0..decoder.model().num_layers() {
        let pool = decoder.kv_pool_mut(layer);
        for block in (0..num_blocks).filter(|&block| !held[block]) {
            backend.upload(pool.k, block * block_words, &nan);
            backend.upload(pool.v, block * block_words, &nan);
        }
    }
}
