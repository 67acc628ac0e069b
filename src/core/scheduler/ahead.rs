//! Async scheduling (as in vLLM): the step after one that is still in flight, planned before anybody knows what that one
//! samples.

use super::Scheduler;
use crate::core::sequence::SeqIdx;
use crate::core::step_plan::{ScheduledRow, StepPlan};
use crate::core::timestamp::Timestamp;

/// A sequence that goes on unless its token in flight ends it.
struct GoesOn {
    seq_idx: SeqIdx,
    /// Which of the step's samples its next token is.
    sample_idx: u32,
}

impl Scheduler {
    /// Plans the step after `plan`, which is in flight: each sequence goes on with the token that it is about to get. Its
    /// rows are the decodes that `schedule` would plan, but for those whose token in flight turns out to end them (an
    /// end-of-sequence token, a stop text): what was computed for these is passed over in [`commit`](Self::commit).
    ///
    /// `None` where the next step cannot be foreseen: somebody is in the middle of a prompt; somebody who waits could be
    /// admitted, or a request is sure to end and make room; a block is needed and none is free; somebody is about to be
    /// computed again; `plan` is not the only one in flight; or nobody goes on.
    ///
    /// Requests that end while both steps are in flight free their blocks, which a third plan may hand out. That is safe:
    /// a device executes steps in the order of their plans, so whoever gets such a block writes to it later, and reads
    /// only what it wrote.
    pub fn schedule_ahead(&mut self, plan: &StepPlan, now: Timestamp) -> Option<StepPlan> {
        if self.in_flight.iter().ne([&plan.step]) {
            return None;
        }
        let going_on = self.going_on(plan)?;
        let budget = self.config.max_tokens_per_step - going_on.len();
        let admission_stop = self.next_to_admit(budget).err()?;
        let grows = |next: &&GoesOn| {
            let sequence = &self.sequences[next.seq_idx];
            sequence.num_tokens() + 1 > sequence.block_table.num_blocks() * self.config.block_size
        };
        if going_on.iter().filter(grows).count() > self.allocator.num_free() {
            return None;
        }

        self.step += 1;
        self.in_flight.push_back(self.step);
        let mut ahead = StepPlan { step: self.step, now, admission_stop, ..StepPlan::default() };
        for next in going_on {
            let sequence = &self.sequences[next.seq_idx];
            let num_blocks = self.config.num_blocks_for(sequence.num_tokens() + 1);
            let missing = num_blocks.saturating_sub(sequence.block_table.num_blocks());
            let has_slot = self.take_blocks(next.seq_idx, missing, &mut ahead.block_changes);
            debug_assert!(has_slot, "as many are free");
            let sequence = &self.sequences[next.seq_idx];
            ahead.sample_indices.push(next.sample_idx);
            ahead.rows.push(ScheduledRow {
                id: sequence.id(),
                seq_idx: next.seq_idx,
                context_len: sequence.num_tokens(),
                query_len: 1,
                samples: true,
            });
        }
        self.close(&mut ahead);
        Some(ahead)
    }

    /// Who goes on after `plan`, oldest first. `None` if that are not all who run, as far as anybody can know.
    fn going_on(&self, plan: &StepPlan) -> Option<Vec<GoesOn>> {
        let mut going_on = Vec::with_capacity(plan.rows.len());
        let mut num_running = 0;
        for (row, sample_idx) in plan.rows.iter().zip(0..) {
            // A chunk's prompt goes on, or has ended; either way rows and samples are not the same in number.
            if !row.samples {
                return None;
            }
            // One that ended since the plan was made: its slot may be another's.
            let Some(sequence) = self.sequences.get(row.seq_idx).filter(|s| s.id() == row.id && s.is_running()) else {
                continue;
            };
            num_running += 1;
            // Of a plan that was itself made ahead the sequence knows all tokens but the one in flight, too.
            let is_last = sequence.output_token_ids().len() + 1 == sequence.request().params.max_new_tokens;
            if !is_last && self.recompute_past == Some(sequence.num_tokens()) {
                return None;
            }
            if !is_last {
                going_on.push(GoesOn { seq_idx: row.seq_idx, sample_idx });
            } else if !self.waiting.is_empty() {
                return None;
            }
        }
        going_on.sort_by_key(|next| self.sequences[next.seq_idx].id());
        (num_running == self.running.len() && !going_on.is_empty()).then_some(going_on)
    }
}
