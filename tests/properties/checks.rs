//! What must hold of every plan and between any two calls.

use std::collections::BTreeMap;

use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::sequence::Sequence;
use cb_lab::core::skipped::{Skipped, all_skipped};
use cb_lab::core::step_plan::{AdmissionStop, ScheduledRow, StepPlan};
use cb_lab::{BlockId, RequestId};

/// All of a scheduler's state that can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub num_free_blocks: usize,
    running: BTreeMap<RequestId, State>,
    waiting: BTreeMap<RequestId, State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    context_len: usize,
    num_tokens: usize,
    blocks: Vec<BlockId>,
}

impl Snapshot {
    pub fn of(scheduler: &Scheduler) -> Self {
        let state = |sequence: &Sequence| State {
            context_len: sequence.context_len(),
            num_tokens: sequence.num_tokens(),
            blocks: sequence.block_table().blocks().to_vec(),
        };
        Self {
            num_free_blocks: scheduler.num_free_blocks(),
            running: scheduler.running().map(|sequence| (sequence.id(), state(sequence))).collect(),
            waiting: scheduler.waiting().map(|sequence| (sequence.id(), state(sequence))).collect(),
        }
    }

    /// What it would be without a request.
    pub fn forget(&mut self, id: RequestId, num_blocks: usize) {
        self.running.remove(&id);
        self.waiting.remove(&id);
        self.num_free_blocks += num_blocks;
    }

    pub fn is_running(&self, id: RequestId) -> bool {
        self.running.contains_key(&id)
    }

    pub fn num_tokens(&self, id: RequestId) -> usize {
        self.running[&id].num_tokens
    }

    pub fn decoding(&self) -> impl Iterator<Item = RequestId> {
        self.running.iter().filter(|(_, state)| state.num_tokens - state.context_len == 1).map(|(&id, _)| id)
    }
}

/// Between any two calls: the pool adds up, each block has one owner. Returns which blocks are owned.
pub fn check_state(scheduler: &Scheduler) -> Vec<bool> {
    scheduler.check_integrity().unwrap();
    let config = scheduler.config();
    let mut is_owned = vec![false; config.num_kv_blocks];
    for sequence in scheduler.running() {
        for block in sequence.block_table().blocks() {
            assert!(!std::mem::replace(&mut is_owned[block.0 as usize], true), "block {block} has two owners");
        }
    }
    let num_owned = is_owned.iter().filter(|owned| **owned).count();
    assert_eq!(scheduler.num_free_blocks() + num_owned, config.num_kv_blocks);
    assert_eq!(scheduler.is_idle(), scheduler.num_running() + scheduler.num_waiting() == 0);
    let youngest_running = scheduler.running().map(Sequence::id).last();
    let oldest_waiting = scheduler.waiting().map(Sequence::id).next();
    if let (Some(running), Some(waiting)) = (youngest_running, oldest_waiting) {
        assert!(running < waiting, "{running} runs before {waiting}, which came first");
    }
    is_owned
}

/// A plan against the state it was made from. The scheduler is as `schedule` left it.
pub fn check_plan(before: &Snapshot, plan: &StepPlan, scheduler: &Scheduler) {
    let after = Snapshot::of(scheduler);
    let row_of = |id: RequestId| plan.rows.iter().find(|row| row.id == id);
    assert_eq!(plan.is_empty(), scheduler.is_idle(), "a step gets something done");
    assert_eq!(plan.first_waiting, after.waiting.keys().next().copied());
    let stands = (scheduler.num_running(), scheduler.num_waiting(), scheduler.num_free_blocks());
    assert_eq!((plan.num_running, plan.num_waiting, plan.num_free_blocks), stands);
    assert!(plan.copies.is_empty() && plan.left_out.is_empty(), "nobody shares, nobody starves");
    check_rows(before, plan, scheduler);
    check_preemption(before, plan, &after);
    check_reasons(plan, scheduler);

    // Nobody's context moves and no block is exchanged while it runs.
    for (id, state) in before.running.iter().filter(|(id, _)| !is_victim(plan, **id)) {
        assert_eq!(after.running[id].context_len, state.context_len);
        assert!(after.running[id].blocks.starts_with(&state.blocks), "the table of request {id} only grows");
    }

    // No step is lazy: where budget is left, there was nothing to spend it on.
    let config = scheduler.config();
    let budget_left = config.max_tokens_per_step - plan.num_tokens();
    for (id, state) in &after.running {
        let wanted = (state.num_tokens - state.context_len).min(config.prefill_chunk_size);
        let got = row_of(*id).map_or(0, |row| row.query_len);
        assert!(got == wanted || budget_left == 0, "request {id} gets {got} of {wanted} tokens, {budget_left} unused");
    }
    for id in before.decoding() {
        assert!(row_of(id).is_some() || is_victim(plan, id), "decode {id} was left out");
    }
    let most_running = config.max_num_seqs.min(config.max_tokens_per_step);
    assert!(after.running.len() <= most_running);
    if plan.rows.iter().any(|row| !before.is_running(row.id)) && after.running.len() > 1 {
        assert!(after.num_free_blocks >= (config.num_kv_blocks / 100).max(1), "admission leaves a block for a decode");
    }
    let may_admit = budget_left > 0 && plan.preempted.is_empty() && after.running.len() < config.max_num_seqs;
    if let (true, Some(state)) = (may_admit, after.waiting.values().next()) {
        let needed = config.num_blocks_for(state.num_tokens) + (config.num_kv_blocks / 100).max(1);
        assert!(needed > after.num_free_blocks, "the first in the queue could run");
    }
}

/// A plan made ahead of `plan`, which is in flight, or why there is none. `is_last`: a request's token in flight ends it.
pub fn check_ahead(
    before: &Snapshot,
    plan: &StepPlan,
    ahead: Option<&StepPlan>,
    scheduler: &Scheduler,
    is_last: impl Fn(RequestId) -> bool,
) {
    let (config, after) = (scheduler.config(), Snapshot::of(scheduler));
    let samples = |id: RequestId| plan.rows.iter().any(|row| row.id == id && row.samples);
    let Some(ahead) = ahead else {
        assert_eq!(after, *before, "no plan changes nothing");
        let grow = |state: &&State| state.num_tokens + 1 > state.blocks.len() * config.block_size;
        let foreseeable = before.running.keys().all(|&id| samples(id)) && before.running.keys().any(|&id| !is_last(id));
        let num_blocks = before.running.values().filter(grow).count();
        let lazy = foreseeable && before.waiting.is_empty() && num_blocks <= before.num_free_blocks;
        assert!(!lazy, "nothing stood in the way of a step ahead: {before:?}");
        return;
    };
    assert!(!ahead.is_empty() && ahead.preempted.is_empty() && ahead.preempted_before.is_empty());
    assert!(ahead.num_tokens() <= config.max_tokens_per_step);
    assert_eq!(ahead.admission_stop == AdmissionStop::NobodyWaits, before.waiting.is_empty());
    assert_eq!(after.waiting, before.waiting, "nobody is admitted or preempted");
    let rows: Vec<_> = ahead.rows.iter().map(|row| row.id).collect();
    let go_on: Vec<_> = before.running.keys().copied().filter(|&id| !is_last(id)).collect();
    assert_eq!(rows, go_on, "all who go on, oldest first");
    for (row, &sample) in ahead.rows.iter().zip(&ahead.sample_indices) {
        let (old, new) = (&before.running[&row.id], &after.running[&row.id]);
        assert!(row.is_decode() && row.context_len == old.num_tokens, "it computes the token in flight: {row:?}");
        let sampling = plan.rows.iter().filter(|row| row.samples).nth(sample as usize);
        assert!(sampling.is_some_and(|sampling| sampling.id == row.id), "its token is another's: {row:?}");
        assert_eq!((old.context_len, old.num_tokens), (new.context_len, new.num_tokens));
        assert!(new.blocks.starts_with(&old.blocks), "the table of request {} only grows", row.id);
        assert_eq!(new.blocks.len(), config.num_blocks_for(row.seq_len()).max(old.blocks.len()));
    }
}

/// Whoever got no row is told why, and the figures of the reason are true.
fn check_reasons(plan: &StepPlan, scheduler: &Scheduler) {
    let config = scheduler.config();
    let reasons: BTreeMap<_, _> = all_skipped(scheduler, plan).into_iter().collect();
    let first = scheduler.waiting().map(Sequence::id).next();
    for sequence in scheduler.running().chain(scheduler.waiting()) {
        let id = sequence.id();
        let has_row = plan.rows.iter().any(|row| row.id == id);
        assert_eq!(reasons.contains_key(&id), !has_row, "request {id} has a row or a reason: {plan:?}");
        match reasons.get(&id) {
            None => {}
            Some(Skipped::BudgetUsedUp { .. }) => panic!("request {id} was admitted and then starves: {plan:?}"),
            Some(&Skipped::Preempted { needer }) => assert!(is_victim(plan, id) && needer <= id),
            Some(Skipped::BehindFirst { first: named }) => assert!(first == Some(*named) && *named < id),
            Some(&Skipped::NotAdmitted(stop)) => {
                assert!(first == Some(id) && stop == plan.admission_stop);
                match stop {
                    AdmissionStop::NobodyWaits | AdmissionStop::StepPreempted => panic!("{stop:?} explains nothing"),
                    AdmissionStop::BudgetUsedUp { .. } => assert_eq!(plan.num_tokens(), config.max_tokens_per_step),
                    AdmissionStop::MaxNumSeqs { .. } => assert_eq!(scheduler.num_running(), config.max_num_seqs),
                    AdmissionStop::NotEnoughBlocks { needed, spare, free } => {
                        assert_eq!(needed, sequence.num_tokens().div_ceil(config.block_size));
                        assert_eq!(free, scheduler.num_free_blocks());
                        assert!(needed + spare > free);
                    }
                }
            }
        }
    }
}

fn is_victim(plan: &StepPlan, id: RequestId) -> bool {
    plan.preempted.iter().any(|preemption| preemption.victim == id)
}

fn check_rows(before: &Snapshot, plan: &StepPlan, scheduler: &Scheduler) {
    let config = scheduler.config();
    assert!(plan.num_tokens() <= config.max_tokens_per_step);
    let was_decoding: Vec<_> = before.decoding().collect();
    let class = |row: &ScheduledRow| match before.is_running(row.id) {
        true if was_decoding.contains(&row.id) => 0,
        true => 1,
        false => 2,
    };
    for pair in plan.rows.windows(2) {
        assert!(class(&pair[0]) <= class(&pair[1]), "decodes, then prompts, then new ones: {:?}", plan.rows);
        let are_in_order = class(&pair[0]) == 0 || class(&pair[0]) != class(&pair[1]) || pair[0].id < pair[1].id;
        assert!(are_in_order, "oldest first: {:?}", plan.rows);
    }
    for (i, row) in plan.rows.iter().enumerate() {
        assert!(plan.rows[..i].iter().all(|other| other.id != row.id), "request {} has two rows", row.id);
        let sequence = scheduler.sequence(row.seq_idx);
        assert_eq!(sequence.id(), row.id);
        assert_eq!(sequence.context_len(), row.context_len, "positions go on where they stopped");
        assert!(1 <= row.query_len && row.query_len <= config.prefill_chunk_size);
        assert_eq!(row.samples, row.seq_len() == sequence.num_tokens(), "the last row samples, and no other");
        // A step that was planned ahead and then dropped leaves a block for one token more.
        let num_blocks = sequence.block_table().num_blocks();
        let needed = config.num_blocks_for(sequence.num_tokens());
        let ahead = config.num_blocks_for(sequence.num_tokens() + 1);
        assert!(num_blocks == needed || num_blocks == ahead, "request {} has {num_blocks} blocks", row.id);
    }
}

/// Only the youngest lose their blocks, no more of them than needed, and nobody profits who came later.
fn check_preemption(before: &Snapshot, plan: &StepPlan, after: &Snapshot) {
    let Some(oldest_victim) = plan.preempted.last().map(|preemption| preemption.victim) else { return };
    assert!(plan.preempted.is_sorted_by(|a, b| a.victim > b.victim), "youngest first, each once: {:?}", plan.preempted);
    for preemption in &plan.preempted {
        assert!(
            preemption.needer.is_some_and(|needer| needer <= preemption.victim),
            "nobody is preempted for a younger one: {preemption:?}"
        );
        let id = &preemption.victim;
        assert!(before.is_running(*id) && !after.is_running(*id));
        assert_eq!(after.waiting[id].context_len, 0);
        assert_eq!(after.waiting[id].num_tokens, before.running[id].num_tokens, "its output stays");
        assert!(plan.rows.iter().all(|row| row.id != *id), "request {id} was preempted and has a row");
    }
    for id in after.running.keys() {
        assert!(*id < oldest_victim, "request {oldest_victim} was preempted and the younger {id} runs");
        assert!(before.is_running(*id), "request {id} was admitted in a step that preempted");
    }
    // The pool was empty when the last victim went: what is free now was its own, one block of this very step included.
    assert!(after.num_free_blocks <= before.running[&oldest_victim].blocks.len() + 1, "one victim too many");
}
