//! The policy: decodes first, then unfinished prompts, then whoever waits. Each of the three oldest first.

use std::mem;

use super::Scheduler;
use crate::config::EngineConfig;
use crate::core::sequence::SeqIdx;
use crate::core::step_plan::{AdmissionStop, Preemption, ScheduledRow, StepPlan};
use crate::core::timestamp::Timestamp;

impl Scheduler {
    /// Plans the next step. The plan has a row unless the scheduler is idle. `now` is written down in it.
    ///
    /// Blocks are taken here, but `context_len` moves only in [`commit`](Self::commit). So a plan whose execution failed
    /// is simply dropped, and scheduling again plans the same tokens; only the newest plan can be committed, and what was
    /// planned ahead of it.
    ///
    /// * No decode is ever left out for want of budget: a sequence is admitted only in a step that has budget left when
    ///   every running one has its row, so at most `max_tokens_per_step` run, and the oldest prompt gets a token too.
    /// * No row is ever taken back: victims are the youngest, and decodes get their rows oldest first, before all else.
    /// * It makes progress: nobody is preempted for a younger one, and the oldest, once alone, fits the pool.
    /// * It ends: each turn of each loop takes a row, a block or a victim.
    pub fn schedule(&mut self, now: Timestamp) -> StepPlan {
        self.step += 1;
        self.in_flight.clear();
        self.in_flight.push_back(self.step);
        let mut plan = StepPlan {
            step: self.step,
            now,
            preempted_before: self.unreported.clone(),
            block_changes_before: self.unreported_blocks.iter().map(|(_, change)| *change).collect(),
            ..StepPlan::default()
        };
        plan.rows.reserve(self.running.len());

        self.oldest_first.clear();
        self.oldest_first.extend(self.running.values());
        let budget = self.config.max_tokens_per_step;
        let budget = self.schedule_decodes(&mut plan, budget);
        let budget = self.schedule_prefills(&mut plan, budget);
        // Blocks that were just taken from one sequence are not for a younger one. (As things are they would not do:
        // the first in the queue is now the last victim, which had fewer than it needs.)
        plan.admission_stop = match plan.preempted.is_empty() {
            true => self.admit_waiting(&mut plan, budget),
            false => AdmissionStop::StepPreempted,
        };
        self.close(&mut plan);
        plan
    }

    /// A row for each decode that has a slot for its token. Returns what is left of the budget.
    fn schedule_decodes(&mut self, plan: &mut StepPlan, mut budget: usize) -> usize {
        let oldest_first = mem::take(&mut self.oldest_first);
        for &idx in &oldest_first {
            let sequence = &self.sequences[idx];
            // One that was preempted a moment ago runs no more.
            if sequence.is_running() && sequence.is_decoding() && self.make_room(idx, plan) {
                budget -= self.push_row(plan, idx, budget);
            }
        }
        self.oldest_first = oldest_first;
        budget
    }

    /// Sees to it that a decode has a slot for its token: at a block edge it needs a new block. Where none is free, the
    /// youngest running sequence gives up its own and waits again. False if that was the needer itself.
    fn make_room(&mut self, needer: SeqIdx, plan: &mut StepPlan) -> bool {
        loop {
            let sequence = &self.sequences[needer];
            let has_slot = sequence.num_tokens() <= sequence.block_table.num_blocks() * self.config.block_size;
            if has_slot || self.take_blocks(needer, 1, &mut plan.block_changes) {
                return true;
            }
            let victim = self.preempt_youngest(&mut plan.block_changes).expect("the needer runs");
            let needer_id = self.sequences[needer].id();
            plan.preempted.push(Preemption { victim, needer: Some(needer_id) });
            if victim == needer_id {
                return false;
            }
        }
    }

    /// A chunk for each unfinished prompt while the budget lasts. Their blocks they have already.
    fn schedule_prefills(&mut self, plan: &mut StepPlan, mut budget: usize) -> usize {
        for &idx in &self.oldest_first {
            let sequence = &self.sequences[idx];
            if !sequence.is_running() || sequence.is_decoding() {
                continue;
            }
            match budget {
                0 => plan.left_out.push(sequence.id()),
                _ => budget -= self.push_row(plan, idx, budget),
            }
        }
        budget
    }

    /// Lets waiting sequences run, strictly first come first served: who does not fit blocks those behind it.
    ///
    /// All blocks of a sequence's tokens are taken at once, so a prompt never gets stuck half-way. Some must stay free
    /// for the decodes of the others, or those would preempt right away. Returns why it ended.
    fn admit_waiting(&mut self, plan: &mut StepPlan, mut budget: usize) -> AdmissionStop {
        loop {
            let (idx, num_blocks) = match self.next_to_admit(budget) {
                Ok(next) => next,
                Err(stop) => return stop,
            };
            let has_blocks = self.take_blocks(idx, num_blocks, &mut plan.block_changes);
            debug_assert!(has_blocks, "as many are free");
            let id = self.sequences[idx].id();
            self.waiting.remove(&id);
            self.running.insert(id, idx);
            budget -= self.push_row(plan, idx, budget);
        }
    }

    /// Who would be admitted with so much left of the budget, and the blocks it would take; else why nobody.
    pub(super) fn next_to_admit(&self, budget: usize) -> Result<(SeqIdx, usize), AdmissionStop> {
        let EngineConfig { max_tokens_per_step, max_num_seqs, num_kv_blocks, .. } = self.config;
        let (_, &idx) = self.waiting.first_key_value().ok_or(AdmissionStop::NobodyWaits)?;
        if budget == 0 {
            return Err(AdmissionStop::BudgetUsedUp { max_tokens_per_step });
        }
        if self.running.len() >= max_num_seqs {
            return Err(AdmissionStop::MaxNumSeqs { max_num_seqs });
        }
        let needed = self.config.num_blocks_for(self.sequences[idx].num_tokens());
        let spare = if self.running.is_empty() { 0 } else { (num_kv_blocks / 100).max(1) };
        let free = self.allocator.num_free();
        if needed + spare > free {
            Err(AdmissionStop::NotEnoughBlocks { needed, spare, free })
        } else {
            Ok((idx, needed))
        }
    }

    /// Adds a row of as many tokens as the sequence has left, the chunk size allows, and the budget. Returns how many.
    fn push_row(&self, plan: &mut StepPlan, seq_idx: SeqIdx, budget: usize) -> usize {
        let sequence = &self.sequences[seq_idx];
        let num_uncomputed = sequence.num_uncomputed();
        let query_len = num_uncomputed.min(self.config.prefill_chunk_size).min(budget);
        debug_assert!(query_len > 0, "every row has a token");
        plan.rows.push(ScheduledRow {
            id: sequence.id(),
            seq_idx,
            context_len: sequence.context_len(),
            query_len,
            samples: query_len == num_uncomputed,
        });
        query_len
    }
}
