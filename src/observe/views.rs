//! What people want to know of a run, as pure functions of its log.

use super::{Entry, Recording, Step, Submitted};
use crate::ids::RequestId;
use std::collections::{BTreeMap, BTreeSet};

/// A duration, both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// In steps: the same on every device.
    pub steps: usize,
    /// In milliseconds.
    pub ms: f64,
}

/// When a request got its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// The request.
    pub id: RequestId,
    /// From its submission to the end of the step that brought its first token, that step included: at least 1 step.
    /// `None` if it never got one.
    pub first_token: Option<Wait>,
    /// From each token to the next.
    pub inter_token: Vec<Wait>,
}

impl Latency {
    /// Mean and longest inter-token latency in steps.
    pub fn inter_token_steps(&self) -> Option<(f64, usize)> {
        let longest = self.inter_token.iter().map(|gap| gap.steps).max()?;
        Some((
            self.inter_token.iter().map(|gap| gap.steps as f64).sum::<f64>() / self.inter_token.len() as f64,
            longest,
        ))
    }

    /// Mean and longest inter-token latency in milliseconds.
    pub fn inter_token_ms(&self) -> Option<(f64, f64)> {
        let longest = self.inter_token.iter().map(|gap| gap.ms).reduce(f64::max)?;
        Some((self.inter_token.iter().map(|gap| gap.ms).sum::<f64>() / self.inter_token.len() as f64, longest))
    }
}

/// What the budget of a step went to, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// Decodes: [`Row::is_decode`](super::Row::is_decode).
    pub decode: usize,
    /// All other tokens: of prompts, and of what is computed again after a preemption.
    pub prefill: usize,
    /// What it could have been at most.
    pub max_tokens_per_step: usize,
}

/// A run in a few figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Steps computed.
    pub num_steps: usize,
    /// Tokens computed, prompts and what was computed again included.
    pub num_tokens: usize,
    /// Tokens of the largest step in which somebody decoded: how much such a one waited for.
    pub largest_step_with_decodes: usize,
    /// Mean time to the first token, in steps and milliseconds, of those that got one.
    pub first_token: (f64, f64),
    /// Longest inter-token latency, in steps and milliseconds.
    pub longest_inter_token: (usize, f64),
    /// From the begin of the first step to the end of the last.
    pub ms: f64,
}

/// What a request did in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// It had not come yet.
    NotYet,
    /// It held no blocks.
    Waiting,
    /// It lost its blocks, or has outgrown what was in them.
    Preempted,
    /// It held blocks and had no row.
    Idle,
    /// So many tokens of its prompt were computed, or again after a preemption.
    Prefill(usize),
    /// One token was computed, to get the next.
    Decode,
    /// It had ended before.
    Finished,
}

/// A request's way through the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The request, as it came.
    pub request: Submitted,
    /// One per step.
    pub cells: Vec<Cell>,
}

/// When each request got its tokens, in the order they came.
pub fn latencies(recording: &Recording) -> Vec<Latency> {
    let mut latencies = Vec::new();
    let mut places = BTreeMap::new();
    // Of each request: the step and the time of its last news.
    let mut since: Vec<(usize, f64)> = Vec::new();
    let mut num_steps = 0;
    for entry in recording.entries() {
        match entry {
            Entry::Submitted(request) => {
                places.insert(request.id, latencies.len());
                latencies.push(Latency { id: request.id, first_token: None, inter_token: Vec::new() });
                since.push((num_steps, request.at_ms));
            }
            Entry::Step(step) => {
                num_steps += 1;
                let now = (num_steps, step.start_ms + step.ms);
                for token in &step.tokens {
                    let Some(&place) = places.get(&token.id) else { continue };
                    let before = std::mem::replace(&mut since[place], now);
                    let wait = Wait { steps: now.0 - before.0, ms: now.1 - before.1 };
                    let latency: &mut Latency = &mut latencies[place];
                    match latency.first_token {
                        None => latency.first_token = Some(wait),
                        Some(_) => latency.inter_token.push(wait),
                    }
                }
            }
            Entry::Run(_) | Entry::Aborted(_) => {}
        }
    }
    latencies
}

/// What the budget of each step went to.
pub fn budget_use(recording: &Recording) -> Vec<BudgetUse> {
    let of_step = |step: &Step| {
        let decode = step.rows.iter().filter(|row| row.is_decode()).count();
        let all: usize = step.rows.iter().map(|row| row.query_len).sum();
        let max_tokens_per_step = recording.run.config.max_tokens_per_step;
        BudgetUse { decode, prefill: all - decode, max_tokens_per_step }
    };
    recording.steps().map(of_step).collect()
}

/// The run in a few figures.
pub fn summary(recording: &Recording) -> Summary {
    let (uses, latencies) = (budget_use(recording), latencies(recording));
    let tokens = |used: &BudgetUse| used.decode + used.prefill;
    let first: Vec<Wait> = latencies.iter().filter_map(|latency| latency.first_token).collect();
    let mean = |of: fn(&Wait) -> f64| first.iter().map(of).sum::<f64>() / first.len().max(1) as f64;
    let gaps = || latencies.iter().flat_map(|latency| &latency.inter_token);
    let begin = recording.steps().next().map_or(0.0, |step| step.start_ms);
    let end = recording.steps().last().map_or(0.0, |step| step.start_ms + step.ms);
    Summary {
        num_steps: uses.len(),
        num_tokens: uses.iter().map(tokens).sum(),
        largest_step_with_decodes: uses.iter().filter(|used| used.decode > 0).map(tokens).max().unwrap_or(0),
        first_token: (mean(|wait| wait.steps as f64), mean(|wait| wait.ms)),
        longest_inter_token: (
            gaps().map(|gap| gap.steps).max().unwrap_or(0),
            gaps().map(|gap| gap.ms).fold(0.0, f64::max),
        ),
        ms: end - begin,
    }
}

/// What each request did in each step: a lane per request, in the order they came.
pub fn timeline(recording: &Recording) -> Vec<Lane> {
    let tables = recording.block_tables();
    let mut lanes: Vec<Lane> = Vec::new();
    let mut ended = BTreeSet::new();
    let mut num_steps = 0;
    for entry in recording.entries() {
        match entry {
            Entry::Submitted(request) => {
                lanes.push(Lane { request: request.clone(), cells: vec![Cell::NotYet; num_steps] });
            }
            Entry::Step(step) => {
                let rows: BTreeMap<_, _> = step.rows.iter().map(|row| (row.id, row)).collect();
                for Lane { request, cells } in &mut lanes {
                    let id = request.id;
                    cells.push(match rows.get(&id) {
                        Some(row) if row.is_decode() => Cell::Decode,
                        Some(row) => Cell::Prefill(row.query_len),
                        None if ended.contains(&id) => Cell::Finished,
                        None if step.lost_blocks(id) => Cell::Preempted,
                        None if tables[num_steps].contains_key(&id) => Cell::Idle,
                        None => Cell::Waiting,
                    });
                }
                ended.extend(step.finished.iter().map(|finished| finished.id));
                num_steps += 1;
            }
            Entry::Aborted(aborted) => {
                ended.insert(aborted.id);
            }
            Entry::Run(_) => {}
        }
    }
    lanes
}
