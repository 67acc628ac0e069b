//! Turns plans and what came of them into lines of the log. A line is a function of these and of the lines before it.

use super::{Aborted, Blocks, Entry, Finished, QueueHead, Row, Step, Submitted, Token};
use crate::config::EngineConfig;
use crate::core::step_plan::{BlockChange, Event, ScheduledRow, StepPlan};
use crate::core::timestamp::Timestamp;
use crate::engine::{StepReport, Update};
use crate::ids::{BlockId, RequestId};
use std::collections::{BTreeMap, BTreeSet};

/// Watches one engine from its first request on. A step that was planned before the one before it had ended is written as if
/// it had been planned after: who had ended by then has no row, takes no block, and is listed in [`Step::passed_over`].
#[derive(Debug)]
pub struct Recorder {
    /// Tables that refer to each block.
    ref_counts: Vec<u32>,
    num_free: usize,
    unfinished: BTreeSet<RequestId>,
    /// The block tables as the log has them.
    tables: BTreeMap<RequestId, Vec<BlockId>>,
    /// Who has outgrown its K and V since the last line of a step.
    outgrown: Vec<RequestId>,
    queue: Option<QueueHead>,
}

impl Recorder {
    /// For an engine with these limits that has no requests yet.
    pub fn new(config: &EngineConfig) -> Self {
        Self {
            ref_counts: vec![0; config.num_kv_blocks],
            num_free: config.num_kv_blocks,
            unfinished: BTreeSet::new(),
            tables: BTreeMap::new(),
            outgrown: Vec::new(),
            queue: None,
        }
    }

    /// A request was submitted.
    pub fn submitted(&mut self, id: RequestId, prompt_len: usize, max_new_tokens: usize, now: Timestamp) -> Entry {
        self.unfinished.insert(id);
        Entry::Submitted(Submitted { id, prompt_len, max_new_tokens, at_ms: now.ms() })
    }

    /// A request was aborted.
    pub fn aborted(&mut self, id: RequestId, now: Timestamp) -> Entry {
        Entry::Aborted(Aborted { id, blocks: self.end(id), at_ms: now.ms() })
    }

    /// A step was computed.
    pub fn step(&mut self, report: &StepReport) -> Entry {
        let plan = &report.plan;
        let unfinished = |id: &RequestId| self.unfinished.contains(id);
        let outgrown: Vec<_> = std::mem::take(&mut self.outgrown).into_iter().filter(unfinished).collect();
        let (freed, taken) = self.follow(plan, &outgrown);
        let free_blocks = self.num_free;
        let (rows, passed_over): (Vec<_>, Vec<_>) = plan.rows.iter().partition(|row| self.unfinished.contains(&row.id));
        // One who ended since the plan was made waits no more. Whether the next could be admitted nobody has looked at yet.
        let first = plan.first_waiting.filter(|id| self.unfinished.contains(id));
        let queue = first.map(|first| QueueHead { first, why: plan.admission_stop });
        let queue_changed = queue != self.queue;
        self.queue = queue;
        let (tokens, finished) = self.outcome(report);
        Entry::Step(Step {
            step: plan.step,
            rows: rows.into_iter().map(row).collect(),
            passed_over: passed_over.into_iter().map(|row| row.id).collect(),
            preempted: plan.all_preempted().copied().collect(),
            outgrown,
            admission_stop: plan.admission_stop,
            queue: if queue_changed { Some(queue) } else { None },
            left_out: plan.left_out.clone(),
            freed,
            taken,
            free_blocks,
            tokens,
            finished,
            start_ms: plan.now.ms(),
            ms: report.end.ms_since(plan.now),
            kernels: Vec::new(),
        })
    }

    fn outcome(&mut self, report: &StepReport) -> (Vec<Token>, Vec<Finished>) {
        for event in &report.events {
            if let Event::Outgrown { id } = event {
                self.outgrown.push(*id);
            }
        }
        let (mut tokens, mut finished) = (Vec::new(), Vec::new());
        for update in &report.updates {
            let (output, rest) = match update {
                Update::Token { id, token_id, text } => {
                    tokens.push(Token { id: *id, token_id: *token_id, text: text.clone() });
                    continue;
                }
                Update::Preempted(_) => continue, // the plan says it, and for whom; or the next line: see `outgrown`
                Update::Finished { rest, output } => (output, rest.clone()),
                Update::Failed { output, .. } => (output, String::new()),
            };
            let (id, reason) = (output.id, output.finish_reason);
            finished.push(Finished { id, reason, rest, blocks: self.end(id) });
        }
        (tokens, finished)
    }

    /// Brings the tables to where a plan left them, which found those of `outgrown` empty. Returns what was freed and what
    /// was taken, in order of request.
    fn follow(&mut self, plan: &StepPlan, outgrown: &[RequestId]) -> (Vec<Blocks>, Vec<Blocks>) {
        let mut before = BTreeMap::new();
        for &id in outgrown {
            before.insert(id, std::mem::take(self.tables.entry(id).or_default()));
        }
        for change in plan.all_block_changes() {
            let (BlockChange::Taken { id, .. } | BlockChange::Released { id, .. }) = *change;
            if !self.unfinished.contains(&id) {
                continue;
            }
            let table = self.tables.entry(id).or_default();
            before.entry(id).or_insert_with(|| table.clone());
            match *change {
                BlockChange::Taken { block, .. } => table.push(block),
                // With it go all others of the table.
                BlockChange::Released { .. } => table.clear(),
            }
        }
        let (mut freed, mut taken) = (Vec::new(), Vec::new());
        for (id, old) in before {
            let new = self.tables.get(&id).cloned().unwrap_or_default();
            // A table only grows. If it does not go on where it was, its request released it in between: it was preempted, or
            // has outgrown its K and V.
            let goes_on = new.starts_with(&old);
            let blocks = new[if goes_on { old.len() } else { 0 }..].to_vec();
            if !goes_on {
                self.drop_references(&old);
                freed.push(Blocks { id, blocks: old });
            }
            if new.is_empty() {
                self.tables.remove(&id);
            }
            if !blocks.is_empty() {
                taken.push(Blocks { id, blocks });
            }
        }
        taken.iter().flat_map(|taken| &taken.blocks).for_each(|block| {
            let count = &mut self.ref_counts[block.0 as usize];
            self.num_free -= usize::from(*count == 0);
            *count += 1;
        });
        (freed, taken)
    }

    /// A request has ended: the blocks that it held, by what the log has of them.
    fn end(&mut self, id: RequestId) -> Vec<BlockId> {
        self.unfinished.remove(&id);
        let blocks = self.tables.remove(&id).unwrap_or_default();
        self.drop_references(&blocks);
        blocks
    }

    fn drop_references(&mut self, blocks: &[BlockId]) {
        for block in blocks {
            let count = &mut self.ref_counts[block.0 as usize];
            *count -= 1;
            self.num_free += usize::from(*count == 0);
        }
    }
}

fn row(row: &ScheduledRow) -> Row {
    Row { id: row.id, context_len: row.context_len, query_len: row.query_len, samples: row.samples }
}
