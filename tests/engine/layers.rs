//! Chunked = unchunked = dense, layer by layer: the K and V that each layer leaves in its pool, gathered through the
//! block table, and the log-probabilities at the end.
//!
//! A prompt is run in chunks of several sizes, in shuffled physical blocks, with its blocks taken away half-way; and a
//! few tokens are generated, so that the K and V of decode rows are among what is compared.

use crate::dense_model::{self, DenseRun};
use crate::fixtures::{self, GoldenCase};
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::{DeviceEngine, Update};
use libtest_mimic::{Failed, Trial};

/// Tokens generated before the pools are looked at, all but the last with K and V.
const NUM_GENERATED: usize = 4;
/// Sums of some hundred f32 products in three layers, of values around 1: about 1e-6 from f64. The largest seen is
/// 8e-6 (`CB_LAB_MARGINS=1` prints it), so this leaves ten times that. A forgotten term is a thousand times this.
const TOLERANCE: f64 = 1e-4;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    fixtures::NAMES.into_iter().flat_map(|name| machines.all(&format!("layers/{name}"), Layers(name))).collect()
}

/// How the prompt is run.
#[derive(Clone, Copy, Debug)]
struct Way {
    block_size: usize,
    chunk: usize,
    /// Run others before, whose blocks come back in another order.
    shuffled: bool,
    /// Let two older requests take blocks away in the middle of the prompt.
    preempted: bool,
}

const WAYS: [Way; 6] = [
    Way { block_size: 16, chunk: 256, shuffled: false, preempted: false },
    Way { block_size: 16, chunk: 16, shuffled: true, preempted: false },
    Way { block_size: 1, chunk: 5, shuffled: true, preempted: false },
    Way { block_size: 64, chunk: 1, shuffled: false, preempted: false },
    Way { block_size: 8, chunk: 256, shuffled: true, preempted: false },
    Way { block_size: 8, chunk: 5, shuffled: true, preempted: true },
];

/// What a run leaves: K and V of each layer as `[seq_len, num_kv_heads * head_dim]`, and the log-probabilities.
struct Left {
    kv: Vec<[Vec<f32>; 2]>,
    logprobs: Vec<f32>,
}

#[derive(Clone)]
struct Layers(&'static str);

impl Check for Layers {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases(self.0);
        // Longer than mistral's window of 24 and than llama3's original 64 positions.
        let case = cases.iter().find(|case| case.name == "random-65").ok_or("the fixture has a prompt of 65 tokens")?;
        let seen = [&case.prompt_token_ids[..], &case.token_ids[..NUM_GENERATED - 1]].concat();
        let dense = dense_model::forward(&fixtures::load(self.0), &seen);

        let unchunked = run(self.0, machine.open()?, case, &cases, WAYS[0])?;
        compare_with_dense(case, &unchunked, &dense)?;
        for way in &WAYS[1..] {
            let left = run(self.0, machine.open()?, case, &cases, *way)?;
            compare(&unchunked, &left, M::EXACT).map_err(|message| format!("{way:?}: {message}"))?;
        }
        Ok(())
    }
}

fn run<B: Backend>(name: &str, backend: B, case: &GoldenCase, others: &[GoldenCase], way: Way) -> Result<Left, Failed> {
    // 9 blocks of 8 for this prompt, 3 for the two older ones and one to spare; those grow to 9. Otherwise room for the
    // prompt and little more, so that it gets blocks that others had.
    let num_tokens: usize = if way.preempted { 14 * 8 } else { 96 };
    let limits = LimitOptions {
        block_size: Some(way.block_size),
        num_kv_blocks: Some(num_tokens.div_ceil(way.block_size)),
        prefill_chunk_size: Some(way.chunk),
        ..Default::default()
    };
    let mut engine = fixtures::engine(name, backend, &limits);
    engine.step_one_by_one();
    let params = |max_new_tokens| SamplingParams { max_new_tokens, ignore_eos: true, ..Default::default() };
    if way.shuffled {
        for (other, max_new_tokens) in others[..5].iter().zip([9, 2, 5, 7, 1]) {
            engine.submit(other.prompt_token_ids.clone(), params(max_new_tokens))?;
        }
        pollster::block_on(engine.run_until_idle())?;
    }
    if way.preempted {
        for older in &others[2..4] {
            engine.submit(older.prompt_token_ids.clone(), params(24))?;
        }
    }
    let id = engine.submit(case.prompt_token_ids.clone(), params(NUM_GENERATED + 1))?;
    let was_preempted = step_until_generated(&mut engine, id)?;
    ensure!(was_preempted == way.preempted, "{way:?}: preempted: {was_preempted}");

    let kv = gather(&mut engine, id, way.shuffled)?;
    let outputs = pollster::block_on(engine.run_until_idle())?;
    let output = outputs.into_iter().find(|output| output.id == id).ok_or("the request has no output")?;
    ensure!(output.token_ids[..] == case.token_ids[..=NUM_GENERATED], "{way:?}: tokens {:?}", output.token_ids);
    Ok(Left { kv, logprobs: output.logprobs[..NUM_GENERATED].to_vec() })
}

/// Steps until the request has its tokens. Returns whether it was preempted on the way.
fn step_until_generated<B: Backend>(engine: &mut DeviceEngine<B>, id: RequestId) -> Result<bool, Failed> {
    let mut was_preempted = false;
    while engine.scheduler().get(id).is_some_and(|sequence| sequence.output_token_ids().len() < NUM_GENERATED) {
        let updates = pollster::block_on(engine.step())?.updates;
        was_preempted |= updates.contains(&Update::Preempted(id));
    }
    Ok(was_preempted)
}

/// K and V of each layer, in order of position.
fn gather<B: Backend>(
    engine: &mut DeviceEngine<B>,
    id: RequestId,
    shuffled: bool,
) -> Result<Vec<[Vec<f32>; 2]>, Failed> {
    let sequence = engine.scheduler().get(id).ok_or("the request still runs")?;
    let blocks: Vec<usize> = sequence.block_table().blocks().iter().map(|block| block.0 as usize).collect();
    let ascending = blocks.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    ensure!(ascending != shuffled || blocks.len() == 1, "blocks {blocks:?} are in order: {ascending}");
    let context_len = sequence.context_len();
    let (block_size, num_blocks) = (engine.scheduler().config().block_size, engine.scheduler().config().num_kv_blocks);

    let (decoder, backend) = engine.runner_mut().device_mut();
    let (num_kv_heads, head_dim) = (decoder.model().num_kv_heads, decoder.model().head_dim);
    let mut layers = Vec::new();
    for layer in 0..decoder.model().num_layers() {
        let pool = decoder.kv_pool(layer);
        let mut gathered = [Vec::new(), Vec::new()];
        for (buffer, gathered) in [pool.k, pool.v].into_iter().zip(&mut gathered) {
            let len = num_blocks * num_kv_heads * block_size * head_dim;
            let words = pollster::block_on(backend.download(buffer, len))?;
            for position in 0..context_len {
                for kv_head in 0..num_kv_heads {
                    let block = blocks[position / block_size];
                    let row = (block * num_kv_heads + kv_head) * block_size + position % block_size;
                    gathered.extend(words[row * head_dim..][..head_dim].iter().copied().map(f32::from_bits));
                }
            }
        }
        layers.push(gathered);
    }
    Ok(layers)
}

fn compare(unchunked: &Left, left: &Left, exact: bool) -> Result<(), String> {
    let close = |expected: f32, got: f32| match exact {
        true => expected.to_bits() == got.to_bits(),
        false => f64::from((expected - got).abs()) <= TOLERANCE * f64::from(expected.abs().max(1.0)),
    };
    for (layer, (expected, got)) in unchunked.kv.iter().zip(&left.kv).enumerate() {
        for (name, expected, got) in [("K", &expected[0], &got[0]), ("V", &expected[1], &got[1])] {
            if expected.len() != got.len() {
                return Err(format!("{name} of layer {layer} has {} values, not {}", got.len(), expected.len()));
            }
            if let Some(i) = expected.iter().zip(got).position(|(&expected, &got)| !close(expected, got)) {
                return Err(format!("{name}[{i}] of layer {layer} is {}, not {}", got[i], expected[i]));
            }
        }
    }
    let logprobs = unchunked.logprobs.iter().zip(&left.logprobs).position(|(&expected, &got)| !close(expected, got));
    logprobs.map_or(Ok(()), |i| Err(format!("log-probability {i}: {} {}", unchunked.logprobs[i], left.logprobs[i])))
}

fn compare_with_dense(case: &GoldenCase, left: &Left, dense: &DenseRun) -> Result<(), Failed> {
    let close = |expected: f64, got: f32| (expected - f64::from(got)).abs() <= TOLERANCE * expected.abs().max(1.0);
    let mut largest = 0.0f64;
    for (layer, (got, (k, v))) in left.kv.iter().zip(&dense.kv).enumerate() {
        for (name, got, expected) in [("K", &got[0], k), ("V", &got[1], v)] {
            ensure!(got.len() == expected.len(), "{name} of layer {layer}: {} values", got.len());
            for (i, (&expected, &got)) in expected.iter().zip(got).enumerate() {
                largest = largest.max((expected - f64::from(got)).abs() / expected.abs().max(1.0));
                ensure!(close(expected, got), "{name}[{i}] of layer {layer} is {got}, densely {expected}");
            }
        }
    }
    for (i, logprob) in left.logprobs.iter().enumerate() {
        let logits = dense.logits.row(case.prompt_token_ids.len() - 1 + i);
        let expected = logits[case.token_ids[i] as usize] - logits.mapv(f64::exp).sum().ln();
        largest = largest.max((expected - f64::from(*logprob)).abs());
        ensure!(close(expected, *logprob), "log-probability {i} is {logprob}, densely {expected}");
    }
    if std::env::var_os("CB_LAB_MARGINS").is_some() {
        eprintln!("{}: at most {largest:.1e} from f64", case.name);
    }
    Ok(())
}
