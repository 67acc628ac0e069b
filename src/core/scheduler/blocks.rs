//! Blocks that change hands while a step is planned. Each change is written down where it happens.

use super::Scheduler;
use crate::core::sequence::SeqIdx;
use crate::core::step_plan::{BlockChange, StepPlan};
use crate::ids::RequestId;

impl Scheduler {
    /// Appends blocks to a sequence's table: all of them, or none when the pool has fewer.
    pub(super) fn take_blocks(&mut self, seq_idx: SeqIdx, num_blocks: usize, changes: &mut Vec<BlockChange>) -> bool {
        let sequence = &mut self.sequences[seq_idx];
        let (id, before) = (sequence.id(), sequence.block_table.num_blocks());
        let has_room = sequence.block_table.grow(num_blocks, &mut self.allocator);
        let taken = &sequence.block_table.blocks()[before..];
        changes.extend(taken.iter().map(|&block| BlockChange::Taken { id, block }));
        has_room
    }

    /// Takes all blocks of the youngest that runs; it waits again. `None` if nobody runs.
    pub(super) fn preempt_youngest(&mut self, changes: &mut Vec<BlockChange>) -> Option<RequestId> {
        let (id, idx) = self.running.pop_last()?;
        let blocks = self.sequences[idx].preempt(&mut self.allocator);
        changes.extend(blocks.into_iter().map(|block| BlockChange::Released { id, block }));
        self.waiting.insert(id, idx);
        Some(id)
    }

    /// Notes in a plan how things stand once it is made, and keeps what it changed until it is committed.
    pub(super) fn close(&mut self, plan: &mut StepPlan) {
        plan.first_waiting = self.waiting.first_key_value().map(|(&id, _)| id);
        plan.num_running = self.running.len();
        plan.num_waiting = self.waiting.len();
        plan.num_free_blocks = self.allocator.num_free();
        self.unreported.extend(&plan.preempted);
        self.unreported_blocks.extend(plan.block_changes.iter().map(|&change| (plan.step, change)));
        self.debug_check_integrity();
    }
}
