//! What an executed step changes.

use super::Scheduler;
use crate::core::request::FinishReason;
use crate::core::step_plan::{Event, StepPlan};
use crate::ids::TokenId;

impl Scheduler {
    /// Notes that a plan was executed. `sampled` has one token per row that samples, in row order. Rows whose request
    /// ended in the meantime are passed over.
    ///
    /// Only what the newest `schedule` planned can be committed, and what was planned ahead of it, in this order and once:
    /// an older plan no longer describes the blocks. Debug builds panic on any other, release builds change nothing and
    /// return no events.
    ///
    /// # Panics
    /// If `sampled` has another length than [`StepPlan::num_samples`].
    pub fn commit(&mut self, plan: &StepPlan, sampled: &[TokenId]) -> Vec<Event> {
        assert_eq!(sampled.len(), plan.num_samples(), "one sampled token per row that samples");
        let is_next = self.in_flight.front() == Some(&plan.step);
        debug_assert!(is_next, "step {} is not the newest plan or was committed before", plan.step);
        if !is_next {
            return Vec::new();
        }
        self.in_flight.pop_front();

        self.unreported.clear();
        // What a plan made ahead changed is yet to be committed.
        self.unreported_blocks.retain(|(step, _)| *step > plan.step);

        let mut events = Vec::with_capacity(plan.all_preempted().count() + sampled.len());
        let victims = plan.all_preempted().map(|preemption| preemption.victim);
        events.extend(victims.filter(|&id| self.get(id).is_some()).map(|id| Event::Preempted { id }));
        let mut sampled = sampled.iter();
        for row in &plan.rows {
            let token_id = if row.samples { sampled.next() } else { None };
            // An aborted request's slot, and even its id, may by now be those of one that still waits.
            let sequence = self.sequences.get_mut(row.seq_idx).filter(|s| s.id() == row.id && s.is_running());
            let Some(sequence) = sequence else { continue };
            sequence.advance(row.query_len);
            let Some(&token_id) = token_id else { continue };

            let params = &sequence.request().params;
            let finish_reason = if params.stop_token_ids.contains(&token_id) {
                Some(FinishReason::Stop)
            } else {
                let is_last = sequence.output_token_ids().len() + 1 == params.max_new_tokens;
                let grows_past = self.recompute_past == Some(sequence.num_tokens());
                sequence.push_output(token_id);
                // Told before the token: whoever gets that may end the request for it.
                if grows_past && !is_last {
                    sequence.preempt(&mut self.allocator);
                    self.waiting.extend(self.running.remove_entry(&row.id));
                    events.push(Event::Outgrown { id: row.id });
                }
                events.push(Event::Token { id: row.id, token_id });
                is_last.then_some(FinishReason::Length)
            };
            if let Some(reason) = finish_reason {
                events.extend(self.finish(row.id, reason));
            }
        }
        self.debug_check_integrity();
        events
    }
}
