//! Contexts so long that decodes are split: the tokens and log-probabilities are those of the model written down in f64,
//! and on the CPU they are the same bits whatever the limits, although a row may be a split decode or the end of a chunk.

use crate::dense_model;
use crate::fixtures;
use crate::grid::same_bits;
use crate::machines::{Check, Machine, Machines, ensure};
use crate::rng::Rng;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

/// Heads of 16 run the naive kernel, those of qwen3 the faster version; mistral gets windows in some of its layers.
const MODELS: [&str; 3] = ["llama", "qwen3", "mistral"];
/// Around 512, where sequences begin to be split, and beyond.
const PROMPT_LENS: [usize; 4] = [509, 30, 1100, 640];
const NUM_GENERATED: usize = 6;
/// As in `layers`: ten times what is seen.
const TOLERANCE: f64 = 1e-4;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    MODELS.into_iter().flat_map(|name| machines.all(&format!("splits/{name}"), Splits(name))).collect()
}

/// The model, as if it had been made for longer sequences.
pub fn folder(name: &str) -> LoadedFolder {
    let mut folder = fixtures::load(name);
    folder.config.max_position_embeddings = 1200;
    if name == "mistral" {
        // Splits of a window, of all tokens, and windows that are one split.
        let windows = [Some(600), None, Some(24)].into_iter().cycle();
        for (layer, window) in folder.config.layers.iter_mut().zip(windows) {
            layer.attention_mut().window = window;
        }
    }
    folder
}

pub fn prompts(folder: &LoadedFolder) -> Vec<Vec<u32>> {
    let mut rng = Rng::new("long prompts");
    let mut prompt = |len| (0..len).map(|_| rng.below(folder.config.vocab_size) as u32).collect();
    PROMPT_LENS.into_iter().map(&mut prompt).collect()
}

#[derive(Clone)]
struct Splits(&'static str);

impl Check for Splits {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let limits = |block_size, num_kv_tokens: usize, chunk, max_num_seqs| LimitOptions {
            block_size: Some(block_size),
            num_kv_blocks: Some(num_kv_tokens / block_size),
            prefill_chunk_size: Some(chunk),
            max_num_seqs: Some(max_num_seqs),
            ..LimitOptions::default()
        };
        // All at once; in blocks and chunks of other sizes, with so small a pool that some are preempted, whose rows come
        // again as those of prompts; one after the other. Of chunks of 71 and 157 the last of a prompt of 640 or 1,100 is one
        // row, which goes the way of decodes, and in the first way is one of many.
        let ways = [limits(16, 4096, 256, 64), limits(8, 1616, 71, 64), limits(256, 2048, 157, 1)];
        let outputs = run(self.0, machine, &ways[0])?;
        compare_with_dense(&folder(self.0), &outputs)?;
        for limits in &ways[1..] {
            let others = run(self.0, machine, limits)?;
            for (first, other) in outputs.iter().zip(&others) {
                ensure!(first.token_ids == other.token_ids, "{limits:?}: request {} has other tokens", first.id);
            }
            if M::EXACT {
                same_bits(&outputs, &others).map_err(|message| format!("{limits:?}: {message}"))?;
            }
        }
        Ok(())
    }
}

fn run<M: Machine>(name: &str, machine: &M, limits: &LimitOptions) -> Result<Vec<Output>, Failed> {
    let folder = folder(name);
    let prompts = prompts(&folder);
    let mut engine = fixtures::engine_of(folder, machine.open()?, limits);
    for prompt in &prompts {
        let params = SamplingParams { max_new_tokens: NUM_GENERATED, ignore_eos: true, ..Default::default() };
        engine.submit(prompt.clone(), params)?;
    }
    let mut outputs = pollster::block_on(engine.run_until_idle())?;
    outputs.sort_by_key(|output| output.id);
    ensure!(outputs.len() == prompts.len(), "{} of {} requests ended", outputs.len(), prompts.len());
    Ok(outputs)
}

/// Each token is the likeliest, and as likely as transformers says.
fn compare_with_dense(folder: &LoadedFolder, outputs: &[Output]) -> Result<(), Failed> {
    for (prompt, output) in prompts(folder).iter().zip(outputs) {
        let seen = [&prompt[..], &output.token_ids[..NUM_GENERATED - 1]].concat();
        let logits = dense_model::forward(folder, &seen).logits;
        for (i, (&token_id, &logprob)) in output.token_ids.iter().zip(&output.logprobs).enumerate() {
            let row = logits.row(prompt.len() - 1 + i);
            let largest = row.fold(f64::NEG_INFINITY, |largest, &logit| largest.max(logit));
            let total = row.mapv(|logit| (logit - largest).exp()).sum().ln() + largest;
            let (expected, best) = (row[token_id as usize] - total, largest - total);
            let context = format!("token {i} after a prompt of {}", prompt.len());
            // A NaN is not close to anything.
            let is_close = (expected - f64::from(logprob)).abs() <= TOLERANCE;
            ensure!(is_close, "{context}: {logprob}, not {expected}");
            let is_likeliest = best - expected <= TOLERANCE;
            ensure!(is_likeliest, "{context}: another is likelier, {best} against {expected}");
        }
    }
    Ok(())
}
