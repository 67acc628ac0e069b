//! The limits change no token: block size, token budget, chunk size, a pool so small that requests are preempted, and
//! the order of submission. On the CPU they change no bit of any log-probability.
//!
//! A trial tries a sample of all combinations, the same in every run, in which each value of each limit occurs.

use crate::fixtures::{self, GoldenCase};
use crate::golden;
use crate::machines::{Check, Machine, Machines, ensure};
use crate::rng::Rng;
use cb_lab::engine::Update;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

const BLOCK_SIZES: [usize; 4] = [1, 8, 16, 64];
const BUDGETS: [usize; 4] = [1, 7, 64, 512];
const CHUNKS: [usize; 3] = [1, 5, 64];

pub fn trials(machines: &Machines) -> Vec<Trial> {
    fixtures::NAMES.into_iter().flat_map(|name| machines.all(&format!("grid/{name}"), Grid(name))).collect()
}

/// One combination.
#[derive(Clone, Debug)]
pub struct Cell {
    pub block_size: usize,
    pub max_tokens_per_step: usize,
    pub prefill_chunk_size: usize,
    /// The pool holds the largest request and no more.
    pub tight: bool,
}

#[derive(Clone)]
struct Grid(&'static str);

impl Check for Grid {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let mut rng = Rng::new(self.0);
        let full = std::env::var("CB_LAB_GRID").is_ok_and(|grid| grid == "full");
        let cells = match (full, M::EXACT) {
            (true, _) => every_cell(),
            (false, true) => sample(12, &mut rng),
            (false, false) => sample(4, &mut rng),
        };
        let cases = fixtures::golden_cases(self.0);
        let mut first: Option<Vec<Output>> = None;
        let mut num_preempted = 0;
        for cell in cells {
            // A step costs a GPU much the same with one token or many, so small budgets get short prompts there.
            let longest = if M::EXACT || cell.max_tokens_per_step > 7 { usize::MAX } else { 17 };
            let (outputs, preempted) = run_cell(self.0, machine, &cell, &cases, longest, &mut rng)
                .map_err(|failed| format!("{cell:?}: {}", failed.message().unwrap_or_default()))?;
            num_preempted += preempted;
            if M::EXACT {
                let first = first.get_or_insert_with(|| outputs.clone());
                same_bits(first, &outputs).map_err(|message| format!("{cell:?}: {message}"))?;
            }
        }
        ensure!(num_preempted > 0, "nobody was preempted: the pools are too large to test anything");
        Ok(())
    }
}

/// Runs the cases whose prompts are not longer than `longest`, in random order. Outputs are in the order of the cases.
pub fn run_cell<M: Machine>(
    name: &str,
    machine: &M,
    cell: &Cell,
    cases: &[GoldenCase],
    longest: usize,
    rng: &mut Rng,
) -> Result<(Vec<Output>, usize), Failed> {
    let mut order: Vec<usize> = (0..cases.len()).filter(|&i| cases[i].prompt_token_ids.len() <= longest).collect();
    let largest = order.iter().map(|&i| cases[i].prompt_token_ids.len() + cases[i].params().max_new_tokens).max();
    // The last token of a sequence is never stored.
    let num_tokens = largest.map_or(0, |tokens| tokens - 1) * if cell.tight { 1 } else { cases.len() };
    let limits = LimitOptions {
        block_size: Some(cell.block_size),
        num_kv_blocks: Some(num_tokens.div_ceil(cell.block_size)),
        max_tokens_per_step: Some(cell.max_tokens_per_step),
        prefill_chunk_size: Some(cell.prefill_chunk_size),
        ..Default::default()
    };
    let mut engine = fixtures::engine(name, machine.open()?, &limits);

    rng.shuffle(&mut order);
    let shuffled: Vec<GoldenCase> = order.iter().map(|&i| cases[i].clone()).collect();
    for case in &shuffled {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    let mut outputs = Vec::new();
    let mut num_preempted = 0;
    while !engine.is_idle() {
        for update in pollster::block_on(engine.step())?.updates {
            match update {
                Update::Preempted(_) => num_preempted += 1,
                Update::Finished { output, .. } => outputs.push(output),
                Update::Token { .. } => {}
                Update::Failed { reason, .. } => return Err(reason.into()),
            }
        }
    }
    outputs.sort_by_key(|output| output.id);
    golden::compare(&shuffled, &outputs)?;
    let num_free = engine.scheduler().num_free_blocks();
    ensure!(Some(num_free) == limits.num_kv_blocks, "{num_free} blocks are free at the end");

    let mut by_case: Vec<(usize, Output)> = order.into_iter().zip(outputs).collect();
    by_case.sort_by_key(|&(case, _)| case);
    Ok((by_case.into_iter().map(|(_, output)| output).collect(), num_preempted))
}

pub fn same_bits(first: &[Output], outputs: &[Output]) -> Result<(), String> {
    let bits = |output: &Output| output.logprobs.iter().map(|logprob| logprob.to_bits()).collect::<Vec<_>>();
    let differ = first.iter().zip(outputs).position(|(first, output)| bits(first) != bits(output));
    differ.map_or(Ok(()), |case| Err(format!("other log-probabilities for case {case} than in the first cell")))
}

fn every_cell() -> Vec<Cell> {
    let combinations = BLOCK_SIZES.len() * BUDGETS.len() * CHUNKS.len() * 2;
    let cell = |i: usize| Cell {
        block_size: BLOCK_SIZES[i % 4],
        max_tokens_per_step: BUDGETS[i / 4 % 4],
        prefill_chunk_size: CHUNKS[i / 16 % 3],
        tight: i / 48 == 0,
    };
    (0..combinations).map(cell).collect()
}

/// `n` cells in which every value of every limit turns up, with different values of the others each time.
fn sample(n: usize, rng: &mut Rng) -> Vec<Cell> {
    let (mut block_sizes, mut budgets, mut chunks) = (BLOCK_SIZES, BUDGETS, CHUNKS);
    rng.shuffle(&mut block_sizes);
    rng.shuffle(&mut budgets);
    rng.shuffle(&mut chunks);
    // The first cell has a tight pool: let several requests run in it, or nobody is ever preempted.
    let large = budgets.iter().position(|&budget| budget >= 64).unwrap_or(0);
    budgets.swap(0, large);
    let cell = |i: usize| Cell {
        block_size: block_sizes[i % 4],
        max_tokens_per_step: budgets[(i + i / 4) % 4],
        prefill_chunk_size: chunks[i % 3],
        tight: (i % 4 / 2 + i / 4).is_multiple_of(2),
    };
    (0..n).map(cell).collect()
}
