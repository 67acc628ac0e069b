//! Turns what a step left behind into a line of the log.

use super::{Aborted, Blocks, Entry, Finished, Row, SkippedRequest, Step, Submitted, Token};
use crate::core::batch_builder::RaggedBatch;
use crate::core::scheduler::Scheduler;
use crate::core::skipped::all_skipped;
use crate::engine::{StepReport, Update};
use crate::ids::{BlockId, RequestId};
use std::collections::BTreeMap;

/// Watches one engine from its first request on. It remembers all block tables, to tell what a step changed.
#[derive(Debug, Default)]
pub struct Recorder {
    tables: BTreeMap<RequestId, Vec<BlockId>>,
}

impl Recorder {
    /// A request was just submitted. `None` if the scheduler does not have it.
    pub fn submitted(&self, scheduler: &Scheduler, id: RequestId, at_ms: f64) -> Option<Entry> {
        let request = scheduler.get(id)?.request();
        let (prompt_len, max_new_tokens) = (request.prompt_token_ids.len(), request.params.max_new_tokens);
        Some(Entry::Submitted(Submitted { id, prompt_len, max_new_tokens, at_ms: to_microseconds(at_ms) }))
    }

    /// A request was just aborted.
    pub fn aborted(&mut self, id: RequestId, at_ms: f64) -> Entry {
        Entry::Aborted(Aborted {
            id,
            blocks: self.tables.remove(&id).unwrap_or_default(),
            at_ms: to_microseconds(at_ms),
        })
    }

    /// A step was just computed: its report, its batch, and the scheduler as the step left it.
    pub fn step(
        &mut self,
        report: &StepReport,
        batch: &RaggedBatch,
        scheduler: &Scheduler,
        start_ms: f64,
        ms: f64,
    ) -> Entry {
        let plan = &report.plan;
        let tables = tables_during_step(report, batch, scheduler);
        let (freed, taken) = self.changes(&tables);
        self.tables = tables;
        let (mut tokens, mut finished) = (Vec::new(), Vec::new());
        for update in &report.updates {
            match update {
                Update::Token { id, token_id, text } => {
                    tokens.push(Token { id: *id, token_id: *token_id, text: text.clone() });
                }
                Update::Finished { rest, output } => {
                    let blocks = self.tables.remove(&output.id).unwrap_or_default();
                    let (id, reason) = (output.id, output.finish_reason);
                    finished.push(Finished { id, reason, rest: rest.clone(), blocks });
                }
                Update::Failed { output, .. } => {
                    let blocks = self.tables.remove(&output.id).unwrap_or_default();
                    let (id, reason) = (output.id, output.finish_reason);
                    finished.push(Finished { id, reason, rest: String::new(), blocks });
                }
                Update::Preempted(_) => {} // the plan says it, and for whom
            }
        }
        Entry::Step(Step {
            step: plan.step,
            rows: plan
                .rows
                .iter()
                .map(|row| Row {
                    id: row.id,
                    context_len: row.context_len,
                    query_len: row.query_len,
                    samples: row.samples,
                })
                .collect(),
            preempted: plan.all_preempted().copied().collect(),
            admission_stop: plan.admission_stop,
            skipped: all_skipped(scheduler, plan).into_iter().map(|(id, why)| SkippedRequest { id, why }).collect(),
            freed,
            taken,
            free_blocks: report.num_free_blocks,
            tokens,
            finished,
            start_ms: to_microseconds(start_ms),
            ms: to_microseconds(ms),
            kernels: Vec::new(),
        })
    }

    /// What was freed and what was taken since the last step.
    fn changes(&self, tables: &BTreeMap<RequestId, Vec<BlockId>>) -> (Vec<Blocks>, Vec<Blocks>) {
        let (mut freed, mut taken) = (Vec::new(), Vec::new());
        for (&id, old) in &self.tables {
            // A table only grows. If it does not go on where it was, its request was preempted in between.
            if !tables.get(&id).is_some_and(|new| new.starts_with(old)) {
                freed.push(Blocks { id, blocks: old.clone() });
            }
        }
        for (&id, new) in tables {
            let old = self.tables.get(&id).filter(|old| new.starts_with(old)).map_or(0, Vec::len);
            if new.len() > old {
                taken.push(Blocks { id, blocks: new[old..].to_vec() });
            }
        }
        (freed, taken)
    }
}

/// Three decimals are enough, and read back as the same number.
fn to_microseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// The block tables while the step was computed. Those that it ended are gone from the scheduler, but the batch has
/// them: a row that ends a request reads all of its blocks.
fn tables_during_step(
    report: &StepReport,
    batch: &RaggedBatch,
    scheduler: &Scheduler,
) -> BTreeMap<RequestId, Vec<BlockId>> {
    let running = scheduler.running().map(|sequence| (sequence.id(), sequence.block_table().blocks().to_vec()));
    let mut tables: BTreeMap<_, _> = running.collect();
    for (seq_idx, row) in report.plan.rows.iter().enumerate() {
        tables.entry(row.id).or_insert_with(|| batch.blocks(seq_idx).iter().map(|&block| BlockId(block)).collect());
    }
    tables
}
